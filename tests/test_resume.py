"""A run killed, or told to end, at random moments ends with the very weights of a run left alone."""

import json
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

ARGUMENTS = [
    "--config=experiments/digits_alp.py",
    "--config.deterministic=True",
    "--config.train.steps=125",
    "--config.train.checkpoint_every=10",
    "--config.defense.noise=0.05",
    "--config.evaluation.examples=40",
    "--config.evaluation.attacks.pgd.steps=3",
    # Half of a run's time, and tested by themselves.
    "--config.evaluation.masking_examples=0",
]
PERIODS = 13


def start(workdir, arguments=()):
    command = [sys.executable, "-m", "alp_tf.main", *ARGUMENTS, f"--workdir={workdir}", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-3000:]
    return output


def periods_done(workdir):
    history = workdir / "history.jsonl"
    return len(history.read_text().splitlines()) if history.exists() else 0


def rows_of(workdir):
    return [json.loads(line) for line in (workdir / "history.jsonl").read_text().splitlines()]


def told_to_end(process, workdir):
    """Sends SIGTERM; the step that was kept."""
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 143, output[-3000:]
    step = int(re.search(r"told to end \(SIGTERM\). Step (\d+) was the last, and is kept", output)[1])
    assert (workdir / "checkpoints" / f"step-{step}.index").exists()
    assert rows_of(workdir)[-1]["step"] == step
    return step


def weights(workdir):
    return keras.models.load_model(workdir / "model.keras").get_weights()


def without_time(results):
    keys = ("name", "attack", "examples", "clean_accuracy", "robust_accuracy", "ci95", "seed")
    return [{key: item[key] for key in keys} for item in results["evaluations"]]


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory):
    """The work directory of a run that nobody disturbed."""
    workdir = tmp_path_factory.mktemp("runs") / "left_alone"
    finish(start(workdir))
    return workdir


def test_killed_or_told_to_end_at_random_moments_the_run_ends_with_the_same_weights(left_alone, tmp_path):
    expected = left_alone
    seed = random.randrange(10**6)
    print(f"kill moments from seed {seed}")
    moments = random.Random(seed)
    workdir = tmp_path / "killed"
    reached = [0]
    # Three times in training, each a little later in the run, and once about its end, in evaluation or writing.
    for number, more in enumerate([*(moments.randint(1, 4) for _ in range(3)), PERIODS]):
        process = start(workdir)
        target = min(reached[-1] + more, PERIODS)
        while process.poll() is None and periods_done(workdir) < target:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 3 if target == PERIODS else 0.3))
        if number == 1:
            ended_at = told_to_end(process, workdir)
        process.send_signal(signal.SIGKILL)
        process.wait()
        reached.append(periods_done(workdir))
    print(f"periods done at each kill: {reached}")
    output = finish(start(workdir))
    for found, wanted in zip(weights(workdir), weights(expected), strict=True):
        np.testing.assert_array_equal(found, wanted)
    # The period in which it was told to end has two rows.
    rows = [
        [row for row in rows_of(path) if (row["step"] - 1) // 10 != (ended_at - 1) // 10]
        for path in (workdir, expected)
    ]
    for found, wanted in zip(*rows, strict=True):
        assert {**found, "seconds": 0} == {**wanted, "seconds": 0}
    results = [json.loads((path / "results.json").read_text()) for path in (workdir, expected)]
    assert without_time(results[0]) == without_time(results[1])
    assert "| pgd |" in output


def test_a_finished_run_shows_its_results_again_and_trains_nothing(left_alone):
    workdir = left_alone
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    output = finish(start(workdir))
    assert "finished already" in output
    assert "| pgd |" in output
    assert before == {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}


def test_another_configuration_in_the_same_directory_is_refused(left_alone):
    workdir = left_alone
    process = start(workdir, ["--config.defense.weight=0.9"])
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "defense.weight is 0.5 there, 0.9 here" in output
    assert "Traceback" not in output


def test_a_damaged_checkpoint_costs_one_period_and_nothing_else(left_alone, tmp_path):
    expected = left_alone
    workdir = shutil.copytree(expected, tmp_path / "damaged")
    (workdir / "results.json").unlink()
    data = next((workdir / "checkpoints").glob("step-125.data*"))
    data.write_bytes(data.read_bytes()[:-100])
    output = finish(start(workdir))
    assert "step 125" in output
    assert "falling back" in output
    for found, wanted in zip(weights(workdir), weights(expected), strict=True):
        np.testing.assert_array_equal(found, wanted)
