"""Classifiers by name: plain Keras models from float32 pixels in [0, 1] to logits.

    model = models.build("lenet", input_shape=(28, 28, 1), num_classes=10)

A model is a function of the image shape and the number of classes; `NAMED` lists them, docs/models.md describes them.
"""

import re

from alp_tf import names
from alp_tf.models.digits_cnn import digits_cnn
from alp_tf.models.imagenet import inception_v3, resnet101
from alp_tf.models.lenet import lenet
from alp_tf.models.reversible import ReversibleStage
from alp_tf.models.revnet import revnet, revnet_9
from alp_tf.models.wide_resnet import madry_wide_resnet, ready_made, wide_resnet

NAMED = {
    "digits_cnn": digits_cnn,
    "lenet": lenet,
    "madry_wide_resnet": madry_wide_resnet,
    "wide_resnet": wide_resnet,
    "wrn-10-1": ready_made(10, 1),
    "wrn-16-2": ready_made(16, 2),
    "wrn-28-10": ready_made(28, 10),
    "wrn-34-10": ready_made(34, 10),
    "revnet": revnet,
    "revnet-9": revnet_9,
    "inception_v3": inception_v3,
    "resnet101": resnet101,
}


def builder(name):
    """The function that builds the model of that name.

    Raises:
      ValueError: unknown name; says the nearest, or how to write a wide residual network that is not ready-made.
    """
    wide = re.fullmatch(r"wrn-(\d+)-(\d+)", str(name).lower())
    if wide and name not in NAMED:
        ready = ", ".join(known for known in NAMED if known.startswith("wrn-"))
        raise ValueError(
            f"unknown model {name!r}: ready-made are {ready}. Write 'wide_resnet' with depth={wide[1]}, "
            f"width={wide[2]}; depth must be 6 n + 4"
        )
    return names.lookup("model", name, NAMED)


def build(name, *, input_shape, num_classes, **options):
    """Builds the model of that name.

    Args:
      name: one of `NAMED`.
      input_shape: (height, width, channels) of an image.
      num_classes: number of logits.
      **options: the model's own; see its function.

    Raises:
      ValueError: unknown name, or a shape the model cannot take.

    Example:
      >>> build("digits_cnn", input_shape=(8, 8, 1), num_classes=10).count_params()
      151306
      >>> build("lent", input_shape=(28, 28, 1), num_classes=10)
      Traceback (most recent call last):
      ValueError: unknown model 'lent'; did you mean 'lenet'? Known: ...
    """
    return builder(name)(input_shape=tuple(input_shape), num_classes=num_classes, **options)


__all__ = [
    "NAMED",
    "ReversibleStage",
    "build",
    "builder",
    "digits_cnn",
    "inception_v3",
    "lenet",
    "madry_wide_resnet",
    "resnet101",
    "revnet",
    "revnet_9",
    "wide_resnet",
]
