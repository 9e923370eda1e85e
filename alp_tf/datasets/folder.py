"""Data sets that lie on disk as folders of image files: one folder a class, or Tiny ImageNet as it is unpacked."""

import concurrent.futures
import dataclasses
import functools
import hashlib
import pathlib

import numpy as np
import tensorflow as tf

from alp_tf import progress
from alp_tf.datasets import base, pixels

SUFFIXES = (".jpeg", ".jpg", ".png", ".bmp")
# How JPEG, PNG and BMP files begin.
_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG", b"BM")
TEST_FOLDERS = ("test", "val", "validation")
# Bytes of decoded pixels that are held in memory; more are read from disk batch by batch.
MEMORY = 2 * 2**30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Files(base.Rows):
    """Image files of all sizes, decoded batch by batch and given out as squares of one size.

    Attributes:
      name, class_names, image_shape: see base.Source; the shape is a square's.
      train_files, test_files: tuples of paths.
      train_labels, test_labels: int arrays.
    """

    name: str
    class_names: tuple
    image_shape: tuple
    train_files: tuple
    train_labels: np.ndarray
    test_files: tuple
    test_labels: np.ndarray

    @property
    def train_examples(self):
        """Number of training images."""
        return len(self.train_files)

    @property
    def test_examples(self):
        """Number of test images."""
        return len(self.test_files)

    def _read(self, place, *, training):
        files, labels = self._train_tensors if training else self._test_tensors
        contents = tf.io.read_file(tf.gather(files, place))
        return pixels.decoded(contents, self.image_shape[-1]), tf.gather(labels, place)

    def _fitted(self, image):
        return pixels.fitted(image, self.image_shape[0], central_fraction=1.0)

    @functools.cached_property
    def _train_tensors(self):
        return base.on_host(self.train_files, self.train_labels)

    @functools.cached_property
    def _test_tensors(self):
        return base.on_host(self.test_files, self.test_labels)


def load(*, data_dir=None, image_size=None):
    """Any directory of class folders: `train/CLASS/*.png` and `test/CLASS/*.png`.

    Classes are numbered in the order of their names. The test images come in an order that mixes the classes and
    never changes, so that the first so many are a fair sample.

    Args:
      data_dir: directory with `train` and one of `test`, `val` or `validation`.
      image_size: pixels of the side to which images are cut (the central square) and resized as they are read; None
        if all images have one size, which they then keep.

    Returns:
      base.Dataset, or Files if image_size is given.

    Raises:
      ValueError: a missing folder, an empty one, a file that is no image, images of several sizes; names it.
    """
    root = _root("folder", data_dir, "train/CLASS/*.png and test/CLASS/*.png")
    test_folder = next((root / each for each in TEST_FOLDERS if (root / each).is_dir()), None)
    if not (root / "train").is_dir() or test_folder is None:
        there = ", ".join(sorted(path.name for path in root.iterdir())) or "nothing"
        raise ValueError(f"{root} must hold train/ and one of {', '.join(TEST_FOLDERS)}; it holds {there}")
    train, test = _classes(root / "train"), _classes(test_folder)
    if set(train) != set(test):
        odd = sorted(set(train) ^ set(test))
        raise ValueError(f"train/ and {test_folder.name}/ of {root} have different classes: {', '.join(odd[:5])}")
    return _loaded("folder", tuple(train), _rows(train), _mixed(_rows(test)), image_size)


def load_tiny_imagenet(*, data_dir=None, image_size=None):
    """Tiny ImageNet from its original folder, tiny-imagenet-200; the test set is `val`, for `test` has no labels.

    Classes are numbered as in wnids.txt, which is how the code of Kannan et al. numbers them, and named by the first
    word of words.txt.

    Args:
      data_dir: the folder, with train/, val/, wnids.txt and words.txt.
      image_size: as for `load`; None for the original 64 x 64.

    Returns:
      base.Dataset, or Files if image_size is given.

    Raises:
      ValueError: something is missing there, or no image.
    """
    parts = "train/, val/, wnids.txt and words.txt"
    root = _root("tiny_imagenet", data_dir, parts)
    missing = [each for each in ("train", "val/images", "val/val_annotations.txt", "wnids.txt", "words.txt")
               if not (root / each).exists()]  # fmt: skip
    if missing:
        raise ValueError(f"{root} is not the folder tiny-imagenet-200 with {parts}: {', '.join(missing)} is missing")
    synsets = (root / "wnids.txt").read_text(encoding="utf-8").split()
    words = dict(line.split("\t", 1) for line in (root / "words.txt").read_text(encoding="utf-8").splitlines() if line)
    train = {synset: _images(root / "train" / synset / "images") for synset in synsets}
    rows = [line.split("\t") for line in (root / "val/val_annotations.txt").read_text(encoding="utf-8").splitlines()]
    unknown = sorted({row[1] for row in rows} - set(synsets))
    if unknown:
        raise ValueError(f"{root}/val/val_annotations.txt has a class that wnids.txt has not: {unknown[0]}")
    test = [(root / "val/images" / row[0], synsets.index(row[1])) for row in rows]
    absent = [path for path, _ in test if not path.exists()]
    if absent:
        raise ValueError(f"val_annotations.txt lists {absent[0]}, and there is no such file")
    names = tuple(words.get(synset, synset).split(",")[0].strip() for synset in synsets)
    return _loaded("tiny_imagenet", names, _rows(train), test, image_size)


