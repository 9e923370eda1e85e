"""Keys and values in TensorFlow's coordination service, which all workers of a MultiWorkerMirroredStrategy share.

TensorFlow has no public name for it; `context` has been its place since TensorFlow 2.9.
"""

import tensorflow as tf
from tensorflow.python.eager import context

_RAISE = object()


def insert(key, value):
    """Whether the key was new; if it was not, nothing has changed."""
    try:
        context.context().set_config_key_value(key, value)
    except tf.errors.AlreadyExistsError:
        return False
    return True


def read(key, timeout, *, missing=_RAISE):
    """The value, as soon as there is one.

    Args:
      key: str.
      timeout: seconds to wait.
      missing: what to return where there is none; by default an error is raised.

    Raises:
      tf.errors.DeadlineExceededError: there is none, see `missing`.
      tf.errors.OpError: the service does not answer.
    """
    try:
        return context.context().get_config_key_value(key, max(int(1000 * timeout), 1))
    except tf.errors.DeadlineExceededError:
        if missing is _RAISE:
            raise
        return missing


def wait(key):
    """The value, however long it takes, as long as the cluster lives.

    Raises:
      tf.errors.OpError: it does not.
    """
    while True:
        found = read(key, 5, missing=None)
        if found is not None:
            return found


def delete(directory):
    """Deletes all keys that begin with `directory` and a slash."""
    context.context().delete_config_key_value(directory)
