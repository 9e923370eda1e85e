"""What measurements and figures start from: images and labels in memory, and a model's logits of them."""

import weakref

import keras
import numpy as np
import tensorflow as tf

from alp_tf.attacks import Attack, classifier

# model -> {image shape: compiled logits}; as in attacks.base, a model that is gone takes its graphs along.
_LOGITS = weakref.WeakKeyDictionary()


def arrays(data, *, examples=None, batch_size=200):
    """Images and labels as arrays, one label for each image.

    Args:
      data: tf.data.Dataset of batches (float32 images in [0, 1], integer labels), or a pair of arrays.
      examples: take the first so many; None or 0 for all.
      batch_size: images read at a time.

    Returns:
      (float32 images [examples, height, width, channels], int32 labels [examples]).

    Raises:
      ValueError: no images, labels that are not integer classes, or not one for each image.
    """
    limit = examples or None
    if isinstance(data, tuple):
        images, labels = (np.asarray(part)[:limit] for part in data)
    else:
        taken = list(data.unbatch().batch(batch_size).take(-(-limit // batch_size) if limit else -1))
        images, labels = (np.concatenate(parts)[:limit] for parts in zip(*taken, strict=True)) if taken else ((), ())
    if len(images) == 0:
        raise ValueError("there are no images to evaluate: the data set is empty")
    labels = classifier.class_labels(labels).numpy()
    if len(images) != len(labels):
        raise ValueError(f"there are {len(images)} images but {len(labels)} labels")
    return images, labels


def check_attacks(attacks, images):
    """Raises ValueError for something that is no attack, or images that one of them cannot start from.

    Args:
      attacks: {name: attack}.
      images: array [examples, height, width, channels].
    """
    for name, attack in attacks.items():
        if not isinstance(attack, Attack):
            raise ValueError(
                f"attacks[{name!r}] is {attack!r}; write for example alp_tf.attacks.PGD(epsilon=8/255, ...)"
            )
        attack.threat_model.check_images(images)


def chunks(rows, batch_size):
    """The rows, an int array, in pieces of at most batch_size."""
    return [rows[first : first + batch_size] for first in range(0, len(rows), batch_size)]


def logits_of(model, image_shape):
    """A compiled function from images to logits.

    Args:
      model: keras.Model, wrapper or callable; used as at inference.
      image_shape: (height, width, channels).

    Returns:
      Function from float32 images [batch, *image_shape] to a float32 array [batch, classes].
    """
    functions, reference = _LOGITS.setdefault(model, {}), weakref.ref(model)
    if tuple(image_shape) not in functions:

        @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, *image_shape], tf.float32)])
        def compiled(images):
            return classifier.logits_function(reference())(images)

        # Traced once, here: TensorFlow would otherwise warn of the many functions that the models of one table need.
        functions[tuple(image_shape)] = compiled.get_concrete_function()
    traced = functions[tuple(image_shape)]
    return lambda images: traced(tf.cast(images, tf.float32)).numpy()


def classes(model, image_shape, name="the model", data="the data"):
    """How many classes a model tells apart in images of that shape.

    Args:
      model: keras.Model, wrapper or callable.
      image_shape: (height, width, channels).
      name, data: of the model and of where the images are from, for the error.

    Raises:
      ValueError: the model does not take such images.
    """
    refusal = f"{name} does not take {data}'s images of shape {tuple(image_shape)}"
    wanted = _input_shape(model)
    if wanted and not all(size in (None, given) for size, given in zip(wanted, image_shape, strict=True)):
        raise ValueError(f"{refusal}: it takes {wanted}")
    try:
        return classifier.number_of_classes(model, (None, *image_shape))
    except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        raise ValueError(f"{refusal}: {str(error).splitlines()[0]}") from error


def _input_shape(model):
    inner = classifier.innermost(model)
    shape = getattr(inner, "input_shape", None) if isinstance(inner, keras.layers.Layer) else None
    return shape[1:] if isinstance(shape, tuple) and len(shape) == 4 else None
