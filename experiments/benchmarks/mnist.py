"""What comparisons on MNIST have in common: their flags, the classifier, and the first test images."""

import keras
from absl import flags

from alp_tf import datasets

MODEL = flags.DEFINE_string("model", "runs/mnist_alp/model.keras", "a classifier as alp_tf.main keeps it")
EXAMPLES = flags.DEFINE_integer("examples", 1000, "test images to attack")
BATCH = flags.DEFINE_integer("batch", 250, "images a batch, on both sides")
SEED = flags.DEFINE_integer("seed", 0, "of the random starts, on both sides")
OUTPUT = flags.DEFINE_string("output", None, "JSON file to write")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "directory of prepared TFDS data sets")


def load():
    """The classifier that the flags name, and images and labels as arrays."""
    model = keras.models.load_model(MODEL.value)
    images, labels = next(iter(datasets.load("mnist", data_dir=_DATA_DIR.value).test_batches(EXAMPLES.value)))
    return model, images.numpy()[: EXAMPLES.value], labels.numpy()[: EXAMPLES.value]
