"""Runs the notebooks of this directory and writes them back with their outputs, as they are committed.

    python experiments/notebooks/make.py                               # all of them
    python experiments/notebooks/make.py 2_is_it_really_robust.ipynb
    python experiments/notebooks/make.py --repository=someone/alp_tf   # runs nothing: writes only the address

Each runs in a clean kernel and an empty temporary directory. What is left in the file says nothing of the machine: no
paths, no times of execution, no warnings of libraries. Needs the extra [test].
"""

import argparse
import base64
import io
import os
import pathlib
import re
import sys
import tempfile

import nbclient
import nbformat
import PIL.Image

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
NOTEBOOKS = sorted(HERE.glob("*.ipynb"))
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
# A progress bar of a command, at its end.
BAR = re.compile(r"^.*\d%\|.*\n", re.MULTILINE)
# Where the repository is: in the badge, and in the cell that installs it.
ADDRESS = re.compile(r"(github(?:\.com)?/)([\w.-]+/alp_tf)")


def run(notebook, directory, *, timeout=600):
    """Runs every cell in a clean kernel; the outputs go into the notebook.

    Args:
      notebook: nbformat notebook.
      directory: where its files go.
      timeout: seconds that a cell may take.

    Raises:
      nbclient.exceptions.CellExecutionError: a cell fails.
    """
    directory = pathlib.Path(directory)
    found = [str(ROOT), os.environ.get("PYTHONPATH")]
    surroundings = {
        **os.environ,
        # This checkout and this Python, whatever is installed elsewhere: also for the commands of a cell.
        "PYTHONPATH": os.pathsep.join(filter(None, found)),
        "PATH": os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ.get("PATH", "")]),
        # No file outside, and no two kernels in one history.
        "IPYTHONDIR": str(directory / ".ipython"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    client = nbclient.NotebookClient(
        notebook,
        kernel_name=KERNEL["name"],
        timeout=timeout,
        resources={"metadata": {"path": str(directory)}},
        record_timing=False,
        coalesce_streams=True,
    )
    client.execute(env=surroundings)


def tidy(notebook):
    """Leaves in a notebook that was run what readers of any machine should see.

    Args:
      notebook: nbformat notebook; changed in place.
    """
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type != "code":
            continue
        # Chatter of libraries, with their paths on this machine.
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            if "text" in output:
                # Commands end their lines as terminals do.
                output.text = BAR.sub("", output.text.replace("\r\n", "\n")).lstrip("\n")
            picture = output.get("data", {}).get("image/png")
            if picture:
                output.data["image/png"] = base64.b64encode(_smaller(base64.b64decode(picture))).decode()


def addressed(text, repository):
    """The text, with that repository on GitHub, `owner/alp_tf`, in its badges and where it is installed from.

    Raises:
      ValueError: the repository is not written so.
    """
    if not ADDRESS.fullmatch(f"github/{repository}"):
        raise ValueError(f"--repository is {repository!r}; write it as owner/alp_tf, without https://github.com/")
    return ADDRESS.sub(rf"\g<1>{repository}", text)


def _smaller(content):
    """The same PNG with a palette of 256 colours, which figures can spare."""
    picture = PIL.Image.open(io.BytesIO(content)).convert("RGB")
    written = io.BytesIO()
    picture.quantize(256, dither=PIL.Image.Dither.NONE).save(written, "PNG", optimize=True)
    return written.getvalue()


def main():
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=pathlib.Path, default=NOTEBOOKS)
    parser.add_argument("--repository", metavar="OWNER/alp_tf", help="where the badges lead on GitHub; runs nothing")
    arguments = parser.parse_args()
    if arguments.repository:
        for path in (*NOTEBOOKS, HERE / "README.md"):
            path.write_text(addressed(path.read_text(encoding="utf-8"), arguments.repository), encoding="utf-8")
        return
    for path in arguments.notebooks:
        path = HERE / path.name
        notebook = nbformat.read(path, as_version=4)
        print(path.name, flush=True)
        with tempfile.TemporaryDirectory() as directory:
            run(notebook, directory)
        tidy(notebook)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
