"""A classifier, or the weights to start from, by what a user types.

That is a work directory, a `.keras` file, a SavedModel, or `module:function`.
"""

import itertools
import logging
import pathlib
import zipfile

import keras
import tensorflow as tf

# Keras finds the layers of a saved RevNet once `models` has been imported.
from alp_tf import (
    defenses,
    models,  # noqa: F401
    names,
)
from alp_tf.workdir import WorkDir

_log = logging.getLogger("alp_tf")
_FUNCTION = "or module:function, where the function takes no argument and returns a Keras model"
_ALLOWED = f"a work directory of alp_tf.main, a .keras file, the directory of a SavedModel, {_FUNCTION}"
_WITH_LAYERS = f"a work directory of alp_tf.main, a .keras file, {_FUNCTION}"


def classifier(place):
    """Loads a classifier.

    Args:
      place: str; see the module's docstring.

    Returns:
      keras.Model, or a callable that returns logits.

    Raises:
      ValueError: nothing there, or nothing that is a classifier; says what is allowed.
    """
    return _found(place, _ALLOWED)


def _found(place, allowed):
    path = pathlib.Path(place)
    if path.is_dir() and WorkDir(path).model_keras.exists():
        return _keras_file(WorkDir(path).model_keras)
    if path.is_dir() and (path / "saved_model.pb").exists():
        return _saved_model(path)
    if path.is_file() and path.suffix == ".keras":
        return _keras_file(path)
    if WorkDir(path).config_json.exists():
        raise ValueError(f"{place} is a work directory without model.keras: its training is not finished")
    check(place, allowed)
    if not path.exists():
        return _function(place, allowed)
    raise ValueError(f"{place} is neither {allowed}")


def start(model, place):
    """Gives a new classifier the weights of a trained one of the same architecture.

    Its last layer keeps the weights it has where the trained one is for another number of classes.

    Args:
      model: keras.Model, which is changed.
      place: str; see the module's docstring. A SavedModel has no layers to take weights from.

    Raises:
      ValueError: see `classifier`; or another architecture, of which the first difference is said.
    """
    trained = _found(place, _WITH_LAYERS)
    if not isinstance(trained, keras.Model):
        raise ValueError(f"{place} has no layers to take weights from. Write {_WITH_LAYERS}")
    head = {id(weight) for weight in next(layer for layer in reversed(model.layers) if layer.weights).weights}
    pairs = list(itertools.zip_longest(model.weights, trained.weights))
    other = [pair for pair in pairs if getattr(pair[0], "shape", None) != getattr(pair[1], "shape", None)]
    body = [pair for pair in other if id(pair[0]) not in head]
    if body:
        ours, theirs = ("nothing" if weight is None else f"{weight.path} {tuple(weight.shape)}" for weight in body[0])
        raise ValueError(
            f"{place} is of another architecture than the network that is to start from it: it has {theirs} where this "
            f"network has {ours}. Write the config.model fields that it was trained with"
        )
    if other:
        _log.warning("the last layer starts anew: %s is for another number of classes", place)
    for ours, theirs in pairs:
        if not other or id(ours) not in head:
            ours.assign(theirs)


def check(place, allowed=_ALLOWED):
    """Fails where there is nothing of that name.

    Args:
      place: str; see the module's docstring.
      allowed: what the error says can be written there.

    Raises:
      ValueError: nothing there.
    """
    if not pathlib.Path(place).exists() and ":" not in place:
        raise ValueError(f"{place} does not exist. Write {allowed}")


def _keras_file(path):
    # Keras says of such a file that it is not there.
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is damaged, or no file of Keras; train the model again in another work directory")
    # A defence that was saved whole brings its classifier along; importing `defenses` lets Keras know its class.
    try:
        model = keras.models.load_model(path, compile=False)
    except TypeError as error:
        # Keras' way to say that it knows no such class.
        raise ValueError(f"{path} cannot be loaded: {error}") from error
    return model.classifier if isinstance(model, defenses.Defense) else model


def _saved_model(path):
    loaded = tf.saved_model.load(str(path))
    signatures = loaded.signatures
    if not signatures:
        raise ValueError(f"{path} is a SavedModel without signatures; export it with model.export(...) of Keras")
    name = "serving_default" if "serving_default" in signatures else sorted(signatures)[0]
    return SavedClassifier(loaded, signatures[name], name, path)


class SavedClassifier:
    """A SavedModel's signature as a function from images to logits; gradients pass through."""

    def __init__(self, loaded, signature, name, path):
        """Finds the one input and the logits among the outputs.

        Args:
          loaded: what tf.saved_model.load returned; kept alive.
          signature: concrete function of one image input.
          name: of the signature.
          path: for errors.

        Raises:
          ValueError: several inputs, or several outputs of which none is called `logits`.
        """
        self._loaded, self._signature = loaded, signature
        inputs = list(signature.structured_input_signature[1])
        outputs = list(signature.structured_outputs)
        if len(inputs) != 1:
            raise ValueError(f"signature {name!r} of {path} has the inputs {', '.join(inputs)}; one, images, is needed")
        if len(outputs) > 1 and "logits" not in outputs:
            raise ValueError(
                f"signature {name!r} of {path} returns {', '.join(sorted(outputs))}; one must be called logits, or be "
                "the only one"
            )
        self._input, self._output = inputs[0], "logits" if "logits" in outputs else outputs[0]

    def __call__(self, images):
        """Logits [batch, classes] of float32 images [batch, height, width, channels]."""
        return self._signature(**{self._input: images})[self._output]


def _function(place, allowed):
    model = names.called(place, allowed)
    if not callable(model):
        raise ValueError(f"{place}() returned {type(model).__name__}; a Keras model or a function to logits is needed")
    return model
