"""Models around models: the expectation of a randomised model, and exact counts of what attacks ask of a model."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from alp_tf import attacks, evaluation
from alp_tf.attacks import base, classifier, losses, wrappers
from alp_tf.attacks.wrappers import EOT, PassCounter
from tests.attacks.passes import most
from tests.conftest import small_classifier

STEPS = {"epsilon": 0.1, "step_size": 0.03, "steps": 4}


class Alternating(keras.layers.Layer):
    """A linear classifier whose weights are others at each call: exactly known draws in place of random ones."""

    def __init__(self, weights):
        super().__init__()
        self.matrices = tf.constant(weights, tf.float32)
        self.calls = tf.Variable(0, trainable=False)

    def call(self, images):
        matrix = self.matrices[self.calls.assign_add(1) % len(self.matrices)]
        return tf.reshape(images, [-1, self.matrices.shape[1]]) @ matrix


class Noisy(keras.layers.Layer):
    """A linear classifier with fresh noise on its weights at each call."""

    def __init__(self, weights, deviation):
        super().__init__()
        self.matrix, self.deviation = tf.constant(weights, tf.float32), deviation

    def call(self, images):
        noise = self.deviation * tf.random.normal(self.matrix.shape)
        return tf.reshape(images, [-1, self.matrix.shape[0]]) @ (self.matrix + noise)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def test_the_expected_gradient_is_the_mean_over_the_draws(batch):
    images, labels = batch
    weights = np.random.default_rng(1).normal(size=(4, 36, 5))
    eot = EOT(Alternating(weights), samples=4)
    logits_of = classifier.logits_function(eot)
    values, logits, gradients = base.input_gradient(
        logits_of, lambda z: losses.CrossEntropy()(z, tf.constant(labels, tf.int32)), tf.constant(images)
    )
    probabilities = softmax(images.reshape(1, 21, 36) @ weights)
    # d(-log p_y)/dx = W (p - e_y), for each draw.
    expected = np.einsum("dpc,dnc->np", weights, probabilities - np.eye(5)[labels]) / 4
    np.testing.assert_allclose(np.reshape(gradients, (21, 36)), expected, atol=1e-5)
    np.testing.assert_allclose(values, -np.log(probabilities[:, np.arange(21), labels]).mean(0), rtol=1e-4)
    np.testing.assert_allclose(softmax(logits.numpy()), probabilities.mean(0), atol=1e-6)
    np.testing.assert_allclose(softmax(eot(images).numpy()), probabilities.mean(0), atol=1e-6)


@pytest.mark.parametrize(
    "attack",
    [
        attacks.FGSM(epsilon=0.1),
        attacks.PGD(**STEPS, norm="l2", restarts=2),
        attacks.APGD(epsilon=0.1, steps=6, loss="margin"),
        attacks.Square(epsilon=0.1, queries=20),
    ],
    ids=lambda attack: type(attack).__name__,
)
def test_a_model_without_randomness_is_its_own_expectation(attack, classifier, batch):
    plain = attack(classifier, *batch, seed=1)
    expected = attack(EOT(classifier, samples=3), *batch, seed=1)
    # All but equal: three equal gradients add up to three times one of them but for rounding.
    np.testing.assert_allclose(expected, plain, atol=1e-4)


def test_on_a_noisy_model_only_the_expectation_finds_the_direction():
    """Linear, true gradient w, noise far larger: a step by the mean of many draws follows the sign of w."""
    rng = np.random.default_rng(0)
    images, labels = rng.uniform(0.3, 0.7, (50, 6, 6, 1)).astype(np.float32), np.zeros(50, int)
    weights = rng.choice([-0.5, 0.5], (36, 2)) * [1, -1]
    model, attack = Noisy(weights, deviation=2.0), attacks.FGSM(epsilon=0.1)
    direction = weights[:, 0] - weights[:, 1]

    def lowered(adversarial):
        return np.mean((images - adversarial).reshape(50, 36) @ direction)

    most = 0.1 * np.abs(direction).sum()
    assert lowered(attack(EOT(model, samples=300), images, labels).numpy()) > 0.9 * most
    assert lowered(attack(model, images, labels).numpy()) < 0.6 * most


def test_evaluate_takes_an_expectation_in_a_models_place(batch):
    model = EOT(Noisy(np.eye(36, 5) * 9, deviation=1.0), samples=40)
    images = np.zeros((20, 6, 6, 1), np.float32)
    labels = np.arange(20) % 5
    images.reshape(20, 36)[np.arange(20), labels] = 1
    fgsm = {"FGSM": attacks.FGSM(epsilon=0.9)}
    report = evaluation.evaluate(model, (images, labels), attacks=fgsm, masking_examples=0)
    assert report["FGSM"].clean_accuracy == 1
    assert report["FGSM"].robust_accuracy < 0.3


@pytest.mark.parametrize("samples", [0, 2.5])
def test_an_expectation_needs_draws(samples, classifier):
    with pytest.raises(ValueError, match=f"samples is {samples}"):
        EOT(classifier, samples=samples)


@pytest.mark.parametrize(
    ("attack", "forward", "backward"),
    [
        (attacks.FGSM(epsilon=0.1), 1, 1),
        # A target is chosen by the clean logits: one pass more.
        (attacks.StepLL(epsilon=0.1), 2, 1),
        (attacks.PGD(**STEPS), 4, 4),
        (attacks.PGD(**STEPS, restarts=3), 3 * (4 + 1), 3 * 4),
        (attacks.PGD(**STEPS, keep="best"), 4 + 1, 4),
        (attacks.PGD(**STEPS, keep="best", restarts=2, target="random"), 2 * (4 + 1) + 1, 2 * 4),
        (attacks.MIM(**STEPS), 4, 4),
        (attacks.APGD(epsilon=0.1, steps=6), 7, 7),
        (attacks.RandomNoise(epsilon=0.1, samples=9), 9, 0),
        (attacks.SPSA(epsilon=0.1, steps=2, samples=5), 1 + 2 * (2 * 5 + 1), 0),
        # Each step one gradient and one look at where it led; clean logits twice, and one look at the end.
        (attacks.FAB(epsilon=0.1, steps=3), 2 * 3 + 3, 3),
        # 4 other classes, and as many gradients a step.
        (attacks.FAB(epsilon=0.1, steps=3, target=None), (4 + 1) * 3 + 3, 4 * 3),
        (attacks.FAB(epsilon=0.1, steps=3, restarts=2), 2 * (2 * 3 + 2) + 1, 2 * 3),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_passes_are_counted_exactly_and_change_nothing(attack, forward, backward, classifier, batch):
    images = batch[0]
    labels = np.argmax(classifier(images), -1)
    counted = PassCounter.of(classifier)
    assert most(attack, 5) == (forward, backward)
    plain = attack(classifier, images, labels, seed=5)
    assert wrappers.passes(counted) == (0, 0)
    for repeats in (1, 2):
        np.testing.assert_array_equal(attack(counted, images, labels, seed=5), plain)
        assert wrappers.passes(counted) == (repeats * forward * 21, repeats * backward * 21)


def test_square_asks_only_about_squares_that_change_something(classifier, batch):
    images, counted = batch[0], PassCounter.of(classifier)
    labels = np.argmax(classifier(images), -1)
    attack = attacks.Square(epsilon=1e-6, queries=60)
    assert most(attack, 5) == (60, 0)
    plain = attack(classifier, images, labels, seed=5)
    np.testing.assert_array_equal(attack(counted, images, labels, seed=5), plain)
    forward, backward = wrappers.passes(counted)
    assert 30 * 21 < forward < 60 * 21
    assert backward == 0


def test_every_draw_of_an_expectation_counts(classifier, batch):
    eot = EOT(classifier, samples=3)
    counted = PassCounter.of(eot)
    assert counted.samples == 3
    attacks.FGSM(epsilon=0.1)(counted, *batch)
    assert wrappers.passes(counted) == (3 * 21, 3 * 21)
    counted(batch[0])
    assert wrappers.passes(counted) == (6 * 21, 3 * 21)
    assert PassCounter.of(eot) is counted


def test_a_model_has_one_counter_and_so_its_compiled_graphs(classifier, batch, monkeypatch):
    perturb, traces = attacks.FGSM.perturb, []
    monkeypatch.setattr(attacks.FGSM, "perturb", lambda *given: traces.append(given) or perturb(*given))
    counted = PassCounter.of(classifier)
    assert PassCounter.of(classifier) is counted
    assert PassCounter.of(small_classifier()) is not counted
    attack = attacks.FGSM(epsilon=0.1)
    for _ in range(2):
        attack(PassCounter.of(classifier), *batch)
    assert len(traces) == 1


@pytest.mark.parametrize("wrap", [lambda model: model, lambda model: EOT(model, samples=2)], ids=["plain", "EOT"])
def test_a_counted_model_goes_when_it_is_dropped(wrap, batch):
    model = small_classifier()
    gone = weakref.ref(model)
    wrapped = wrap(model)
    attacks.FGSM(epsilon=0.1)(PassCounter.of(wrapped), *batch)
    assert wrappers.passes(PassCounter.of(wrapped))[0] > 0
    before = len(wrappers._COUNTERS)
    del model, wrapped
    gc.collect()
    assert gone() is None
    assert len(wrappers._COUNTERS) < before
