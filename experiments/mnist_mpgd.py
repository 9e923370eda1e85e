"""Mixed-minibatch PGD on MNIST: Kannan's Table 1, row M-PGD: 93.2 % white box, 96.0 % black box, 98.5 % clean.

Table 7 has the same row with 98.8 % clean. Expected on the `laptop` budget: 94.9 % under PGD-40 and 99.4 % clean on the
10,000 test images, in 44 minutes of training and 3 of evaluation on one core (`alp_tf.reproduce --table=kannan/1`).

    python -m alp_tf.main --config=experiments/mnist_mpgd.py --config.dataset.data_dir=DIR

Append `:paper` to the file's name for Madry's full training (recipes.mnist says what that is).

Black box (5.1): an independently initialised copy, trained alike, attacks this model. Train it with
`--config.seed=1 --workdir=runs/mnist_mpgd_seed1`; the report's worst case is then over PGD, the paper's only attack,
and two more:

    python -m alp_tf.evaluate runs/mnist_mpgd --protocol=paper --sources=runs/mnist_mpgd_seed1
"""

from alp_tf import recipes


def get_config(budget="laptop"):
    """See the module's docstring."""
    config = recipes.mnist(budget)
    config.defense.name = "mixed_minibatch_pgd"
    return config
