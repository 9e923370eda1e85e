"""The exhibits, and what docs/experiments.md says of them, as the tests go through them."""

import pathlib
import re

import pytest

from alp_tf.reproduction import parts

ROOT = pathlib.Path(__file__).parents[2]
EXHIBITS = [*parts.TABLES.values(), *parts.FIGURES.values()]
EXPERIMENTS = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
ROWS = [row for exhibit in EXHIBITS for row in exhibit.rows]
MODELS = sorted({(row.experiment, tuple(sorted(row.changes.items()))) for row in ROWS}, key=str)
each_exhibit = pytest.mark.parametrize("exhibit", EXHIBITS, ids=lambda exhibit: f"{exhibit.kind} {exhibit.name}")


def order_of(exhibit, budget="laptop", seeds=(0,), copies=1):
    return parts.Order(exhibit=exhibit, budget=budget, seeds=seeds, copies=copies)


def rows_of_the_page():
    """(paper, where, label, file, cells with the published figures) of docs/experiments.md."""
    paper = None
    for line in EXPERIMENTS.splitlines():
        heading = re.match(r"## (Kannan|Shafahi)?", line)
        paper = (heading[1] or "").lower() if heading else paper
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and paper and (file := re.search(r"`(\w+)\.py`", line)):
            yield paper, cells[0], cells[1], file[1], " ".join(cells[3:])
