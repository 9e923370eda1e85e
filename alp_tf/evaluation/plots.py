"""Figures: training curves, and a strip of clean images, adversarial images and what was added."""

import matplotlib.figure
import numpy as np

from alp_tf import files
from alp_tf.threat_model import pixel_fraction

# Colours that stay apart for colour-blind readers (Okabe and Ito).
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#777777"


def training_curves(path, rows):
    """Accuracies and loss terms against the step.

    Args:
      path: PNG to write.
      rows: what callbacks.History holds.
    """
    figure, (left, right) = _figure(10, 3.6, columns=2)
    steps = [row["step"] for row in rows]
    for name, colour, label in (
        ("clean_accuracy", BLUE, "clean images"),
        ("adversarial_accuracy", ORANGE, "adversarial images"),
    ):
        if name in rows[0]:
            left.plot(steps, [100 * row[name] for row in rows], color=colour, label=label, marker=_marker(rows))
    left.set(xlabel="step", ylabel="training accuracy (%)", ylim=(0, 101))
    left.legend(loc="lower right", frameon=False)
    terms = [name for name in rows[0] if name not in ("step", "seconds") and not name.endswith("accuracy")]
    colours = {"loss": GREY, "cross_entropy": BLUE}
    for name in terms:
        values = [row[name] for row in rows]
        right.plot(steps, values, color=colours.get(name, GREEN), label=name.replace("_", " "), marker=_marker(rows))
    right.set(xlabel="step", ylabel="loss and its terms (nats)")
    right.set_ylim(bottom=0)
    right.legend(loc="upper right", frameon=False)
    _save(figure, path)


def adversarial_strip(
    path, images, adversarial, labels, clean_predictions, predictions, class_names, epsilon, limit=10
):
    """Rows of clean images, adversarial images and the perturbation, magnified; predictions above, errors in red.

    Args:
      path: PNG to write.
      images, adversarial: float32 in [0, 1], shape [examples, height, width, channels].
      labels, clean_predictions, predictions: class numbers, shape [examples].
      class_names: one string a class.
      epsilon: the largest perturbation of a pixel; grey is no change, black and white are -epsilon and +epsilon.
      limit: how many examples to show.
    """
    count = min(limit, len(images))
    figure, axes = _figure(1.05 * count + 0.9, 3.9, rows=3, columns=count, squeeze=False)
    change = (np.asarray(adversarial) - np.asarray(images)) / (2 * epsilon) + 0.5
    rows = (("clean", images, clean_predictions), ("adversarial", adversarial, predictions), ("change", change, None))
    for row, (title, shown, predicted) in enumerate(rows):
        for column in range(count):
            axis = axes[row][column]
            picture = np.clip(np.asarray(shown[column]), 0, 1)
            axis.imshow(picture.squeeze(-1) if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
            if predicted is not None:
                right = predicted[column] == labels[column]
                axis.set_title(class_names[predicted[column]], fontsize=10, color="black" if right else ORANGE)
        axes[row][0].set_ylabel(title if row < 2 else f"change,\n±{pixel_fraction(epsilon)}", fontsize=9)
    _save(figure, path)


def accuracy_bars(path, rows, robust_label):
    """Clean and robust accuracy of several models side by side.

    Args:
      path: PNG to write.
      rows: (name, clean accuracy, robust accuracy) of each model, shares in [0, 1].
      robust_label: what the robust accuracy was measured with.
    """
    figure, axis = _figure(1.7 * len(rows) + 1.5, 3.6)
    places = np.arange(len(rows))
    for offset, column, colour, label in ((-0.2, 1, BLUE, "clean images"), (0.2, 2, ORANGE, robust_label)):
        heights = [100 * row[column] for row in rows]
        bars = axis.bar(places + offset, heights, 0.38, color=colour, label=label)
        axis.bar_label(bars, fmt="%.1f", fontsize=9, padding=1)
    axis.set_xticks(places, [row[0] for row in rows])
    axis.set(ylabel="accuracy (%)", ylim=(0, 112))
    axis.set_yticks(range(0, 101, 20))
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.18), ncols=2, frameon=False)
    _save(figure, path)


def _figure(width, height, rows=1, columns=1, **options):
    # A figure without pyplot: no window system, no global state, safe in any thread.
    figure = matplotlib.figure.Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, columns, **options)
    for axis in np.ravel(axes):
        axis.spines[["top", "right"]].set_visible(rows > 1)
    return figure, axes


def _marker(rows):
    return "o" if len(rows) < 3 else None


def _save(figure, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replaced(path) as temporary:
        figure.savefig(temporary, dpi=130)
