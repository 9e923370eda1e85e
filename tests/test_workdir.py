"""A work directory belongs to one configuration, and to one process at a time."""

import errno
import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from alp_tf import configs, experiment, lock
from alp_tf.workdir import WorkDir


def test_a_directory_older_than_a_field_was_run_with_its_default(tmp_path):
    config = configs.default()
    config.defense.update(name="logit_squeezing", weight=0.25)
    WorkDir(tmp_path).claim(config)
    kept = json.loads((tmp_path / "config.json").read_text())
    del kept["dataset"]["augmentation"], kept["optimizer"]["warmup_steps"], kept["distribution"]
    (tmp_path / "config.json").write_text(json.dumps(kept))

    workdir = WorkDir(tmp_path, default=configs.default())
    workdir.claim(config)
    config.dataset.data_dir = "elsewhere"
    config.distribution.update(resolver="slurm", workers=3, timeout_seconds=600)
    workdir.claim(config)
    config.optimizer.warmup_steps = 5
    with pytest.raises(ValueError, match=r"another configuration: optimizer.warmup_steps is 0 there, 5 here\. Give"):
        workdir.claim(config)


def small():
    config = configs.default()
    config.train.update(steps=2, checkpoint_every=1, batch_size=8)
    config.evaluation.update(examples=10, masking_examples=0)
    config.evaluation.attacks.pgd.steps = 1
    return config


def contents(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_second_run_in_a_directory_is_told_of_the_first_and_loses_nothing(tmp_path):
    with WorkDir(tmp_path) as first:
        first.claim(small())
        first.claim(small())
        before = contents(tmp_path)
        named = (
            rf"{re.escape(str(tmp_path))} is in use by process {os.getpid()} on {socket.gethostname()}, since 2.*--wor"
        )
        for run in (experiment.run, experiment.train):
            with pytest.raises(ValueError, match=named):
                run(small(), tmp_path, name="second")
        assert contents(tmp_path) == before
    # Neither does a run that failed keep the directory.
    assert experiment.train(small(), tmp_path, name="second") > 0


HOLDS = """
import sys, time
from alp_tf.lock import Lock
lock = Lock(sys.argv[1])
lock.acquire()
print("held", flush=True)
time.sleep(600)
"""


def test_a_process_that_is_killed_lets_go_of_its_directory(tmp_path):
    WorkDir(tmp_path).claim(small())
    command = [sys.executable, "-c", HOLDS, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=f"in use by process {process.pid} on"):
            WorkDir(tmp_path).claim(small())
        process.send_signal(signal.SIGKILL)
    with WorkDir(tmp_path) as now_free:
        now_free.claim(small())


def test_where_a_file_system_has_no_locks_that_is_said_and_the_run_goes_on(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    said = []
    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    monkeypatch.setattr(logging.getLogger("alp_tf"), "warning", lambda text, *parts: said.append(text % parts))
    WorkDir(tmp_path).claim(small())
    assert "this file system has no locks (No locks available)" in said[0]
