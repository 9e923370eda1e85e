"""Training without a defence: the baseline of every table."""

import keras

from alp_tf.defenses import base


@keras.saving.register_keras_serializable("alp_tf")
class Undefended(base.Defense):
    """Cross-entropy on clean images; with `noise`, the noise-only point of Kannan's Figure 1."""
