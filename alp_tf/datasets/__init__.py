"""Data sets by name: `digits` comes embedded, others through TensorFlow Datasets, from folders, or from the user.

    data = datasets.load("mnist", data_dir="~/tensorflow_datasets")
    model.fit(data.train_batches(128, seed=0), steps_per_epoch=469)

See datasets.base for the order of batches, which makes runs resume exactly, and docs/data.md for every set.
"""

import inspect

from alp_tf import names
from alp_tf.datasets import digits, folder
from alp_tf.datasets.augmentation import AUGMENTATIONS
from alp_tf.datasets.base import Dataset, Source
from alp_tf.datasets.tf_data import from_tf_data


def _from_tfds(name):
    def load_from_tfds(*, data_dir=None, archives=None):
        # Imported late: it takes seconds, and the embedded digits do not need it.
        from alp_tf.datasets import tfds

        return tfds.load(name, data_dir=data_dir, archives=archives)

    return load_from_tfds


def _imagenet2012(*, data_dir=None, archives=None, image_size=299):
    from alp_tf.datasets import tfds

    return tfds.load_photographs("imagenet2012", data_dir=data_dir, archives=archives, image_size=image_size)


NAMED = {
    "digits": digits.load,
    "mnist": _from_tfds("mnist"),
    "fashion_mnist": _from_tfds("fashion_mnist"),
    "svhn_cropped": _from_tfds("svhn_cropped"),
    "cifar10": _from_tfds("cifar10"),
    "cifar100": _from_tfds("cifar100"),
    "imagenet2012": _imagenet2012,
    "tiny_imagenet": folder.load_tiny_imagenet,
    "folder": folder.load,
}
# (name, options) -> data set, of the last one loaded.
_last = {}


def check(name, *, archives=None, image_size=None):
    """Fails on what `load` would refuse before it reads anything.

    Raises:
      ValueError: an unknown name, an option that this data set does not have, or an image_size below 8.
    """
    taken = () if ":" in name else inspect.signature(names.lookup("dataset", name, NAMED)).parameters
    for option, value in (("archives", archives), ("image_size", image_size)):
        if value is not None and option not in taken:
            raise ValueError(f"dataset {name!r} has no {option}: leave out --config.dataset.{option}")
    if image_size is not None and image_size < 8:
        raise ValueError(f"config.dataset.image_size is {image_size}; it must be at least 8 pixels")


def load(name, *, data_dir=None, archives=None, image_size=None):
    """The data set of that name; the last one loaded is kept, the one before it is let go first.

    Args:
      name: one of `NAMED`, or `module:function`, a function without arguments that returns such a data set, for
        example from `from_tf_data`.
      data_dir: directory of prepared TFDS data sets, None for TFDS' default; of `tiny_imagenet` and `folder`, the
        folder itself.
      archives: directory of the original archives, to prepare a TFDS data set from without a network.
      image_size: side of the images of `imagenet2012` (299 if None), `tiny_imagenet` and `folder` (as they are if
        None).

    Returns:
      A base.Source, with train_batches and test_batches.

    Raises:
      ValueError: unknown name, an option that this data set does not have, or a data set that is not there and cannot
        be prepared.

    Example:
      >>> data = load("digits")
      >>> data.image_shape, data.num_classes, data.train_examples
      ((8, 8, 1), 10, 1437)
      >>> images, labels = next(iter(data.train_batches(64, seed=0)))
      >>> images.dtype, images.shape
      (tf.float32, TensorShape([64, 8, 8, 1]))
    """
    check(name, archives=archives, image_size=image_size)
    options = {"data_dir": data_dir, "archives": archives, "image_size": image_size}
    asked = (name, *options.items())
    if asked not in _last:
        # Before the next is read: two at a time may not fit.
        _last.clear()
        _last[asked] = _loaded(name, {option: value for option, value in options.items() if value is not None})
    return _last[asked]


def _loaded(name, options):
    if ":" not in name:
        return NAMED[name](**options)
    data = names.called(name, "the name of a data set, or module:function, where the function returns one,")
    if not isinstance(data, Source):
        raise ValueError(
            f"{name}() returned {type(data).__name__}; a data set is needed, such as datasets.from_tf_data(...)"
        )
    return data


__all__ = ["AUGMENTATIONS", "Dataset", "NAMED", "Source", "check", "from_tf_data", "load"]
