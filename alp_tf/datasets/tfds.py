"""Data sets from TensorFlow Datasets."""

import os
import socket
import urllib.request

import numpy as np
import tensorflow_datasets

from alp_tf.datasets import archives as original_archives
from alp_tf.datasets import base, records


def load(name, *, data_dir=None, archives=None):
    """A prepared (or downloadable) TFDS image classification set with `train` and `test` splits, in memory.

    Args:
      name: TFDS name, such as `mnist`.
      data_dir: where prepared sets lie; None for TFDS' own default.
      archives: directory of the original archives to prepare it from, where it is not prepared; None to download.

    Raises:
      ValueError: it is not prepared there and cannot be prepared; says how to prepare it.
    """
    builder = _prepared(name, data_dir, archives)
    # Other features, such as identifiers, are not decoded.
    wanted = dict.fromkeys(("image", "label"), True)
    arrays = {
        split: tensorflow_datasets.as_numpy(
            builder.as_dataset(split=split, batch_size=-1, decoders=tensorflow_datasets.decode.PartialDecoding(wanted))
        )
        for split in ("train", "test")
    }
    return base.Dataset(
        name=name,
        train_images=arrays["train"]["image"],
        train_labels=arrays["train"]["label"].astype(np.int32),
        test_images=arrays["test"]["image"],
        test_labels=arrays["test"]["label"].astype(np.int32),
        class_names=_class_names(builder),
    )


def load_photographs(name, *, data_dir=None, archives=None, image_size=299):
    """A TFDS set of photographs of all sizes, such as `imagenet2012`, read from disk as it is needed.

    Args:
      name: TFDS name of a set with `train` and `validation` splits; the latter is the test set.
      data_dir, archives: see load.
      image_size: pixels of the side of what is given out.

    Raises:
      ValueError: as load.
    """
    builder = _prepared(name, data_dir, archives)
    train, test = (builder.info.splits[split] for split in ("train", "validation"))
    features = builder.info.features
    undecoded = {"image": tensorflow_datasets.decode.SkipDecoding()}

    def parse(record):
        example = features.deserialize_example(record, decoders=undecoded)
        return example["image"], example["label"]

    return records.Records(
        name=name,
        class_names=_class_names(builder),
        image_shape=(image_size, image_size, 3),
        train_files=tuple(str(path) for path in train.filepaths),
        test_files=tuple(str(path) for path in test.filepaths),
        train_examples=train.num_examples,
        test_examples=test.num_examples,
        parse=parse,
    )


def _class_names(builder):
    return tuple(builder.info.features["label"].names)


def _prepared(name, data_dir, archives):
    where = os.path.abspath(os.path.expanduser(data_dir)) if data_dir else None
    if where and not archives and not os.path.isdir(where):
        raise ValueError(f"config.dataset.data_dir is {data_dir!r}, and there is no such directory; {_how_to(name)}")
    try:
        builder = tensorflow_datasets.builder(name, data_dir=where)
        if builder.data_path.exists():
            return builder
        if archives:
            original_archives.prepare(builder, archives)
        else:
            _check_online()
            builder.download_and_prepare()
    except original_archives.Unfit:
        raise
    # TFDS raises whatever its downloader met: DNS, HTTP, checksum, disk. All mean the same to the user.
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
        attempted = f"prepared from the archives in {archives}" if archives else "downloaded"
        raise ValueError(
            f"the data set {name!r} is not prepared in {where or 'the default TFDS directory'} and could not be "
            f"{attempted} ({reason[:200]}); {_how_to(name)}"
        ) from error
    return builder


def _check_online():
    # TFDS retries for minutes where there is no network at all; a look-up of its host tells at once.
    if not urllib.request.getproxies():
        socket.getaddrinfo("storage.googleapis.com", 443)


def _how_to(name):
    return (
        f'prepare it on a machine with internet access, python -c "import tensorflow_datasets as tfds; '
        f"tfds.load('{name}', data_dir='DIR')\", copy DIR here and add --config.dataset.data_dir=DIR; or place its "
        "original archives in a directory here and add --config.dataset.archives=THAT_DIRECTORY. (So for alp_tf.main; "
        "other commands have --data_dir and --archives)"
    )
