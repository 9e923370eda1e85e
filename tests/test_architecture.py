"""Imports point one way: down the list, and down the drawing, of docs/architecture.md."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
# The first column of the page's table, top to bottom; rooms of one row may not import each other unless listed so.
ROWS = re.findall(r"^\| (`.+?) \| ", PAGE, re.MULTILINE)
LEVELS = {name: -row for row, names in enumerate(ROWS) for name in re.findall(r"`(\w+)`", names)}
# The boxes of the page's drawing, top to bottom.
BOXES = [
    re.findall(r"^  \| (.+?) +\|", box, re.MULTILINE)
    for box in re.split(
        r"^  \+-.*$", re.search(r"^```text\n(.+?)^```", PAGE, re.MULTILINE | re.DOTALL)[1], flags=re.MULTILINE
    )
]
LAYERS = [" ".join(lines).split() for lines in BOXES if lines]
ALLOWED_BESIDE = {
    ("tables", "experiment"),
    ("recipes", "configs"),
    ("datasets", "models"),
    ("objectives", "threat_model"),
}
FILES = sorted(
    path for path in (ROOT / "alp_tf").rglob("*.py") if path.name != "__init__.py" or path.parent.name != "alp_tf"
)


def rooms_imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        assert not (isinstance(node, ast.ImportFrom) and node.level), f"write `from alp_tf import`: {path}"
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "alp_tf":
            parts = node.module.split(".")
            yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("alp_tf."))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    room = path.relative_to(ROOT / "alp_tf").parts[0].removesuffix(".py")
    assert room in LEVELS, f"docs/architecture.md does not list {room}"
    for other in rooms_imported(path):
        if other == room:
            continue
        beside = (room, other) in ALLOWED_BESIDE
        assert LEVELS[other] < LEVELS[room] or (beside and LEVELS[other] == LEVELS[room]), f"{room} imports {other}"


def test_every_room_of_the_page_exists():
    for room in LEVELS:
        assert (ROOT / "alp_tf" / f"{room}.py").exists() or (ROOT / "alp_tf" / room / "__init__.py").exists(), room


def test_every_room_there_is_stands_in_the_table():
    there = {
        path.stem for path in (ROOT / "alp_tf").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert there - {"__init__"} == set(LEVELS)


def test_the_drawing_has_the_rooms_of_the_table_in_the_same_order():
    drawn = [room for layer in LAYERS for room in layer]
    assert sorted(drawn) == sorted(LEVELS), "a room is missing in the drawing of docs/architecture.md, or too many"
    for upper, lower in zip(LAYERS, LAYERS[1:], strict=False):
        assert min(LEVELS[room] for room in upper) > max(LEVELS[room] for room in lower), (
            f"{upper} stands above {lower}"
        )
