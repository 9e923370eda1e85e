"""What an evaluation keeps on disk, so that it goes on after the last finished batch."""

import dataclasses
import hashlib
import json
import pathlib
import re
import types
import zipfile

import keras
import numpy as np

from alp_tf import files
from alp_tf.attacks import classifier

_OTHER = "{} holds another evaluation: its {} differ. Give another output directory, or delete that one to start anew"


class Kept:
    """Arrays by name in one file of a directory each, all of one evaluation."""

    def __init__(self, path, identity=None):
        """Opens the directory, or makes it.

        Args:
          path: directory; None keeps nothing.
          identity: {what: digest} of the evaluation, see `identity`.

        Raises:
          ValueError: the directory belongs to another evaluation; says what differs.
        """
        self._path = None if path is None else pathlib.Path(path)
        if self._path is None:
            return
        self._path.mkdir(parents=True, exist_ok=True)
        mark = self._path / "identity.json"
        if mark.exists():
            there = json.loads(mark.read_text(encoding="utf-8"))
            differing = [what for what in sorted({*there, *identity}) if there.get(what) != identity.get(what)]
            if differing:
                raise ValueError(_OTHER.format(self._path, ", ".join(differing)))
        else:
            files.write_json(mark, identity)

    def save(self, name, arrays):
        """Writes arrays (or numbers) atomically under that name."""
        if self._path is not None:
            with files.replaced(self._file(name)) as temporary:
                np.savez(temporary, **arrays)

    def load(self, name):
        """What was last saved under that name, or None."""
        if self._path is None or not self._file(name).exists():
            return None
        try:
            with np.load(self._file(name)) as arrays:
                return dict(arrays)
        except (zipfile.BadZipFile, ValueError, EOFError):
            # A file damaged from outside costs its own attack, not the evaluation.
            return None

    def same(self, name, logits, *, randomised=False):
        """The logits as the evaluation first saw them, which are those given unless the model is randomised.

        Weights tell models apart only where they can be seen; logits always do.

        Args:
          name: of the model, unique within the evaluation.
          logits: float32 [examples, classes], of the images as they are.
          randomised: whether others are to be expected at every call.

        Raises:
          ValueError: they are another model's.
        """
        there = self.load(f"as they are, {name}")
        if there is None:
            self.save(f"as they are, {name}", {"logits": logits})
            return logits
        before = there["logits"]
        alike = before.shape == logits.shape and np.allclose(
            before, logits, rtol=1e-3, atol=1e-3 * np.abs(before).max()
        )
        if not alike and not randomised:
            raise ValueError(_OTHER.format(self._path, "model"))
        return before

    def _file(self, name):
        # An attack with all its settings makes a longer name than file systems take, 255 bytes.
        plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in name)[:100]
        return self._path / f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.npz"


def identity(model, images, labels, **settings):
    """Digests that tell one evaluation from another.

    Args:
      model: keras.Model, or any callable, of which nothing can be told; or a dictionary of them by name.
      images, labels: arrays.
      **settings: whatever else decides the result; their repr counts.
    """
    digests = {"model": _weights(model), "images": _digest([images.tobytes(), labels.tobytes()])}
    return digests | {name: _digest([_text(value)]) for name, value in settings.items()}


def _text(value):
    # Where a function lies in memory says nothing about it, and its name too little.
    written = re.sub(r" at 0x[0-9a-f]+", "", repr(value)).encode()
    return b"|".join([written, *(part for function in _functions(value) for part in _code(function))])


def _functions(value):
    """The plain functions in an attack's fields, such as a loss of the user's own."""
    if isinstance(value, types.FunctionType):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield from _functions([getattr(value, field.name) for field in dataclasses.fields(value)])
    elif isinstance(value, dict):
        yield from _functions([*value.values()])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _functions(each)


def _code(function):
    """What a function does, as far as it can be told: its code, and the values that it was made with."""
    made_with = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    made_with += [cell.cell_contents for cell in function.__closure__ or ()]
    yield from _instructions(function.__code__)
    yield from (_text(value) for value in made_with)


def _instructions(code):
    yield code.co_code
    yield repr(code.co_names).encode()
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _instructions(constant)
        else:
            yield repr(constant).encode()


def _weights(model):
    if isinstance(model, dict):
        return {name: _weights(each) for name, each in model.items()}
    inside = classifier.innermost(model)
    weights = inside.get_weights() if isinstance(inside, keras.layers.Layer) else []
    return _digest([np.asarray(weight).tobytes() for weight in weights])


def _digest(values):
    return hashlib.sha256(b"|".join(values)).hexdigest()[:16]
