"""What every data set gives: batches whose order, and whose augmentation, depend on the seed and the step alone."""

import abc
import dataclasses
import functools
import sys

import numpy as np
import tensorflow as tf

from alp_tf import machine
from alp_tf.datasets import augmentation as augmentations

# The second half of an epoch's seed is its number, which is never this.
_AUGMENTATION = -1


class Source(abc.ABC):
    """Labelled images, given out as float32 in [0, 1]; where they are kept is for the subclasses to say.

    A place is whatever a subclass finds an image by: a row, or a record of a file.

    Attributes:
      name: as in the registry.
      class_names: tuple of one string a class.
      image_shape: (height, width, channels).
      train_examples, test_examples: how many there are; None where nobody knows.
      highest: the stored value that stands for white.
      central_fraction: see pixels.fitted, of test images; 1 where none is cut.
    """

    highest = 255
    central_fraction = 1.0

    @property
    def num_classes(self):
        """Number of classes."""
        return len(self.class_names)

    def train_batches(self, batch_size, *, seed, start_step=0, augmentation="none", rows=None):
        """Endless shuffled batches; a run that starts at step n sees what an uninterrupted run saw from step n on.

        Args:
          batch_size: examples a batch; of each epoch the rest that fills no batch is left out.
          seed: int; every epoch has its own order under it, and every image its own augmentation.
          start_step: batches already consumed.
          augmentation: a name in datasets.AUGMENTATIONS, or such an object.
          rows: (first, one past the last) of each batch, where others are for other workers and need not be decoded;
            None for all.

        Returns:
          tf.data.Dataset of (float32 images in [0, 1], int32 labels).

        Raises:
          ValueError: a batch larger than the training set, or an unknown augmentation.
        """
        change = augmentations.chosen(augmentation)
        if batch_size < 1 or (self.train_examples is not None and batch_size > self.train_examples):
            raise ValueError(f"batch_size is {batch_size}; {self.name} has {self.train_examples} training images")
        rows = rows or (0, batch_size)
        if change is None:
            return _ahead(self._unchanged(batch_size, seed, start_step, rows))

        def example(position, place):
            image, label = self._read(place, training=True)
            if not change.takes_whole_images:
                image = self._fitted(image)
            draw = tf.random.experimental.stateless_fold_in(tf.constant([seed, _AUGMENTATION], tf.int64), position)
            image = self._scaled(change(image, self.image_shape[:2], draw))
            # Bicubic interpolation overshoots at edges.
            return tf.ensure_shape(tf.clip_by_value(image, 0.0, 1.0), self.image_shape), label

        numbered = self._numbered(batch_size, seed, start_step, rows)
        return _ahead(_mapped(numbered, example).batch(rows[1] - rows[0], drop_remainder=True))

    def test_batches(self, batch_size, *, examples=None):
        """The test set in its fixed order.

        Args:
          batch_size: examples a batch; the last one may be smaller.
          examples: use the first so many; None or 0 for all.

        Returns:
          tf.data.Dataset of (float32 images in [0, 1], int32 labels).

        Raises:
          ValueError: more examples than there are.
        """
        count = examples or self.test_examples
        if not 0 < count <= self.test_examples:
            raise ValueError(f"examples is {examples}; {self.name} has {self.test_examples} test images (0 means all)")
        return _ahead(self._batches(self._test_places().take(count), batch_size, training=False))

    def _unchanged(self, batch_size, seed, start_step, rows):
        """Those rows of training batches without augmentation."""
        places = self._numbered(batch_size, seed, start_step, rows).map(lambda _, place: place)
        return self._batches(places, rows[1] - rows[0], training=True)

    def _numbered(self, batch_size, seed, start_step, rows):
        """Places of those rows of each batch, with their positions in the run: tf.data.Dataset of (int64, place)."""
        numbered = self._train_places(batch_size, seed, start_step).enumerate(start_step * batch_size)
        if rows == (0, batch_size):
            return numbered
        return numbered.filter(
            lambda position, _: (position % batch_size >= rows[0]) & (position % batch_size < rows[1])
        )

    def _batches(self, places, batch_size, *, training):
        def example(place):
            image, label = self._read(place, training=training)
            return tf.ensure_shape(self._fitted(image), self.image_shape), label

        batches = _mapped(places, example).batch(batch_size, drop_remainder=training)
        return batches.map(lambda images, labels: (self._scaled(images), labels))

    @abc.abstractmethod
    def _train_places(self, batch_size, seed, start_step):
        """Endless tf.data.Dataset of the places of training images, in the order of the seed, from that step on."""

    @abc.abstractmethod
    def _test_places(self):
        """tf.data.Dataset of the places of all test images in their order."""

    @abc.abstractmethod
    def _read(self, place, *, training):
        """The stored image, [any height, any width, channels], and its int32 label."""

    def _fitted(self, image):
        """A stored image in the size that is given out; stored values again."""
        return image

    def _scaled(self, images):
        return tf.cast(images, tf.float32) / self.highest


