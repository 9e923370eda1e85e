"""MNIST, in the papers' threat model."""

from alp_tf import configs
from alp_tf.recipes import budget as budgets


def mnist(budget):
    """MNIST as Kannan (5.1) and Shafahi (3.1) used it: Madry's LeNet, L-inf 0.3, evaluated with PGD-40 of step 0.01.

    Neither Kannan nor Shafahi gives optimizer, batch or length; Shafahi points to Madry's challenge, so `paper` takes
    Madry's: Adam at 1e-4, batches of 50, 100,000 steps, and the training attack is the evaluation's (40 steps of
    0.01). `laptop` fits into an hour of a core: 12,000 steps of 64 images, moved by up to a pixel (13 epochs), against
    4 steps of 0.1, which go as far as 40 of 0.01; Adam rising to 3e-3 over 500 steps, then down to 0 along a cosine;
    and Glorot's initial weights. Of ALP, 1e-3 and Madry's weights had an adversarial training accuracy of 24 % after
    1,250 steps, Glorot's 64 % after 300, and 3e-3 with them 95 % after 1,280. Processors with bfloat16 matrix units
    train 2.8 times as fast with `--config.train.precision=mixed_bfloat16`, others more slowly.

    Args:
      budget: `laptop` or `paper`; on the command line `--config=experiments/mnist_alp.py:paper`.

    Raises:
      ValueError: another budget.
    """
    budgets.check(budget)
    config = configs.default()
    config.dataset.name = "mnist"
    config.model.name = "lenet"
    config.evaluation.attacks.pgd = configs.attack(epsilon=0.3, step_size=0.01, steps=40)
    if budget == "paper":
        config.defense.attack = configs.attack(epsilon=0.3, step_size=0.01, steps=40)
        config.optimizer.learning_rate = 1e-4
        config.train.update(steps=100_000, batch_size=50, checkpoint_every=500)
    else:
        config.defense.attack = configs.attack(epsilon=0.3, step_size=0.1, steps=4)
        config.model.initializer = "glorot"
        config.optimizer.update(learning_rate=3e-3, warmup_steps=500, schedule="cosine")
        config.dataset.augmentation = "shift_by_1"
        config.train.update(steps=12_000, batch_size=64, checkpoint_every=500)
    return config


def mnist_without_attack(budget):
    """MNIST for defences that train on noisy clean images alone.

    As `mnist`, but `laptop` takes 10 epochs in batches of 128, the size that Shafahi's coefficients are meant for, and
    every image gets Gaussian noise of 0.5: Kannan gives no sigma, Mosbach's models used 0.5, and Shafahi found
    sigma >= epsilon (0.3) to help (Figure 3). Evaluated also on Carlini and Wagner's loss: Shafahi's figures (3.1) are
    the lower of the two accuracies.

    Args:
      budget: `laptop` or `paper`.
    """
    config = mnist(budget)
    config.defense.noise = 0.5
    config.evaluation.attacks.pgd_cw = configs.attack(epsilon=0.3, step_size=0.01, steps=40, loss="margin")
    config.train.batch_size = 128
    if budget == "laptop":
        config.dataset.augmentation = "none"
        config.train.update(steps=4_680, checkpoint_every=468)
    return config
