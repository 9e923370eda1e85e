"""Batch-wise logit squeezing (Shafahi equation 5) with Gaussian noise on the embedded digits.

    python -m alp_tf.main --config=experiments/digits_batch_lsq.py

Seconds to a minute on 2 cores.
"""

from alp_tf import recipes


def get_config():
    """See the module's docstring."""
    config = recipes.digits()
    config.defense.name = "batch_logit_squeezing"
    config.defense.weight = 10.0
    config.defense.noise = 0.3
    return config
