"""Augmented images are what the papers' recipes allow, and a function of the seed and the position alone."""

import numpy as np
import pytest
import tensorflow as tf

from alp_tf import datasets
from alp_tf.datasets.augmentation import AreaCrop, PadCrop
from tests.datasets.batches import assert_equal_batches, take

RANDOM = [name for name in datasets.AUGMENTATIONS if name != "none"]


@pytest.mark.parametrize("augmentation", RANDOM)
def test_a_resumed_run_sees_the_same_pixels(augmentation):
    data = datasets.load("digits")
    whole = take(data.train_batches(100, seed=4, augmentation=augmentation), 17)
    # 14 steps an epoch; other state of TensorFlow's must not matter.
    tf.random.set_seed(99)
    for start in (3, 14):
        again = take(data.train_batches(100, seed=4, start_step=start, augmentation=augmentation), 17 - start)
        assert_equal_batches(whole[start:], again)
    plain = take(data.train_batches(100, seed=4), 17)
    np.testing.assert_array_equal([labels for _, labels in whole], [labels for _, labels in plain])
    other = take(data.train_batches(100, seed=5, augmentation=augmentation), 1)
    assert not np.array_equal(whole[0][0], other[0][0])
    assert all(images.min() >= 0 and images.max() <= 1 for images, _ in whole)


@pytest.mark.parametrize("augmentation", RANDOM)
def test_an_image_is_augmented_by_its_position_in_the_run_whatever_the_batch_size(augmentation):
    data = datasets.load("digits")
    large = take(data.train_batches(100, seed=4, augmentation=augmentation), 2)
    small = take(data.train_batches(50, seed=4, augmentation=augmentation), 4)
    np.testing.assert_array_equal(
        np.concatenate([images for images, _ in large]), np.concatenate([images for images, _ in small])
    )


@pytest.mark.parametrize("padding", [2, 4])
def test_pad_crop_flip_gives_every_shifted_and_mirrored_image_equally_often(padding):
    data = datasets.load("digits")
    augmentation = "pad_crop_flip" if padding == 2 else PadCrop(padding=padding)
    plain = np.concatenate([images for images, _ in take(data.train_batches(700, seed=1), 2)])
    found = np.concatenate(
        [images for images, _ in take(data.train_batches(700, seed=1, augmentation=augmentation), 2)]
    )
    padded = np.pad(plain, [(0, 0), (padding, padding), (padding, padding), (0, 0)])
    places = 2 * padding + 1
    windows = np.stack([padded[:, y : y + 8, x : x + 8] for y in range(places) for x in range(places)], axis=1)
    candidates = np.concatenate([windows, windows[:, :, :, ::-1]], axis=1)
    matches = (candidates == found[:, None]).all(axis=(2, 3, 4))
    assert matches.any(axis=1).all()
    # Weighted, for some images are their own mirror image or shift.
    counts = (matches / matches.sum(axis=1, keepdims=True)).sum(axis=0)
    expected = len(found) / (2 * places**2)
    assert abs(counts - expected).max() < 5 * np.sqrt(expected)
    assert counts[: places**2].sum() == pytest.approx(700, abs=100)


@pytest.mark.parametrize("pixels", [1, 2])
def test_shifts_are_all_of_that_many_pixels_and_never_mirrored(pixels):
    data = datasets.load("digits")
    plain = np.concatenate([images for images, _ in take(data.train_batches(700, seed=1), 2)])
    found = np.concatenate(
        [images for images, _ in take(data.train_batches(700, seed=1, augmentation=f"shift_by_{pixels}"), 2)]
    )
    padded = np.pad(plain, [(0, 0), (pixels, pixels), (pixels, pixels), (0, 0)])
    places = range(2 * pixels + 1)
    windows = np.stack([padded[:, y : y + 8, x : x + 8] for y in places for x in places], axis=1)
    matches = (windows == found[:, None]).all(axis=(2, 3, 4))
    assert matches.any(axis=1).all()
    assert (matches.sum(axis=0) > len(found) / len(places) ** 2 / 2).all()


