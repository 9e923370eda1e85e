"""Adversarial logit pairing on CIFAR-10, which Kannan never tried: for comparison with Shafahi's Tables 1 to 3.

The weight is the one that Kannan found to do on SVHN and ImageNet, 0.5; attack and budget are those of
`cifar10_at_7step.py`. Mosbach's model with these losses had 70.4 % clean and 10.5 % under the strongest PGD, at twice
this epsilon.

    python -m alp_tf.main --config=experiments/cifar10_alp.py --config.dataset.data_dir=DIR

Append `:paper` to the file's name for the full training (recipes.cifar10 says what that is).
"""

from alp_tf import recipes


def get_config(budget="laptop"):
    """See the module's docstring."""
    config = recipes.cifar10(budget)
    config.defense.name = "adversarial_logit_pairing"
    config.defense.weight = 0.5
    return config
