"""What the comparisons with other libraries write down: the table as JSON, with what is needed to make it again."""

import importlib.metadata
import platform
import sys

from alp_tf import files


def write(path, *, rows, packages, **conditions):
    """Writes one comparison; nothing where no path was given.

    Args:
      path: of the JSON file, or None.
      rows: dictionaries, one for each line of the table.
      packages: names of the installed packages whose versions belong to the result.
      **conditions: what else fixes the result, such as the model, the number of images and the seed.
    """
    if not path:
        return
    versions = {"python": platform.python_version()}
    versions.update({package: importlib.metadata.version(package) for package in packages})
    command = " ".join(["python", *sys.argv])
    files.write_json(path, {"command": command, **conditions, "rows": rows, "versions": versions})
