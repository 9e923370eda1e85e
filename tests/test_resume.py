"""A run killed, or told to end, at random moments ends with the very weights of a run left alone."""

import json
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from alp_tf import command_line, main

ROOT = pathlib.Path(__file__).parents[1]

ARGUMENTS = [
    "--config=experiments/digits_alp.py",
    "--config.deterministic=True",
    "--config.train.steps=185",
    "--config.train.checkpoint_every=10",
    "--config.train.batch_size=16",
    "--config.defense.noise=0.05",
    "--config.defense.attack.steps=3",
    "--config.evaluation.examples=40",
    "--config.evaluation.attacks.pgd.steps=3",
    # Half of a run's time, and tested by themselves.
    "--config.evaluation.masking_examples=0",
]


def start(workdir, arguments=()):
    command = [sys.executable, "-m", "alp_tf.main", *ARGUMENTS, f"--workdir={workdir}", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output[-3000:]
    return output


def send_once(done, process, longest_wait, number=signal.SIGKILL):
    """Sends it a signal some moments after that is done; its output."""
    while process.poll() is None and not done():
        time.sleep(0.005)
    time.sleep(random.uniform(0, longest_wait))
    process.send_signal(number)
    return process.communicate(timeout=120)[0]


def periods_done(workdir):
    history = workdir / "history.jsonl"
    return len(history.read_text().splitlines()) if history.exists() else 0


def rows_of(workdir):
    return [json.loads(line) for line in (workdir / "history.jsonl").read_text().splitlines()]


def weights(workdir):
    return keras.models.load_model(workdir / "model.keras").get_weights()


def without_time(results):
    keys = ("name", "attack", "examples", "clean_accuracy", "robust_accuracy", "ci95", "seed")
    return [{key: item[key] for key in keys} for item in results["evaluations"]]


def damage_the_newest_checkpoint(workdir):
    """Its number of steps."""
    newest = max(int(path.stem.split("-")[1]) for path in (workdir / "checkpoints").glob("step-*.index"))
    data = next((workdir / "checkpoints").glob(f"step-{newest}.data*"))
    data.write_bytes(data.read_bytes()[:-100])
    return newest


def test_killed_or_told_to_end_at_random_moments_the_run_ends_with_the_same_weights(tmp_path):
    expected, workdir = tmp_path / "left_alone", tmp_path / "killed"
    # Beside each other: a start takes longer than its share of the training.
    left_alone = start(expected)
    seed = random.randrange(10**6)
    print(f"kill moments from seed {seed}")
    random.seed(seed)
    # Told to end in training.
    wanted = random.randint(1, 4)
    process = start(workdir)
    output = send_once(lambda: periods_done(workdir) >= wanted, process, 0.1, signal.SIGTERM)
    assert process.returncode == 143, output[-3000:]
    ended_at = int(re.search(r"told to end \(SIGTERM\). Step (\d+) was the last, and is kept", output)[1])
    assert (workdir / "checkpoints" / f"step-{ended_at}.index").exists()
    assert rows_of(workdir)[-1]["step"] == ended_at
    # Killed in training, with two checkpoints at least.
    reached = [periods_done(workdir)]
    wanted = reached[0] + random.randint(2, 4)
    send_once(lambda: periods_done(workdir) >= wanted, start(workdir), 0.1)
    reached.append(periods_done(workdir))
    damaged = damage_the_newest_checkpoint(workdir)
    # It costs a period and nothing else. This kill is in the evaluation, or while figures and reports are written.
    model, started = workdir / "model.keras", time.time()
    output = send_once(lambda: model.exists() and model.stat().st_mtime > started, start(workdir), 3)
    assert f"step {damaged}" in output
    assert "falling back" in output
    print(f"told to end at step {ended_at}; periods done then and when killed: {reached}")
    output = finish(start(workdir))
    finish(left_alone)
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


def test_a_finished_run_shows_its_results_again_and_is_of_no_other_configuration(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    arguments = ["--config=experiments/digits_undefended.py", "--config.train.steps=2", *ARGUMENTS[-3:]]

    def run(*more):
        command_line.run(main.main, ["alp_tf.main", *arguments, *more, f"--workdir={tmp_path / 'run'}"])
        return capsys.readouterr()

    first = run()
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = run()
    assert "| pgd |" in first.out
    assert again.out == first.out
    assert "finished already" in again.err
    with pytest.raises(SystemExit) as ended:
        run("--config.train.steps=3")
    assert ended.value.code == 2
    assert "train.steps is 2 there, 3 here" in capsys.readouterr().err
    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
