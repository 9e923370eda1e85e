"""Figures: training curves, and a strip of clean images, adversarial images and what was added."""

import keras
import numpy as np

from alp_tf.evaluation.canvas import BLUE, GREEN, GREY, ORANGE, figure, save, show_image
from alp_tf.threat_model import pixel_fraction


def training_curves(path, rows):
    """Accuracies and loss terms against the step.

    Args:
      path: PNG to write.
      rows: what callbacks.History holds, or what `fit` of a defence returned.

    Raises:
      ValueError: a `fit` that did not know its steps beforehand.
    """
    rows = _rows(rows) if isinstance(rows, keras.callbacks.History) else rows
    drawn, (left, right) = figure(10, 3.6, columns=2)
    steps = [row["step"] for row in rows]
    for name, colour, label in (
        ("clean_accuracy", BLUE, "clean images"),
        ("adversarial_accuracy", ORANGE, "adversarial images"),
        ("mixed_accuracy", GREEN, "mixed images"),
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
    save(drawn, path)


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
    drawn, axes = figure(1.05 * count + 0.9, 3.9, rows=3, columns=count, squeeze=False)
    change = (np.asarray(adversarial) - np.asarray(images)) / (2 * epsilon) + 0.5
    rows = (("clean", images, clean_predictions), ("adversarial", adversarial, predictions), ("change", change, None))
    for row, (title, shown, predicted) in enumerate(rows):
        for column in range(count):
            axis = axes[row][column]
            show_image(axis, shown[column])
            if predicted is not None:
                right = predicted[column] == labels[column]
                axis.set_title(class_names[predicted[column]], fontsize=10, color="black" if right else ORANGE)
        axes[row][0].set_ylabel(title if row < 2 else f"change,\n±{pixel_fraction(epsilon)}", fontsize=9)
    save(drawn, path)


def accuracy_bars(path, rows, robust_label):
    """Clean and robust accuracy of several models side by side.

    Args:
      path: PNG to write.
      rows: (name, clean accuracy, robust accuracy) of each model, shares in [0, 1].
      robust_label: what the robust accuracy was measured with.
    """
    drawn, axis = figure(1.7 * len(rows) + 1.5, 3.6)
    places = np.arange(len(rows))
    for offset, column, colour, label in ((-0.2, 1, BLUE, "clean images"), (0.2, 2, ORANGE, robust_label)):
        heights = [100 * row[column] for row in rows]
        bars = axis.bar(places + offset, heights, 0.38, color=colour, label=label)
        axis.bar_label(bars, fmt="%.1f", fontsize=9, padding=1)
    axis.set_xticks(places, [row[0] for row in rows])
    axis.set(ylabel="accuracy (%)", ylim=(0, 112))
    axis.set_yticks(range(0, 101, 20))
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, 1.18), ncols=2, frameon=False)
    save(drawn, path)


def _rows(fitted):
    """Of a finished `fit`, a row for each epoch, without what validation and other callbacks added."""
    steps = fitted.params["steps"]
    if steps is None:
        raise ValueError("fit did not know how many steps an epoch has: give it steps_per_epoch")
    own = [name for name in fitted.history if not name.startswith("val_") and name != "learning_rate"]
    return [
        {"step": (epoch + 1) * steps, **{name: fitted.history[name][index] for name in own}}
        for index, epoch in enumerate(fitted.epoch)
    ]


def _marker(rows):
    return "o" if len(rows) < 3 else None
