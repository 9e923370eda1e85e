"""Workers that share work outside of training: each tells the others what it found, in the coordination service."""

import base64
import io

import numpy as np


class Team:
    """All workers, who make the same calls in the same order; see evaluation.run.Alone for the calls.

    Attributes:
      number, index: how many workers there are, and which this is.
    """

    def __init__(self, store, *, tasks, index):
        """Takes the store.Store that they share, and all of them as TensorFlow names them."""
        self.number, self.index = len(tasks), index
        self._store, self._tasks = store, tasks
        self._turn = self._oldest = 0

    def everyones(self, arrays):
        """What each worker has brought to this turn, in their order."""
        turn = self._next()
        self._store.insert(f"alp_tf/team/{turn}/{self.index}", _packed(arrays))
        found = [
            _unpacked(self._store.wait(f"alp_tf/team/{turn}/{index}", task)) for index, task in enumerate(self._tasks)
        ]
        if self.index == 0:
            # Who has come to this turn is through with those before.
            for old in range(self._oldest, turn):
                self._store.delete(f"alp_tf/team/{old}")
            self._oldest = turn
        return found

    def chiefs(self, arrays):
        """What the chief has brought to this turn."""
        key = f"alp_tf/team/{self._next()}/chief"
        if self.index == 0:
            self._store.insert(key, _packed(arrays))
            return arrays
        return _unpacked(self._store.wait(key, self._tasks[0]))

    def _next(self):
        self._turn += 1
        return self._turn


def _packed(arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _unpacked(text):
    with np.load(io.BytesIO(base64.b64decode(text))) as arrays:
        return dict(arrays)
