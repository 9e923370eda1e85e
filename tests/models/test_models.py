"""The networks are those of the papers, parameter by parameter."""

import ast
import inspect
import pathlib
import re

import keras
import numpy as np
import pytest

from alp_tf import models

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "models.md"


def test_lenet_is_madrys():
    model = models.build("lenet", input_shape=(28, 28, 1), num_classes=10)
    assert model.count_params() == 3_274_634
    shapes = [tuple(weight.shape) for weight in model.weights]
    assert shapes == [(5, 5, 1, 32), (32,), (5, 5, 32, 64), (64,), (3136, 1024), (1024,), (1024, 10), (10,)]
    kernels, biases = model.get_weights()[::2], model.get_weights()[1::2]
    for kernel in kernels:
        # A normal of deviation 0.1, cut off at two deviations, which leaves 0.88 of it.
        assert np.abs(kernel).max() <= 0.2
        assert kernel.std() == pytest.approx(0.088, rel=0.1)
    for bias in biases:
        np.testing.assert_array_equal(bias, np.float32(0.1))


def test_lenet_can_start_from_glorots_weights():
    model = models.build("lenet", input_shape=(28, 28, 1), num_classes=10, initializer="glorot")
    assert model.count_params() == 3_274_634
    for bias in model.get_weights()[1::2]:
        assert not bias.any()


def test_lenet_drops_hidden_units_while_it_trains_and_never_afterwards():
    model = models.build("lenet", input_shape=(28, 28, 1), num_classes=10, dropout=0.25)
    plain = models.build("lenet", input_shape=(28, 28, 1), num_classes=10)
    plain.set_weights(model.get_weights())
    images = np.random.default_rng(0).uniform(size=(20, 28, 28, 1)).astype(np.float32)
    np.testing.assert_array_equal(model(images), plain(images))
    dropped = next(layer for layer in model.layers if isinstance(layer, keras.layers.Dropout))
    kept = dropped(np.ones((20, 1024), np.float32), training=True).numpy()
    assert (kept == 0).mean() == pytest.approx(0.25, abs=0.02)
    assert model.layers.index(dropped) == len(model.layers) - 2
    assert not np.array_equal(model(images, training=True), plain(images))
    assert np.array_equal(plain(images, training=True), plain(images))


@pytest.mark.parametrize("initializer", ["madry", "glorot"])
def test_lenets_decay_is_half_the_squares_of_all_kernels(initializer):
    build = {"input_shape": (8, 8, 1), "num_classes": 4, "initializer": initializer}
    model = models.build("lenet", weight_decay=0.01, **build)
    kernels = [weight.numpy().astype(np.float64) for weight in model.trainable_weights if weight.name == "kernel"]
    assert len(kernels) == 4
    np.testing.assert_allclose(sum(model.losses), 0.01 * sum(np.square(kernel).sum() / 2 for kernel in kernels), 1e-5)
    assert models.build("lenet", **build).losses == []


@pytest.mark.parametrize(("name", "shape", "classes"), [("lenet", (32, 32, 3), 7), ("digits_cnn", (8, 8, 1), 10)])
def test_models_return_logits_and_load_without_this_package(name, shape, classes, tmp_path):
    model = models.build(name, input_shape=shape, num_classes=classes)
    images = np.random.default_rng(0).uniform(size=(3, *shape)).astype(np.float32)
    logits = model(images)
    assert logits.shape == (3, classes)
    assert np.abs(np.sum(logits, 1) - 1).min() > 1e-3
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "model.keras")(images), logits, atol=1e-5)


def test_unknown_names_and_options_are_refused():
    with pytest.raises(ValueError, match="did you mean 'lenet'"):
        models.build("lennet", input_shape=(28, 28, 1), num_classes=10)
    with pytest.raises(ValueError, match="madry, glorot"):
        models.build("lenet", input_shape=(28, 28, 1), num_classes=10, initializer="zeros")
    with pytest.raises(ValueError, match=r"dropout is 1; it must lie in \[0, 1\)"):
        models.build("lenet", input_shape=(28, 28, 1), num_classes=10, dropout=1)
    with pytest.raises(ValueError, match="weight_decay is -0.1; it must be a number of at least 0"):
        models.build("lenet", input_shape=(28, 28, 1), num_classes=10, weight_decay=-0.1)


def test_the_page_lists_every_model_with_its_options():
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| name |")) + 2
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:] if line.startswith("|")]
    assert [cells[0].strip("`") for cells in rows] == list(models.NAMED)
    for name, _, options, *_ in rows:
        parameters = inspect.signature(models.NAMED[name.strip("`")]).parameters
        defaults = {key: item.default for key, item in parameters.items() if key not in ("input_shape", "num_classes")}
        written = (option.split("=") for option in re.findall(r"`([^`]+)`", options))
        assert {key: ast.literal_eval(value) for key, value in written} == defaults
