"""CIFAR-10 and CIFAR-100, in Shafahi's threat model."""

from alp_tf import configs
from alp_tf.recipes import budget as budgets


def cifar10(budget):
    """CIFAR-10 as Shafahi (3.2) used it: Madry's "w32-10" network, L-inf 8/255, PGD-20, 50 and 200 on two losses.

    `paper` is Madry's CIFAR-10 challenge, which Shafahi names for the adversarially trained rows: momentum 0.9, a step
    of 0.1, a tenth of it from step 40,000 and a hundredth from 60,000, 80,000 steps of 128 images, padded, cropped and
    flipped; the training attack takes 7 steps of 2/255 and normalises with the attacked batch's statistics. (Shafahi's
    text has 160,000 steps for it, and calls that "fewer" than its own 160,000: Madry's 80,000 must be meant. It prints
    the step size as "2^4", which is 2 and a reference to its footnote 4.) `laptop` is meant for an hour and a half on
    2 cores: WRN-10-1, 2,000 steps along a cosine, evaluated on 1,000 test images.

    Args:
      budget: `laptop` or `paper`; on the command line `--config=experiments/cifar10_at_7step.py:paper`.

    Raises:
      ValueError: another budget.
    """
    return _cifar("cifar10", budget, (20, 50, 200))


def cifar100(budget):
    """CIFAR-100 as Shafahi (6) used it: everything as `cifar10`, evaluated with PGD-20 and 200 on two losses.

    Args:
      budget: `laptop` or `paper`.
    """
    return _cifar("cifar100", budget, (20, 200))


def cifar10_without_attack(budget):
    """CIFAR-10 for defences that train on noisy clean images alone.

    As `cifar10`, with Gaussian noise of 20/255 (Shafahi 3.2: "equal to 20") and, on the `paper` budget, 160,000 steps.
    Their schedule is not given. It is stretched with the run here, to 80,000 and 120,000; Madry's own would be
    `--config.optimizer.boundaries="(40000, 60000)"`. `laptop` has 5,000 steps, for each costs a fraction of one with
    an attack.

    Args:
      budget: `laptop` or `paper`.
    """
    return _without_attack(cifar10(budget), budget)


def cifar100_without_attack(budget):
    """CIFAR-100 for defences that train on noisy clean images alone; see `cifar10_without_attack`.

    Args:
      budget: `laptop` or `paper`.
    """
    return _without_attack(cifar100(budget), budget)


def add_restarts(config):
    """Adds Shafahi's section 5.1.2 to an experiment's evaluation: PGD-100 on the CW loss, 10 restarts, L-inf and L2.

    The L2 radius is 1.5 ("1.5 x 255" on their scale); its step is not given, and Madry's rule of thumb is taken,
    2.5 epsilon / steps.

    Args:
      config: the experiment's ConfigDict.
    """
    common = {"steps": 100, "loss": "margin", "restarts": 10}
    config.evaluation.attacks.pgd_100_cw_restarts = configs.attack(epsilon=8 / 255, step_size=2 / 255, **common)
    config.evaluation.attacks.pgd_100_cw_l2 = configs.attack(epsilon=1.5, step_size=0.0375, norm="l2", **common)


def _cifar(dataset, budget, steps):
    budgets.check(budget)
    config = configs.default()
    config.dataset.update(name=dataset, augmentation="pad_crop_flip")
    config.defense.attack = configs.attack(epsilon=8 / 255, step_size=2 / 255, steps=7)
    config.optimizer.update(name="sgd", learning_rate=0.1, momentum=0.9)
    ball = {"epsilon": 8 / 255, "step_size": 2 / 255}
    config.evaluation.attacks = {
        **{f"pgd_{count}": configs.attack(**ball, steps=count) for count in steps},
        **{f"pgd_{count}_cw": configs.attack(**ball, steps=count, loss="margin") for count in steps},
    }
    if budget == "paper":
        config.model.name = "madry_wide_resnet"
        config.defense.attack.batch_norm = "train"
        config.optimizer.update(schedule="piecewise", boundaries=(40_000, 60_000), factors=(0.1, 0.01))
        config.train.update(steps=80_000, batch_size=128, checkpoint_every=1_000)
    else:
        config.model.name = "wrn-10-1"
        config.optimizer.schedule = "cosine"
        config.train.update(steps=2_000, batch_size=128, checkpoint_every=100)
        config.evaluation.examples = 1_000
    return config


def _without_attack(config, budget):
    config.defense.noise = 20 / 255
    if budget == "paper":
        config.optimizer.boundaries = (80_000, 120_000)
        config.train.steps = 160_000
    else:
        config.train.update(steps=5_000, checkpoint_every=250)
    return config
