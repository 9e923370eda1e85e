"""One step towards the least likely class (Kurakin 2017a, arXiv:1611.01236, section 3: "step l.l.")."""

import dataclasses

import keras

from alp_tf.attacks import fgsm


@keras.saving.register_keras_serializable("alp_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class StepLL(fgsm.FGSM):
    """FGSM that lowers the loss of the class that the model holds least likely.

    Unlike FGSM it does not leak the true label into the image, which is why Kurakin trained with it.
    """

    target: str | int | None = "least_likely"
