"""What is made of an exhibit where trainings and measurements take no time."""

import io
import json
import zipfile

import h5py
import keras

from alp_tf import experiment, files
from alp_tf.reproduction import markdown, measuring, results, work
from alp_tf.workdir import WorkDir

SIZES = measuring.Sizes(examples=100, strong_examples=50)
FINDING = {"test": "a test", "status": "pass", "number": 0.0, "says": "", "advice": ""}


class Stub:
    """In place of trainings and measurements: notes what is made, and is killed once it has made so many."""

    def __init__(self, monkeypatch):
        self.made, self.killed_after, self.weights = [], None, 0.0
        # Collecting all of TensorFlow's garbage takes a second.
        monkeypatch.setattr(keras.utils, "clear_session", lambda: None)
        monkeypatch.setattr(experiment, "train", self.train)
        monkeypatch.setattr(measuring, "measure", self.measure)

    def _note(self, what):
        if self.killed_after == len(self.made):
            raise KeyboardInterrupt
        self.made.append(what)

    def train(self, config, path, *, name):
        self._note(name)
        workdir = WorkDir(path)
        workdir.claim(config)
        _write_weights(workdir.model_keras, self.weights)
        files.write_text(workdir.history_jsonl, json.dumps({"step": config.train.steps, "seconds": 60.0}) + "\n")

    def measure(self, part, config, model_path, source_path, sizes, keep):
        self._note(f"{model_path.name} {part.kind} {part.name}")
        assert keep.is_dir()
        assert WorkDir(model_path).model_keras.exists()
        share = 0.9 - 0.01 * (part.model.seed % 1000) - 0.3 * (part.kind == "protocol")
        found = {"clean_accuracy": 0.98, "robust_accuracy": share, "ci95": [share - 0.1, share + 0.1], "seconds": 1.0}
        if part.kind == "protocol":
            first = {"name": "the first attack", "robust_accuracy": share}
            masking = [FINDING] if part.name == measuring.WITH_MASKING else []
            return {**found, "examples": 50, "parts": [first], "masking": masking}
        return {**found, "examples": 100, "top5_accuracy": 0.99}


def made(order, output, sizes=SIZES, jobs=0, shelf=None):
    store = store_in(output, order.budget, sizes, shelf)
    work.make_all(order.parts(), store, jobs=jobs, show_progress=False)
    return results.collect(order, store, command="test")


def store_in(output, budget="laptop", sizes=SIZES, shelf=None):
    return work.Store(output, budget, sizes=sizes, counts=markdown.OFFICIAL, shelf=shelf)


def _write_weights(path, value):
    """The part of a `.keras` file that is read."""
    with zipfile.ZipFile(path, "w") as archive, archive.open("model.weights.h5", "w") as kept:
        content = io.BytesIO()
        with h5py.File(content, "w") as weights:
            weights["layers/dense/vars/0"] = value
        kept.write(content.getvalue())
