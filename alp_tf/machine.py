"""What a result was measured with: versions and machine, for results.json."""

import importlib.metadata
import os
import platform

import tensorflow as tf

from alp_tf import names

_PACKAGES = ("tensorflow", "keras", "numpy", "alp_tf")


def versions():
    """{package: version} of what decides a result."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def core_numbers():
    """The numbers of the cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def cores():
    """How many cores this process may use."""
    return len(core_numbers())


def description():
    """Such as `x86_64, 2 cores, 0 GPUs`."""
    gpus = len(tf.config.list_physical_devices("GPU"))
    return f"{platform.machine()}, {names.counted(cores(), 'core')}, {names.counted(gpus, 'GPU')}"
