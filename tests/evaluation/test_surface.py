"""The loss around an image."""

import numpy as np
import pytest

from alp_tf import attacks
from alp_tf.attacks import losses
from alp_tf.evaluation import surface, surface_figure
from alp_tf.threat_model import ThreatModel
from tests.evaluation.figures import assert_picture


@pytest.fixture
def inner_batch(batch):
    """Four images away from the pixels' bounds, and their labels."""
    images, labels = batch
    return (0.3 + 0.4 * images[:4]).astype(np.float32), labels[:4]


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_image_is_in_the_middle_and_the_loss_rises_along_its_gradient(norm, classifier, inner_batch):
    images, labels = inner_batch
    found = surface.loss_surface(classifier, images, labels, ThreatModel(epsilon=0.02, norm=norm), points=5)
    logits = classifier(images)
    clean = losses.CrossEntropy()(logits, labels).numpy()
    chosen, other = losses.split_logits(logits, labels)
    assert found.cross_entropy.shape == found.margin.shape == (4, 5, 5)
    assert found.cross_entropy[:, 2, 2] == pytest.approx(clean, abs=1e-5)
    assert found.margin[:, 2, 2] == pytest.approx((other - chosen).numpy(), abs=1e-5)
    assert (np.diff(found.cross_entropy[:, :, 2], axis=1) > 0).all()
    assert list(found.offsets) == [-1, -0.5, 0, 0.5, 1]
    # No direction of that length raises a loss that is nearly linear by more than its gradient.
    assert (found.cross_entropy[:, 4, 2] > found.cross_entropy[:, 2, 4]).all()
    assert (found.cross_entropy[:, 2, 4] != found.cross_entropy[:, 2, 2]).all()


def test_an_attacks_perturbation_spans_the_plane(classifier, inner_batch):
    images, labels = inner_batch
    pgd = attacks.PGD(epsilon=0.2, step_size=0.05, steps=8)
    found = surface.loss_surface(classifier, images, labels, pgd.threat_model, attack=pgd, points=3, seed=7)
    adversarial = pgd(classifier, images, labels, seed=7)
    expected = losses.CrossEntropy()(classifier(adversarial), labels).numpy()
    assert found.cross_entropy[:, 2, 1] == pytest.approx(expected, abs=1e-4)
    assert found.direction == repr(pgd)


def test_the_seed_fixes_the_random_direction_and_pixels_stay_pixels(batch):
    images, labels = batch

    def model(pixels):
        return 3 * pixels[:, 0, :5, 0]

    ball = ThreatModel(epsilon=0.5)
    found = [surface.loss_surface(model, images[:2], labels[:2], ball, points=3, seed=s) for s in (1, 1, 2)]
    assert (found[0].cross_entropy == found[1].cross_entropy).all()
    assert (found[0].cross_entropy != found[2].cross_entropy).any()
    # The model's logits are three times some pixels: pixels outside [0, 1] would allow for larger losses and margins.
    assert max(each.cross_entropy.max() for each in found) <= np.log(1 + 4 * np.exp(3)) + 1e-5
    assert max(abs(each.margin).max() for each in found) <= 3


def test_surfaces_are_drawn(classifier, batch, tmp_path):
    images, labels = batch
    found = surface.loss_surface(classifier, images[:3], labels[:3], ThreatModel(epsilon=0.3), points=7)
    surface_figure.draw(tmp_path / "three.png", found)
    surface_figure.draw(tmp_path / "one.png", found, value="margin", titles=["a", "b", "c"], limit=1)
    assert_picture(tmp_path / "three.png")
    assert_picture(tmp_path / "one.png")
    with pytest.raises(ValueError, match="one of cross_entropy, margin"):
        surface_figure.draw(tmp_path / "x.png", found, value="loss")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"points": 4}, "odd"),
        ({"threat_model": ThreatModel(epsilon=0.0)}, "threat_model is"),
        ({"attack": attacks.FGSM(epsilon=0.2)}, "same threat model, linf 0.1"),
        ({"images": np.full((21, 6, 6, 1), 2.0, np.float32)}, "pixels must lie in"),
    ],
)
def test_bad_input_is_refused(options, says, classifier, batch):
    given = {"images": batch[0], "labels": batch[1], "threat_model": ThreatModel(epsilon=0.1), **options}
    with pytest.raises(ValueError, match=says):
        surface.loss_surface(classifier, **given)
