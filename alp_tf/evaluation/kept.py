"""What an evaluation keeps on disk, so that it goes on after the last finished batch."""

import hashlib
import json
import pathlib
import zipfile

import keras
import numpy as np

from alp_tf import files
from alp_tf.attacks import classifier


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
                raise ValueError(
                    f"{self._path} holds another evaluation: its {', '.join(differing)} differ. Give another output "
                    "directory, or delete that one to start anew"
                )
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

    def _file(self, name):
        plain = "".join(letter if letter.isalnum() else "_" for letter in name)
        return self._path / f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}.npz"


def identity(model, images, labels, **settings):
    """Digests that tell one evaluation from another.

    Args:
      model: keras.Model, or any callable, of which nothing can be told; or a dictionary of them by name.
      images, labels: arrays.
      **settings: whatever else decides the result; their repr counts.
    """
    digests = {"model": _weights(model), "images": _digest([images.tobytes(), labels.tobytes()])}
    return digests | {name: _digest([repr(value).encode()]) for name, value in settings.items()}


def _weights(model):
    if isinstance(model, dict):
        return {name: _weights(each) for name, each in model.items()}
    inside = classifier.innermost(model)
    weights = inside.get_weights() if isinstance(inside, keras.layers.Layer) else []
    return _digest([np.asarray(weight).tobytes() for weight in weights])


def _digest(values):
    return hashlib.sha256(b"|".join(values)).hexdigest()[:16]
