"""Logit similarity on MNIST (Shafahi equation 7), gamma = 1 as in section 5.1.

    Shafahi shows it on CIFAR-10 only; beta' = 10 is from Table 2.

    python -m alp_tf.main --config=experiments/mnist_similarity.py --config.dataset.data_dir=DIR

Append `:paper` to the file's name for Madry's full training (recipes.mnist says what that is).
"""

from alp_tf import recipes


def get_config(budget="laptop"):
    """See the module's docstring."""
    config = recipes.mnist_without_attack(budget)
    config.defense.name = "logit_similarity"
    config.defense.weight = 10.0
    config.defense.gamma = 1.0
    return config
