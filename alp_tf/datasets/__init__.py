"""Data sets by name: `digits` comes embedded, the others through TensorFlow Datasets.

    data = datasets.load("mnist", data_dir="~/tensorflow_datasets")
    model.fit(data.train_batches(128, seed=0), steps_per_epoch=469)

See datasets.base for the order of batches, which makes runs resume exactly.
"""

import functools

from alp_tf import names
from alp_tf.datasets import digits
from alp_tf.datasets.base import Dataset


def _from_tfds(name):
    def load_from_tfds(*, data_dir=None):
        # Imported late: it takes seconds, and the embedded digits do not need it.
        from alp_tf.datasets import tfds

        return tfds.load(name, data_dir=data_dir)

    return load_from_tfds


NAMED = {"digits": digits.load, "mnist": _from_tfds("mnist")}


@functools.lru_cache(maxsize=1)
def load(name, *, data_dir=None):
    """The data set of that name, in memory; the last one loaded is kept.

    Args:
      name: one of `NAMED`.
      data_dir: directory of prepared TFDS data sets; None for TFDS' default.

    Raises:
      ValueError: unknown name, or a data set that is neither prepared nor downloadable.
    """
    return names.lookup("dataset", name, NAMED)(data_dir=data_dir)


__all__ = ["Dataset", "NAMED", "load"]
