"""Adversarial training on adversarial examples alone (Kannan equation 1) on MNIST: Madry's own defence,
92.5 % under PGD-100 and 93.0 % under CW-100 on his white-box leaderboard.

    python -m alp_tf.main --config=experiments/mnist_at.py --config.dataset.data_dir=DIR

Append `:paper` to the file's name for Madry's full training (recipes.mnist says what that is).
"""

from alp_tf import recipes


def get_config(budget="laptop"):
    """See the module's docstring."""
    config = recipes.mnist(budget)
    config.defense.name = "adversarial_training"
    return config
