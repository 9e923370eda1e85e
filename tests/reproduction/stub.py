"""What is made of an exhibit where trainings and measurements take no time."""

import json

import keras

from alp_tf import experiment, files
from alp_tf.reproduction import markdown, measuring, results, work
from alp_tf.workdir import WorkDir

SIZES = measuring.Sizes(examples=100, strong_examples=50)
FINDING = {"test": "a test", "status": "pass", "number": 0.0, "says": "", "advice": ""}


class Stub:
    """In place of trainings and measurements: notes what is made, and is killed once it has made so many."""

    def __init__(self, monkeypatch):
        self.made, self.killed_after = [], None
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
        files.write_text(workdir.model_keras, "")
        files.write_text(workdir.history_jsonl, json.dumps({"step": config.train.steps, "seconds": 60.0}) + "\n")

    def measure(self, part, config, model_path, source_path, sizes, keep):
        self._note(f"{model_path.name} {part.kind} {part.name}")
        assert keep.is_dir()
        assert WorkDir(model_path).model_keras.exists()
        share = 0.9 - 0.01 * (part.model.seed % 1000) - 0.3 * (part.kind == "protocol")
        found = {"clean_accuracy": 0.98, "robust_accuracy": share, "ci95": [share - 0.1, share + 0.1], "seconds": 1.0}
        if part.kind == "protocol":
            first = {"name": "the first attack", "robust_accuracy": share}
            return {**found, "examples": 50, "parts": [first], "masking": [FINDING]}
        return {**found, "examples": 100, "top5_accuracy": 0.99}


def made(order, output, sizes=SIZES, jobs=0):
    store = store_in(output, order.budget, sizes)
    work.make_all(order.parts(), store, jobs=jobs, show_progress=False)
    return results.collect(order, store, command="test")


def store_in(output, budget="laptop", sizes=SIZES):
    return work.Store(output, budget, sizes=sizes, counts=markdown.OFFICIAL)
