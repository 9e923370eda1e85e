"""What defences check: their options when they are made, and pixels and labels inside the graph of a step."""

import re

import tensorflow as tf

from alp_tf import threat_model
from alp_tf.attacks import classifier as contract


def assert_within(what, values, low, high):
    """An operation that fails where values leave [low, high], in a way that `with_readable_errors` explains.

    Args:
      what: `pixels` or `labels`.
      values: tensor of either.
      low, high: numbers.
    """
    lowest, highest = tf.reduce_min(values), tf.reduce_max(values)
    # NaN pixels fail both comparisons, as they should.
    return tf.debugging.Assert((lowest >= low) & (highest <= high), [f"alp_tf {what}", lowest, highest, high])


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
    if not (isinstance(weight, int | float) and 0 <= weight < float("inf")):
        raise ValueError(f"{name} is {weight!r}; it must be a number of at least 0")
    return float(weight)


def checked_steps(name, steps):
    """The number of steps.

    Raises:
      ValueError: not an integer, or negative.
    """
    if not (isinstance(steps, int) and steps >= 0):
        raise ValueError(f"{name} is {steps!r}; it must be a whole number of steps, at least 0")
    return steps


def checked_choice(name, value, allowed):
    """The value, if it is one of those allowed.

    Raises:
      ValueError: it is not.
    """
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; it must be one of {', '.join(allowed)}")
    return value
