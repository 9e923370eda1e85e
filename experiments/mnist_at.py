"""Adversarial training on adversarial examples alone (Kannan equation 1) on MNIST: Madry's own defence,
92.5 % under PGD-100 and 93.0 % under CW-100 on his white-box leaderboard.

Expected on the `laptop` budget: 95.0 % under PGD-40 and 99.2 % clean on the 10,000 test images, in 21 minutes of
training and 2 of evaluation on a core on which M-PGD trains for 25 (`alp_tf.reproduce --table=kannan/1-mpgd`).

    python -m alp_tf.main --config=experiments/mnist_at.py --config.dataset.data_dir=DIR

Append `:paper` to the file's name for Madry's full training (recipes.mnist says what that is).
"""

from alp_tf import recipes


def get_config(budget="laptop"):
    """See the module's docstring."""
    config = recipes.mnist(budget)
    config.defense.name = "adversarial_training"
    return config
