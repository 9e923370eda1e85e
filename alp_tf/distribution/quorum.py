"""Backup replicas: a step counts the first so many replicas, and the others end their attack early (Kannan 5.3.2).

MultiWorkerMirroredStrategy waits for all its replicas. Here each replica that has its gradient takes one of as many
tickets as replicas are needed. With the last ticket the step is closed: replicas still at their attack stop it at the
next iteration, and what they bring is weighted with 0. Everybody then meets in the same all-reduce.
"""

import itertools
import threading
import uuid

import numpy as np
import tensorflow as tf

_QUORUMS = itertools.count()


class Quorum:
    """Which replicas count in each step; see alp_tf.replicas for who asks.

    Attributes:
      needed: how many count in a step.
      closed: bool tf.Variable, whether the step of this process's replicas has them all.
      counts: float32 tf.Variable [replicas], in how many steps each counted since `take_counts` was last called.
    """

    def __init__(self, desk, *, needed, local, replicas):
        """Starts at step 0.

        Args:
          desk: LocalDesk or SharedDesk.
          needed: as in the attributes.
          local: replicas of this process.
          replicas: of all processes.
        """
        self.needed = needed
        self._desk, self._local = desk, local
        self._lock = threading.Lock()
        self._claims = self._closed_steps = 0
        with tf.device("CPU:0"):
            self.closed = tf.Variable(False, trainable=False)
            self.counts = tf.Variable(tf.zeros([replicas]), trainable=False)
        desk.open(self)

    def claim(self, replica, after):
        """See alp_tf.replicas."""
        with tf.device("CPU:0"), tf.control_dependencies(after):
            weight = tf.numpy_function(self._claim, [tf.identity(replica)], tf.float32)
        return tf.ensure_shape(weight, [])

    def record(self, who):
        """Adds the replicas that counted, float32 [replicas], to `counts`; every replica of the process calls it."""
        self.counts.assign_add(who / self._local)

    def take_counts(self):
        """`counts` as an array, which start again at 0."""
        counts = np.rint(self.counts.numpy())
        self.counts.assign(tf.zeros_like(self.counts))
        return counts

    def step(self):
        """The step that the replicas of this process are at."""
        with self._lock:
            return self._claims // self._local

    def close_step(self, step):
        """Called by whoever learns that the step has all the replicas it needs."""
        with self._lock:
            self._closed_steps = max(self._closed_steps, step + 1)
            self._tell()

    def end(self):
        """Stops watching."""
        self._desk.end()

    def _claim(self, replica):
        step = self.step()
        ticket = self._desk.take(step, int(replica))
        if ticket is None or ticket == self.needed - 1:
            self.close_step(step)
        with self._lock:
            self._claims += 1
            self._tell()
        return tf.constant(0.0 if ticket is None else 1.0).numpy()

    def _tell(self):
        closed = self._closed_steps > self._claims // self._local
        if closed != self.closed.numpy():
            self.closed.assign(closed)


class LocalDesk:
    """Tickets for replicas that are all in this process."""

    def open(self, quorum):
        """Begins."""
        self._needed, self._lock, self._at = quorum.needed, threading.Lock(), (-1, 0)

    def take(self, step, replica):
        """The number of the ticket, from 0, or None if there are none left."""
        with self._lock:
            at, taken = self._at
            taken = taken if at == step else 0
            self._at = (step, taken + 1)
        return taken if taken < self._needed else None

    def end(self):
        """Nothing to do."""


class SharedDesk:
    """Tickets in TensorFlow's coordination service, where a key can be inserted only once.

    The keys are RUN/STEP/0, RUN/STEP/1, ... and RUN/STEP/closed; those of past steps are deleted, and the name of the
    run is drawn by the chief, so that nobody meets the tickets of another run.
    """

    def __init__(self, store, *, chief):
        self._store, self._chief = store, chief
        self._over = threading.Event()

    def open(self, quorum):
        """Agrees on the name of the run and begins to watch for closed steps."""
        key = f"alp_tf/quorum/{next(_QUORUMS)}"
        if self._chief:
            self._store.insert(key, uuid.uuid4().hex)
        self._run = f"alp_tf/{self._store.read(key, self._store.timeout)}"
        self._quorum = quorum
        self._watcher = threading.Thread(target=self._watch, name="closed steps", daemon=True)
        self._watcher.start()

    def take(self, step, replica):
        """The number of the ticket, from 0, or None if there are none left."""
        for ticket in range(self._quorum.needed):
            if self._store.insert(f"{self._run}/{step}/{ticket}", str(replica)):
                if ticket == self._quorum.needed - 1:
                    self._store.insert(f"{self._run}/{step}/closed", str(replica))
                    # Who takes a ticket of this step has seen everybody through the one before.
                    if step:
                        self._store.delete(f"{self._run}/{step - 1}")
                return ticket
        return None

    def end(self):
        """Stops watching."""
        self._over.set()
        self._watcher.join(timeout=2)

    def _watch(self):
        step = 0
        while not self._over.is_set():
            try:
                # A step that is over may be deleted before this thread looks.
                step = max(step, self._quorum.step())
                if self._store.read(f"{self._run}/{step}/closed", 0.5, missing=None) is not None:
                    self._quorum.close_step(step)
                    step += 1
            except tf.errors.OpError:
                # The cluster is ending; the training thread meets the same and says so.
                return
