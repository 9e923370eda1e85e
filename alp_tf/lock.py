"""A file that one process at a time holds."""

import errno
import json
import logging
import os
import pathlib
import socket
import time

try:
    import fcntl
except ImportError:
    # Not on every system; there nobody is kept out.
    fcntl = None

_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class Lock:
    """Held from `acquire` to `release`, or until the process ends, however it ends: the system lets go of it then.

    The file stays; what it says of its holder is true while somebody holds it. Network file systems keep processes of
    several machines apart, if they have locks at all.

    Attributes:
      path: the file, in a directory that is there.
    """

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self._file = None

    def acquire(self):
        """Takes it, unless it is held by this object already.

        Raises:
          BlockingIOError: somebody else holds it; its text says who and since when.
          OSError: the file cannot be written.
        """
        if self._file is not None or fcntl is None:
            return
        # Opened for writing without emptying it, for it may be another's.
        file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with file:
                raise BlockingIOError(_holder(file.read())) from None
        except OSError as error:
            file.close()
            if error.errno not in _UNSUPPORTED:
                raise
            logging.getLogger("alp_tf").warning(
                "%s: this file system has no locks (%s); see to it yourself that no two runs share the directory",
                self.path.parent,
                error.strerror,
            )
            return
        file.truncate()
        json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}, file)
        file.flush()
        self._file = file

    def release(self):
        """Lets go of it; nothing happens where it is not held."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _holder(text):
    try:
        known = json.loads(text)
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(known["since"]))
        return f"process {known['pid']} on {known['host']}, since {since}"
    except (ValueError, TypeError, KeyError):
        # It has not come to write it yet.
        return "another process, since a moment ago"
