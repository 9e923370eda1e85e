"""Classifiers by name: plain Keras models from float32 pixels in [0, 1] to logits.

    model = models.build("lenet", input_shape=(28, 28, 1), num_classes=10)

A model is a function of the image shape and the number of classes; `NAMED` lists them.
"""

from alp_tf import names
from alp_tf.models.digits_cnn import digits_cnn
from alp_tf.models.lenet import lenet

NAMED = {"digits_cnn": digits_cnn, "lenet": lenet}


def build(name, *, input_shape, num_classes, **options):
    """Builds the model of that name.

    Args:
      name: one of `NAMED`.
      input_shape: (height, width, channels) of an image.
      num_classes: number of logits.
      **options: the model's own; see its function.

    Raises:
      ValueError: unknown name, or a shape the model cannot take.
    """
    return names.lookup("model", name, NAMED)(input_shape=tuple(input_shape), num_classes=num_classes, **options)


__all__ = ["NAMED", "build", "digits_cnn", "lenet"]
