"""Stubs in place of what takes hours, and of the committed results."""

import pytest

from alp_tf.reproduction import page
from tests.reproduction.stub import Stub


@pytest.fixture
def stub(monkeypatch):
    return Stub(monkeypatch)


@pytest.fixture
def committed(monkeypatch, tmp_path):
    """A directory in place of experiments/results."""
    path = tmp_path / "results"
    path.mkdir()
    monkeypatch.setattr(page, "results_directory", lambda: path)
    return path
