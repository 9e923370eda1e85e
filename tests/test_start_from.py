"""`train.start_from`: a run that begins with another's weights, and a run that cannot."""

import keras
import numpy as np
import pytest

from alp_tf import configs, experiment


def configured(steps, start_from=None, precision="float32"):
    config = configs.default()
    config.deterministic = True
    config.train.update(
        steps=steps, checkpoint_every=2, batch_size=32, precision=precision, start_from=start_from and str(start_from)
    )
    return config


def weights(path):
    return keras.models.load_model(path / "model.keras", compile=False).get_weights()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("trained")
    experiment.train(configured(4), path, name="run")
    return path


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_run_begins_with_the_weights_of_a_work_directory(trained, tmp_path, precision):
    experiment.train(configured(0, trained, precision), tmp_path / "none", name="run")
    for value, expected in zip(weights(tmp_path / "none"), weights(trained), strict=True):
        np.testing.assert_array_equal(value, expected)
    experiment.train(configured(1, trained, precision), tmp_path / "one", name="run")
    moved = [np.abs(a - b).max() for a, b in zip(weights(tmp_path / "one"), weights(trained), strict=True)]
    # Adam's first step is as long as the learning rate, wherever there is a gradient.
    assert 0.9e-3 < max(moved) < 1.1e-3


def test_resumed_it_goes_on_from_its_own_weights(trained, tmp_path, interrupted):
    experiment.train(configured(4, trained), tmp_path / "whole", name="run")
    with interrupted():
        experiment.train(configured(4, trained), tmp_path / "resumed", name="run")
    experiment.train(configured(4, trained), tmp_path / "resumed", name="run")
    for value, expected in zip(weights(tmp_path / "resumed"), weights(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(value, expected)


def test_a_run_that_cannot_start_leaves_its_directory_free(trained, tmp_path):
    config = configured(1, tmp_path / "nothing.keras")
    with pytest.raises(
        ValueError,
        match="nothing.keras does not exist. Write a work directory of alp_tf.main, a .keras file, or module",
    ):
        experiment.train(config, tmp_path / "run", name="run")
    config = configured(1, trained)
    config.model.name = "lenet"
    with pytest.raises(ValueError, match="is of another architecture"):
        experiment.train(config, tmp_path / "run", name="run")
    experiment.train(configured(1, trained), tmp_path / "run", name="run")
