"""What defences check: their options when they are made, and images, labels and weights inside the graph of a step."""

import numbers
import re

import keras
import tensorflow as tf

from alp_tf import threat_model
from alp_tf.attacks import classifier as contract


def checked_batch(images, labels, sample_weight, classes):
    """Images, labels and weights of a step, in its types and shapes.

    Args:
      images: floating, [batch, height, width, channels].
      labels: int32 [batch].
      sample_weight: [batch] or [batch, 1], or None.
      classes: how many there are.

    Returns:
      (float32 images, int32 labels, float32 weights [batch] or None); the graph fails where pixels leave [0, 1], or
      labels the classes.

    Raises:
      ValueError: weights of another shape.
    """
    images = tf.cast(images, tf.float32)
    within = [_assert_within("pixels", images, 0.0, 1.0), _assert_within("labels", labels, 0, classes - 1)]
    with tf.control_dependencies(within):
        images, labels = tf.identity(images), tf.identity(labels)
    if sample_weight is not None:
        shape = sample_weight.shape
        if shape.rank not in (None, 1) and (shape.rank != 2 or shape[1] != 1):
            raise ValueError(f"sample_weight has the shape {shape}; it must be [batch], one an image")
        # Keras hands some on whose shape nobody knows.
        sample_weight = tf.reshape(tf.cast(sample_weight, tf.float32), tf.shape(labels))
    return images, labels, sample_weight


def check_bounds(attack):
    """Raises ValueError for an attack that may leave [0, 1], where the pixels of a defence lie."""
    bounds = getattr(attack, "bounds", (0.0, 1.0))
    if tuple(bounds) != (0.0, 1.0):
        raise ValueError(
            f"the attack's bounds are {bounds}, but a defence trains on pixels in [0, 1]: leave bounds out, and put "
            "any other range inside the model (keras.layers.Rescaling)"
        )


def check_loss(loss):
    """Raises ValueError for a loss of `compile` other than the one that a defence has anyway, or None."""
    sparse = isinstance(loss, keras.losses.SparseCategoricalCrossentropy)
    if loss is not None and not (sparse and loss.get_config()["from_logits"]):
        raise ValueError(
            f"compile got loss={loss!r}, but a defence brings its own loss. Leave loss out: "
            "robust.compile(optimizer=..., metrics=['accuracy'])"
        )


def with_readable_errors(function):
    """Keras' train or test function, raising ValueError in plain words where `assert_within` failed inside of it."""

    def run(iterator):
        try:
            return function(iterator)
        except tf.errors.InvalidArgumentError as error:
            found = re.search(r"\[alp_tf (\w+)\]\s+\[(\S+)\]\s+\[(\S+)\]\s+\[(\S+)\]", error.message)
            if not found:
                raise
            low, high = float(found[2]), float(found[3])
        if found[1] == "pixels":
            raise ValueError(threat_model.range_message(low, high))
        raise ValueError(contract.label_message(int(low), int(high), int(found[4]) + 1))

    return run


def checked_weight(weight, name="weight"):
    """The coefficient of a penalty, or another size, as a float.

    Raises:
      ValueError: negative or not finite.
    """
    if not (isinstance(weight, numbers.Real) and 0 <= weight < float("inf")):
        raise ValueError(f"{name} is {weight!r}; it must be a number of at least 0")
    return float(weight)


def checked_steps(name, steps):
    """The number of steps.

    Raises:
      ValueError: not an integer, or negative.
    """
    if not (isinstance(steps, numbers.Integral) and steps >= 0):
        raise ValueError(f"{name} is {steps!r}; it must be a whole number of steps, at least 0")
    return int(steps)


def checked_choice(name, value, allowed):
    """The value, if it is one of those allowed.

    Raises:
      ValueError: it is not.
    """
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
    return value


def _assert_within(what, values, low, high):
    """An operation that fails where values leave [low, high], in a way that `with_readable_errors` explains."""
    lowest, highest = tf.reduce_min(values), tf.reduce_max(values)
    # NaN pixels fail both comparisons, as they should.
    return tf.debugging.Assert((lowest >= low) & (highest <= high), [f"alp_tf {what}", lowest, highest, high])
