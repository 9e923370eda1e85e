"""Keras callbacks of an experiment: what is kept at the end of every period, and the progress bar."""

import json
import math
import pathlib
import time

import keras
import tensorflow as tf

from alp_tf import files, progress


class History:
    """Metrics by step, one JSON object a line, in a file that survives a kill.

    Attributes:
      rows: list of {"step", "seconds", metric: value, ...}; seconds of training so far, over all resumed runs.
    """

    def __init__(self, path, *, up_to_step):
        """Reads the file and drops what was logged after the restored checkpoint, for that is done again."""
        self._path = pathlib.Path(path)
        self.rows = [row for row in self.read(path) if row["step"] <= up_to_step]
        self._write()

    @staticmethod
    def read(path):
        """The rows of a file, without changing it; none where there is no file."""
        path = pathlib.Path(path)
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [row for row in map(_parsed, lines) if row]

    @property
    def seconds(self):
        """Seconds of training so far."""
        return self.rows[-1]["seconds"] if self.rows else 0.0

    def append(self, row):
        """Adds a row."""
        self.rows.append(row)
        self._write()

    def _write(self):
        files.write_text(self._path, "".join(json.dumps(row) + "\n" for row in self.rows))


class KeepPeriod(keras.callbacks.Callback):
    """At the end of every period: a row of the history, a TensorBoard point, a checkpoint.

    Keras' epochs are periods here: `checkpoint_every` steps each.
    """

    def __init__(self, *, history, checkpoints, tensorboard_dir, start_step):
        super().__init__()
        self._history = history
        self._checkpoints = checkpoints
        self._writer = tf.summary.create_file_writer(str(tensorboard_dir))
        self._step = start_step
        self._seconds_before = history.seconds

    def on_train_begin(self, logs=None):
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1

    def on_epoch_end(self, epoch, logs=None):
        metrics = {name: float(value) for name, value in (logs or {}).items()}
        seconds = self._seconds_before + time.perf_counter() - self._started
        self._history.append({"step": self._step, "seconds": round(seconds, 3), **metrics})
        with self._writer.as_default(step=self._step):
            for name, value in metrics.items():
                tf.summary.scalar(f"train/{name}", value)
        self._writer.flush()
        self._checkpoints.save(self._step)


class StopIfDiverged(keras.callbacks.Callback):
    """Ends the run when a period's loss is not finite; before the checkpoint, if it comes before KeepPeriod."""

    def __init__(self, *, start_step):
        super().__init__()
        self._step = start_step

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1

    def on_epoch_end(self, epoch, logs=None):
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise ValueError(
                f"training diverged: the loss became {loss} before step {self._step}. Lower "
                "config.optimizer.learning_rate or config.defense.weight, in another --workdir"
            )


class Progress(keras.callbacks.Callback):
    """A bar over the whole run, with the loss and the accuracies of the current period."""

    def __init__(self, *, total, start_step, label):
        super().__init__()
        self._bar = progress.bar(total, label, "step", initial=start_step)

    def on_train_batch_end(self, batch, logs=None):
        if self._bar.n % 10 == 0:
            self._bar.set_postfix_str(_short(logs), refresh=False)
        self._bar.update()

    def on_train_end(self, logs=None):
        self._bar.close()


def _short(logs):
    shown = {"loss": "loss", "clean_accuracy": "clean", "adversarial_accuracy": "adversarial"}
    return " ".join(f"{short}={float(logs[name]):.3f}" for name, short in shown.items() if name in (logs or {}))


def _parsed(line):
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None
