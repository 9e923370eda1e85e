"""Adversarial logit pairing on MNIST: Kannan's Table 1, row ALP: 96.4 % white box, 97.5 % black box, 98.8 % clean.

The weight is Kannan's (5.1: "a final logit pairing weight of 1"; 0.2 to 1 did as well); 0.5 and 3 are in
`alp_tf.reproduce --table=kannan/1-training`. Expected on the `laptop` budget: 95.8 % under PGD-40 and 99.0 % clean on
the 10,000 test images, in 41 minutes of training and 3 of evaluation on one core (the same table).

    python -m alp_tf.main --config=experiments/mnist_alp.py --config.dataset.data_dir=DIR

Append `:paper` to the file's name for Madry's full training (recipes.mnist says what that is).

Black box (5.1): an independently initialised, adversarially trained copy attacks this model, here mixed-minibatch PGD
from another seed: `--config=experiments/mnist_mpgd.py --config.seed=1 --workdir=runs/mnist_mpgd_seed1`. The report's
worst case is then over PGD, the paper's only attack, and two more:

    python -m alp_tf.evaluate runs/mnist_alp --protocol=paper --sources=runs/mnist_mpgd_seed1
"""

from alp_tf import recipes


def get_config(budget="laptop"):
    """See the module's docstring."""
    config = recipes.mnist(budget)
    config.defense.name = "adversarial_logit_pairing"
    config.defense.weight = 1.0
    return config
