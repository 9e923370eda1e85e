"""Measurements that are committed along with the exhibits, so that whoever has no model any more can go on from them.

Long measuring is done in sittings, and on machines that come and go. Of each model a file says how it was configured,
which weights it had, how long it was trained, and what was found. Trained again with its seed, on as many cores of the
same kind, it has the same weights, bit for bit, and what was found before counts for it; of other weights it does not.
"""

import functools
import hashlib
import json
import pathlib
import warnings
import zipfile

import h5py

from alp_tf import files
from alp_tf.workdir import PLACE_ONLY, flat

# What differs between machines, or between runs of the same training, and leaves the weights alone.
_LEFT_OUT = (*PLACE_ONLY, "defense.sources", "train.start_from", "train.keep_checkpoints", "train.checkpoint_every")


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
        kept = self._of(name, config)
        same = kept and (not model_keras.exists() or kept["weights"] == digest(model_keras))
        return kept if same else None

    def add(self, name, config, model_keras, *, steps, seconds, measured):
        """Adds to what is known of a trained model; takes the place of what was known of other weights.

        Args:
          name, config, model_keras: as of `found`.
          steps, seconds: of its training.
          measured: {slug: found}.
        """
        kept, weights = self._of(name, config), digest(model_keras)
        before = kept["measured"] if kept else {}
        if before and kept["weights"] != weights:
            warnings.warn(
                f"{name}, trained again, has other weights than that of which {len(before)} measurement(s) are in "
                f"{self._path}: those are made again",
                stacklevel=2,
            )
            before = {}
        kept = {
            "config": _plain(config),
            "weights": weights,
            "steps": steps,
            "seconds": seconds,
            "measured": {**before, **measured},
        }
        self._path.mkdir(parents=True, exist_ok=True)
        files.write_json(self._path / f"{name}.json", kept)

    def _of(self, name, config):
        path = self._path / f"{name}.json"
        kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
        return kept if kept and kept["config"] == _plain(config) else None


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
