"""Batch-wise logit squeezing on MNIST: Shafahi's Figures 1 to 4 (equation 5).

The figures sweep beta; 10 is in the range that section 3.2 found to work.

    python -m alp_tf.main --config=experiments/mnist_batch_lsq.py --config.dataset.data_dir=DIR

Append `:paper` to the file's name for Madry's full training (recipes.mnist says what that is).
"""

from alp_tf import recipes


def get_config(budget="laptop"):
    """See the module's docstring."""
    config = recipes.mnist_without_attack(budget)
    config.defense.name = "batch_logit_squeezing"
    config.defense.weight = 10.0
    return config