@pytest.mark.parametrize(
    ("name", "area", "flips"), [("inception_crop", 0.05, True), ("tiny_imagenet_crop", 0.5, False)]
)
def test_crops_have_the_areas_and_shapes_they_say(name, area, flips):
    # Ramps survive bicubic interpolation: their slope in the result is the crop's size.
    rows, columns = np.mgrid[:120, :160].astype(np.float32)
    image = tf.constant(np.stack([rows, columns], axis=-1))
    crop = datasets.AUGMENTATIONS[name]
    cropped = tf.function(lambda seed: crop(image, (16, 16), seed))
    drawn = np.stack([cropped(tf.constant([7, position], tf.int64)) for position in range(300)])
    heights = (drawn[:, 11, 8, 0] - drawn[:, 4, 8, 0]) / 7 * 16
    widths = (drawn[:, 8, 11, 1] - drawn[:, 8, 4, 1]) / 7 * 16
    assert ((widths < 0).mean() == pytest.approx(0.5, abs=0.12)) if flips else (widths > 0).all()
    shares, aspects = heights * abs(widths) / (120 * 160), abs(widths) / heights
    assert area * 0.93 < shares.min() < area + 0.1
    assert 0.85 < shares.max() < 1.001
    # Sides are whole pixels.
    assert 0.72 < aspects.min() < 0.8
    assert 1.25 < aspects.max() < 1.37


@pytest.mark.parametrize(("name", "share"), [("affine", 1), ("affine_half", 0.5)])
def test_affine_turns_zooms_and_moves_about_the_centre_as_far_as_it_says(name, share):
    # Where pixels come from can be read off ramps, which bilinear interpolation keeps.
    image = np.stack(np.mgrid[:41, :41].astype(np.float32), axis=-1)
    affine = tf.function(lambda seed: datasets.AUGMENTATIONS[name](image, (41, 41), seed))
    drawn = np.stack([affine(tf.constant([7, position], tf.int64)) for position in range(300)])
    down = (drawn[:, 25, 20] - drawn[:, 15, 20]) / 10
    right = (drawn[:, 20, 25] - drawn[:, 20, 15]) / 10
    # Right angles stay, and lengths are the same both ways: nothing is sheared or mirrored.
    np.testing.assert_allclose(right, np.stack([-down[:, 1], down[:, 0]], axis=1), atol=1e-4)
    turned = np.degrees(np.arctan2(right[:, 0], right[:, 1]))
    zoomed = 1 / np.hypot(*down.T)
    moved_down, moved_right = (drawn[:, 20, 20] - 20).T
    ranges = ((turned, 0, 15), (zoomed, 1, 0.1), (moved_down, 0, 2), (moved_right, 0, 2))
    for values, middle, furthest in ranges:
        low, high = middle - share * furthest, middle + share * furthest
        near, slack = 0.05 * (high - low), 1e-3 * (high - low)
        assert low - slack < values.min() < low + near
        assert high - near < values.max() < high + slack
        assert values.mean() == pytest.approx(middle, abs=2 * near)
    assert abs(np.corrcoef([values for values, _, _ in ranges]) - np.eye(4)).max() < 0.3
    of_white = tf.function(lambda seed: datasets.AUGMENTATIONS[name](tf.fill([8, 8, 1], np.uint8(255)), (8, 8), seed))
    drawn = np.stack([of_white(tf.constant([7, position], tf.int64)) for position in range(300)])
    # Black comes in, whole pixels of it too, and the middle stays white; the shares of a mean may add up to 1.0000001.
    assert drawn.min() == 0
    np.testing.assert_allclose(drawn[:, 3:5, 3:5], 255, rtol=1e-6)
    assert drawn.max() <= 255 * (1 + 1e-6)


def test_whole_pixels_stay_in_range_where_bicubic_interpolation_overshoots():
    checks = ((np.indices((8, 8)).sum(axis=0) % 2) * 255).astype(np.uint8)[None, ..., None].repeat(4, axis=0)
    labels = np.arange(4)
    data = datasets.Dataset(
        name="checks",
        train_images=checks,
        train_labels=labels,
        test_images=checks,
        test_labels=labels,
        class_names=tuple("abcd"),
    )
    assert AreaCrop()(checks[0], (8, 8), tf.constant([0, 3], tf.int64)).numpy().max() > 255
    for images, _ in take(data.train_batches(4, seed=0, augmentation="inception_crop"), 5):
        assert (images.min(), images.max()) == (0, 1)


def test_an_unknown_augmentation_is_refused():
    with pytest.raises(ValueError, match="unknown augmentation 'pad_crop'; did you mean 'pad_crop_flip'"):
        datasets.load("digits").train_batches(10, seed=0, augmentation="pad_crop")
