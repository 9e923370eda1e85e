"""Virtual adversarial training (Miyato et al. 2017) on MNIST, to which Kannan (6) compares ALP.

Kannan prints no figure: VAT improved on Madry's training, and ALP on VAT, also with the KL divergence the other way
round (`--config.defense.direction=adversarial_to_clean`). No setting is given. The weight is Miyato's; an L2 length of
2 is ours, a quarter of what a change of 0.3 at every pixel has. No noise is added.

    python -m alp_tf.main --config=experiments/mnist_vat.py --config.dataset.data_dir=DIR

Append `:paper` to the file's name for Madry's full training (recipes.mnist says what that is).
"""

from alp_tf import recipes


def get_config(budget="laptop"):
    """See the module's docstring."""
    config = recipes.mnist(budget)
    config.defense.name = "virtual_adversarial_training"
    config.defense.epsilon = 2.0
    config.defense.weight = 1.0
    if budget == "laptop":
        # Not tried with steps as large as the others'.
        config.optimizer.update(learning_rate=1e-3, warmup_steps=0)
    return config
