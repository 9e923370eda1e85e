"""Basic iterative method (Kurakin 2017): projected gradient descent from the image itself."""

import dataclasses

import keras

from alp_tf.attacks import pgd


@keras.saving.register_keras_serializable("alp_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class BIM(pgd.PGD):
    """PGD without a random start; every attribute of PGD applies."""

    random_start: bool = False
