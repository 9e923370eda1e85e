"""Imports point one way: down the list of docs/architecture.md."""

import ast
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# The first column of the page's table, top to bottom; rooms of one row may not import each other unless listed so.
ROWS = re.findall(r"^\| (`.+?) \| ", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE)
LEVELS = {name: -row for row, names in enumerate(ROWS) for name in re.findall(r"`(\w+)`", names)}
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
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "alp_tf":
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
