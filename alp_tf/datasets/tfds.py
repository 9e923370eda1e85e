"""Data sets from TensorFlow Datasets."""

import os
import socket
import urllib.request

import numpy as np
import tensorflow_datasets

from alp_tf.datasets import base


def load(name, *, data_dir=None):
    """A prepared (or downloadable) TFDS image classification set with `train` and `test` splits.

    Args:
      name: TFDS name, such as `mnist`.
      data_dir: where prepared sets lie; None for TFDS' own default.

    Raises:
      ValueError: it is not prepared there and cannot be downloaded; says how to prepare it.
    """
    builder = _prepared(name, data_dir)
    classes = builder.info.features["label"]
    arrays = {
        split: tensorflow_datasets.as_numpy(builder.as_dataset(split=split, batch_size=-1))
        for split in ("train", "test")
    }
    return base.Dataset(
        name=name,
        train_images=arrays["train"]["image"],
        train_labels=arrays["train"]["label"].astype(np.int32),
        test_images=arrays["test"]["image"],
        test_labels=arrays["test"]["label"].astype(np.int32),
        class_names=tuple(classes.names),
    )


def _prepared(name, data_dir):
    where = os.path.abspath(os.path.expanduser(data_dir)) if data_dir else None
    if where and not os.path.isdir(where):
        raise ValueError(f"config.dataset.data_dir is {data_dir!r}, and there is no such directory; {_how_to(name)}")
    try:
        builder = tensorflow_datasets.builder(name, data_dir=where)
        if not builder.data_path.exists():
            _check_online()
        builder.download_and_prepare()
    # TFDS raises whatever its downloader met: DNS, HTTP, checksum, disk. All mean the same to the user.
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        raise ValueError(
            f"the data set {name!r} is not prepared in {where or 'the default TFDS directory'} and could not be "
            f"downloaded ({reason[:200]}); {_how_to(name)}"
        ) from error
    return builder


def _check_online():
    # TFDS retries for minutes where there is no network at all; a look-up of its host tells at once.
    if not urllib.request.getproxies():
        socket.getaddrinfo("storage.googleapis.com", 443)


def _how_to(name):
    return (
        f'prepare it on a machine with internet access, python -c "import tensorflow_datasets as tfds; '
        f"tfds.load('{name}', data_dir='DIR')\", copy DIR here and add --config.dataset.data_dir=DIR"
    )
