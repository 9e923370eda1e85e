"""A Keras classifier to a version of a SavedModel, with everything that TensorFlow Serving looks for in it."""

import pathlib
import warnings

import keras
import numpy as np
import tensorflow as tf

from alp_tf import defenses
from alp_tf.attacks import classifier
from alp_tf.serving import card, signatures, versions, warm_up

# Of the allowed batch sizes in launch/tf_serving/batching_parameters.txt.
BATCH_SIZES = (1, 8, 32)
# Logits may differ by so much, relative to the largest, after the graph was optimized for inference.
_TOLERANCE = 1e-3


def export(
    model,
    path,
    *,
    class_names=None,
    image_shape=None,
    resize=None,
    central_fraction=1.0,
    guard=False,
    warm_up_batch_sizes=BATCH_SIZES,
    results=(),
):
    """Writes the next version of a SavedModel; the older ones stay, and a server never sees half of one.

    Before it gets its number, the version is loaded again, must give the model's logits, and answers its own warm-up
    requests.

    Args:
      model: keras.Model that takes one batch of images, float32 in [0, 1], and returns logits; or a defence around it.
      path: directory of the model, such as `models/mnist_alp`; its name is the model's for the server. The version is
        a directory in it, 1 for the first.
      class_names: one string a class, or None where they have no names.
      image_shape: (height, width, channels), for a model that takes several.
      resize: image files of any size are cut to the central square and resized; False: only the model's own size is
        taken. None: resized where the model's images are square, for others cannot be.
      central_fraction: side of that square as a part of the image's shorter side, in (0, 1]; 0.875 for models
        evaluated on `imagenet2012`.
      guard: refuse pixels outside [0, 1], and NaN, inside the graph.
      warm_up_batch_sizes: of the requests that a server replays when it loads the version; () for none.
      results: what results.json holds, a dictionary or several, for the model card; without it, the card says "not
        evaluated".

    Returns:
      pathlib.Path of the version.

    Example:
      >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
      >>> names = [str(digit) for digit in range(10)]
      >>> version = export(model, "models/digits", class_names=names, warm_up_batch_sizes=(1,))
      >>> version.as_posix(), sorted(tf.saved_model.load(str(version)).signatures)
      ('models/digits/1', ['classify', 'serving_bytes', 'serving_default'])

    Raises:
      ValueError: a model that cannot be served so, a directory of something else or in use, or a version that answers
        otherwise than the model.
      OSError: the directory cannot be written.
    """
    versions.check(path)
    path = pathlib.Path(path)
    model = model.classifier if isinstance(model, defenses.Defense) else model
    shape = _image_shape(model, image_shape)
    classes = _classes(model, shape)
    names = _class_names(class_names, classes)
    resize = _resize(resize, shape)
    if not 0 < central_fraction <= 1:
        raise ValueError(f"central_fraction is {central_fraction}; it must be in (0, 1]")
    sizes = tuple(warm_up_batch_sizes)
    if any(not isinstance(size, int) or size < 1 for size in sizes):
        raise ValueError(f"warm_up_batch_sizes is {sizes}; they must be whole numbers from 1")
    facts = {
        "name": path.resolve().name,
        "shape": shape,
        "classes": classes,
        "class_names": names,
        "parameters": model.count_params(),
        "preprocessing": _preprocessing(shape, resize, central_fraction),
        "guard": guard,
        "results": [results] if isinstance(results, dict) else list(results),
    }
    found = signatures.build(
        _forward(model, shape), shape, names, guard=guard, resize=resize, central_fraction=central_fraction
    )
    # What is wrong with the results is told before anything is written.
    card.build(version=0, signatures=found, **facts)
    with versions.new_version(path) as (directory, number):
        _save(model, found, directory)
        extra = directory / warm_up.PLACE.parent
        extra.mkdir(exist_ok=True)
        card.write(extra, card.build(version=number, signatures=found, **facts))
        if sizes:
            warm_up.write(directory, facts["name"], found, shape, sizes)
        _check_answers(model, directory, shape, requests=len(found) if sizes else 0)
    return path / str(number)


