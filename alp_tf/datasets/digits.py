"""scikit-learn's bundled handwritten digits: 1,797 images of 8x8 pixels, no download."""

import numpy as np
from sklearn import datasets, model_selection

from alp_tf.datasets import base

TEST_EXAMPLES = 360


def load(*, data_dir=None):
    """The digits with a fixed split, 1,437 to train and 360 to test, each class in proportion.

    Args:
      data_dir: not used; the images come with scikit-learn.
    """
    bundled = datasets.load_digits()
    images = bundled.images.astype(np.uint8)[..., None]
    labels = bundled.target.astype(np.int32)
    train, test = model_selection.train_test_split(
        np.arange(len(labels)), test_size=TEST_EXAMPLES, stratify=labels, random_state=0
    )
    return base.Dataset(
        name="digits",
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
        class_names=tuple(str(name) for name in bundled.target_names),
        highest=16,
    )
