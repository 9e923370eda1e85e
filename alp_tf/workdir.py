"""The work directory of one experiment: whose it is, and where its files lie."""

import json
import pathlib

from alp_tf import files, lock

# Where prepared data lie, and how workers find each other, says nothing about the experiment; both may change between
# runs.
PLACE_ONLY = (
    "dataset.data_dir",
    "dataset.archives",
    "distribution.resolver",
    "distribution.workers",
    "distribution.timeout_seconds",
)


class WorkDir:
    """A directory that belongs to one configuration and, from `claim` to the end of a `with` block, to one process.

    Args:
      path: the directory.
      default: ConfigDict of every field at its default. A directory may be older than a field: where it does not hold
        one, the default is what it was run with.

    Attributes:
      path: the directory.
      config_json, results_json, report_md, history_jsonl: files in it.
      dataset_json: what an export must know of the data set, which may not be there any more.
      checkpoints, tensorboard, figures, evaluation: directories in it.
      model_keras: the trained classifier, as `keras.models.load_model` reads it.
    """

    def __init__(self, path, *, default=None):
        self.path = pathlib.Path(path)
        self._default = {} if default is None else flat(json.loads(default.to_json_best_effort()))
        self.config_json = self.path / "config.json"
        self.results_json = self.path / "results.json"
        self.dataset_json = self.path / "dataset.json"
        self.report_md = self.path / "report.md"
        self.history_jsonl = self.path / "history.jsonl"
        self.model_keras = self.path / "model.keras"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.figures = self.path / "figures"
        self.evaluation = self.path / "evaluation"
        self._lock = lock.Lock(self.path / ".lock")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._lock.release()

    def claim(self, config):
        """Makes the directory and writes `config.json`, unless it is this configuration's already.

        Args:
          config: ConfigDict.

        Raises:
          ValueError: the directory belongs to another configuration; says which fields differ. Or another process is
            using it; says which.
        """
        # First, so that nothing is written into the directory of another.
        self._belongs_to(config)
        self.path.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except BlockingIOError as holder:
            raise ValueError(
                f"{self.path} is in use by {holder}. Wait until it has ended, or give another --workdir"
            ) from None
        if not self._belongs_to(config):
            files.write_json(self.config_json, json.loads(config.to_json_best_effort()))

    def finished(self, config):
        """The content of results.json if the experiment has been through, else None.

        Raises:
          ValueError: the directory belongs to another configuration; says which fields differ.
        """
        if self._belongs_to(config) and self.results_json.exists():
            return json.loads(self.results_json.read_text(encoding="utf-8"))
        return None

    def trained(self, config):
        """Whether the directory holds the trained model of that configuration.

        Raises:
          ValueError: the directory belongs to another configuration; says which fields differ.
        """
        return self._belongs_to(config) and self.model_keras.exists()

    def _belongs_to(self, config):
        """Whether the directory is this configuration's; False where it is nobody's."""
        if not self.config_json.exists():
            return False
        differing = self._differences(flat(self._read_config()), flat(json.loads(config.to_json_best_effort())))
        if differing:
            raise ValueError(
                f"{self.path} belongs to another configuration: {'; '.join(differing)}. "
                "Give another --workdir, or the options it was started with"
            )
        return True

    def _read_config(self):
        try:
            return json.loads(self.config_json.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{self.config_json} is not readable ({error}); delete the directory or give another --workdir"
            ) from error

    def _differences(self, there, wanted):
        kept = {name: there.get(name, self._default.get(name)) for name in {*there, *wanted} - set(PLACE_ONLY)}
        return [
            f"{name} is {value!r} there, {wanted.get(name)!r} here"
            for name, value in sorted(kept.items())
            if value != wanted.get(name)
        ]


def flat(value, path=""):
    """The leaves of nested mappings, such as a ConfigDict or its JSON: {dotted name: value}."""
    if not hasattr(value, "items"):
        return {path: value}
    return {
        name: leaf
        for key, inner in value.items()
        for name, leaf in flat(inner, f"{path}.{key}" if path else key).items()
    }
