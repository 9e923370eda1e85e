"""Installation of alp_tf: `pip install .`, with the extras `test`, `serving` and `notebooks`."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent

setuptools.setup(
    name="alp_tf",
    version=re.search(r'__version__ = "(.+)"', (ROOT / "alp_tf/__init__.py").read_text())[1],
    description="Adversarial logit pairing for Keras, and honest measurements of how robust a classifier is",
    long_description=(ROOT / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    # The experiments travel along, for `python -m alp_tf.reproduce` outside a checkout.
    packages=[*setuptools.find_packages(include=["alp_tf", "alp_tf.*"]), "alp_tf.experiments"],
    package_dir={"alp_tf.experiments": "experiments"},
    install_requires=[
        "tensorflow>=2.18",
        "tensorflow-datasets>=4.9",
        # TFDS needs it to prepare a data set, and does not say so.
        "importlib_resources",
        # tf.summary needs it; TensorFlow no longer brings it along.
        "tensorboard>=2.18",
        "numpy",
        "absl-py",
        "ml-collections>=1.0",
        "scikit-learn",
        "scipy",
        # Reads the weights in a `.keras` file, as Keras itself does.
        "h5py",
        "matplotlib",
        # Draws matplotlib's contours, and ours on a loss surface.
        "contourpy",
        # Reports as one HTML page.
        "markdown",
        "tqdm",
    ],
    extras_require={
        "test": [
            *("pytest", "pytest-xdist", "hypothesis", "foolbox>=3.3.4", "ruff", "pyyaml", "kubernetes-validate"),
            # The notebooks run in the tests; Pillow comes with matplotlib.
            *("nbformat", "nbclient", "ipykernel"),
        ],
        # For clients that speak gRPC, and the tests of them; exporting needs none of it.
        "serving": ["tensorflow-serving-api"],
        "notebooks": ["jupyterlab", "nbclient"],
    },
)
