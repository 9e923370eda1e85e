"""What workers tell each other: their shares of an evaluation, and who counts in a step."""

import fnmatch
import threading
import time

import keras
import numpy as np
import pytest

from alp_tf import attacks, evaluation
from alp_tf.distribution import quorum
from alp_tf.evaluation import run
from tests.conftest import small_classifier

ATTACKS = {
    "pgd": attacks.PGD(epsilon=0.03, step_size=0.01, steps=3, restarts=2, target="random"),
    "fgsm": attacks.FGSM(epsilon=0.02),
}


class Together:
    """A team of threads."""

    def __init__(self, brought, barrier, index):
        self.number, self.index = barrier.parties, index
        self._brought, self._barrier = brought, barrier

    def everyones(self, arrays):
        self._brought[self.index] = arrays
        self._barrier.wait(60)
        found = [dict(self._brought[index]) for index in range(self.number)]
        self._barrier.wait(60)
        return found

    def chiefs(self, arrays):
        return self.everyones(arrays)[0]


def measured(model, data, **options):
    report = evaluation.evaluate(
        model, data, attacks=ATTACKS, batch_size=4, masking_examples=0, show_progress=False, **options
    )
    return [{**vars(item), "seconds": 0} for item in report.evaluations], report.verdicts


def in_threads(models, data, keeps):
    brought, barrier, found = {}, threading.Barrier(len(models)), {}

    def work(index):
        team = Together(brought, barrier, index)
        found[index] = measured(models[index], data, team=team, keep=keeps[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(models))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [found[index] for index in range(len(models))]


def test_a_team_finds_what_one_process_finds_and_goes_on_where_one_stopped(batch, tmp_path, monkeypatch):
    images = batch[0]
    model = small_classifier()
    # Most of them right, so that there is something to attack.
    labels = model(images).numpy().argmax(-1)
    labels[::5] = (labels[::5] + 1) % 5
    data = (images, labels)
    expected = measured(model, data)
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())

    attacked = run.Run._one_batch

    def interrupted(self, attack, rows, seed, total):
        attacked(self, attack, rows, seed, total)
        if rows[0] > 10:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(run.Run, "_one_batch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            measured(model, data, keep=tmp_path / "kept")
    for found in in_threads([model, other], data, [tmp_path / "kept", None]):
        assert found[0] == expected[0]
        for name, verdicts in expected[1].items():
            np.testing.assert_array_equal(found[1][name], verdicts)


class Keys(dict):
    """The coordination service, for workers that are all in this process."""

    timeout = 5

    def insert(self, key, value):
        new = key not in self
        self.setdefault(key, value)
        return new

    def read(self, key, seconds, *, missing=None):
        until = time.monotonic() + seconds
        while key not in self and time.monotonic() < until:
            time.sleep(0.001)
        return self.get(key, missing)

    def delete(self, directory):
        for key in fnmatch.filter(list(self), f"{directory}/*"):
            del self[key]


def test_each_step_has_its_tickets_which_neither_later_steps_nor_another_run_meet(monkeypatch):
    keys = Keys()
    # Each worker counts its quorums; here all are in one process.
    monkeypatch.setattr(quorum, "_QUORUMS", iter([0, 0, 0, 1, 1, 1]))
    for _ in range(2):
        workers = [
            quorum.Quorum(quorum.SharedDesk(keys, chief=index == 0), needed=2, local=1, replicas=3)
            for index in range(3)
        ]
        for step in range(4):
            order = [(step + each) % 3 for each in range(3)]
            assert [workers[index]._claim(index) for index in order] == [1, 1, 0]
            assert not any(fnmatch.filter(keys, f"*/{step - 1}/*")), keys
        for worker in workers:
            worker.end()
    # Of each run its name, and the last step's two tickets and end.
    assert len(keys) == 2 * (1 + 3)
