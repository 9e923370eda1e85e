"""Logit squeezing (Kannan 4.2.3) with Gaussian noise on the embedded digits.

    python -m alp_tf.main --config=experiments/digits_lsq.py

Seconds to a minute on 2 cores.
"""

from alp_tf import recipes


def get_config():
    """See the module's docstring."""
    config = recipes.digits()
    config.defense.name = "logit_squeezing"
    config.defense.weight = 0.5
    config.defense.noise = 0.3
    return config
