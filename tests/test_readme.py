"""What the README promises: its code runs, and its numbers are those of the committed results."""

import json
import pathlib
import re

import keras
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "experiments" / "results"


def percent(share):
    return f"{100 * share:.2f} %"


def row_of(label):
    (row,) = (line for line in README.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_the_three_lines_run(monkeypatch, capsys):
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (256, 28, 28), np.uint8), rng.integers(0, 10, 256)
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: (data, data))
    code = re.search(r"```python\n(.+?)```", README, re.DOTALL)[1].replace("examples=1000", "examples=50")
    exec(compile(code, "README.md", "exec"), {})
    assert "| PGD-40 | linf 0.1 | 50 |" in capsys.readouterr().out


@pytest.mark.parametrize("label", ["undefended", "logit squeezing", "M-PGD", "ALP"])
def test_the_digits_table_is_the_measured_one(label):
    measured = json.loads((RESULTS / "digits" / "table.json").read_text())["rows"][label]
    cells = row_of(label)
    assert cells[1:3] == [percent(measured["clean_accuracy"]), percent(measured["robust_accuracy"])]
    assert measured["examples"] == 360


@pytest.mark.parametrize(("name", "label"), [("mnist_mpgd", "M-PGD, MNIST"), ("mnist_alp", "ALP, MNIST")])
def test_the_mnist_table_is_the_measured_one(name, label):
    results = json.loads((RESULTS / name / "results.json").read_text())
    (measured,) = results["evaluations"]
    assert measured["examples"] == 10_000
    assert "steps=40" in measured["attack"]
    cells = row_of(label)
    assert percent(measured["robust_accuracy"]) in cells
    assert percent(measured["clean_accuracy"]) in cells


def test_every_picture_and_file_that_is_named_is_there():
    for path in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (ROOT / path).exists(), path


def test_the_two_commands_are_the_ones_that_install():
    assert '\npip install -e ".[test]" && python -m pytest\n' in README
    assert "\npip install -e . && python -m alp_tf.reproduce --table=digits\n" in README
