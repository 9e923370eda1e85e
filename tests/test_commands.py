"""What a user types: help, one clear line for every mistake, and a workdir that no mistake harms."""

import json
import os
import pathlib
import platform
import subprocess
import sys

import pytest

from alp_tf import command_line, main, reproduce

ROOT = pathlib.Path(__file__).parents[1]
SHORT = [
    "--config.train.steps=4",
    "--config.train.checkpoint_every=2",
    "--config.evaluation.examples=10",
    "--config.evaluation.masking_examples=0",
]


def run(*arguments, cwd=ROOT, **environment):
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(("command", "flag"), [("main", "--workdir"), ("reproduce", "--table")])
def test_help_shows_commands_and_flags(command, flag):
    result = run(f"alp_tf.{command}", "--help")
    assert result.returncode == 0
    assert f"python -m alp_tf.{command} --" in result.stdout
    assert flag in result.stdout


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="elsewhere TensorFlow's choice stays")
@pytest.mark.parametrize(("asked", "on"), [({}, True), ({"TF_ENABLE_ONEDNN_OPTS": "0"}, False)])
def test_commands_compute_with_onednn_unless_the_user_says_otherwise(asked, on, monkeypatch):
    # Which commands that ran in this process before have set.
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    source = (
        "from alp_tf import command_line; command_line.load_tensorflow(); "
        "from tensorflow.python.util import _pywrap_util_port; print(_pywrap_util_port.IsMklEnabled())"
    )
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, **asked},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(on)]


MISTAKES = {
    "no config": ([], "--config=experiments/NAME.py"),
    "unknown file": (["--config=experiments/digits_apl.py"], "did you mean 'experiments/digits_alp.py'"),
    "unknown budget": (
        ["--config=experiments/cifar10_alp.py:labtop"],
        "error: experiments/cifar10_alp.py: unknown budget 'labtop'; did you mean 'laptop'? Known: laptop, paper",
    ),
    "a budget where there is one": (
        ["--config=experiments/digits_alp.py:paper"],
        "digits_alp.py: TypeError: get_config",
    ),
    "unknown flag": (["--config=experiments/digits_alp.py", "--workdri=x"], "workdir"),
    "stray argument": (["--config=experiments/digits_alp.py", "x"], "unexpected argument 'x'"),
    "unknown group": (["--config=experiments/digits_alp.py", "--config.trian.steps=5"], "did you mean 'train'"),
    "unknown field": (["--config=experiments/digits_alp.py", "--config.train.step=5"], "did you mean 'steps'"),
    "group for a field": (["--config=experiments/digits_alp.py", "--config.train=5"], "is a group of fields"),
    "field of a value": (["--config=experiments/digits_alp.py", "--config.seed.x=5"], "is a value"),
    "wrong type": (["--config=experiments/digits_alp.py", "--config.train.steps=many"], "many"),
    "unknown model": (["--config=experiments/digits_alp.py", "--config.model.name=lenett"], "did you mean 'lenet'"),
    "unknown defence": (["--config=experiments/digits_alp.py", "--config.defense.name=alp"], "Known: adversarial"),
    "unknown attack": (["--config=experiments/digits_alp.py", "--config.defense.attack.name=pdg"], "mean 'pgd'"),
    "unknown data": (["--config=experiments/digits_alp.py", "--config.dataset.name=minst"], "did you mean 'mnist'"),
    "epsilon of 8": (["--config=experiments/digits_alp.py", "--config.defense.attack.epsilon=8"], "write 8/255"),
    "no such data directory": (
        ["--config=experiments/mnist_alp.py", "--config.dataset.data_dir=nowhere"],
        "--config.dataset.data_dir=DIR",
    ),
    "nothing to start from": (
        ["--config=experiments/digits_alp.py", "--config.train.start_from=nowhere"],
        "error: nowhere does not exist. Write a work directory",
    ),
    "unused field": (["--config=experiments/digits_undefended.py", "--config.defense.weight=1"], "has no weight"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_get_one_line_and_status_2(mistake, tmp_path, monkeypatch, capsys):
    arguments, says = MISTAKES[mistake]
    arguments = [*arguments, f"--workdir={tmp_path / 'run'}"]
    if mistake in ("no config", "unknown model"):
        # As from a shell, where libraries chatter as well: once before TensorFlow is loaded, and once after.
        result = run("alp_tf.main", *arguments)
        status, printed = result.returncode, result.stderr
    else:
        monkeypatch.chdir(ROOT)
        with pytest.raises(SystemExit) as ended:
            command_line.run(main.main, ["alp_tf.main", *arguments])
        status, printed = ended.value.code, capsys.readouterr().err
    assert status == 2, printed
    assert says in printed
    assert "Traceback" not in printed
    assert len(printed.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_reproduce_names_its_tables(capsys):
    for arguments, says in (([], "--table=digits"), (["--table=digit"], "did you mean 'digits'")):
        with pytest.raises(SystemExit) as ended:
            command_line.run(reproduce.main, ["alp_tf.reproduce", *arguments])
        assert ended.value.code == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert says in line


def test_where_there_are_no_experiments_the_error_says_where_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "script.py").write_text("print('not an experiment')")
    for path in ("experiments/mnist_alp.py", "digits_alp.py"):
        with pytest.raises(ValueError, match="cd into a clone of alp_tf"):
            command_line.read_config([f"--config={path}"])
    (tmp_path / "mine.py").write_text("def get_config():\n    return None\n")
    with pytest.raises(ValueError, match=r"Known: mine\.py$"):
        command_line.read_config(["--config=min.py"])


def test_fractions_are_numbers_and_the_default_workdir_is_named_after_the_experiment(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    config = ROOT / "experiments" / "digits_alp.py"
    # The other spelling of the first.
    fractions = ["--config.defense.attack.epsilon", "51/255", "--config.defense.attack.step_size=5.1/255"]
    main.main([f"--config={config}", *fractions, *SHORT])
    written = json.loads((tmp_path / "runs" / "digits_alp" / "config.json").read_text())
    assert written["defense"]["attack"]["epsilon"] == 0.2
    assert written["defense"]["attack"]["step_size"] == pytest.approx(0.02)
    # What an export must know.
    described = json.loads((tmp_path / "runs" / "digits_alp" / "dataset.json").read_text())
    assert described == {"class_names": [*"0123456789"], "central_fraction": 1.0}
    assert "| pgd | linf 0.2 | 10 |" in capsys.readouterr().out


def test_a_workdir_that_cannot_be_written_gets_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(ROOT)
    arguments = ["--config=experiments/digits_alp.py", *SHORT, f"--workdir={tmp_path / 'file' / 'run'}"]
    with pytest.raises(SystemExit) as ended:
        command_line.run(main.main, ["alp_tf.main", *arguments])
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "Not a directory" in line


def test_a_full_disk_gets_one_line_and_room_again_finishes_the_run(tmp_path):
    """A file system of half a megabyte stands in for the disk; mounting it needs root."""
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", small], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small file system is not permitted here")
    command = ["alp_tf.main", "--config=experiments/digits_undefended.py", *SHORT, f"--workdir={small / 'run'}"]
    try:
        result = run(*command)
        assert result.returncode == 2, result.stderr
        assert "No space left" in result.stderr
        assert "Traceback" not in result.stderr
        subprocess.run(["mount", "-o", "remount,size=50m", small], check=True)
        result = run(*command)
        assert result.returncode == 0, result.stderr
        assert (small / "run" / "results.json").exists()
    finally:
        subprocess.run(["umount", small], check=True)
