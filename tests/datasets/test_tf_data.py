"""A user's own tf.data.Dataset, and a data set by `module:function`."""

import sys

import numpy as np
import pytest
import tensorflow as tf

from alp_tf import configs, datasets, experiment
from alp_tf.datasets import augmentation, tf_data
from tests.datasets.batches import assert_equal_batches, take

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (23, 6, 5, 3), np.uint8), RNG.integers(0, 4, 23)
OWN = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))


def test_elements_are_given_out_as_every_data_set_gives_them():
    data = datasets.from_tf_data(OWN, OWN.take(9), num_classes=4, shuffle=False)
    assert (data.name, data.image_shape, data.class_names) == ("custom", (6, 5, 3), tuple("0123"))
    assert (data.train_examples, data.test_examples) == (23, 9)
    whole = take(data.train_batches(5, seed=0), 12)
    expected = np.concatenate([IMAGES] * 3)[:60].reshape(12, 5, 6, 5, 3).astype(np.float32) / 255
    np.testing.assert_array_equal([images for images, _ in whole], expected)
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in whole]), np.tile(LABELS, 3)[:60])
    assert whole[0][1].dtype == np.int32
    assert_equal_batches(whole[7:], take(data.train_batches(5, seed=0, start_step=7), 5))
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in take(data.test_batches(4), 5)]), LABELS[:9])
    assert sum(len(labels) for _, labels in take(data.test_batches(4, examples=6), 5)) == 6


def test_shuffling_depends_on_the_seed_and_the_step_alone(monkeypatch):
    # Windows of 7 elements.
    monkeypatch.setattr(tf_data, "_WINDOW_BYTES", 7 * 8 * 90)
    scaled = OWN.map(lambda image, label: (tf.cast(image, tf.float64) / 255, label))
    for train in (scaled, scaled.filter(lambda image, label: True)):
        data = datasets.from_tf_data(train, scaled, class_names=tuple("abcd"), name="mine")
        whole = take(data.train_batches(5, seed=0, augmentation="pad_crop_flip"), 12)
        tf.random.set_seed(17)
        again = take(data.train_batches(5, seed=0, start_step=6, augmentation="pad_crop_flip"), 6)
        assert_equal_batches(whole[6:], again)
    (first, _), (second, _) = take(data.train_batches(23, seed=0), 2)
    assert first.dtype == np.float32
    assert not np.array_equal(first, second)
    for images in (first, second):
        np.testing.assert_allclose(np.sort(images.ravel()), np.sort(IMAGES.ravel()) / 255, atol=1e-7)


def test_sets_of_unknown_size_are_counted_where_it_matters():
    odd = OWN.filter(lambda image, label: label % 2 == 1)
    data = datasets.from_tf_data(odd, odd, num_classes=4)
    assert data.train_examples is None
    assert data.test_examples == (LABELS % 2).sum()
    endless = datasets.from_tf_data(OWN.repeat(), odd, num_classes=4)
    assert len(take(endless.train_batches(40, seed=0), 2)) == 2


def mapped(function):
    return OWN.map(lambda image, label: function(image, label))


@pytest.mark.parametrize(
    ("train", "says"),
    [
        (IMAGES, "train set is ndarray; a tf.data.Dataset of"),
        (OWN.batch(5), r"images have the shape \(None, 6, 5, 3\).* they are batches: call .unbatch\(\)"),
        (mapped(lambda image, label: (image[..., 0], label)), r"no channels: map them to images\[..., tf.newaxis\]"),
        (mapped(lambda image, label: {"image": image, "label": label}), r"it must be a pair \(image, label\)"),
        (mapped(lambda image, label: (image, tf.one_hot(label, 4))), r"tf.argmax\(one_hot\)"),
        (mapped(lambda image, label: (tf.cast(image, tf.int32), label)), "images are int32; they must be uint8"),
        (mapped(lambda image, label: (image, label + 4)), r"the first label is \d; 4 classes have labels 0 ... 3"),
        (mapped(lambda image, label: (image[:4], label)), "images of the train set are"),
        (OWN.take(0), "train set is empty"),
        (mapped(lambda image, label: (image[: tf.cast(label, tf.int32)], label)), "tell it with tf.ensure_shape"),
    ],
)
def test_elements_of_another_form_are_refused(train, says):
    with pytest.raises(ValueError, match=says):
        datasets.from_tf_data(train, OWN, num_classes=4)


