"""Which replicas counted, for TensorBoard."""

import keras
import tensorflow as tf


class Counted(keras.callbacks.Callback):
    """At the end of every epoch, the share of its steps in which each replica counted."""

    def __init__(self, quorum, tensorboard_dir, *, start_step):
        super().__init__()
        self._quorum = quorum
        self._writer = tf.summary.create_file_writer(str(tensorboard_dir))
        self._step = start_step

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1

    def on_epoch_end(self, epoch, logs=None):
        counts = self._quorum.take_counts()
        # A defence may make several optimizer steps of one batch.
        steps = max(float(counts.sum()) / self._quorum.needed, 1.0)
        with self._writer.as_default(step=self._step):
            for replica, count in enumerate(counts):
                tf.summary.scalar(f"replicas/{replica} counted", count / steps)
        self._writer.flush()
