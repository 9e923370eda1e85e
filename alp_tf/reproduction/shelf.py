"""Measurements that are committed along with the exhibits, so that whoever has no model any more can go on from them.

Long measuring is done in sittings, and on machines that come and go. Of each model a file says how it was configured,
which weights it had, how long it was trained, and what was found. Trained again, with its seed, it may have the same
weights, bit for bit; what was found before then counts for it, and with other weights it does not.
"""

import functools
import hashlib
import json
import pathlib
import zipfile

import h5py

from alp_tf import files
from alp_tf.workdir import PLACE_ONLY, flat

# What differs between machines, or between runs of the same training, and leaves the weights alone.
_LEFT_OUT = (*PLACE_ONLY, "defense.sources", "train.keep_checkpoints", "train.checkpoint_every")


class Shelf:
    """A directory of JSON files, one a model.

    Args:
      path: the directory, which need not be there yet.
    """

    def __init__(self, path):
        self._path = pathlib.Path(path)

    def found(self, name, config, model_keras):
        """What is known of a model: {"weights", "steps", "seconds", "measured": {slug: found}}; or None.

        Args:
          name: of its work directory.
          config: ConfigDict; what is known of a model that was configured otherwise is nothing of this one.
          model_keras: path of the trained model; where there is one, it must have those weights.
        """
        path = self._path / f"{name}.json"
        if not path.exists():
            return None
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["config"] != _plain(config) or (model_keras.exists() and kept["weights"] != digest(model_keras)):
            return None
        return kept

    def add(self, name, config, model_keras, *, steps, seconds, measured):
        """Adds to what is known of a trained model; takes the place of what was known of other weights.

        Args:
          name, config, model_keras: as of `found`.
          steps, seconds: of its training.
          measured: {slug: found}.
        """
        before = self.found(name, config, model_keras)
        kept = {
            "config": _plain(config),
            "weights": digest(model_keras),
            "steps": steps,
            "seconds": seconds,
            "measured": {**(before["measured"] if before else {}), **measured},
        }
        self._path.mkdir(parents=True, exist_ok=True)
        files.write_json(self._path / f"{name}.json", kept)


def digest(model_keras):
    """SHA-256 of the weights in a `.keras` file, which has the time of its writing in it besides."""
    path = pathlib.Path(model_keras)
    return _digest(str(path), path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _digest(path, _):
    found = hashlib.sha256()

    def count_in(name, node):
        if isinstance(node, h5py.Dataset):
            found.update(f"{name} {node.dtype} {node.shape}".encode())
            found.update(node[()].tobytes())

    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as kept, h5py.File(kept) as weights:
        weights.visititems(count_in)
    return found.hexdigest()


def _plain(config):
    leaves = flat(json.loads(config.to_json_best_effort()))
    return {name: value for name, value in sorted(leaves.items()) if name not in _LEFT_OUT}
