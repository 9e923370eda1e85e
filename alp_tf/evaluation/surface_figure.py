"""Figure: loss surfaces in three dimensions."""

import contourpy
import numpy as np
from scipy import ndimage

from alp_tf.evaluation.canvas import GREY, ORANGE, figure, save
from alp_tf.threat_model import pixel_fraction

# Field of Surface: label of the upright axis.
VALUES = {"cross_entropy": "cross-entropy (nats)", "margin": "margin (logits)"}


def draw(path, surface, value="cross_entropy", titles=None, limit=3):
    """The surfaces of up to three images side by side, with a common scale; the dot is the image itself.

    Args:
      path: PNG to write.
      surface: surface.Surface.
      value: `cross_entropy`, or `margin`, above 0 where the image is misclassified.
      titles: one string for each image; None for its label.
      limit: how many images to show.

    Raises:
      ValueError: unknown value.
    """
    if value not in VALUES:
        raise ValueError(f"value is {value!r}; it must be one of {', '.join(VALUES)}")
    count = min(limit, len(surface.labels))
    heights = getattr(surface, value)[:count]
    lowest, highest = float(heights.min()), float(heights.max())
    drawn, axes = figure(4.2 * count + 0.3, 4.0, columns=count, squeeze=False, subplot_kw={"projection": "3d"})
    a, b = np.meshgrid(surface.offsets, surface.offsets, indexing="ij")
    centre = len(surface.offsets) // 2
    reach = f"× {pixel_fraction(surface.epsilon)}"
    for index, axis in enumerate(axes[0]):
        options = {"cmap": "viridis", "vmin": lowest, "vmax": highest, "rcount": len(a), "ccount": len(a)}
        axis.plot_surface(a, b, heights[index], edgecolor=(1, 1, 1, 0.25), linewidth=0.3, **options)
        # The boundary and the dot lie on the surface, and would be half hidden in it without an order of their own.
        axis.computed_zorder = False
        for line in contourpy.contour_generator(a, b, surface.margin[index]).lines(0.0):
            axis.plot(*line.T, _height_at(heights[index], line), color=ORANGE, linewidth=2, zorder=9)
        axis.plot([0], [0], [heights[index, centre, centre]], "o", color="black", markersize=5, zorder=10)
        axis.set(xlim=(-1, 1), ylim=(-1, 1), zlim=(lowest, highest if highest > lowest else lowest + 1))
        axis.set(xticks=(-1, 0, 1), yticks=(-1, 0, 1))
        axis.set_xlabel(f"adversarial direction\n({reach})", fontsize=8.5, labelpad=6)
        axis.set_ylabel(f"random direction\n({reach})", fontsize=8.5, labelpad=6)
        axis.set_zlabel(VALUES[value], fontsize=8.5, labelpad=2)
        axis.tick_params(labelsize=8, pad=0)
        axis.view_init(elev=24, azim=-128)
        # Smaller than its frame: the constrained layout does not count the labels of three dimensions.
        axis.set_box_aspect((1, 1, 0.8), zoom=0.97)
        axis.set_title(titles[index] if titles else f"class {surface.labels[index]}", fontsize=10, y=0.97)
        for side in (axis.xaxis, axis.yaxis, axis.zaxis):
            side.set_pane_color((1, 1, 1, 0))
            side.pane.set_edgecolor("0.85")
            side._axinfo["grid"].update(color="0.9", linewidth=0.6)
    drawn.suptitle("dot: the image itself; orange: where the prediction changes", fontsize=8.5, color=GREY)
    save(drawn, path)


def _height_at(heights, line):
    """Of points of the plane, float [n, 2] in [-1, 1], the height of the surface."""
    return ndimage.map_coordinates(heights, (line.T + 1) / 2 * (len(heights) - 1), order=1)
