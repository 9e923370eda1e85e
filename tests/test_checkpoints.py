"""A damaged checkpoint is passed over, aloud; a failed write harms no older one."""

import keras
import numpy as np
import pytest

from alp_tf.checkpoints import Checkpoints
from tests.conftest import small_classifier


@pytest.fixture
def kept(tmp_path):
    model = small_classifier()
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep=2, classifier=model, optimizer=optimizer)
    checkpoints.model = model
    return checkpoints


def fill(model, value):
    model.set_weights([np.full_like(weights, value) for weights in model.get_weights()])


def value_of(model):
    return float(model.get_weights()[0].flat[0])


def test_the_newest_is_restored_and_only_so_many_are_kept(kept):
    assert kept.restore() == 0
    for step in (5, 10, 100):
        fill(kept.model, step)
        kept.save(step)
    assert kept.steps() == [10, 100]
    fill(kept.model, -1)
    assert kept.restore() == 100
    assert value_of(kept.model) == 100


@pytest.mark.parametrize("damage", ["truncated data", "flipped bit", "truncated index", "empty index", "missing data"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so(damage, kept, caplog):
    for step in (1, 2):
        fill(kept.model, step)
        kept.save(step)
    data, index = kept.directory / "step-2.data-00000-of-00001", kept.directory / "step-2.index"
    if damage == "truncated data":
        data.write_bytes(data.read_bytes()[:-40])
    elif damage == "flipped bit":
        content = bytearray(data.read_bytes())
        content[len(content) // 2] ^= 1
        data.write_bytes(content)
    elif damage == "truncated index":
        index.write_bytes(index.read_bytes()[:60])
    elif damage == "empty index":
        index.write_bytes(b"")
    else:
        data.unlink()
    fill(kept.model, -1)
    with caplog.at_level("WARNING", logger="alp_tf"):
        assert kept.restore() == 1
    assert value_of(kept.model) == 1
    assert "step 2" in caplog.text
    assert "falling back" in caplog.text


def test_when_all_are_damaged_training_starts_from_its_own_weights(kept):
    fill(kept.model, 1)
    kept.save(1)
    (kept.directory / "step-1.index").write_bytes(b"")
    fill(kept.model, 7)
    assert kept.restore() == 0
    assert value_of(kept.model) == 7


def test_leftovers_of_a_killed_write_are_no_checkpoint(kept):
    fill(kept.model, 1)
    kept.save(1)
    half = kept.directory / "step-9_temp"
    half.mkdir()
    (half / "part-00000-of-00001.data-00000-of-00001").write_bytes(b"half")
    (kept.directory / "step-9.data-00000-of-00001").write_bytes(b"whole, but without its index")
    assert kept.restore() == 1
    kept.save(2)
    kept.save(3)
    assert not half.exists()


def test_a_write_that_fails_says_so_and_keeps_the_older_ones(kept, monkeypatch):
    import tensorflow as tf

    fill(kept.model, 1)
    kept.save(1)

    def full(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(kept._tracked, "write", full)
    with pytest.raises(OSError, match="No space left on device.*unharmed"):
        kept.save(2)
    assert kept.restore() == 1


def test_the_random_state_of_dropout_is_kept(tmp_path):
    model = keras.Sequential([keras.Input((200,)), keras.layers.Dropout(0.5)])
    checkpoints = Checkpoints(tmp_path, classifier=model)
    ones = np.ones((1, 200), np.float32)
    model(ones, training=True)
    checkpoints.save(1)
    expected = [model(ones, training=True).numpy() for _ in range(2)]
    assert np.abs(expected[0] - expected[1]).max() > 0
    assert checkpoints.restore() == 1
    np.testing.assert_array_equal([model(ones, training=True).numpy() for _ in range(2)], expected)
