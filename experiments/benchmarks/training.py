"""Timed training steps of LeNet as one worker of a cluster, for the benchmarks of several workers."""

import pathlib
import time

import keras
import numpy as np
import tensorflow as tf

from alp_tf import datasets, distribution, models

# Steps that trace and warm up.
_FIRST = 5


def steps(make_defense, *, steps, batch, backups=0, marker=None):
    """Trains on random images.

    Args:
      make_defense: function of the classifier and of whether this is the last worker.
      steps: how many are timed.
      batch: images a replica.
      backups: replicas that need not count.
      marker: file that the chief makes when the timed steps begin.

    Returns:
      {"seconds": of each step, "counted": of each replica or None, "loss": of the last}; None if this is not the chief.
    """
    fields = {**distribution.DEFAULTS, "strategy": "multi_worker", "backup_replicas": backups, "timeout_seconds": 120}
    with distribution.start(fields) as cluster:
        keras.utils.set_random_seed(0)
        with cluster.scope():
            model = models.build("lenet", input_shape=(28, 28, 1), num_classes=10)
            defense = make_defense(model, cluster.index == cluster.workers - 1)
            defense.compile("adam")
            defense.optimizer.build(defense.trainable_variables)
        cluster.prepare(defense, image_shape=(28, 28, 1))
        timer = _Timer(marker if cluster.chief else None)
        fitted = defense.fit(
            cluster.dataset(_random_images(), batch * (cluster.replicas - cluster.backups), seed=0),
            steps_per_epoch=_FIRST + steps,
            epochs=1,
            verbose=0,
            callbacks=[timer],
        )
        counted = cluster.quorum.take_counts().tolist() if cluster.quorum else None
        cluster.wait_for_chief()
        if not cluster.chief:
            return None
        return {"seconds": timer.seconds[_FIRST:], "counted": counted, "loss": fitted.history["loss"][-1]}


def _random_images():
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(4096, 28, 28, 1)).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((images, rng.integers(0, 10, len(images))))
    return datasets.from_tf_data(data, data, num_classes=10)


class _Timer(keras.callbacks.Callback):
    """Seconds of each step."""

    def __init__(self, marker):
        super().__init__()
        self.seconds, self._marker = [], marker

    def on_train_batch_begin(self, batch, logs=None):
        self._begun = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds.append(time.perf_counter() - self._begun)
        if self._marker and len(self.seconds) == _FIRST:
            pathlib.Path(self._marker).touch()
