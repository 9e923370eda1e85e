"""Mixed-minibatch PGD (Kannan equation 2) on the embedded digits.

    python -m alp_tf.main --config=experiments/digits_mpgd.py

Seconds to a minute on 2 cores.
"""

from alp_tf import recipes


def get_config():
    """See the module's docstring."""
    config = recipes.digits()
    config.defense.name = "mixed_minibatch_pgd"
    return config
