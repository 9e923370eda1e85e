"""Accuracy against the adversary's budget."""

import json

import numpy as np
import pytest
import tensorflow as tf

from alp_tf import attacks, datasets
from alp_tf.evaluation import curves, curves_figure
from alp_tf.threat_model import ThreatModel
from tests.evaluation.figures import assert_picture

CURVES = ("by_epsilon", "by_steps", "by_restarts")


def accuracies(points):
    return [point.robust_accuracy for point in points]


@pytest.fixture(scope="module")
def found(digits_classifier):
    """Curves of the digits classifier over few images, computed once."""
    return curves.accuracy_curves(
        digits_classifier,
        datasets.load("digits").test_batches(50),
        ThreatModel(epsilon=0.1),
        examples=80,
        steps=6,
        step_counts=(1, 3, 20),
        restart_counts=(1, 3),
        batch_size=50,
        seed=3,
    )


def test_curves_start_at_the_clean_accuracy_and_never_rise(found, digits_classifier):
    images, labels = next(iter(datasets.load("digits").test_batches(80)))
    clean = np.mean(np.argmax(digits_classifier(images), -1) == labels)
    assert found.clean_accuracy == pytest.approx(clean)
    assert (found.by_epsilon[0].budget, found.by_epsilon[0].robust_accuracy) == (0.0, found.clean_accuracy)
    for name in CURVES:
        shares = accuracies(getattr(found, name))
        assert shares == sorted(shares, reverse=True)
        assert shares[0] <= found.clean_accuracy
        assert all(point.ci95[0] <= point.robust_accuracy <= point.ci95[1] for point in getattr(found, name))
    assert [point.budget for point in found.by_steps] == [1, 3, 20]
    assert [point.budget for point in found.by_restarts] == [1, 3]
    assert found.by_epsilon[-1].budget == pytest.approx(0.2)
    assert found.by_epsilon[-1].robust_accuracy < found.by_epsilon[4].robust_accuracy < found.clean_accuracy


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.1), ("l2", 0.6)])
def test_every_point_over_steps_is_a_pgd_of_its_own(norm, epsilon, digits_classifier):
    images, labels = (part.numpy() for part in next(iter(datasets.load("digits").test_batches(60))))
    measured = curves.accuracy_curves(
        digits_classifier,
        (images, labels),
        ThreatModel(epsilon=epsilon, norm=norm),
        steps=2,
        radii=(0, 1),
        step_counts=(1, 4, 9),
        restart_counts=(1,),
    )
    clean = np.argmax(digits_classifier(images), -1) == labels
    seed = tf.random.fold_in(tf.random.fold_in(tf.constant([0, 0]), 0), 0)
    for point in measured.by_steps:
        pgd = attacks.PGD(epsilon=epsilon, norm=norm, step_size=epsilon / 8, steps=point.budget, keep="best")
        adversarial = pgd(digits_classifier, images[clean], labels[clean], seed=seed)
        stands = np.argmax(digits_classifier(adversarial), -1) == labels[clean]
        assert point.robust_accuracy == pytest.approx(stands.sum() / 60)
    # One run with one restart is the same attack on all three curves.
    assert measured.by_restarts[0].robust_accuracy == measured.by_epsilon[-1].robust_accuracy


def test_radii_end_where_the_pixels_do(classifier, batch):
    short = {"steps": 1, "step_counts": (1,), "restart_counts": (1,)}
    measured = curves.accuracy_curves(classifier, batch, ThreatModel(epsilon=0.8), radii=(0, 1, 1.5, 2), **short)
    assert [point.budget for point in measured.by_epsilon] == [0.0, 0.8, 1.0]


def test_curves_survive_json_and_are_drawn(found, tmp_path):
    assert curves.Curves.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert found.attack == repr(attacks.PGD(epsilon=0.1, step_size=0.1 / 8, steps=6, keep="best"))
    curves_figure.draw(tmp_path / "new" / "curves.png", found)
    assert_picture(tmp_path / "new" / "curves.png")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"threat_model": ThreatModel(epsilon=0.0)}, "threat_model is"),
        ({"threat_model": "linf"}, "threat_model is 'linf'"),
        ({"data": (np.zeros((0, 6, 6, 1), np.float32), np.zeros(0, int))}, "empty"),
        ({"step_counts": (0, 1)}, "step_counts is 0"),
    ],
)
def test_bad_input_is_refused(options, says, classifier, batch):
    given = {"data": batch, "threat_model": ThreatModel(epsilon=0.1), **options}
    with pytest.raises(ValueError, match=says):
        curves.accuracy_curves(classifier, **given)
