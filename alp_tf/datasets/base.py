"""A labelled image data set in memory, and batches whose order depends on the seed and the step alone."""

import dataclasses
import sys

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images as they are stored, given out as float32 in [0, 1].

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

    @property
    def image_shape(self):
        """(height, width, channels)."""
        return self.train_images.shape[1:]

    @property
    def num_classes(self):
        """Number of classes."""
        return len(self.class_names)

    def train_batches(self, batch_size, *, seed, start_step=0):
        """Endless shuffled batches; a run that starts at step n sees what an uninterrupted run saw from step n on.

        Args:
          batch_size: examples a batch; of each epoch the rest that fills no batch is left out.
          seed: int; every epoch has its own order under it.
          start_step: batches already consumed.

        Returns:
          tf.data.Dataset of (float32 images in [0, 1], int32 labels).

        Raises:
          ValueError: a batch larger than the training set.
        """
        examples = len(self.train_labels)
        if not 0 < batch_size <= examples:
            raise ValueError(f"batch_size is {batch_size}; {self.name} has {examples} training images")
        steps_per_epoch = examples // batch_size
        first_epoch, skipped = divmod(start_step, steps_per_epoch)
        images, labels = tf.constant(self.train_images), tf.constant(self.train_labels, tf.int32)

        def epoch(index):
            order_seed = tf.stack([tf.constant(seed, tf.int64), index])
            order = tf.random.experimental.stateless_shuffle(tf.range(examples), order_seed)
            order = tf.reshape(order[: steps_per_epoch * batch_size], [steps_per_epoch, batch_size])
            first = tf.where(index == first_epoch, tf.constant(skipped, tf.int64), 0)
            return tf.data.Dataset.from_tensor_slices(order[first:])

        def gather(rows):
            return self._scaled(tf.gather(images, rows)), tf.gather(labels, rows)

        epochs = tf.data.Dataset.range(first_epoch, sys.maxsize).flat_map(epoch)
        return epochs.map(gather).prefetch(2)

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
        available = len(self.test_labels)
        count = examples or available
        if not 0 < count <= available:
            raise ValueError(f"examples is {examples}; {self.name} has {available} test images (0 means all)")
        stored = tf.data.Dataset.from_tensor_slices(
            (self.test_images[:count], self.test_labels[:count].astype(np.int32))
        )
        return stored.batch(batch_size).map(lambda images, labels: (self._scaled(images), labels)).prefetch(2)

    def _scaled(self, images):
        return tf.cast(images, tf.float32) / self.highest
