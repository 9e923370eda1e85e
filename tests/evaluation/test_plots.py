"""Figures are written, whole, and at the size that was asked for."""

import keras
import matplotlib.image
import numpy as np
import pytest

from alp_tf.evaluation import plots


def test_every_figure_is_a_readable_picture(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        {"step": s, "seconds": s, "loss": 1 / s, "cross_entropy": 1 / s, "clean_accuracy": 0.5} for s in range(1, 5)
    ]
    plots.training_curves(tmp_path / "new" / "curves.png", rows)
    plots.training_curves(tmp_path / "new" / "one.png", rows[:1])
    images = rng.uniform(size=(3, 8, 8, 3))
    classes = np.arange(3)
    plots.adversarial_strip(tmp_path / "strip.png", images, images, classes, classes, classes, list("abc"), 8 / 255)
    plots.adversarial_strip(
        tmp_path / "grey.png", images[..., :1], images[..., :1], classes, classes, classes, "abc", 0.3
    )
    plots.accuracy_bars(tmp_path / "bars.png", [("ALP", 0.98, 0.6), ("none", 0.99, 0.0)], "PGD-100")
    for name in ("new/curves.png", "new/one.png", "strip.png", "grey.png", "bars.png"):
        picture = matplotlib.image.imread(tmp_path / name)
        assert min(picture.shape[:2]) > 150
        assert picture[..., :3].std() > 0.02
    assert {path.name for path in tmp_path.iterdir()} == {"new", "strip.png", "grey.png", "bars.png"}


def test_training_curves_take_what_fit_returned(tmp_path, monkeypatch):
    fitted = keras.callbacks.History()
    fitted.params, fitted.epoch = {"steps": 22}, [0, 1, 2]
    kept = {"loss": [3.0, 2.0, 1.0], "clean_accuracy": [0.5, 0.7, 0.9]}
    fitted.history = {**kept, "val_loss": [3.0, 3.0, 3.0], "learning_rate": [1e-3, 1e-3, 1e-4]}
    drawn = []
    monkeypatch.setattr(plots, "save", lambda canvas, path: drawn.append(canvas))
    plots.training_curves(tmp_path / "curves.png", fitted)
    left, right = drawn[0].axes
    assert {line.get_label(): list(line.get_ydata()) for line in right.lines} == {"loss": kept["loss"]}
    (accuracy,) = left.lines
    np.testing.assert_allclose(accuracy.get_xdata(), [22, 44, 66])
    np.testing.assert_allclose(accuracy.get_ydata(), [50, 70, 90])
    fitted.params = {"steps": None}
    with pytest.raises(ValueError, match="give it steps_per_epoch"):
        plots.training_curves(tmp_path / "curves.png", fitted)
