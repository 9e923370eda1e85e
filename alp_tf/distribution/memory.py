"""Memory that a process has freed, kept for its next step."""

import ctypes

# Of GNU's malloc.h; other C libraries have no mallopt, or other numbers.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3
# The largest threshold that is taken, and how much more than it needs the process asks the system for.
_SETTINGS = {_MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 1 << 30, _TOP_PAD: 64 << 20}


def keep_freed():
    """Tells the C library to keep what is freed, up to a gigabyte, where it would give large blocks back at once.

    Sums over workers take buffers as large as all gradients in every step. Got anew from the system each time, page by
    page, they cost a fifth of a step of LeNet on two cores.

    Returns:
      Whether the C library is one that can be told.
    """
    try:
        library = ctypes.CDLL(None)
        # GNU's alone has it.
        library.gnu_get_libc_version  # noqa: B018
    except (AttributeError, OSError, TypeError):
        return False
    return all(library.mallopt(setting, value) == 1 for setting, value in _SETTINGS.items())
