"""Small steps towards the least likely class (Kurakin 2017a, arXiv:1611.01236, section 3: "iter. l.l.")."""

import dataclasses

import keras

from alp_tf.attacks import bim


@keras.saving.register_keras_serializable("alp_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class IterLL(bim.BIM):
    """BIM towards the class that the model holds least likely; every attribute of PGD applies.

    Kannan calls it iter_ll, and found its images to transfer best of all (section 5.3.4). Kurakin steps by 1/255,
    min(255 epsilon + 4, 1.25 * 255 epsilon) times.
    """

    target: str | int | None = "least_likely"
