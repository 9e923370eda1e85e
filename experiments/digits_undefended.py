"""An undefended network on the embedded digits: what an attack leaves of it.

    python -m alp_tf.main --config=experiments/digits_undefended.py

Seconds to a minute on 2 cores.
"""

from alp_tf import recipes


def get_config():
    """See the module's docstring."""
    config = recipes.digits()
    config.defense.name = "undefended"
    return config
