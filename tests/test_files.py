"""A write that fails leaves what was there, and nothing else."""

import json

import pytest

from alp_tf import files


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path):
    path = tmp_path / "results.json"
    files.write_json(path, {"a": 1})
    with pytest.raises(RuntimeError, match="killed"), files.replaced(path) as temporary:
        temporary.write_text("half of")
        raise RuntimeError("killed")
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


def test_files_are_readable_by_others(tmp_path):
    files.write_text(tmp_path / "a.md", "x")
    (tmp_path / "b.md").write_text("x")
    assert (tmp_path / "a.md").stat().st_mode == (tmp_path / "b.md").stat().st_mode
