"""The launcher on one machine: prefixes, restarts, and no process left behind; its workers here are a few lines."""

import os
import signal
import subprocess
import sys
import time

import pytest

from launch import local

# Worker 1 fails in the first attempt, as one does that was killed; worker 0 then finds that it has lost it.
LOSES = """
import json, os, pathlib, signal, sys, time
worker = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
print("working", worker, len(json.loads(os.environ["TF_CONFIG"])["cluster"]["worker"]), flush=True)
there, lost = (pathlib.Path(sys.argv[1]) / name for name in ("there", "lost"))
if not lost.exists():
    if worker == 1:
        while not there.exists():
            time.sleep(0.01)
        lost.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    there.touch()
    while not lost.exists():
        time.sleep(0.01)
    time.sleep(0.3)
    sys.exit(75)
"""


def test_a_job_that_lost_a_worker_begins_again_and_ends_well(tmp_path, capfd):
    command = [sys.executable, "-c", LOSES, str(tmp_path)]
    assert local.run(command, workers=2, restarts=1) == 0
    output = capfd.readouterr().out.splitlines()
    assert output.count("[0] working 0 2") == output.count("[1] working 1 2") == 2
    assert "[launch] worker 1 was ended by SIGKILL" in output
    assert "[launch] restart 1 of 1, from the last checkpoint" in output


def test_without_restarts_left_the_job_fails(tmp_path, capfd):
    assert local.run([sys.executable, "-c", LOSES, str(tmp_path)], workers=2) == 1
    assert "see --restarts" in capfd.readouterr().out


def test_a_mistake_of_the_users_is_not_tried_again(capfd):
    assert local.run([sys.executable, "-c", "import sys; sys.exit(2)"], workers=2, restarts=3) == 2
    assert "restart 1" not in capfd.readouterr().out


@pytest.mark.parametrize("stopped", [False, True])
def test_ctrl_c_ends_all_workers(stopped, tmp_path):
    child = f"import os, pathlib, time; pathlib.Path({str(tmp_path)!r}, str(os.getpid())).touch(); time.sleep(60)"
    # Whoever runs the tests in the background has this signal ignored.
    parent = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"from launch import local; print(local.run([{sys.executable!r}, '-c', {child!r}], workers=2))"
    )
    launcher = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    until = time.monotonic() + 30
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    workers = [int(path.name) for path in tmp_path.iterdir()]
    assert len(workers) == 2
    if stopped:
        os.kill(workers[0], signal.SIGSTOP)
    launcher.send_signal(signal.SIGINT)
    output, _ = launcher.communicate(timeout=30)
    assert output.splitlines()[-1] == "130"
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


def test_cores_and_commands_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match="nothing to run"):
        local.main(["--workers=2"])
    with pytest.raises(ValueError, match="write the cores of 2 workers"):
        local.main(["--workers=2", "--cores=0", "--", "--config=x.py"])


def test_each_worker_gets_a_port_of_its_own():
    assert len(set(local.free_ports(20))) == 20
