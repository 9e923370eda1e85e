"""The ball and the bounds hold exactly, in float64, for any image."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from alp_tf.threat_model import ThreatModel, pixel_fraction

shapes = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 7), st.integers(1, 3))


def lengths(delta, norm):
    flat = np.abs(delta.astype(np.float64)).reshape(len(delta), -1)
    return flat.max(1) if norm == "linf" else np.sqrt((flat**2).sum(1))


def assert_permitted(found, images, threat_model):
    found = found.numpy()
    assert np.isfinite(found).all()
    assert (found >= threat_model.bounds[0]).all()
    assert (found <= threat_model.bounds[1]).all()
    distance = lengths(found.astype(np.float64) - images.astype(np.float64), threat_model.norm)
    assert (distance <= threat_model.epsilon).all()


@settings(max_examples=60, deadline=None)
@given(shapes, st.floats(0, 1), st.sampled_from(["linf", "l2"]), st.integers(0, 2**32 - 1), st.floats(0, 1e6))
def test_projection_and_random_start_stay_inside(shape, epsilon, norm, seed, scale):
    rng = np.random.default_rng(seed)
    images = rng.uniform(size=shape).astype(np.float32)
    images[rng.uniform(size=shape) < 0.2] = rng.choice([0.0, 1.0])
    threat_model = ThreatModel(epsilon=epsilon, norm=norm)
    wild = (scale * rng.normal(size=shape)).astype(np.float32)
    assert_permitted(threat_model.project(tf.constant(wild), tf.constant(images)), images, threat_model)
    start = threat_model.random_start(tf.constant(images), tf.constant([seed % 1000, 1], tf.int32))
    assert_permitted(start, images, threat_model)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_permitted_image_is_its_own_projection(norm):
    images = np.full((3, 5, 5, 1), 0.5, np.float32)
    inside = images + np.random.default_rng(0).uniform(-0.01, 0.01, images.shape).astype(np.float32)
    threat_model = ThreatModel(epsilon=0.1, norm=norm)
    np.testing.assert_array_equal(threat_model.project(tf.constant(inside), tf.constant(images)), inside)


def test_l2_projection_is_the_nearest_point_of_the_ball():
    images = np.full((1, 2, 1, 1), 0.5, np.float32)
    far = images + np.array([0.3, 0.4], np.float32).reshape(1, 2, 1, 1)
    found = ThreatModel(epsilon=0.05, norm="l2").project(tf.constant(far), tf.constant(images))
    np.testing.assert_allclose(found.numpy().ravel(), [0.53, 0.54], atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_random_starts_fill_the_ball_and_follow_the_seed(norm):
    images = tf.fill([4000, 2, 1, 1], 0.5)
    threat_model = ThreatModel(epsilon=0.2, norm=norm)
    first, again, other = (threat_model.random_start(images, tf.constant([seed, 0], tf.int32)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    distance = lengths(first.numpy() - 0.5, norm) / 0.2
    # Uniform in a ball of two dimensions: half of it lies beyond sqrt(1/2) of the radius, in either norm.
    assert np.mean(distance > math.sqrt(0.5)) == pytest.approx(0.5, abs=0.04)
    assert np.abs((first.numpy() - 0.5).mean(0)).max() < 0.01


def test_ascent_directions():
    gradients = tf.constant([[3.0, -4.0], [0.0, 0.0], [np.nan, 1.0], [1e-30, 0.0], [np.inf, -2.0], [-1e30, 1e30]])
    gradients = tf.reshape(gradients, [6, 2, 1, 1])
    linf = ThreatModel(epsilon=0.1).ascent_direction(gradients).numpy().reshape(6, 2)
    np.testing.assert_array_equal(linf, [[1, -1], [0, 0], [0, 1], [1, 0], [0, -1], [-1, 1]])
    l2 = ThreatModel(epsilon=0.1, norm="l2").ascent_direction(gradients).numpy().reshape(6, 2)
    half = math.sqrt(0.5)
    np.testing.assert_allclose(l2, [[0.6, -0.8], [0, 0], [0, 1], [1, 0], [0, -1], [-half, half]], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"epsilon": 8}, "8/255"),
        ({"epsilon": -0.1}, "at least 0"),
        ({"epsilon": float("nan")}, "at least 0"),
        ({"epsilon": "0.3"}, "at least 0"),
        ({"epsilon": 0.3, "norm": "l1"}, "linf, l2"),
        ({"epsilon": 0.3, "bounds": (1, 0)}, "lowest, highest"),
    ],
)
def test_impossible_threat_models_are_refused(options, says):
    with pytest.raises(ValueError, match=says):
        ThreatModel(**options)


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (np.zeros((1, 2, 2, 1), np.uint8), r"uint8.*/ 255"),
        (np.full((1, 2, 2, 1), 255.0, np.float32), r"\[255, 255\].*images / 255"),
        (np.full((1, 2, 2, 1), -1.0, np.float32), r"\(images \+ 1\) / 2"),
        (np.full((1, 2, 2, 1), 1.01, np.float32), "clip_by_value"),
        (np.full((1, 2, 2, 1), np.nan, np.float32), "nan"),
    ],
)
def test_images_that_no_attack_can_start_from_are_refused(images, says):
    with pytest.raises(ValueError, match=says):
        ThreatModel(epsilon=0.1).check_images(images)


def test_an_l2_epsilon_beyond_the_diagonal_is_refused():
    with pytest.raises(ValueError, match="382.5/255"):
        ThreatModel(epsilon=1.5 * 255, norm="l2").check_images(np.zeros((1, 32, 32, 3), np.float32))


@pytest.mark.parametrize(
    ("value", "text"), [(8 / 255, "8/255"), (0.3, "0.3"), (0.2, "0.2"), (1.5, "1.5"), (0.031, "0.031")]
)
def test_epsilons_print_as_papers_print_them(value, text):
    assert pixel_fraction(value) == text
