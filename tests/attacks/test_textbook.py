"""Attacks of the cross-entropy are the loops of their papers, written out in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from alp_tf import attacks, datasets
from alp_tf.attacks import losses


def test_spsa_estimates_the_gradient(classifier, batch):
    """With many samples it climbs nearly as high as an attack that knows the gradient."""
    images, labels = batch
    labels = np.argmax(classifier(images), -1)
    options = {"epsilon": 0.03, "step_size": 0.01}
    climbed = {}
    for name, attack in (
        ("SPSA", attacks.SPSA(**options, steps=10, samples=300)),
        ("PGD", attacks.BIM(**options, steps=10, loss="margin_50")),
        ("noise", attacks.RandomNoise(epsilon=0.03, samples=300)),
    ):
        margin = losses.Margin(confidence=50.0)(classifier(attack(classifier, images, labels, seed=0)), labels)
        climbed[name] = float(tf.reduce_mean(margin))
    start = float(tf.reduce_mean(losses.Margin(confidence=50.0)(classifier(images), labels)))
    assert climbed["SPSA"] - start > 0.8 * (climbed["PGD"] - start)
    assert climbed["noise"] < climbed["SPSA"]


def test_fgsm_is_one_signed_step(classifier, batch):
    images, labels = batch
    variable = tf.Variable(images)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(losses.CrossEntropy()(classifier(variable), tf.constant(labels, tf.int32)))
    expected = np.clip(images + 0.05 * np.sign(tape.gradient(loss, variable)), 0, 1)
    np.testing.assert_allclose(attacks.FGSM(epsilon=0.05)(classifier, images, labels), expected, atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_is_the_textbook_loop(norm, classifier, batch):
    images, labels = batch
    epsilon, step = (0.1, 0.04) if norm == "linf" else (0.6, 0.2)
    current = images.astype(np.float64)
    for _ in range(5):
        variable = tf.Variable(current.astype(np.float32))
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(losses.CrossEntropy()(classifier(variable), tf.constant(labels, tf.int32)))
        gradient = tape.gradient(loss, variable).numpy()
        if norm == "linf":
            current = np.clip(current + step * np.sign(gradient), images - epsilon, images + epsilon)
        else:
            current = current + step * gradient / np.sqrt((gradient**2).sum((1, 2, 3), keepdims=True))
            delta = current - images
            size = np.sqrt((delta**2).sum((1, 2, 3), keepdims=True))
            current = images + delta * np.minimum(1, epsilon / size)
        current = np.clip(current, 0, 1)
    attack = attacks.BIM(epsilon=epsilon, step_size=step, steps=5, norm=norm)
    np.testing.assert_allclose(attack(classifier, images, labels), current, atol=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_mim_is_the_textbook_loop(norm, classifier, batch):
    """Algorithm 1 of Dong 2018; foolbox sums gradients of whatever length and is no oracle for it."""
    images, labels = batch
    epsilon, step, decay = (0.1, 0.03, 0.7) if norm == "linf" else (0.6, 0.2, 0.7)
    current, total = images.astype(np.float64), np.zeros(images.shape)
    for _ in range(6):
        variable = tf.Variable(current.astype(np.float32))
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(losses.CrossEntropy()(classifier(variable), tf.constant(labels, tf.int32)))
        gradient = tape.gradient(loss, variable).numpy().astype(np.float64)
        total = decay * total + gradient / np.abs(gradient).sum((1, 2, 3), keepdims=True)
        if norm == "linf":
            current = np.clip(current + step * np.sign(total), images - epsilon, images + epsilon)
        else:
            current = current + step * total / np.sqrt((total**2).sum((1, 2, 3), keepdims=True))
            size = np.sqrt(((current - images) ** 2).sum((1, 2, 3), keepdims=True))
            current = images + (current - images) * np.minimum(1, epsilon / size)
        current = np.clip(current, 0, 1)
    options = {"epsilon": epsilon, "step_size": step, "steps": 6, "norm": norm}
    adversarial = attacks.MIM(**options, decay=decay)(classifier, images, labels)
    np.testing.assert_allclose(adversarial, current, atol=1e-5)
    assert np.abs(adversarial - attacks.BIM(**options)(classifier, images, labels)).max() > 0.003


def test_mim_without_memory_is_bim(classifier, batch):
    options = {"epsilon": 0.1, "step_size": 0.03, "steps": 6}
    np.testing.assert_array_equal(
        attacks.MIM(**options, decay=0)(classifier, *batch), attacks.BIM(**options)(classifier, *batch)
    )


def test_least_likely_attacks_are_fgsm_and_bim_at_that_class(classifier, batch):
    target = {"epsilon": 0.1, "target": "least_likely"}
    steps = {"step_size": 0.03, "steps": 4}
    for attack, same in (
        (attacks.StepLL(epsilon=0.1), attacks.FGSM(**target)),
        (attacks.IterLL(epsilon=0.1, **steps), attacks.BIM(**target, **steps)),
    ):
        adversarial = attack(classifier, *batch)
        np.testing.assert_array_equal(adversarial, same(classifier, *batch))
        # Kurakin never looks at the label; ours looks only so as not to aim at it.
        least = np.argmin(classifier(batch[0]), -1)
        probability = [
            np.take_along_axis(tf.nn.softmax(classifier(images)).numpy(), least[:, None], 1)[:, 0]
            for images in (batch[0], adversarial)
        ]
        assert (probability[1] > probability[0])[least != batch[1]].all()


@pytest.mark.parametrize("target", losses.TARGETS)
def test_targeted_attacks_approach_their_class(target, digits_classifier):
    images, labels = next(iter(datasets.load("digits").test_batches(100)))
    attack = attacks.PGD(epsilon=0.4, step_size=0.04, steps=30, target=target)
    seed = tf.constant([3, 0], tf.int32)
    target_seed = tf.random.split(seed, 2)[0]
    goals = losses.target_classes(target, digits_classifier(images), tf.cast(labels, tf.int32), target_seed)
    assert (goals != labels).numpy().all()
    predictions = np.argmax(digits_classifier(attack(digits_classifier, images, labels, seed=seed)), -1)
    assert np.mean(predictions == goals) > 0.8


def test_targets_are_the_classes_they_are_named_after():
    logits = tf.constant([[5.0, 4.0, -3.0, 0.0], [-9.0, 1.0, 2.0, 3.0]])
    labels = tf.constant([0, 0])
    seed = tf.constant([1, 2])
    np.testing.assert_array_equal(losses.target_classes("runner_up", logits, labels, seed), [1, 3])
    # The true class is never a target, also where it is the least likely.
    np.testing.assert_array_equal(losses.target_classes("least_likely", logits, labels, seed), [2, 1])
    many = losses.target_classes("random", tf.zeros([3000, 4]), tf.fill([3000], 2), seed).numpy()
    assert set(many) == {0, 1, 3}
    assert np.bincount(many, minlength=4)[[0, 1, 3]].min() > 900


def test_margin_is_equation_4_and_its_confidence_is_madrys():
    logits = np.array([[3.0, 1.0, 2.5], [0.0, 4.0, 1.0]], np.float32)
    labels = np.array([0, 2])
    # -relu(z_y - z_w): 3 - 2.5 for the first; the second is misclassified already.
    np.testing.assert_allclose(attacks.Margin()(logits, labels), [-0.5, 0.0])
    np.testing.assert_allclose(attacks.Margin(confidence=50.0)(logits, labels), [-50.5, -47.0])
    # Targeted: how far the target is behind the best other class.
    np.testing.assert_allclose(attacks.Margin()(logits, labels, np.array([1, 1])), [-2.0, 0.0])