class Rows(Source):
    """Images that are found by a row number, in memory or not; every epoch is one permutation of all of them."""

    def _train_places(self, batch_size, seed, start_step):
        return self._train_rows(batch_size, seed, start_step).unbatch()

    def _test_places(self):
        return tf.data.Dataset.range(self.test_examples, output_type=tf.int32)

    def _train_rows(self, batch_size, seed, start_step):
        """Endless tf.data.Dataset of int32 [batch_size]."""
        examples = self.train_examples
        steps_per_epoch = examples // batch_size
        first_epoch, skipped = divmod(start_step, steps_per_epoch)

        def epoch(index):
            order_seed = tf.stack([tf.constant(seed, tf.int64), index])
            order = tf.random.experimental.stateless_shuffle(tf.range(examples), order_seed)
            order = tf.reshape(order[: steps_per_epoch * batch_size], [steps_per_epoch, batch_size])
            first = tf.where(index == first_epoch, tf.constant(skipped, tf.int64), 0)
            return tf.data.Dataset.from_tensor_slices(order[first:])

        return tf.data.Dataset.range(first_epoch, sys.maxsize).flat_map(epoch)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset(Rows):
    """A labelled image data set in memory.

    Attributes:
      name: as in the registry.
      train_images, test_images: uint8, shape [examples, height, width, channels].
      train_labels, test_labels: int, shape [examples].
      class_names: one string a class.
      highest: the stored value that stands for white; 255 unless said otherwise.
    """

    name: str
    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple
    highest: int = 255

    def __post_init__(self):
        for split in ("train", "test"):
            images, labels = getattr(self, f"{split}_images"), getattr(self, f"{split}_labels")
            if images.dtype != np.uint8 or images.ndim != 4:
                raise ValueError(
                    f"{self.name}: {split}_images are {images.dtype} of shape {images.shape}; uint8 of shape "
                    "[examples, height, width, channels] is needed. For others there is datasets.from_tf_data"
                )
            if len(images) != len(labels):
                raise ValueError(f"{self.name}: there are {len(images)} {split}_images but {len(labels)} labels")

    @property
    def image_shape(self):
        """(height, width, channels)."""
        return self.train_images.shape[1:]

    @property
    def train_examples(self):
        """Number of training images."""
        return len(self.train_labels)

    @property
    def test_examples(self):
        """Number of test images."""
        return len(self.test_labels)

    def _read(self, place, *, training):
        images, labels = self._train_tensors if training else self._test_tensors
        return tf.gather(images, place), tf.gather(labels, place)

    # One look-up a batch instead of one an image.

    def _unchanged(self, batch_size, seed, start_step, rows):
        def batch(order):
            return self._gathered(order[slice(*rows)], training=True)

        return self._train_rows(batch_size, seed, start_step).map(batch)

    def _batches(self, places, batch_size, *, training):
        rows = places.batch(batch_size, drop_remainder=training)
        return rows.map(functools.partial(self._gathered, training=training))

    def _gathered(self, rows, training):
        images, labels = self._read(rows, training=training)
        return self._scaled(images), labels

    @functools.cached_property
    def _train_tensors(self):
        return on_host(self.train_images, self.train_labels)

    @functools.cached_property
    def _test_tensors(self):
        return on_host(self.test_images, self.test_labels)


def shuffled_windows(dataset, window, seed):
    """The elements, so many at a time shuffled among themselves.

    Unlike tf.data's own shuffle, this is a function of its arguments alone: that one keeps state from one iteration to
    the next, and depends on TensorFlow's global seed.

    Args:
      dataset: tf.data.Dataset of tensors, or of dictionaries of them, each of one shape.
      window: how many; two windows are held at a time, so that the next is read while one is used.
      seed: int64 [2] tensor.
    """

    def shuffled(number, elements):
        size = tf.shape(tf.nest.flatten(elements)[0])[0]
        order = tf.random.experimental.stateless_shuffle(
            tf.range(size), tf.random.experimental.stateless_fold_in(seed, number)
        )
        return tf.nest.map_structure(lambda part: tf.gather(part, order), elements)

    return dataset.batch(window).enumerate().map(shuffled).prefetch(1).unbatch()


def _mapped(dataset, function):
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def _ahead(batches):
    batches = batches.prefetch(2)
    if machine.cores() > 1:
        return batches
    # A single core leaves tf.data's tuner nothing to choose, and `fit` would wait for it at its end, up to a minute.
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def on_host(images, labels):
    """Tensors for look-ups by row; elsewhere they would fill a GPU's memory and come back for every batch."""
    # The first look-up may be in a graph, of which they must not become a part.
    with tf.init_scope(), tf.device("/CPU:0"):
        return tf.constant(images), tf.constant(labels, tf.int32)
