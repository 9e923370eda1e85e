"""FAB's projection against a general solver, and the attack where the nearest adversarial image is known."""

import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from alp_tf import attacks
from alp_tf.attacks.fab import nearest_on_plane


def solved(point, normal, offset, norm):
    """The same problem by scipy, or None where the plane does not meet the box."""
    size = len(point)
    bounds = [(-x, 1 - x) for x in point]
    missing = offset - normal @ point
    if norm == "linf":
        # Variables d and r: minimise r, |d_i| <= r.
        objective = np.r_[np.zeros(size), 1.0]
        both = np.block([[np.eye(size), -np.ones((size, 1))], [-np.eye(size), -np.ones((size, 1))]])
        result = scipy.optimize.linprog(
            objective, both, np.zeros(2 * size), np.r_[normal, 0.0][None], [missing], [*bounds, (0, None)]
        )
        return result.x[-1] if result.success else None
    feasible = scipy.optimize.linprog(np.zeros(size), A_eq=normal[None], b_eq=[missing], bounds=bounds)
    if not feasible.success:
        return None
    result = scipy.optimize.minimize(
        lambda d: d @ d,
        feasible.x,
        jac=lambda d: 2 * d,
        bounds=bounds,
        constraints={"type": "eq", "fun": lambda d: normal @ d - missing, "jac": lambda d: normal},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    return np.sqrt(result.fun)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 7), st.sampled_from(["linf", "l2"]), st.integers(0, 10**6), st.floats(-1.2, 1.2))
def test_the_projection_is_the_shortest_step(size, norm, seed, reach):
    rng = np.random.default_rng(seed)
    point, normal = rng.uniform(size=size), rng.normal(size=size)
    point[rng.uniform(size=size) < 0.2] = rng.choice([0.0, 1.0])
    normal[rng.uniform(size=size) < 0.2] = 0.0
    # `reach` is the share of what the box allows; beyond 1 the plane misses the box.
    toward = normal if reach > 0 else -normal
    room = np.where(toward > 0, 1 - point, point)
    offset = normal @ point + reach * np.abs(normal) @ room
    shaped = [tf.constant(x.reshape(1, size, 1, 1), tf.float32) for x in (point, normal)]
    step = nearest_on_plane(*shaped, tf.constant([offset], tf.float32), norm, (0.0, 1.0)).numpy().ravel()
    assert np.isfinite(step).all()
    assert (point + step).min() > -1e-5
    assert (point + step).max() < 1 + 1e-5
    if not normal.any():
        assert not step.any()
        return
    shortest = solved(point, normal, offset, norm)
    if abs(reach) > 1 or shortest is None:
        np.testing.assert_allclose(step, np.sign(toward) * room, atol=1e-4)
        return
    assert normal @ (point + step) == pytest.approx(offset, abs=1e-4)
    length = np.abs(step).max() if norm == "linf" else np.linalg.norm(step)
    assert length == pytest.approx(shortest, abs=2e-3)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_on_a_linear_model_fab_finds_the_distance_to_the_boundary(norm):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(16, 2)).astype(np.float32) * 0.3
    images = rng.uniform(0.4, 0.6, (20, 4, 4, 1)).astype(np.float32)

    def model(x):
        return (tf.reshape(x, [-1, 16]) - 0.5) @ weights

    logits = model(images).numpy()
    labels = logits.argmax(1)
    normal = weights[:, 0] - weights[:, 1]
    dual = np.abs(normal).sum() if norm == "linf" else np.linalg.norm(normal)
    distance = np.abs(logits[:, 0] - logits[:, 1]) / dual
    adversarial = attacks.FAB(epsilon=0.9, norm=norm, steps=20)(model, images, labels)
    assert (model(adversarial).numpy().argmax(1) != labels).all()
    delta = np.reshape(adversarial - images, (20, 16))
    found = np.abs(delta).max(1) if norm == "linf" else np.sqrt((delta**2).sum(1))
    np.testing.assert_array_less(0.99 * distance, found)
    np.testing.assert_array_less(found, 1.06 * distance)
    # What lies beyond epsilon does not count.
    epsilon = float(np.median(distance))
    within = attacks.FAB(epsilon=epsilon, norm=norm, steps=20)(model, images, labels)
    fooled = model(within).numpy().argmax(1) != labels
    assert fooled[1.06 * distance < epsilon].all()
    assert not fooled[0.99 * distance > epsilon].any()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_without_a_target_fab_finds_the_nearest_of_all_boundaries(norm):
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(16, 6)).astype(np.float32) * np.linspace(0.1, 0.6, 6, dtype=np.float32)
    images = rng.uniform(0.45, 0.55, (20, 4, 4, 1)).astype(np.float32)

    def model(x):
        return (tf.reshape(x, [-1, 16]) - 0.5) @ weights

    logits = model(images).numpy()
    labels = logits.argmax(1)
    normals = weights.T[None] - weights.T[labels][:, None]
    dual = np.abs(normals).sum(-1) if norm == "linf" else np.sqrt((normals**2).sum(-1))
    gaps = logits[np.arange(20), labels][:, None] - logits
    distances = np.where(np.arange(6) == labels[:, None], np.inf, gaps / np.maximum(dual, 1e-9))
    # The runner-up by logits is not always the nearest, so that aiming at it would not do.
    assert (distances.argmin(1) != np.argsort(logits, 1)[:, -2]).any()
    attack = attacks.FAB(epsilon=0.9, norm=norm, steps=20, target=None)
    delta = np.reshape(attack(model, images, labels) - images, (20, 16))
    found = np.abs(delta).max(1) if norm == "linf" else np.sqrt((delta**2).sum(1))
    assert (model(images + delta.reshape(images.shape)).numpy().argmax(1) != labels).all()
    np.testing.assert_array_less(0.99 * distances.min(1), found)
    np.testing.assert_array_less(found, 1.06 * distances.min(1))
