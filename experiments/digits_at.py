"""Adversarial training on adversarial examples alone (Kannan equation 1), on the embedded digits.

    python -m alp_tf.main --config=experiments/digits_at.py

Seconds to a minute on 2 cores.
"""

from alp_tf import recipes


def get_config():
    """See the module's docstring."""
    config = recipes.digits()
    config.defense.name = "adversarial_training"
    return config
