"""What every figure shares: a canvas without pyplot, colours that stay apart for colour-blind readers, atomic files."""

import pathlib

import matplotlib.figure
import numpy as np

from alp_tf import files

# Okabe and Ito's palette.
BLUE, ORANGE, GREEN, SKY, GREY = "#0072B2", "#D55E00", "#009E73", "#56B4E9", "#777777"


def figure(width, height, rows=1, columns=1, **options):
    """A figure with axes, free of window systems and global state, and so safe in any thread.

    Args:
      width, height: in inches.
      rows, columns: of axes.
      **options: of matplotlib's Figure.subplots.

    Returns:
      (figure, what Figure.subplots returned).
    """
    drawn = matplotlib.figure.Figure(figsize=(width, height), layout="constrained")
    axes = drawn.subplots(rows, columns, **options)
    for axis in np.ravel(axes):
        # Pictures in several rows keep their frames, and a 3-D axis has no spines to hide.
        if axis.name != "3d":
            axis.spines[["top", "right"]].set_visible(rows > 1)
    return drawn, axes


def save(drawn, path):
    """Writes a figure atomically, and its directory if there is none.

    Args:
      drawn: matplotlib Figure.
      path: PNG to write.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replaced(path) as temporary:
        drawn.savefig(temporary, dpi=130)


def show_image(axis, pixels):
    """Shows a grey or RGB image, without ticks.

    Args:
      axis: matplotlib Axes.
      pixels: float in [0, 1] (clipped), shape [height, width, 1 or 3].
    """
    pixels = np.clip(np.asarray(pixels, np.float32), 0, 1)
    axis.imshow(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels, cmap="gray", vmin=0, vmax=1)
    axis.set(xticks=[], yticks=[])