def test_what_is_said_of_classes_and_of_the_test_set_must_fit():
    with pytest.raises(ValueError, match="give class_names, or num_classes"):
        datasets.from_tf_data(OWN, OWN)
    with pytest.raises(ValueError, match="num_classes is 4, but there are 3 class_names"):
        datasets.from_tf_data(OWN, OWN, num_classes=4, class_names="abc")
    unscaled = mapped(lambda image, label: (tf.cast(image, tf.float32), label))
    with pytest.raises(ValueError, match="from 0 to 2..; .* divide 0 ... 255 by 255"):
        datasets.from_tf_data(unscaled, unscaled, num_classes=4)
    with pytest.raises(ValueError, match="the test set has no end"):
        datasets.from_tf_data(OWN, OWN.repeat(), num_classes=4)


def test_later_elements_are_checked_as_they_are_read():
    bad = OWN.take(5).concatenate(mapped(lambda image, label: (image, label + 90)).take(1))
    data = datasets.from_tf_data(bad, OWN, num_classes=4)
    with pytest.raises(tf.errors.InvalidArgumentError, match="custom: a label is outside 0 ... 3"):
        take(data.train_batches(6, seed=0), 1)


def test_a_function_of_a_module_is_a_data_set(tmp_path, monkeypatch):
    (tmp_path / "someones_data.py").write_text(
        "from alp_tf import datasets\nfrom tests.datasets.test_tf_data import OWN\n\n"
        "def build():\n    return datasets.from_tf_data(OWN, OWN, num_classes=4, name='theirs')\n\n"
        "def raw():\n    return OWN\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    config = configs.default()
    config.dataset.name = "someones_data:build"
    configs.check(config)
    assert datasets.load(config.dataset.name).name == "theirs"
    with pytest.raises(ValueError, match="a data set is needed, such as datasets.from_tf_data"):
        datasets.load("someones_data:raw")
    with pytest.raises(ValueError, match="has no 'bild'; it has build, raw"):
        datasets.load("someones_data:bild")
    with pytest.raises(ValueError, match="has no image_size"):
        datasets.load("someones_data:build", image_size=32)


def test_an_experiment_trains_and_evaluates_on_it_with_the_augmentation_asked_for(tmp_path, monkeypatch):
    (tmp_path / "digits_of_mine.py").write_text(
        "import tensorflow as tf\nfrom alp_tf import datasets\n\n"
        "def build():\n"
        "    digits = datasets.load('digits')\n"
        "    train = tf.data.Dataset.from_tensor_slices((digits.train_images[:50] * 15, digits.train_labels[:50]))\n"
        "    return datasets.from_tf_data(train, train.take(8), num_classes=10)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    augmented = []

    class Recorded(augmentation.PadCrop):
        def __call__(self, image, size, seed):
            augmented.append((image.shape, size))
            return super().__call__(image, size, seed)

    monkeypatch.setitem(datasets.AUGMENTATIONS, "pad_crop_flip", Recorded())
    config = configs.default()
    config.dataset.update(name="digits_of_mine:build", augmentation="pad_crop_flip")
    config.train.update(steps=2, batch_size=10)
    config.evaluation.update(examples=6, masking_examples=0)
    config.evaluation.attacks.pgd.steps = 1
    results = experiment.run(config, tmp_path / "run", name="mine")
    assert results["evaluations"][0]["examples"] == 6
    assert augmented == [((8, 8, 1), (8, 8))]
