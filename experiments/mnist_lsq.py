"""Logit squeezing on MNIST: Kannan's Table 7: 86.4 % white box, 96.8 % black box, 99.0 % clean.

Kannan gives no weight. Mosbach's models took 0.5, as here, and fell from 70.6 % to 5.0 % under a strong PGD.

Also the logit squeezing curve of Kannan's Figure 1 (5.4), and the per-example curve of Shafahi's Figure 1, over the
weight: `--config.defense.weight=0.2 --workdir=runs/mnist_lsq_0.2` and so on. Neither paper prints the points of its
curve; 0.1, 0.2, 0.5, 0.8 and 1 are ours (from 0.949 on, no logits cost less than zero: docs/defenses.md). Weight 0 is
mnist_noise.py.

    python -m alp_tf.main --config=experiments/mnist_lsq.py --config.dataset.data_dir=DIR

Append `:paper` to the file's name for Madry's full training (recipes.mnist says what that is).

Black box (5.1): an independently initialised, adversarially trained copy attacks this model, here mixed-minibatch PGD
from another seed: `--config=experiments/mnist_mpgd.py --config.seed=1 --workdir=runs/mnist_mpgd_seed1`. The report's
worst case is then over PGD, the paper's only attack, and two more:

    python -m alp_tf.evaluate runs/mnist_lsq --protocol=paper --sources=runs/mnist_mpgd_seed1
"""

from alp_tf import recipes


def get_config(budget="laptop"):
    """See the module's docstring."""
    config = recipes.mnist_without_attack(budget)
    config.defense.name = "logit_squeezing"
    config.defense.weight = 0.5
    return config
