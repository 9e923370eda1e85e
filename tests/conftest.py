"""Small models, data and interruptions that many tests share, and the data directory where real data lie."""

import contextlib
import os

from alp_tf import command_line

# As the commands do, whose results are compared with those of this process.
command_line.load_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from alp_tf import checkpoints, datasets  # noqa: E402


def small_classifier(shape=(6, 6, 1), classes=5):
    """Smooth and nonlinear, so that gradients are never degenerate; built in milliseconds."""
    return keras.Sequential(
        [
            keras.Input(shape),
            keras.layers.Conv2D(8, 3, padding="same", activation="softplus"),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="tanh", name="hidden"),
            keras.layers.Dense(classes),
        ]
    )


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture
def classifier():
    """A fresh small classifier of 6x6x1 images into 5 classes."""
    return small_classifier()


@pytest.fixture
def batch():
    """21 random images of 6x6x1 with labels of 5 classes."""
    rng = np.random.default_rng(0)
    return rng.uniform(size=(21, 6, 6, 1)).astype(np.float32), rng.integers(0, 5, 21)


@pytest.fixture(scope="session")
def digits_classifier():
    """A digits_cnn trained on the embedded digits for a few seconds, undefended."""
    keras.utils.set_random_seed(0)
    data = datasets.load("digits")
    from alp_tf import models

    model = models.build("digits_cnn", input_shape=data.image_shape, num_classes=10)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(data.train_batches(64, seed=0), steps_per_epoch=200, verbose=0)
    return model


@pytest.fixture
def interrupted(monkeypatch):
    """Makes contexts in which a run is interrupted, as by Ctrl-C, right after its next checkpoint."""
    save = checkpoints.Checkpoints.save

    def save_and_stop(kept, step):
        save(kept, step)
        raise KeyboardInterrupt

    @contextlib.contextmanager
    def interruption():
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(checkpoints.Checkpoints, "save", save_and_stop)
            yield

    return interruption


@pytest.fixture
def data_dir():
    """A directory of prepared TFDS data sets; the test is skipped where there is none."""
    path = os.environ.get("ALP_TF_DATA_DIR")
    if not path:
        pytest.skip("ALP_TF_DATA_DIR is not set: it names a directory of prepared TFDS data sets")
    return path
