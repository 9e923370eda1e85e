"""Logit similarity with gamma = 1 (Shafahi equation 7) and Gaussian noise on the embedded digits.

    python -m alp_tf.main --config=experiments/digits_similarity.py

Seconds to a minute on 2 cores.
"""

from alp_tf import recipes


def get_config():
    """See the module's docstring."""
    config = recipes.digits()
    config.defense.name = "logit_similarity"
    config.defense.weight = 10.0
    config.defense.gamma = 1.0
    config.defense.noise = 0.3
    return config