def _image_shape(model, wanted):
    if not isinstance(model, keras.Model):
        raise ValueError(
            f"{type(model).__name__} is no Keras model; only a keras.Model that returns logits is exported"
        )
    inputs = getattr(model, "inputs", None) or ()
    if len(inputs) > 1:
        raise ValueError(f"the model has {len(inputs)} inputs; one, a batch of images, is needed")
    known = tuple(inputs[0].shape[1:]) if inputs else (None, None, None)
    if len(known) != 3:
        raise ValueError(f"the model takes batches of shape {known}; images are [batch, height, width, channels]")
    shape = tuple(wanted or known)
    if len(shape) != 3 or None in shape:
        raise ValueError(f"the model takes images of shape {shape}; write image_shape=(height, width, channels)")
    if any(size not in (None, given) for size, given in zip(known, shape, strict=True)):
        raise ValueError(f"image_shape is {shape}, but the model takes {known}")
    return shape


def _classes(model, shape):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        softmax = classifier.warn_unless_logits(model)
    if softmax:
        raise ValueError(
            "the model returns probabilities; remove its softmax, for the export adds its own and serves both. For "
            "example, Dense(classes) instead of Dense(classes, activation='softmax')"
        )
    logits = model(tf.zeros([1, *shape]), training=False)
    if not tf.is_tensor(logits) or logits.shape.rank != 2:
        seen = logits.shape if tf.is_tensor(logits) else type(logits).__name__
        raise ValueError(f"the model returns {seen}; logits of shape [batch, classes] are needed")
    return logits.shape[-1]


def _class_names(class_names, classes):
    if class_names is None:
        return None
    names = [str(name) for name in class_names]
    if len(names) != classes:
        raise ValueError(f"there are {len(names)} class names, but the model returns {classes} logits")
    return names


def _resize(resize, shape):
    square = shape[0] == shape[1]
    if resize and not square:
        raise ValueError(f"images of {shape[0]} x {shape[1]} pixels cannot be cut from a square; write resize=False")
    return square if resize is None else resize


def _preprocessing(shape, resize, central_fraction):
    if shape[-1] not in (1, 3):
        return f"none are taken, for JPEG and PNG do not have {shape[-1]} channels"
    size = f"{shape[0]} x {shape[1]} pixels"
    cut = f"JPEG and PNG; central square of {central_fraction:g} of the shorter side, resized (bicubic) to {size}"
    return f"{cut if resize else f'JPEG and PNG of exactly {size}'}; divided by 255"


def _forward(model, shape):
    logits = classifier.logits_function(model)

    # One function that all signatures call, instead of a copy of the model in each.
    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, *shape], tf.float32)])
    def forward(images):
        return logits(images)

    return forward


def _save(model, found, directory):
    archive = keras.export.ExportArchive()
    archive.track(model)
    for name, (function, spec) in found.items():
        archive.add_endpoint(name, function, input_signature=[spec])
    try:
        archive.write_out(str(directory), verbose=False)
    except tf.errors.OpError as error:
        # A full disk, for example, of which TensorFlow tells in errors of its own.
        raise OSError(f"the model cannot be written: {error.message}") from error
    if signatures.CLASSIFY in found:
        # Saving makes every signature one of Predict, and TF Serving's Classify takes none but its own.
        methods = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(str(directory))
        methods.replace_method_name(signatures.CLASSIFY, tf.saved_model.CLASSIFY_METHOD_NAME)
        methods.save()
        # It was the fingerprint of what was there before.
        (directory / "fingerprint.pb").unlink(missing_ok=True)


def _check_answers(model, directory, shape, *, requests):
    loaded = tf.saved_model.load(str(directory))
    images = tf.constant(np.random.default_rng(0).uniform(size=(3, *shape)), tf.float32)
    expected = classifier.logits_function(model)(images).numpy()
    seen = loaded.signatures[signatures.DEFAULT](images=images)["logits"].numpy()
    # An untrained model's logits may all be next to nothing. NaN is within no tolerance.
    difference = np.max(np.abs(seen - expected)) / max(1e-3, np.max(np.abs(expected)))
    if not difference <= _TOLERANCE:
        raise ValueError(
            f"the exported model's logits differ from the model's by {difference:.2g} of the largest, and it was not "
            "kept; a layer that draws random numbers at inference, or that returns NaN, cannot be exported"
        )
    if requests:
        warm_up.replay(loaded, warm_up.read(directory)[:requests])
