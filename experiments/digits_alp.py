"""Adversarial logit pairing (Kannan 4.2.1) on the embedded digits.

    python -m alp_tf.main --config=experiments/digits_alp.py

Seconds to a minute on 2 cores.
"""

from alp_tf import recipes


def get_config():
    """See the module's docstring."""
    config = recipes.digits()
    config.defense.name = "adversarial_logit_pairing"
    config.defense.weight = 0.5
    return config
