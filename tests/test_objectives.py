"""Every objective against float64 NumPy written from the paper's equation, and its gradient where it is delicate."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from alp_tf import objectives

logit_matrices = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 9), st.integers(2, 7)), elements=st.floats(-30, 30, width=32)
)


def reference_cross_entropy(labels, logits):
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return -log_probabilities[np.arange(len(labels)), labels], log_probabilities


@settings(max_examples=40, deadline=None)
@given(logit_matrices, st.floats(0, 1), st.integers(0, 1000))
def test_cross_entropy_with_smoothing_is_equation_8(logits, smoothing, seed):
    labels = np.random.default_rng(seed).integers(0, logits.shape[1], len(logits))
    hard, log_probabilities = reference_cross_entropy(labels, logits)
    np.testing.assert_allclose(objectives.cross_entropy(labels, logits), hard, rtol=1e-5, atol=1e-5)
    hot = np.eye(logits.shape[1])[labels]
    warm = hot - smoothing * (hot - 1 / logits.shape[1])
    expected = -(warm * log_probabilities).sum(1)
    found = objectives.cross_entropy(labels, logits, smoothing=smoothing)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)
    # Probabilities in place of labels, such as the warm ones themselves.
    np.testing.assert_allclose(objectives.cross_entropy(warm, logits), expected, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(objectives.cross_entropy(hot, logits, smoothing=smoothing), found, rtol=1e-5, atol=1e-5)


def test_warm_labels_are_those_the_paper_prints():
    warm = objectives.smooth_labels(tf.one_hot([2], 10), 0.95).numpy()[0]
    assert warm[2] == pytest.approx(0.145)
    assert warm[0] == pytest.approx(0.095)


@settings(max_examples=40, deadline=None)
@given(logit_matrices, st.integers(0, 1000))
def test_logit_pairing_is_section_4_2(first, seed):
    second = np.random.default_rng(seed).normal(size=first.shape).astype(np.float32) * 3
    gap = first.astype(np.float64) - second
    size = np.abs(gap)
    by_distance = {"l2": gap**2, "l1": size, "huber": np.where(size <= 1, gap**2 / 2, size - 0.5)}
    for distance, terms in by_distance.items():
        mean = objectives.logit_pairing(first, second, distance=distance)
        np.testing.assert_allclose(mean, terms.mean(), rtol=1e-5)
        literal = objectives.logit_pairing(first, second, distance=distance, reduction="sum")
        np.testing.assert_allclose(literal, terms.sum(1).mean(), rtol=1e-5)


@pytest.mark.parametrize("rows", [1, 2, 5, 8])
def test_clean_pairs_join_i_with_i_plus_half_the_batch(rows):
    logits = np.random.default_rng(0).normal(size=(rows, 3)).astype(np.float32)
    half = rows // 2
    pairs = [(logits[i], logits[i + half]) for i in range(half)]
    expected = np.mean([np.mean((a.astype(np.float64) - b) ** 2) for a, b in pairs]) if pairs else 0.0
    np.testing.assert_allclose(objectives.clean_logit_pairing(logits), expected, rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(logit_matrices, st.floats(-3, 3))
def test_squeezing_and_similarity_are_equations_2_5_and_7(logits, gamma):
    exact = logits.astype(np.float64)
    rows = len(exact)
    expected = {
        "per example": np.sqrt((exact**2).sum(1)).mean(),
        "per example, squared": (exact**2).sum(1).mean(),
        "batch-wise": np.linalg.norm(exact) / rows,
        "batch-wise, squared": np.linalg.norm(exact) ** 2 / rows,
        "similarity": np.linalg.norm(exact - gamma) / rows,
        "similarity, squared": np.linalg.norm(exact - gamma) ** 2 / rows,
    }
    found = {
        "per example": objectives.logit_squeezing(logits),
        "per example, squared": objectives.logit_squeezing(logits, form="squared"),
        "batch-wise": objectives.batch_logit_squeezing(logits),
        "batch-wise, squared": objectives.batch_logit_squeezing(logits, form="squared"),
        "similarity": objectives.logit_similarity(logits, gamma=gamma),
        "similarity, squared": objectives.logit_similarity(logits, gamma=gamma, form="squared"),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=2e-5, atol=1e-5, err_msg=name)


def test_clipped_cross_entropy_is_equation_6_in_both_forms():
    losses = np.array([0.1, 0.2, 3.0], np.float32)
    assert float(objectives.clipped_cross_entropy(losses, 1.5)) == pytest.approx((1.5 + 1.5 + 3.0) / 3)
    assert float(objectives.clipped_cross_entropy(losses, 1.5, form="batch")) == pytest.approx(1.5)
    assert float(objectives.clipped_cross_entropy(losses, 0.5, form="batch")) == pytest.approx(1.1)


@pytest.mark.parametrize(
    "objective",
    [
        objectives.logit_squeezing,
        objectives.batch_logit_squeezing,
        lambda logits: objectives.logit_similarity(logits, gamma=0.0),
        lambda logits: objectives.logit_similarity(logits + 1.0),
        objectives.clean_logit_pairing,
        lambda logits: objectives.logit_pairing(logits, logits, distance="huber"),
        lambda logits: objectives.logit_pairing(logits, logits, distance="l1"),
        lambda logits: tf.reduce_mean(objectives.cross_entropy(tf.zeros([4], tf.int32), logits)),
    ],
)
def test_gradients_are_finite_where_all_logits_are_zero(objective):
    logits = tf.zeros([4, 3])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = objective(logits)
    assert np.isfinite(value)
    assert np.isfinite(tape.gradient(value, logits)).all()


def test_gradient_of_the_batch_norm_is_the_paper_formula():
    logits = tf.constant(np.random.default_rng(0).normal(size=(6, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = objectives.batch_logit_squeezing(logits)
    expected = logits.numpy() / np.linalg.norm(logits) / 6
    np.testing.assert_allclose(tape.gradient(value, logits), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("objective", "limit"),
    [
        (objectives.logit_squeezing, lambda rows: np.sqrt(0.9)),
        (objectives.batch_logit_squeezing, lambda rows: np.sqrt(0.9 * rows)),
    ],
)
@pytest.mark.parametrize("rows", [5, 128])
def test_from_a_certain_weight_on_no_logits_are_better_than_zero_ones(objective, limit, rows):
    rng = np.random.default_rng(rows)
    labels = rng.integers(0, 10, rows)
    best = np.eye(10, dtype=np.float32)[labels] - 0.1
    others = rng.normal(size=(20, rows, 10)).astype(np.float32)
    others += rng.uniform(0, 30, size=(20, 1, 1)).astype(np.float32) * best

    def gains(logits, weight):
        cross_entropy = tf.reduce_mean(objectives.cross_entropy(tf.constant(labels), logits))
        return np.log(10) - float(cross_entropy + weight * objective(logits))

    assert gains(0.05 * best, 0.9 * limit(rows)) > 1e-4
    for logits in [best, *others]:
        for scale in (0.05, 0.5, 5):
            assert gains(scale * logits, 1.001 * limit(rows)) < 1e-6


@pytest.mark.parametrize(
    "call",
    [
        lambda z: objectives.logit_pairing(z, z, distance="l3"),
        lambda z: objectives.logit_pairing(z, z, reduction="max"),
        lambda z: objectives.logit_squeezing(z, form="cubed"),
        lambda z: objectives.logit_similarity(z, form="cubed"),
        lambda z: objectives.clipped_cross_entropy(z[:, 0], 1.0, form="all"),
        lambda z: objectives.smooth_labels(z, 1.5),
    ],
)
def test_unknown_forms_are_refused(call):
    with pytest.raises(ValueError, match="must"):
        call(tf.ones([2, 3]))
