"""What the README and its neighbours promise: code that runs, numbers of committed results, versions that agree."""

import json
import pathlib
import re

import keras
import numpy as np
import pytest
import yaml

import alp_tf
from alp_tf import attacks, defenses
from alp_tf.evaluation import wilson_interval

ROOT = pathlib.Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
RESULTS = ROOT / "experiments" / "results"


def percent(share):
    return f"{100 * share:.2f} %"


def interval(share, count):
    return " to ".join(map(percent, wilson_interval(round(share * count), count)))


def row_of(label, page=README):
    (row,) = (line for line in page.splitlines() if line.startswith(f"| {label} |"))
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
    assert [finding["status"] for finding in measured["masking"]] == ["pass"] * 9


MNIST = {"M-PGD": ("table1", "M-PGD"), "ALP": ("table1", "ALP"), "logit squeezing": ("table7", "Logit squeezing")}


@pytest.mark.parametrize("label", MNIST)
def test_the_mnist_table_is_the_measured_one(label):
    exhibit, name = MNIST[label]
    row = json.loads((RESULTS / "kannan" / f"{exhibit}.json").read_text())["rows"][name]
    white, stood = row["columns"]["White Box"], row["protocols"].get("autoattack")
    assert (white["examples"], white["attacks"]) == (10_000, ["PGD-40"])
    cells = row_of(f"{label}, MNIST")
    assert cells[2:4] == [percent(white["mean"]), " to ".join(map(percent, white["ci95"]))]
    if stood:
        low, high = stood["ci95"]
        assert cells[4] == f"{100 * stood['robust_accuracy']:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
        assert f"AutoAttack on the first {stood['examples']:,}" in README.replace("\n", " ")
    else:
        assert cells[4] == "not yet"
    assert cells[6] == percent(row["columns"]["Clean"]["mean"])


def test_speed_and_agreement_are_those_of_the_benchmarks():
    found = {path.stem: json.loads(path.read_text()) for path in (RESULTS / "benchmarks").glob("*.json")}
    compared = [rows["rows"] for name, rows in found.items() if name.startswith(("agreement", "autoattack"))]
    differences = [row["difference_points"] for rows in compared for row in rows]
    ratios = [row["ratio"] for row in found["attacks"]["rows"] if row["side"] not in ("alp_tf", "bare PyTorch")]
    text = README.replace("\n", " ")
    assert f"at most {max(differences):.1f} points above theirs, and {-min(differences):.1f} below" in text
    assert f"PGD takes them {min(ratios):.1f} to {max(ratios):.1f} times as long" in text


def test_the_comparison_is_that_of_its_page_and_counts_are_those_of_the_code():
    page = (ROOT / "docs" / "comparison.md").read_text(encoding="utf-8")
    table = README.partition("## Beside other packages")[2].partition("\n## ")[0]
    labels = re.findall(r"^\| ([A-Z][^|]+?) \|", table, re.MULTILINE)
    assert len(labels) >= 8
    for label in labels:
        assert row_of(label) == row_of(label, page)
    assert f"| alp_tf {alp_tf.__version__} |" in table
    assert row_of("Attacks at test time")[1] == f"{len(attacks.NAMED)}"
    # One of the names is no defence: `undefended`.
    assert row_of("Training")[1].startswith(f"{len(defenses.NAMED) - 1} defences")
    text = README.replace("\n", " ")
    assert f"[{len(defenses.NAMED) - 1} defences](docs/defenses.md)" in text
    assert f"[{len(attacks.NAMED)} attacks](docs/attacks.md)" in text


def test_the_citation_has_what_the_format_requires():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert (citation["cff-version"], citation["version"]) == ("1.2.0", alp_tf.__version__)
    for work in (citation, *citation["references"]):
        assert work["title"]
        assert all(
            {"name"} == set(author) or {"family-names", "given-names"} == set(author) for author in work["authors"]
        )
    named = [reference["title"] for reference in citation["references"]]
    assert all(title in README.replace("\n> ", " ") for title in named)


def test_the_changelog_has_this_version():
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:2] == ["Unreleased", alp_tf.__version__]


def test_the_two_commands_are_the_ones_that_install():
    assert '\npip install -e ".[test]" && python -m pytest\n' in README
    assert "\npip install -e . && python -m alp_tf.reproduce --table=digits\n" in README
