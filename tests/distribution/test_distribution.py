"""Several workers and replicas train as one process on the joined batch, and say what is wrong where they cannot."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from alp_tf import attacks, configs, datasets, defenses, distribution, replicas
from alp_tf.distribution import keras_fit, options, peers
from launch import local
from tests.conftest import small_classifier

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
NAMES = ("plain", "M-PGD", "ALP", "batch-wise", "similarity")


def cluster_of(workers, arguments):
    """Runs steps_script.py in so many processes; the arrays that each has written."""
    addresses = local.free_addresses(workers)
    processes = [
        subprocess.Popen(
            [sys.executable, str(HERE / "steps_script.py"), *arguments(worker)],
            env={**os.environ, "TF_CONFIG": local.tf_config(addresses, worker), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for worker in range(workers)
    ]
    outputs = [process.communicate(timeout=600)[0] for process in processes]
    for process, output in zip(processes, outputs, strict=True):
        assert process.returncode == 0, output[-3000:]
    return [dict(np.load(arguments(worker)[0])) for worker in range(workers)]


def check_workers(found, *, alone=True):
    for other in found[1:]:
        shared = [key for key in other if not key.startswith("alone")]
        assert {key.split("/")[0] for key in shared} == {*NAMES, "normed ALP"}
        for key in shared:
            np.testing.assert_array_equal(other[key], found[0][key], err_msg=key)
    expected = {key.removeprefix("alone "): value for key, value in found[0].items() if key.startswith("alone")}
    assert {key.split("/")[0] for key in expected} == (set(NAMES) if alone else set())
    for key, value in expected.items():
        np.testing.assert_allclose(found[0][key], value, atol=1e-5, err_msg=key)


def test_two_workers_hold_the_same_weights_and_step_as_one_process_on_the_joined_batch(tmp_path):
    check_workers(cluster_of(2, lambda worker: [str(tmp_path / f"{worker}.npz")]))


@pytest.mark.slow
def test_four_workers_hold_the_same_weights_and_step_as_one_process_on_the_joined_batch(tmp_path):
    check_workers(cluster_of(4, lambda worker: [str(tmp_path / f"{worker}.npz")]))


@pytest.mark.slow
def test_three_workers_of_which_two_count_hold_the_same_weights(tmp_path):
    found = cluster_of(3, lambda worker: [str(tmp_path / f"{worker}.npz"), "1"])
    check_workers(found, alone=False)
    for name in NAMES:
        assert found[0][f"{name}/counts"].sum() == 2 * 3


def test_a_step_with_backup_replicas_is_that_of_the_rows_of_those_that_count():
    done = subprocess.run(
        [sys.executable, str(HERE / "backups_script.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout.split() == ["M-PGD", "batch-wise", "BatchNorm", "free"], done.stderr[-3000:]


class Closing:
    """A quorum whose step is closed from the beginning, or never."""

    def __init__(self, closed):
        self.closed = tf.Variable(closed)

    def claim(self, replica, after):
        return tf.cast(~self.closed, tf.float32)

    def record(self, who):
        pass


@pytest.mark.parametrize("name", ["pgd", "mim", "apgd", "spsa"])
def test_an_attack_ends_early_once_its_step_is_closed(name, batch):
    needed = {"apgd": {}, "spsa": {"step_size": 0.1, "steps": 3, "samples": 2}}.get(
        name, {"step_size": 0.1, "steps": 3, "random_start": False}
    )
    attack, model = attacks.NAMED[name](epsilon=0.1, **needed), small_classifier()
    images, labels = tf.constant(batch[0][:4]), tf.constant(batch[1][:4], tf.int32)

    def moved(quorum):
        @tf.function(autograph=False)
        def run(images, labels):
            with replicas.ending_early(quorum):
                return attack(model, images, labels, seed=1)

        return run(images, labels)

    whole, never, at_once = moved(None), moved(Closing(False)), moved(Closing(True))
    np.testing.assert_array_equal(never, whole)
    assert np.abs(at_once - whole).max() > 1e-3
    if name in ("pgd", "mim"):
        np.testing.assert_array_equal(at_once, images)


@pytest.mark.parametrize(("closed", "expected"), [(False, 21), (True, 2)])
def test_a_replica_that_cannot_count_any_more_takes_the_gradient_of_two_rows(closed, expected, batch):
    rows = tf.Variable(0)

    class Counting(defenses.MixedMinibatchPGD):
        def forward(self, images):
            rows.assign(tf.shape(images)[0])
            return super().forward(images)

    defense = Counting(small_classifier(), attack=attacks.PGD(epsilon=0.1, step_size=0.1, steps=2))
    defense.compile("sgd", metrics=["accuracy"])
    defense.quorum = Closing(closed)
    before = defense.classifier.get_weights()
    found = defense.train_on_batch(*batch, return_dict=True)
    assert rows.numpy() == 2 * expected
    moved = [not np.array_equal(*pair) for pair in zip(before, defense.classifier.get_weights(), strict=True)]
    assert any(moved) == (found["loss"] > 0) == (not closed)


@pytest.mark.parametrize("augmentation", ["none", "crop_flip"])
def test_workers_read_the_rows_of_the_joined_batch_and_no_others(augmentation):
    data = datasets.load("digits")
    if augmentation not in datasets.AUGMENTATIONS:
        augmentation = next(name for name in datasets.AUGMENTATIONS if name != "none")

    def batches(rows):
        found = data.train_batches(12, seed=3, start_step=148, augmentation=augmentation, rows=rows)
        return [tuple(part.numpy() for part in batch) for batch in found.take(3)]

    for joined, first, second in zip(batches(None), batches((0, 4)), batches((4, 12)), strict=True):
        for whole, one, other in zip(joined, first, second, strict=True):
            np.testing.assert_array_equal(whole, np.concatenate([one, other]))


WRONG = {
    "no TF_CONFIG": (None, "TF_CONFIG is not set"),
    "no JSON": ("{", "cannot be read"),
    "no task": (json.dumps({"cluster": {"worker": ["a:1"]}}), "cannot be read"),
    "index": (
        local.tf_config(["a:1", "b:1"], 2),
        r"this is worker 2, but its cluster has 2 of them: the index must be in 0 ... 1",
    ),
    "job": (json.dumps({"cluster": {"worker": ["a:1"]}, "task": {"type": "ps", "index": 0}}), "this is a 'ps'"),
    "address": (local.tf_config(["a:1", "b"], 0), "worker 1 the address 'b'"),
    "twice": (local.tf_config(["a:1", "a:1"], 0), "a:1 to several workers"),
}


@pytest.mark.parametrize("case", WRONG)
def test_an_environment_that_describes_no_cluster_is_told(case, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    text, message = WRONG[case]
    if text is not None:
        monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match=message):
        peers.find("tf_config")


SLURM_STEP = {
    "JOB_ID": "20007",
    "PROCID": "3",
    "STEP_NUM_TASKS": "5",
    "STEP_NODELIST": "n[2,10-11]",
    "STEP_TASKS_PER_NODE": "2(x2),1",
    "NODEID": "1",
    "LOCALID": "1",
}


def test_slurm_is_asked_through_tensorflow_and_counts_tasks_in_its_own_order(monkeypatch):
    with pytest.raises(ValueError, match="start it with srun"):
        peers.find("slurm")
    for name, value in SLURM_STEP.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    found = peers.find("slurm", workers=5)
    assert found.index == 3
    assert found.cluster == {"worker": ["n2:20007", "n2:20008", "n10:20007", "n10:20008", "n11:20007"]}
    with pytest.raises(ValueError, match="workers is 4, but slurm lists 5"):
        peers.find("slurm", workers=4)
    monkeypatch.setenv("SLURM_NODEID", "0")
    with pytest.raises(ValueError, match="task 3 of the SLURM step, number 1 on n2, .* srun --distribution=block"):
        peers.find("slurm")


def test_a_worker_that_never_appears_is_named_in_time():
    addresses = local.free_addresses(3)
    with socket.socket() as there:
        there.bind(("", int(addresses[1].split(":")[1])))
        there.listen()
        began = time.monotonic()
        with pytest.raises(distribution.WorkerLost, match="worker 0 .* waited 1 s for worker 2") as caught:
            peers.meet(peers.Peers({"worker": addresses}, "worker", 0), 1)
        assert time.monotonic() - began < 5
        assert "worker 1" not in str(caught.value)


def test_a_port_in_use_is_told():
    with socket.socket() as there:
        there.bind(("", 0))
        there.listen()
        address = f"localhost:{there.getsockname()[1]}"
        with pytest.raises(ValueError, match=f"worker 0 .{address}. cannot open its port"):
            peers.meet(peers.Peers({"worker": [address]}, "worker", 0), 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"strategy": "miror"}, "did you mean 'mirrored'"),
        ({"resolver": "k8s"}, "unknown resolver"),
        ({"backup_replicas": -1}, "at least 0"),
        ({"backup_replicas": 1}, "needs several replicas"),
        ({"timeout_seconds": 1}, "at least 5"),
        ({"workers": 4}, "workers is 4, but strategy is 'none'.*strategy=multi_worker, or leave workers out"),
        ({"strategy": "multi_worker", "devices": 3}, "devices is 3, but strategy is 'multi_worker'"),
        ({"strategy": "multi_worker", "resolver": "kubernetes"}, "--config.distribution.workers=N"),
    ],
)
def test_fields_that_do_not_fit_are_told(fields, message):
    config = configs.default()
    config.distribution.update(fields)
    with pytest.raises(ValueError, match=message):
        configs.check(config)


def test_backup_replicas_and_determinism_exclude_each_other():
    with pytest.raises(ValueError, match="cannot be kept with backup replicas"):
        options.check({**options.DEFAULTS, "strategy": "mirrored", "backup_replicas": 1}, deterministic=True)


def test_a_batch_is_what_counts():
    assert options.split(1600, 53, 3) == 32
    with pytest.raises(ValueError, match="--config.train.batch_size=63 or 66"):
        options.split(64, 3, 0)
    with pytest.raises(ValueError, match="at least one must count"):
        options.split(64, 2, 2)


def test_the_fit_of_another_keras_is_told():
    keras_fit.check_version(defenses.Undefended)
    with pytest.warns(UserWarning, match=r"this is 3.99.0. Install 'keras<3\.16'"):
        keras_fit.check_version(defenses.Undefended, version="3.99.0")

    class Renamed(keras.Model):
        def _maybe_symbolic_build(self, batch):
            pass

    with pytest.raises(ValueError, match="_maybe_symbolic_build is not what it was"):
        keras_fit.check_version(Renamed)


KEEPING = """
import importlib.util, resource, sys
import numpy as np

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        # Together more than is kept by itself.
        blocks = [np.ones(20 << 20, np.uint8) for _ in range(4)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

specification = importlib.util.spec_from_file_location("memory", sys.argv[1])
memory = importlib.util.module_from_spec(specification)
specification.loader.exec_module(memory)
if not memory.keep_freed():
    sys.exit("no GNU C library")
faults()
print(faults())
"""


def test_memory_that_a_worker_frees_stays_with_it():
    path = ROOT / "alp_tf" / "distribution" / "memory.py"
    done = subprocess.run([sys.executable, "-c", KEEPING, str(path)], capture_output=True, text=True, check=False)
    if "no GNU C library" in done.stderr:
        pytest.skip("no GNU C library, which alone can be told")
    # Thousands, where the pages come from the system anew.
    assert int(done.stdout) < 20, done.stderr
