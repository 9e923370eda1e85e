"""Writing files so that a kill at any moment leaves the old file or the new one, never half of one."""

import contextlib
import json
import os
import pathlib
import tempfile


@contextlib.contextmanager
def replaced(path):
    """A temporary path beside `path` that takes its place when the block ends without an error.

    Args:
      path: the file to write.

    Yields:
      pathlib.Path with the same suffix.
    """
    path = pathlib.Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
        # mkstemp makes private files; the result should be as readable as any other new file.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path, text):
    """Writes text atomically."""
    with replaced(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path, value):
    """Writes indented JSON atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")
