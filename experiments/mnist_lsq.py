"""Logit squeezing on MNIST: Kannan's Table 7: 86.4 % white box, 99.0 % clean.

Kannan gives no weight. Mosbach's models took 0.5 (and fell from 70.6 % to 5.0 % under a strong PGD); on the laptop
budget that holds all logits at zero for the first 2,000 steps, and 0.1 withstands PGD-40 better.

    python -m alp_tf.main --config=experiments/mnist_lsq.py --config.dataset.data_dir=DIR

Append `:paper` to the file's name for Madry's full training (recipes.mnist says what that is).
"""

from alp_tf import recipes


def get_config(budget="laptop"):
    """See the module's docstring."""
    config = recipes.mnist_without_attack(budget)
    config.defense.name = "logit_squeezing"
    config.defense.weight = 0.1
    return config
