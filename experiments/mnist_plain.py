"""No defence on MNIST, and no noise: the base that Kannan 5.4 calls nearly 0 % under PGD.

    python -m alp_tf.main --config=experiments/mnist_plain.py --config.dataset.data_dir=DIR

Append `:paper` to the file's name for Madry's full training (recipes.mnist says what that is).
"""

from alp_tf import recipes


def get_config(budget="laptop"):
    """See the module's docstring."""
    config = recipes.mnist_without_attack(budget)
    config.defense.name = "undefended"
    config.defense.noise = 0.0
    return config