def _root(name, data_dir, parts):
    if not data_dir:
        raise ValueError(
            f"the data set {name!r} needs its folder, with {parts}; add --config.dataset.data_dir=FOLDER (so for "
            "alp_tf.main; other commands have --data_dir)"
        )
    root = pathlib.Path(data_dir).expanduser()
    if not root.is_dir():
        raise ValueError(f"config.dataset.data_dir is {str(data_dir)!r}, and there is no such directory")
    return root


def _visible(folder):
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _classes(folder):
    """{class: its image files}, in the order of the names."""
    found = {}
    for path in _visible(folder):
        if not path.is_dir():
            raise ValueError(f"{path} is a file; {folder} must hold one folder a class and nothing else")
        found[path.name] = _images(path)
    if len(found) < 2:
        raise ValueError(f"{folder} holds {len(found)} class folders; at least 2 are needed")
    return found


def _images(folder):
    if not folder.is_dir():
        raise ValueError(f"the class folder {folder} is missing")
    files = _visible(folder)
    for path in files:
        if path.suffix.lower() not in SUFFIXES:
            raise ValueError(f"{path} is no image: files in a class folder must end in {', '.join(SUFFIXES)}")
    if not files:
        raise ValueError(f"the class folder {folder} is empty")
    return files


def _rows(classes):
    return [(path, label) for label, files in enumerate(classes.values()) for path in files]


def _mixed(rows):
    def key(row):
        return hashlib.sha256("/".join(row[0].parts[-2:]).encode()).digest()

    return sorted(rows, key=key)


def _loaded(name, class_names, train, test, image_size):
    # One image a class tells grey data sets from coloured ones; a grey image among coloured ones is common.
    firsts = {label: path for path, label in reversed(train)}
    looks = [_pixels(path, 0).shape for path in firsts.values()]
    channels = 3 if any(shape[-1] >= 3 for shape in looks) else 1
    if image_size:
        _check_beginnings([path for path, _ in (*train, *test)])
        return Files(
            name=name,
            class_names=class_names,
            image_shape=(image_size, image_size, channels),
            train_files=tuple(str(path) for path, _ in train),
            train_labels=np.array([label for _, label in train], np.int32),
            test_files=tuple(str(path) for path, _ in test),
            test_labels=np.array([label for _, label in test], np.int32),
        )
    shape = (*looks[-1][:2], channels)
    needed = (len(train) + len(test)) * int(np.prod(shape))
    if needed > MEMORY:
        raise ValueError(
            f"{name}: {len(train) + len(test):,} images of {shape[0]} x {shape[1]} pixels are {needed / 2**30:.1f} GB, "
            "too many to hold in memory; add --config.dataset.image_size=SIDE, and they are read as they are needed"
        )
    with progress.bar(len(train) + len(test), f"reading {name}", "image", shown=len(train) > 5000) as bar:
        train_images, train_labels = _in_memory(train, shape, bar)
        test_images, test_labels = _in_memory(test, shape, bar)
    return base.Dataset(
        name=name,
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        class_names=class_names,
    )


def _in_memory(rows, shape, bar):
    images = np.empty((len(rows), *shape), np.uint8)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        decoded = pool.map(lambda row: _pixels(row[0], shape[-1]), rows)
        for index, ((path, _), image) in enumerate(zip(rows, decoded, strict=True)):
            if image.shape != shape:
                raise ValueError(
                    f"{path} has {image.shape[0]} x {image.shape[1]} pixels and others {shape[0]} x {shape[1]}; "
                    "add --config.dataset.image_size=SIDE, to which all are resized"
                )
            images[index] = image
            bar.update()
    return images, np.array([label for _, label in rows], np.int32)


def _pixels(path, channels):
    try:
        with tf.device("/CPU:0"):
            return pixels.decoded(path.read_bytes(), channels).numpy()
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"{path} is damaged, or no JPEG, PNG or BMP image") from error


def _check_beginnings(paths):
    def begins_well(path):
        with open(path, "rb") as file:
            return file.read(4).startswith(_BEGINNINGS)

    shown = len(paths) > 100_000
    with concurrent.futures.ThreadPoolExecutor() as pool, progress.bar(len(paths), "files", "file", shown=shown) as bar:
        for path, good in zip(paths, pool.map(begins_well, paths), strict=True):
            if not good:
                raise ValueError(f"{path} is no JPEG, PNG or BMP image")
            bar.update()
