"""MNIST, in the papers' threat model."""

from alp_tf import configs
from alp_tf.recipes import budget as budgets


def mnist(budget):
    """MNIST as Kannan (5.1) and Shafahi (3.1) used it: Madry's LeNet, L-inf 0.3, evaluated with PGD-40 of step 0.01.

    Neither Kannan nor Shafahi gives optimizer, batch or length; Shafahi points to Madry's challenge, so `paper` takes
    Madry's: Adam at 1e-4, batches of 50, 100,000 steps, and the training attack is the evaluation's (40 steps of
    0.01). `laptop` fits into an hour of a core: 12,000 steps of 64 images, moved by up to a pixel (13 epochs), against
    4 steps of 0.1, which go as far as 40 of 0.01; Glorot's initial weights, which leave the start sooner than Madry's;
    and Adam rising to 3e-3 over 500 steps, then down to 0 along a cosine, which gets in 12,000 steps where 1e-3 gets in
    18,000 of 7 steps of attack (`alp_tf.reproduce --table=kannan/1-training`). Processors with matrix units (AMX) train
    faster with `--config.train.precision=mixed_bfloat16`, others perhaps more slowly.

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

    As `mnist`, but in batches of 128, the size that Shafahi's coefficients are meant for, and every image gets Gaussian
    noise of 0.5: Kannan gives no sigma, Mosbach's models used 0.5, and Shafahi found sigma >= epsilon (0.3) to help
    (Figure 3). Evaluated also on Carlini and Wagner's loss: Shafahi's figures (3.1) are the lower of the two
    accuracies. `laptop` takes 10 epochs, does not move the images, and lets penalties grow over the first 1,000 steps,
    for large ones would hold all logits at zero from the start. Its Adam rises to 8e-3, chosen by PGD-40 on 1,000
    held-out training images; how much depends on that, `alp_tf.reproduce --table=kannan/7-sweep` measures.

    Args:
      budget: `laptop` or `paper`.
    """
    config = mnist(budget)
    config.defense.noise = 0.5
    config.evaluation.attacks.pgd_cw = configs.attack(epsilon=0.3, step_size=0.01, steps=40, loss="margin")
    config.train.batch_size = 128
    if budget == "laptop":
        config.dataset.augmentation = "none"
        config.defense.penalty_ramp = 1_000
        config.optimizer.learning_rate = 8e-3
        config.train.update(steps=4_680, checkpoint_every=468)
    return config
