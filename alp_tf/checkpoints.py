"""Checkpoints of a training run: written whole or not at all, verified before use, the previous one as a fallback."""

import logging
import pathlib
import re
import shutil
import tempfile

import tensorflow as tf

_NAME = re.compile(r"step-(\d+)\.index")


class Checkpoints:
    """The checkpoints in one directory, named by step.

    Attributes:
      directory: where they lie; made when the first is written.
      keep: how many of the newest stay.
    """

    def __init__(self, directory, *, keep=2, **tracked):
        """Takes the built Keras objects to save by name, such as `classifier=model, optimizer=optimizer`."""
        self.directory = pathlib.Path(directory)
        self.keep = keep
        # Lists of variables and not the objects themselves: of a Dropout layer's random state, TensorFlow's own
        # tracking knows nothing.
        self._variables = {name: [variable.value for variable in item.variables] for name, item in tracked.items()}
        self._tracked = tf.train.Checkpoint(**self._variables)

    def save(self, step):
        """Writes the checkpoint of that step, then deletes all but the newest `keep`.

        Raises:
          OSError: it cannot be written, for example because the disk is full; older checkpoints are unharmed.
        """
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self._tracked.write(self._prefix(step))
        except tf.errors.OpError as error:
            self._delete(step)
            raise OSError(
                f"the checkpoint of step {step} could not be written to {self.directory}: {self._why(error)}. Earlier "
                "checkpoints are unharmed; make room and run the same command again to go on"
            ) from error
        for old in self.steps()[: -self.keep]:
            self._delete(old)
        # What a kill in the middle of a write leaves behind.
        for leftover in self.directory.glob("step-*_temp"):
            shutil.rmtree(leftover, ignore_errors=True)

    def restore(self):
        """Restores the newest checkpoint that can be read; says so when it must pass one over.

        Returns:
          Its step, or 0 when there is none and the objects are as they were.
        """
        for step in reversed(self.steps()):
            fault = self._fault(step)
            if fault is None:
                self.read(step)
                return step
            logging.getLogger("alp_tf").warning(
                "checkpoint of step %d in %s is damaged (%s); falling back to the one before",
                step,
                self.directory,
                fault,
            )
            self._delete(step)
        return 0

    def read(self, step):
        """Restores the checkpoint of that step, which is known to be good."""
        self._tracked.read(self._prefix(step)).assert_consumed()

    def steps(self):
        """Steps of the checkpoints there are, oldest first."""
        found = (_NAME.fullmatch(path.name) for path in self.directory.glob("step-*.index"))
        return sorted(int(match[1]) for match in found if match)

    def _fault(self, step):
        # Reading every tensor checks its checksum; nothing is restored from a checkpoint that fails in the middle.
        try:
            reader = tf.train.load_checkpoint(self._prefix(step))
            for name in reader.get_variable_to_shape_map():
                reader.get_tensor(name)
        except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
            return _first_line(error)
        return None

    def _why(self, error):
        # TensorFlow drops the system's reason; a plain file of the same size meets it again.
        size = sum(variable.numpy().nbytes for group in self._variables.values() for variable in group)
        try:
            with tempfile.TemporaryFile(dir=self.directory) as probe:
                probe.write(bytes(size))
        except OSError as plain:
            return plain.strerror
        return _first_line(error)

    def _prefix(self, step):
        return str(self.directory / f"step-{step}")

    def _delete(self, step):
        # The index goes first: without it the rest is not taken for a checkpoint.
        for path in sorted(self.directory.glob(f"step-{step}.*"), key=lambda path: path.suffix != ".index"):
            path.unlink(missing_ok=True)
        shutil.rmtree(f"{self._prefix(step)}_temp", ignore_errors=True)


def _first_line(error):
    text = getattr(error, "message", None) or str(error)
    return text.strip().splitlines()[0][:200] if text.strip() else type(error).__name__
