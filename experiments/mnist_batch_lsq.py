"""Batch-wise logit squeezing on MNIST: Shafahi's Figures 1 to 4 (equation 5).

Beta is 10 here, from the range that section 3.2 found to work. Accuracies are the lower of `pgd` and `pgd_cw` (3.1).
Expected on the `laptop` budget: 72.9 % and 99.1 % clean on the 10,000 test images, but 0.7 % of 1,000 under AutoAttack,
in 10 minutes of training and 6 of evaluation on one core (`alp_tf.reproduce --figure=shafahi/2`).
The figures are curves without printed points; these grids are ours, each point with a `--workdir` of its own:

- Figures 1 and 2, coefficient: `--config.defense.weight=1`, 2, 5, 10, 20, 50; per example (Figure 1): mnist_lsq.py;
- Figure 3, sigma: `--config.defense.noise=0.1`, 0.2, 0.3, 0.4, 0.5, 0.6, around epsilon, 0.3;
- Figure 4, iterations: `--config.train.steps=1170`, 2340, 4680, 9360, 18720, that is 2.5 to 40 epochs.

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
