"""SVHN, in Kannan's threat model."""

from alp_tf import configs
from alp_tf.recipes import budget as budgets


def svhn(budget):
    """SVHN as Kannan (5.2) used it: RevNet-9, L-inf 12/255, trained and evaluated with PGD-10 of step 3/255.

    Kannan gives neither optimizer, batch, length nor preprocessing. `paper` takes what the authors of RevNet published
    for their CIFAR networks: momentum 0.9, a step of 0.1, a tenth of it from step 40,000 and a hundredth from 60,000,
    80,000 steps of 100 images; no augmentation, for flipping turns digits into other signs. What "RevNet-9" is they do
    not say either: see models.revnet. `laptop` is meant for an hour and a half on 2 cores: WRN-10-1 in place of the
    RevNet, a training attack of 5 steps of 6/255, and 2,000 steps of 64 images along a cosine.

    Args:
      budget: `laptop` or `paper`; on the command line `--config=experiments/svhn_alp.py:paper`.

    Raises:
      ValueError: another budget.
    """
    budgets.check(budget)
    config = configs.default()
    config.dataset.name = "svhn_cropped"
    config.optimizer.update(name="sgd", learning_rate=0.1, momentum=0.9)
    config.evaluation.attacks.pgd = configs.attack(epsilon=12 / 255, step_size=3 / 255, steps=10)
    if budget == "paper":
        config.model.name = "revnet-9"
        config.defense.attack = configs.attack(epsilon=12 / 255, step_size=3 / 255, steps=10)
        config.optimizer.update(schedule="piecewise", boundaries=(40_000, 60_000), factors=(0.1, 0.01))
        config.train.update(steps=80_000, batch_size=100, checkpoint_every=1_000)
    else:
        config.model.name = "wrn-10-1"
        config.defense.attack = configs.attack(epsilon=12 / 255, step_size=6 / 255, steps=5)
        config.optimizer.schedule = "cosine"
        config.train.update(steps=2_000, batch_size=64, checkpoint_every=100)
    return config


def svhn_without_attack(budget):
    """SVHN for defences that train on noisy clean images alone.

    As `svhn`, with Gaussian noise of 20/255 on every image: Kannan says that the best CLP needed noise (4.2.2), but not
    how much; Shafahi found sigma >= epsilon to help (Figure 3), and took 20/255 on CIFAR. `laptop` has 10,000 steps of
    128 images, without an attack as cheap as 2,000 of 64 with one.

    Args:
      budget: `laptop` or `paper`.
    """
    config = svhn(budget)
    config.defense.noise = 20 / 255
    if budget == "laptop":
        config.train.update(steps=10_000, batch_size=128, checkpoint_every=500)
    return config
