"""Keys and values in TensorFlow's coordination service, which all workers of a MultiWorkerMirroredStrategy share.

TensorFlow has no public name for it; `context` has been its place since TensorFlow 2.9.
"""

import queue
import threading

import tensorflow as tf
from tensorflow.python.eager import context

_RAISE = object()
# Seconds between two looks at whether a worker that is waited for still lives.
_PAUSE = 5


class Store:
    """The keys and values, as one worker sees them.

    Attributes:
      timeout: seconds without an answer after which the service, or a worker, counts as lost.
    """

    def __init__(self, *, timeout):
        self.timeout = timeout

    def insert(self, key, value):
        """Whether the key was new; if it was not, nothing has changed."""
        try:
            self._answer(lambda: context.context().set_config_key_value(key, value))
        except tf.errors.AlreadyExistsError:
            return False
        return True

    def read(self, key, seconds, *, missing=_RAISE):
        """The value, as soon as there is one.

        Args:
          key: str.
          seconds: how long to wait for it.
          missing: what to return where there is none; by default an error is raised.

        Raises:
          tf.errors.DeadlineExceededError: there is none, see `missing`.
          tf.errors.OpError: the service does not answer.
        """
        milliseconds = max(int(1000 * seconds), 1)
        try:
            return self._answer(lambda: context.context().get_config_key_value(key, milliseconds), seconds)
        except tf.errors.DeadlineExceededError:
            if missing is _RAISE:
                raise
            return missing

    def wait(self, key, task):
        """The value that another worker is going to insert, however long it takes, as long as that worker lives.

        Args:
          key: str.
          task: the worker, as TensorFlow names it, such as `/job:worker/replica:0/task:1`.

        Raises:
          tf.errors.OpError: it is lost; names it.
        """
        while True:
            found = self.read(key, _PAUSE, missing=None)
            if found is not None:
                return found
            # The service itself hears of lost workers, but tells only those who are in a collective operation.
            try:
                self._answer(lambda: context.context().check_collective_ops_peer_health(task, 1000 * self.timeout))
            except tf.errors.OpError as error:
                raise tf.errors.UnavailableError(None, None, f"{task} does not answer") from error

    def delete(self, directory):
        """Deletes all keys that begin with `directory` and a slash."""
        self._answer(lambda: context.context().delete_config_key_value(directory))

    def _answer(self, call, seconds=0):
        """What the call returns; a stopped chief, in which the service lives, would keep it waiting without end."""
        answers = queue.SimpleQueue()

        def ask():
            try:
                answers.put((call(), None))
            except tf.errors.OpError as error:
                answers.put((None, error))

        threading.Thread(target=ask, name="coordination service", daemon=True).start()
        try:
            found, error = answers.get(timeout=self.timeout + seconds)
        except queue.Empty:
            raise tf.errors.UnavailableError(None, None, "the CoordinationService does not answer") from None
        if error is not None:
            raise error
        return found
