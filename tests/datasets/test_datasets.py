"""Splits are fixed, pixels are in [0, 1], and the order of batches depends on the seed and the step alone."""

import weakref

import numpy as np
import pytest
import tensorflow_datasets

from alp_tf import datasets, machine
from tests.datasets.batches import assert_equal_batches, take


def test_digits_are_split_in_proportion_and_disjoint():
    data = datasets.load("digits")
    assert data.image_shape == (8, 8, 1)
    assert data.class_names == tuple("0123456789")
    assert (len(data.train_labels), len(data.test_labels)) == (1437, 360)
    shares = np.bincount(data.test_labels) / np.bincount(data.train_labels)
    assert shares.min() > 0.24
    assert shares.max() < 0.27
    (images, labels), *_ = take(data.test_batches(360), 1)
    assert images.dtype == np.float32
    assert (images.min(), images.max()) == (0, 1)
    assert labels.dtype == np.int32
    # The split is part of every published number: it must never move.
    assert labels[:10].tolist() == data.test_labels[:10].tolist() == [7, 6, 3, 7, 7, 3, 2, 8, 9, 3]


def test_batches_repeat_with_the_seed_and_resume_at_any_step():
    data = datasets.load("digits")
    whole = take(data.train_batches(100, seed=4), 40)
    assert_equal_batches(whole, take(data.train_batches(100, seed=4), 40))
    # 14 steps an epoch: in the first epoch, at its end, and beyond.
    for start in (1, 13, 14, 31):
        assert_equal_batches(whole[start:], take(data.train_batches(100, seed=4, start_step=start), 40 - start))
    assert not np.array_equal(whole[0][1], take(data.train_batches(100, seed=5), 1)[0][1])
    assert not np.array_equal(whole[0][1], whole[14][1])


def test_an_epoch_shows_each_image_once():
    data = datasets.load("digits")
    images = np.concatenate([images for images, _ in take(data.train_batches(479, seed=0), 3)])
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(
        np.unique(data.train_images.reshape(1437, -1), axis=0)
    )


def test_test_batches_keep_their_order_and_stop_at_examples():
    data = datasets.load("digits")
    sizes = [len(labels) for _, labels in take(data.test_batches(100, examples=250), 9)]
    assert sizes == [100, 100, 50]
    assert sum(len(labels) for _, labels in take(data.test_batches(100), 9)) == 360


def test_bad_sizes_and_names_are_refused():
    data = datasets.load("digits")
    with pytest.raises(ValueError, match="1437 training images"):
        data.train_batches(2000, seed=0)
    with pytest.raises(ValueError, match="360 test images"):
        data.test_batches(10, examples=1000)
    with pytest.raises(ValueError, match="did you mean 'mnist'"):
        datasets.load("minst")
    with pytest.raises(ValueError, match="'digits' has no image_size: leave out --config.dataset.image_size"):
        datasets.load("digits", image_size=32)
    with pytest.raises(ValueError, match="'folder' has no archives"):
        datasets.load("folder", archives="somewhere")
    with pytest.raises(ValueError, match="image_size is 4; it must be at least 8"):
        datasets.load("imagenet2012", image_size=4)


def test_one_data_set_is_kept_and_let_go_before_the_next_is_read(monkeypatch):
    first = datasets.load("digits")
    assert datasets.load("digits") is first
    held = weakref.ref(first)
    del first
    monkeypatch.setitem(datasets.NAMED, "other", lambda *, data_dir=None: held())
    assert datasets.load("other") is None


@pytest.mark.parametrize("fails", ["the network", "the download"])
def test_a_set_that_is_not_there_says_how_to_prepare_it(fails, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(f"{fails} is not there")

    def resolve(*_):
        return []

    monkeypatch.setattr("socket.getaddrinfo", refuse if fails == "the network" else resolve)
    monkeypatch.setattr("tensorflow_datasets.core.DatasetBuilder.download_and_prepare", refuse)
    with pytest.raises(ValueError, match=f"OSError: {fails}"):
        datasets.load("mnist", data_dir=str(tmp_path))
    with pytest.raises(ValueError, match=r"(?s)tfds.load\('mnist'.*--config.dataset.data_dir=DIR"):
        datasets.load("mnist", data_dir=str(tmp_path))
    with pytest.raises(ValueError, match="no such directory"):
        datasets.load("mnist", data_dir=str(tmp_path / "nowhere"))


def test_mnist_is_the_real_one(data_dir):
    data = datasets.load("mnist", data_dir=data_dir)
    assert (len(data.train_labels), len(data.test_labels)) == (60_000, 10_000)
    assert data.image_shape == (28, 28, 1)
    # Known sums of the original files.
    assert np.bincount(data.test_labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.test_images.mean() == pytest.approx(33.79, abs=0.01)


@pytest.mark.parametrize(("name", "classes"), [("cifar10", 10), ("cifar100", 100), ("svhn_cropped", 10)])
def test_sets_of_the_papers_through_tfds(name, classes, data_dir, monkeypatch):
    # Seconds of decoding say no more than a few images do.
    whole = tensorflow_datasets.core.DatasetBuilder.as_dataset
    monkeypatch.setattr(
        "tensorflow_datasets.core.DatasetBuilder.as_dataset",
        lambda builder, split, **options: whole(builder, split=f"{split}[:60]", **options),
    )
    data = datasets.load(name, data_dir=data_dir)
    assert (data.image_shape, data.num_classes) == ((32, 32, 3), classes)
    assert (data.train_examples, data.test_examples) == (60, 60)
    (images, labels), *_ = take(data.test_batches(60), 1)
    assert images.shape == (60, 32, 32, 3)
    assert 0 <= images.min() < 0.1 < 0.9 < images.max() <= 1
    assert labels.max() < classes
    assert len(set(labels)) > 5
    np.testing.assert_array_equal(images * 255, data.test_images)
    datasets.load("digits")


BATCH = np.zeros((4, 8, 8, 1), np.uint8)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"train_images": BATCH / np.float32(255)}, "train_images are float32.*uint8.*datasets.from_tf_data"),
        ({"test_images": BATCH[..., 0]}, r"test_images are uint8 of shape \(4, 8, 8\)"),
        ({"train_labels": np.zeros(3, int)}, "there are 4 train_images but 3 labels"),
    ],
)
def test_arrays_that_are_no_images_are_refused(fields, says):
    arrays = {"train_images": BATCH, "train_labels": np.zeros(4, int), "test_images": BATCH, "test_labels": [0] * 4}
    with pytest.raises(ValueError, match=f"own: {says}"):
        datasets.Dataset(name="own", class_names=("a", "b"), **{**arrays, **fields})


@pytest.mark.parametrize("cores", [1, 2])
def test_a_single_core_has_no_tuner_to_wait_for_and_the_same_batches(cores, monkeypatch):
    data, before = datasets.load("digits"), {}
    kinds = {
        "training": lambda: data.train_batches(8, seed=0),
        "augmented": lambda: data.train_batches(8, seed=0, augmentation="shift_by_1"),
        "test": lambda: data.test_batches(8),
    }
    for name, batches in kinds.items():
        before[name] = take(batches(), 3)
    monkeypatch.setattr(machine, "cores", lambda: cores)
    for name, batches in kinds.items():
        found = batches()
        assert (found.options().autotune.enabled is False) == (cores == 1)
        assert_equal_batches(take(found, 3), before[name])
