"""Clean logit pairing (Kannan 4.2.2) with Gaussian noise on the embedded digits.

    python -m alp_tf.main --config=experiments/digits_clp.py

Seconds to a minute on 2 cores.
"""

from alp_tf import recipes


def get_config():
    """See the module's docstring."""
    config = recipes.digits()
    config.defense.name = "clean_logit_pairing"
    config.defense.weight = 0.5
    config.defense.noise = 0.3
    return config
