"""PGD against an independent implementation: foolbox's TensorFlow PGD, from the same starting points."""

import numpy as np
import pytest
import tensorflow as tf

from alp_tf import attacks, datasets
from alp_tf.threat_model import ThreatModel

foolbox = pytest.importorskip("foolbox", reason="foolbox is not installed; it comes with the extra `test`")


@pytest.mark.parametrize(
    ("norm", "epsilon", "theirs"),
    [("linf", 0.1, foolbox.attacks.LinfProjectedGradientDescentAttack), ("l2", 0.8, foolbox.attacks.L2PGD)],
)
def test_robust_accuracy_is_foolboxs(norm, epsilon, theirs, digits_classifier, monkeypatch):
    images, labels = next(iter(datasets.load("digits").test_batches(360)))
    attack = attacks.PGD(epsilon=epsilon, step_size=epsilon / 8, steps=20, norm=norm)
    start = attack.threat_model.random_start(images, tf.constant([1, 1], tf.int32))
    monkeypatch.setattr(ThreatModel, "random_start", lambda self, images, seed: start)
    monkeypatch.setattr(theirs, "get_random_start", lambda self, originals, radius: type(originals)(start))

    adversarial = attack(digits_classifier, images, labels)
    robust = np.mean(np.argmax(digits_classifier(adversarial), -1) == labels)
    oracle = theirs(abs_stepsize=epsilon / 8, steps=20, random_start=True)
    model = foolbox.TensorFlowModel(digits_classifier, bounds=(0, 1))
    _, found, fooled = oracle(model, images, tf.cast(labels, tf.int64), epsilons=epsilon)
    assert robust == pytest.approx(1 - np.mean(fooled), abs=0.005)
    # Not only as strong: nearly the same images. Rounding may turn the sign of a vanishing gradient.
    assert np.mean(np.abs(adversarial - found) < 1e-3) > 0.98
    assert 0.02 < robust < 0.9
