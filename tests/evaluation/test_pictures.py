"""Figures of classes and logits, and the gallery of the most misled images."""

import numpy as np
import pytest

from alp_tf.evaluation import gallery, pictures
from tests.evaluation.figures import assert_picture


@pytest.fixture
def measured():
    """Labels of 40 classes, clean logits that are mostly right, adversarial logits that are mostly wrong."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 40, 200)
    clean, adversarial = rng.normal(size=(2, 200, 40))
    clean[np.arange(200), labels] += 6
    adversarial[np.arange(200), labels] += 1
    return labels, clean, adversarial


def test_classes_and_logits_are_drawn(measured, tmp_path):
    labels, clean, adversarial = measured
    names = [f"class {number}" for number in range(40)]
    pictures.class_bars(tmp_path / "many.png", labels, clean, adversarial, names)
    few = labels < 3
    pictures.class_bars(tmp_path / "few.png", labels[few], clean[few], adversarial[few], list("abc") + names[3:])
    pictures.logit_histograms(tmp_path / "logits.png", labels, clean, adversarial)
    # A model that diverged, or says nothing at all, must not cost the report.
    pictures.logit_histograms(tmp_path / "constant.png", labels, np.zeros_like(clean), np.full_like(clean, np.nan))
    for name in ("many", "few", "logits", "constant"):
        assert_picture(tmp_path / f"{name}.png")


def test_the_gallery_shows_the_largest_margins_of_images_that_were_right():
    labels = np.array([0, 0, 0, 1, 0])
    clean = np.array([[2, 0, 0], [2, 0, 0], [0, 2, 0], [0, 2, 0], [2, 0, 0.0]])
    adversarial = np.array([[0, 1, 0], [0, 5, 0], [0, 9, 0], [0, 1, 0], [0, 0, 3.0]])
    # The third was wrong from the start, the fourth withstood.
    assert list(gallery.worst(labels, clean, adversarial)) == [1, 4, 0]
    assert list(gallery.worst(labels, clean, adversarial, limit=1)) == [1]


@pytest.mark.parametrize("channels", [1, 3])
def test_galleries_are_drawn(channels, measured, tmp_path):
    labels, clean, adversarial = measured
    rng = np.random.default_rng(1)
    images = rng.uniform(size=(200, 8, 8, channels)).astype(np.float32)
    moved = np.clip(images + 8 / 255, 0, 1)
    names = [f"a rather long name of class {number}" for number in range(40)]
    gallery.gallery(tmp_path / "gallery.png", images, moved, labels, clean, adversarial, names)
    gallery.gallery(tmp_path / "none.png", images, images, labels, clean, clean, names)
    assert_picture(tmp_path / "gallery.png")
    assert (tmp_path / "none.png").stat().st_size > 1000
