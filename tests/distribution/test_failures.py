"""Workers that a launcher has started: killed, told to end, stopped, wrongly placed. Almost all take minutes."""

import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from launch import local

ROOT = pathlib.Path(__file__).parents[2]

ARGUMENTS = [
    "--config=experiments/digits_alp.py",
    "--config.deterministic=True",
    "--config.train.steps=60",
    "--config.train.checkpoint_every=5",
    "--config.distribution.timeout_seconds=20",
    "--config.evaluation.examples=20",
    "--config.evaluation.masking_examples=0",
    "--config.evaluation.attacks.pgd.steps=2",
]


# A worker without a launcher, which others do not have to wait for long.
WORKER = ["--config.distribution.strategy=multi_worker", "--config.distribution.timeout_seconds=5"]


def launched(workdir, *more):
    command = [sys.executable, "-m", "launch.local", "--workers=2", "--restarts=8", "--", *ARGUMENTS, *more]
    return subprocess.Popen(
        [*command, f"--workdir={workdir}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def periods(workdir):
    history = workdir / "history.jsonl"
    return [json.loads(line) for line in history.read_text().splitlines()] if history.exists() else []


def workers_of(launcher):
    """Process ids of the launcher's children, oldest first."""
    found = subprocess.run(
        ["ps", "--ppid", str(launcher.pid), "-o", "pid="], capture_output=True, text=True, check=False
    )
    return sorted(int(pid) for pid in found.stdout.split())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The work directory of two workers whom nobody disturbed."""
    workdir = tmp_path_factory.mktemp("runs") / "alone"
    launcher = launched(workdir)
    output, _ = launcher.communicate(timeout=900)
    assert launcher.returncode == 0, output[-3000:]
    return workdir


def check_weights(workdir, expected):
    weights = [keras.models.load_model(path / "model.keras").get_weights() for path in (workdir, expected)]
    for found, wanted in zip(*weights, strict=True):
        np.testing.assert_array_equal(found, wanted)
    measured = [json.loads((path / "results.json").read_text())["evaluations"] for path in (workdir, expected)]
    for found, wanted in zip(*measured, strict=True):
        assert {**found, "seconds": 0} == {**wanted, "seconds": 0}


@pytest.mark.slow
def test_a_run_whose_workers_are_killed_five_times_ends_with_the_weights_of_one_left_alone(undisturbed, tmp_path):
    seed = random.randrange(10**6)
    print(f"victims from seed {seed}")
    moments = random.Random(seed)
    workdir, reached = tmp_path / "killed", 0
    launcher = launched(workdir)
    for _ in range(5):
        target = min(reached + moments.randint(1, 2), 11)
        while launcher.poll() is None and len(periods(workdir)) < target:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 0.5))
        reached = len(periods(workdir))
        victims = workers_of(launcher)
        os.kill(moments.choice(victims), signal.SIGKILL)
        # Until the launcher has begun again.
        while launcher.poll() is None and set(victims) & set(workers_of(launcher)):
            time.sleep(0.1)
    output, _ = launcher.communicate(timeout=900)
    assert launcher.returncode == 0, output[-3000:]
    assert output.count("was ended by SIGKILL") == 5
    assert "restart 5 of 8" in output
    check_weights(workdir, undisturbed)
    for found, wanted in zip(periods(workdir), periods(undisturbed), strict=True):
        assert {**found, "seconds": 0} == {**wanted, "seconds": 0}


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_worker_that_is_told_to_end_costs_no_step(victim, undisturbed, tmp_path):
    workdir = tmp_path / "told"
    launcher = launched(workdir)
    while launcher.poll() is None and len(periods(workdir)) < 3:
        time.sleep(0.02)
    os.kill(workers_of(launcher)[victim], signal.SIGTERM)
    output, _ = launcher.communicate(timeout=900)
    assert launcher.returncode == 0, output[-3000:]
    step = int(re.search(rf"worker {victim} was told to end \(SIGTERM\). Step (\d+) was the last", output)[1])
    assert "[launch] restart 1 of 8" in output
    assert f"at step {step} of 60" in output
    check_weights(workdir, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_worker_that_stops_answering_is_named_in_time_and_the_job_goes_on(victim, tmp_path):
    launcher = launched(tmp_path / "stopped")
    while launcher.poll() is None and len(periods(tmp_path / "stopped")) < 2:
        time.sleep(0.05)
    os.kill(workers_of(launcher)[victim], signal.SIGSTOP)
    output, _ = launcher.communicate(timeout=600)
    assert launcher.returncode == 0, output[-3000:]
    assert f"worker {1 - victim} lost worker {victim}, which ended, stopped or was cut off" in output
    assert "restart 1 of 8" in output


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_worker_that_stops_in_the_evaluation_is_named_in_time_and_the_evaluation_goes_on(victim, tmp_path):
    workdir = tmp_path / "evaluates"
    launcher = launched(
        workdir,
        "--config.train.steps=5",
        "--config.evaluation.examples=360",
        "--config.evaluation.batch_size=4",
        "--config.evaluation.attacks.pgd.steps=100",
        "--config.distribution.timeout_seconds=10",
    )
    while launcher.poll() is None and not list((workdir / "evaluation").glob("pgd*")):
        time.sleep(0.02)
    os.kill(workers_of(launcher)[victim], signal.SIGSTOP)
    stopped = time.monotonic()
    lines = []
    for line in launcher.stdout:
        lines.append(line)
        if "restart 1 of 8" in line:
            assert time.monotonic() - stopped < 2 * 10 + 10
    assert launcher.wait() == 0, "".join(lines)[-3000:]
    assert f"worker {1 - victim} lost worker {victim}, which ended, stopped or was cut off" in "".join(lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "status", "message"),
    [
        ("index", 2, "this is worker 5, but its cluster has 2 of them"),
        ("port", 2, "worker 0 .* cannot open its port"),
        ("absent", 75, "worker 0 .* waited 5 s for worker 1 "),
    ],
)
def test_a_wrong_cluster_ends_the_command_in_time(case, status, message):
    addresses = local.free_addresses(2)
    with socket.socket() as other:
        if case == "port":
            other.bind(("", int(addresses[0].split(":")[1])))
            other.listen()
        done = subprocess.run(
            [sys.executable, "-m", "alp_tf.main", *ARGUMENTS, *WORKER],
            cwd=ROOT,
            env={**os.environ, "TF_CONFIG": local.tf_config(addresses, 5 if case == "index" else 0)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == status, done.stderr[-3000:]
    assert re.search(message, done.stderr)
