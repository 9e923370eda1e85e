"""Figure: how adversarial images of each source transfer to each target."""

import numpy as np
from matplotlib import patches

from alp_tf.evaluation.canvas import figure, save


def heat_map(path, transfer, attack=None):
    """Robust accuracy of each target on the images of each source, as coloured cells with the numbers in them.

    Args:
      path: PNG to write.
      transfer: black_box.Transfer.
      attack: name of the attack; None for the worst case over all of them, image by image.
    """
    shares = transfer.matrix(attack)
    rows, columns = shares.shape
    longest = max(map(len, transfer.sources))
    drawn, axis = figure(1.25 * columns + 0.085 * longest + 2.4, 0.62 * rows + 1.7)
    # One hue, from light to dark: legible in print and for every kind of colour vision.
    image = axis.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    for row, source in enumerate(transfer.sources):
        for column, target in enumerate(transfer.targets):
            white_box = transfer.row(target, attack=attack, source=source).white_box
            share = shares[row, column]
            axis.text(
                column,
                row,
                f"{100 * share:.1f}" + ("\nwhite box" if white_box else ""),
                ha="center",
                va="center",
                color="white" if share > 0.55 else "black",
                fontsize=9.5 if white_box else 11,
                linespacing=1.1,
            )
            if white_box:
                frame = patches.Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, fill=False, linewidth=1)
                frame.set(edgecolor="white" if share > 0.55 else "black", linestyle=(0, (3, 2)))
                axis.add_patch(frame)
    slanted = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"} if max(map(len, transfer.targets)) > 14 else {}
    axis.set_xticks(np.arange(columns), transfer.targets, **slanted)
    axis.set_yticks(np.arange(rows), transfer.sources)
    # White seams between the cells.
    axis.set_xticks(np.arange(columns - 1) + 0.5, minor=True)
    axis.set_yticks(np.arange(rows - 1) + 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=2)
    axis.tick_params(which="both", length=0)
    axis.spines[:].set_visible(False)
    axis.set(xlabel="target: classifies the images", ylabel="source: attacked")
    balls = sorted(set(transfer.threat_models.values())) if attack is None else [transfer.threat_models[attack]]
    what = f"worst of {len(transfer.attacks)} attacks" if attack is None and len(transfer.attacks) > 1 else ""
    axis.set_title(f"{what or attack or next(iter(transfer.attacks))}, {', '.join(balls)}", fontsize=10)
    drawn.colorbar(image, ax=axis, label="robust accuracy (%)", pad=0.03).outline.set_visible(False)
    save(drawn, path)
