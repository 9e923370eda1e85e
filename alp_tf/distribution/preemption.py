"""SIGTERM while training: all workers end after the same step, and that step is kept.

SLURM sends it before a job's time is over, Kubernetes when it wants a machine back; some time later both kill. Workers
step together, so that none can leave by itself: each brings to every step whether it was told to end, the flags are
summed with the step's metrics, and so all learn of it at once.
"""

import contextlib
import os
import signal
import threading

import keras
import numpy as np
import tensorflow as tf


class Preempted(OSError):
    """This worker or another was told to end; the same command goes on after the step that is kept.

    Attributes:
      exit_status: 143, as of a process that SIGTERM ended, or where another was told, 75 as of one that lost it.
    """

    def __init__(self, message, *, itself):
        super().__init__(message)
        self.exit_status = 143 if itself else 75


class Notice:
    """Which workers were told to end.

    Attributes:
      flags: float32 tf.Variable [workers], 1 for this worker once it was told; None if it is the only one.
      told: numbers of the workers that were told, as all workers know since the same step.
    """

    def __init__(self, *, workers, index):
        self.told = ()
        self._index = index
        self._heard = False
        self._latest = None
        self.flags = None
        if workers > 1:
            with tf.device("CPU:0"):
                self.flags = tf.Variable(tf.zeros([workers]), trainable=False)

    @property
    def itself(self):
        """Whether this worker was told."""
        return self._heard

    @contextlib.contextmanager
    def listening(self):
        """A context in which SIGTERM waits for the end of a step; one for which there was no step left comes after it.

        Only the main thread can listen; in others the context does nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTERM, self._hear)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
        if self._heard and not self.told:
            os.kill(os.getpid(), signal.SIGTERM)

    def before_step(self):
        """Raises the flag, if this worker was told."""
        if self._heard and self.flags is not None:
            self.flags.assign(tf.one_hot(self._index, self.flags.shape[0]))

    def summed(self, flags):
        """Called after each step with all workers' flags.

        Args:
          flags: float32 [workers], those that took part in the step.
        """
        # Looked at one step late: a device may still be busy with the newest.
        ready, self._latest = self._latest, flags
        if ready is not None:
            self.told = tuple(np.flatnonzero(ready.numpy()).tolist())

    def after_step(self):
        """Whether all end now."""
        if self.flags is None and self._heard:
            self.told = (self._index,)
        return bool(self.told)

    def _hear(self, *_):
        self._heard = True
        # Who asks again does not want to wait.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


class EndTogether(keras.callbacks.Callback):
    """Ends `fit` after the step in which all know that somebody was told to end.

    Attributes:
      step: how many were made, those before this `fit` included.
    """

    def __init__(self, notice, *, start_step):
        super().__init__()
        self._notice = notice
        self.step = start_step

    def on_train_batch_begin(self, batch, logs=None):
        self._notice.before_step()

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self._notice.after_step():
            self.model.stop_training = True
