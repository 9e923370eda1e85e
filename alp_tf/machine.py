"""What a result was measured with, for results.json, and what the machine can."""

import functools
import importlib.metadata
import os
import pathlib
import platform

import tensorflow as tf

from alp_tf import names

_PACKAGES = ("tensorflow", "keras", "numpy", "alp_tf")
_CPUINFO = pathlib.Path("/proc/cpuinfo")
# With any of these x86 instructions oneDNN computes in that precision, or converts to it at once.
_HALF = {
    "mixed_bfloat16": {"amx_bf16", "avx512_bf16", "avx_ne_convert"},
    "mixed_float16": {"amx_fp16", "avx512_fp16", "avx_ne_convert"},
}


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


@functools.cache
def instructions():
    """What the x86 processor has beyond its oldest instructions, in Linux' names; empty where nobody knows."""
    lines = _CPUINFO.read_text(encoding="utf-8").splitlines() if _CPUINFO.exists() else []
    return frozenset(next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), []))


def emulates(precision):
    """Whether layers of that precision are known to convert to float32 and back here, for want of instructions.

    Args:
      precision: a Keras dtype policy, such as `mixed_bfloat16`.
    """
    known = instructions()
    return precision in _HALF and bool(known) and known.isdisjoint(_HALF[precision]) and not accelerated()


def accelerated():
    """Whether TensorFlow may use a GPU or a TPU."""
    return bool(tf.config.get_visible_devices("GPU") or tf.config.get_visible_devices("TPU"))


def description():
    """Such as `x86_64, 2 cores, 0 GPUs`."""
    gpus = len(tf.config.list_physical_devices("GPU"))
    return f"{platform.machine()}, {names.counted(cores(), 'core')}, {names.counted(gpus, 'GPU')}"
