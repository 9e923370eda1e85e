"""Timed training steps of LeNet as one worker of a cluster, for the benchmarks of several workers."""

import json
import pathlib
import time

import keras
import numpy as np
import tensorflow as tf

from alp_tf import datasets, distribution, models

# Steps that trace and warm up.
_FIRST = 5


def steps(make_defense, path, *, steps, batch, backups=0, competing=None, stamps=False, timeout=120, before=None):
    """Trains on random images, and writes {"seconds": of each step, "counted": of each replica or None, "loss": of the
    last}, and with stamps {"own": seconds of each step until this worker had its gradient}.

    Args:
      make_defense: function of the classifier and of whether this is the last worker.
      path: JSON file, which the chief writes; the others append their number to its name. When the timed steps begin
        the chief makes an empty file of that name and `.begun`.
      steps: how many are timed.
      batch: images a replica.
      backups: replicas that need not count.
      competing: replicas that may count, where there are more than are wanted: the others wait until a step is closed.
      stamps: whether each worker takes the time at which it has its gradient, which costs a little.
      timeout: seconds in which all workers must have started.
      before: function of the cluster, which all call first; what it returns for the chief is written as well.
    """
    fields = {"strategy": "multi_worker", "backup_replicas": backups, "timeout_seconds": timeout}
    with distribution.start({**distribution.DEFAULTS, **fields}) as cluster:
        more = before(cluster) if before else {}
        keras.utils.set_random_seed(0)
        with cluster.scope():
            model = models.build("lenet", input_shape=(28, 28, 1), num_classes=10)
            defense = make_defense(model, cluster.index == cluster.workers - 1)
            defense.compile("adam")
            defense.optimizer.build(defense.trainable_variables)
        cluster.prepare(defense, image_shape=(28, 28, 1))
        timer = _Timer(f"{path}.begun" if cluster.chief else None)
        if stamps:
            defense.quorum = timer
        if competing:
            let_wait(cluster, competing)
        fitted = defense.fit(
            cluster.dataset(random_images(), batch * (cluster.replicas - cluster.backups), seed=0),
            steps_per_epoch=_FIRST + steps,
            epochs=1,
            verbose=0,
            callbacks=[timer],
        )
        counted = cluster.quorum.take_counts().astype(int).tolist() if cluster.quorum else None
        found = {"seconds": timer.seconds[_FIRST:], "counted": counted, "loss": fitted.history["loss"][-1], **more}
        if stamps:
            found["own"] = timer.own[_FIRST:]
        written = pathlib.Path(path if cluster.chief else f"{path}.{cluster.index}")
        written.write_text(json.dumps(found), encoding="utf-8")
        cluster.wait_for_chief()


def let_wait(cluster, competing):
    """Keeps the tickets of several workers for the first so many replicas; after Cluster.prepare."""
    desk = cluster.quorum._desk
    take = desk.take

    def take_if_competing(step, replica):
        if replica < competing:
            return take(step, replica)
        desk._store.read(f"{desk._run}/{step}/closed", cluster.timeout)
        return None

    desk.take = take_if_competing


def random_images():
    """A datasets.Source of noise, 28x28x1."""
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(4096, 28, 28, 1)).astype(np.float32)
    data = tf.data.Dataset.from_tensor_slices((images, rng.integers(0, 10, len(images))))
    return datasets.from_tf_data(data, data, num_classes=10)


class _Timer(keras.callbacks.Callback):
    """Seconds of each step; as the quorum of a defence, in which all count, also those until the gradient is there."""

    def __init__(self, marker):
        super().__init__()
        self.seconds, self.own, self._marker = [], [], marker
        with tf.device("CPU:0"):
            self.closed = tf.Variable(False, trainable=False)

    def on_train_batch_begin(self, batch, logs=None):
        self._begun = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds.append(time.perf_counter() - self._begun)
        if self._marker and len(self.seconds) == _FIRST:
            pathlib.Path(self._marker).touch()

    def claim(self, replica, after):
        """See alp_tf.replicas."""
        with tf.device("CPU:0"), tf.control_dependencies(after):
            return tf.ensure_shape(tf.numpy_function(self._stamp, [], tf.float32), [])

    def record(self, who):
        """See alp_tf.replicas."""

    def _stamp(self):
        self.own.append(time.perf_counter() - self._begun)
        return np.float32(1)
