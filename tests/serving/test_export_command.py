"""`python -m alp_tf.export`, from a finished work directory to a served model, and everything that may be wrong."""

import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from alp_tf import command_line, export
from alp_tf.serving import versions
from tests.serving.conftest import RESULTS


@pytest.fixture
def workdir(tmp_path):
    """A work directory as alp_tf.main leaves it, of an untrained model of the digits."""
    from alp_tf import models

    path = tmp_path / "runs" / "tiny"
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps({"dataset": {"name": "digits", "data_dir": None}}))
    (path / "dataset.json").write_text(json.dumps({"class_names": [*"0123456789"], "central_fraction": 0.875}))
    (path / "results.json").write_text(json.dumps(RESULTS))
    (path / "checkpoints").mkdir()
    models.build("lenet", input_shape=(8, 8, 1), num_classes=10).save(path / "model.keras")
    return path


def test_a_work_directory_is_exported_twice(workdir, tmp_path, capsys):
    output = tmp_path / "models" / "tiny"
    more = tmp_path / "autoattack.json"
    more.write_text(json.dumps({**RESULTS, "protocol": "autoattack", "dataset": "digits"}))
    export.main([f"--workdir={workdir}", f"--output={output}", "--warm_up=2", f"--results={more}"])
    assert f"{output}/1 is ready to be served" in capsys.readouterr().out
    card = (output / "1" / "assets.extra" / "model_card.md").read_text()
    assert "the attacks of the configuration 'tiny'" in card
    assert "central square of 0.875 of the shorter side" in card
    assert "protocol `autoattack` on digits" in card
    answer = tf.saved_model.load(str(output / "1")).signatures["serving_default"](images=tf.zeros([2, 8, 8, 1]))
    np.testing.assert_array_equal(answer["label"], [str(best).encode() for best in answer["class"].numpy()])

    before = {path: path.read_bytes() for path in (output / "1").rglob("*") if path.is_file()}
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join("abcdefghij"))
    arguments = [f"--model={workdir / 'model.keras'}", f"--output={output}", f"--labels={labels}", "--guard"]
    export.main([*arguments, "--warm_up="])
    card = json.loads((output / "2" / "assets.extra" / "model_card.json").read_text())
    assert (card["evaluated"], card["input_guard"], card["class_names"][0]) == (False, True, "a")
    assert {path: path.read_bytes() for path in before} == before


def without(*names):
    return lambda workdir: [(workdir / name).unlink() for name in names]


def nothing(workdir):
    pass


def damaged(name, content=b"half of"):
    return lambda workdir: (workdir / name).write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "arguments", "says"),
    [
        (nothing, ["--output=OUT"], "give one of --workdir=DIR"),
        (nothing, ["--workdir=DIR", "--model=a.keras", "--output=OUT"], "give one of --workdir=DIR"),
        (nothing, ["--workdir=DIR"], "write --output="),
        (nothing, ["--workdir=nowhere", "--output=OUT"], "nowhere does not exist"),
        (without("config.json"), ["--workdir=DIR", "--output=OUT"], "holds no config.json"),
        (without("results.json"), ["--workdir=DIR", "--output=OUT"], "has no results.json: its training or evaluation"),
        (without("results.json", "model.keras"), ["--workdir=DIR", "--output=OUT"], "no model.keras and no results"),
        (damaged("model.keras"), ["--workdir=DIR", "--output=OUT"], "model.keras is damaged"),
        (damaged("results.json", b'{"eval'), ["--workdir=DIR", "--output=OUT"], "results.json is not readable"),
        (damaged("results.json", b"{}"), ["--workdir=DIR", "--output=OUT"], "are not as alp_tf.main"),
        (damaged("dataset.json"), ["--workdir=DIR", "--output=OUT"], "dataset.json is not readable"),
        (nothing, ["--workdir=DIR/model.keras", "--output=OUT"], "is a file; write --model=DIR/model.keras"),
        (nothing, ["--workdir=DIR", "--output=gs://models/tiny"], "is no local directory; export into one, and copy"),
        (nothing, ["--workdir=DIR", "--output=DIR"], "which is no version of a model"),
        (nothing, ["--workdir=DIR", "--output=DIR/model.keras"], "model.keras is a file"),
        (nothing, ["--workdir=DIR", "--output=OUT", "--warm_up=1,x"], "--warm_up has 'x'"),
        (nothing, ["--workdir=DIR", "--output=OUT", "--labels=DIR/config.json"], "1 class names, but .* 10 logits"),
        (nothing, ["--workdir=DIR", "--output=OUT", "--central_fraction=2"], "it must be in"),
        (nothing, ["--model=DIR/nothing.keras", "--output=OUT"], "nothing.keras does not exist"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(spoil, arguments, says, workdir, tmp_path):
    spoil(workdir)
    before = sorted(tmp_path.rglob("*"))
    written = {"DIR": str(workdir), "OUT": str(tmp_path / "models" / "tiny")}
    for name, place in written.items():
        arguments = [argument.replace(name, place) for argument in arguments]
        says = says.replace(f"={name}/", f"={place}/")
    with pytest.raises(ValueError, match=says):
        export.main(arguments)
    assert sorted(tmp_path.rglob("*")) == before


def test_errors_are_one_line_and_the_served_version_is_unharmed(workdir, tmp_path, capsys):
    output = tmp_path / "tiny"
    with versions.new_version(output) as (directory, _):
        (directory / "saved_model.pb").write_text("served")
    arguments = ["alp_tf.export", f"--workdir={workdir}"]
    with pytest.raises(RuntimeError), versions.new_version(output):
        for place, says in [(output, "is in use"), (pathlib.Path("/proc/models/tiny"), "/proc/models")]:
            with pytest.raises(SystemExit) as left:
                command_line.run(export.main, [*arguments, f"--output={place}"])
            assert left.value.code == 2
            (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
            assert says in line
        raise RuntimeError
    assert [item.name for item in output.iterdir()] == ["1"]
    assert (output / "1" / "saved_model.pb").read_text() == "served"
