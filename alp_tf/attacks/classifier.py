"""What attacks and defences ask of a classifier: logits for float images, and integer labels."""

import contextlib
import warnings

import keras
import tensorflow as tf

from alp_tf.attacks import fast_gradients

BATCH_NORM_MODES = ("inference", "train")


def logits_function(model, *, training=False):
    """A function from images to float32 logits.

    Args:
      model: a keras.Model, a wrapper (see attacks.wrappers), or any other callable that takes images alone.
      training: Keras' training argument; ignored for plain callables.
    """
    if hasattr(model, "wrap_logits"):
        return model.wrap_logits(logits_function(model.model, training=training))
    if isinstance(model, keras.layers.Layer):
        return lambda images: tf.cast(model(images, training=training), tf.float32)
    return lambda images: tf.cast(model(images), tf.float32)


def innermost(model):
    """The model inside all wrappers."""
    while hasattr(model, "wrap_logits"):
        model = model.model
    return model


def check_batch_norm(mode):
    """Raises ValueError unless `mode` is one of BATCH_NORM_MODES."""
    if mode not in BATCH_NORM_MODES:
        raise ValueError(f"batch_norm is {mode!r}; it must be one of {', '.join(BATCH_NORM_MODES)}")


def class_labels(labels):
    """Labels as an int32 tensor of shape [batch].

    Args:
      labels: integer classes, shape [batch] or [batch, 1].

    Raises:
      ValueError: one-hot or otherwise shaped labels.
    """
    labels = tf.convert_to_tensor(labels)
    if labels.shape.rank == 2 and labels.shape[1] == 1:
        labels = tf.squeeze(labels, 1)
    if labels.shape.rank != 1:
        raise ValueError(
            f"labels have shape {tuple(labels.shape)}; integer classes of shape [batch] are needed. "
            "For one-hot labels write tf.argmax(labels, -1)"
        )
    return tf.cast(labels, tf.int32)


def check_label_range(labels, classes):
    """Raises ValueError for labels that are none of the model's classes.

    Args:
      labels: concrete int tensor [batch], not empty.
      classes: how many logits the model returns.
    """
    lowest, highest = int(tf.reduce_min(labels)), int(tf.reduce_max(labels))
    if lowest < 0 or highest >= classes:
        raise ValueError(label_message(lowest, highest, classes))


def label_message(lowest, highest, classes):
    """The one sentence that every part of the package says about labels outside the classes."""
    return (
        f"labels span {lowest} to {highest}, but the model returns {classes} logits: labels must lie in "
        f"0 to {classes - 1}"
    )


def number_of_classes(model, shape):
    """How many logits the model returns for images of that shape.

    Args:
      model: keras.Model, or a plain callable, for which the answer comes from tracing it.
      shape: of a batch of images; the batch may be None.

    Raises:
      ValueError: it returns several tensors.
    """
    model = innermost(model)
    if isinstance(model, keras.layers.Layer):
        output = model.compute_output_spec(keras.KerasTensor(shape, "float32"))
    else:
        output = tf.function(model).get_concrete_function(tf.TensorSpec(shape, tf.float32)).structured_outputs
    if not hasattr(output, "shape"):
        seen = f"the entries {', '.join(map(str, output))}" if isinstance(output, dict) else f"{len(output)} tensors"
        raise ValueError(f"the model returns {seen}; it must return one tensor of logits, shape [batch, classes]")
    return int(output.shape[-1])


def warn_unless_logits(model):
    """Warns when the model visibly ends in a softmax; a model of unknown structure passes.

    Returns:
      True when a warning was given.
    """
    last = innermost(model)
    while getattr(last, "layers", None):
        outputs = getattr(last, "outputs", None)
        history = getattr(outputs[0], "_keras_history", None) if outputs else None
        last = history.operation if history is not None else last.layers[-1]
    if isinstance(last, keras.layers.Activation | keras.layers.Softmax | keras.layers.Dense | keras.layers.Conv2D):
        softmax = isinstance(last, keras.layers.Softmax) or last.activation is keras.activations.softmax
        if softmax:
            warnings.warn(
                f"the model ends in a softmax (layer {last.name!r}) but must return logits: attacks would see "
                "saturated gradients and overstate its robustness. Remove the softmax, for example "
                "Dense(classes) instead of Dense(classes, activation='softmax')",
                stacklevel=3,
            )
            return True
    return False


@contextlib.contextmanager
def logits_in_mode(model, batch_norm):
    """A context that gives the logits function of an attack's BatchNorm mode, made for gradients of the images.

    In mode "train" the model normalises with the statistics of the attacked batch; when the context ends, its
    variables are as they were, for the iterates must not leak into the averages that the model will use later.

    Args:
      model: see logits_function.
      batch_norm: one of BATCH_NORM_MODES.
    """
    if batch_norm == "inference":
        yield differentiable_logits(model)
        return
    variables = [variable.value for variable in getattr(innermost(model), "non_trainable_variables", [])]
    before = [tf.identity(variable) for variable in variables]
    yield logits_function(model, training=True)
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)


def differentiable_logits(model):
    """A function from images to float32 logits at inference, made for gradients of the images (see fast_gradients).

    Call it inside the graph and outside of its loops.

    Args:
      model: see logits_function.
    """
    if hasattr(model, "wrap_logits"):
        return model.wrap_logits(differentiable_logits(model.model))
    if isinstance(model, keras.layers.Layer):
        return fast_gradients.logits_function(model)
    return logits_function(model)
