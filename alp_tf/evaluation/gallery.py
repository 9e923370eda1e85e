"""Figure: the images that an attack misleads most."""

import numpy as np

from alp_tf.evaluation.canvas import GREY, ORANGE, figure, save, show_image
from alp_tf.threat_model import pixel_fraction


def worst(labels, clean_logits, adversarial_logits, limit=10):
    """The images right as they are whose adversarial version is misclassified by the largest margin of logits.

    Args:
      labels: int, shape [examples].
      clean_logits, adversarial_logits: shape [examples, classes].
      limit: how many at most.

    Returns:
      Their indices, int64, the largest margin first; empty where no image was misled.
    """
    labels, logits = np.asarray(labels), np.asarray(adversarial_logits, np.float64)
    rows = np.arange(len(labels))
    others = logits.copy()
    others[rows, labels] = -np.inf
    margins = others.max(-1) - logits[rows, labels]
    misled = (np.argmax(clean_logits, -1) == labels) & (np.argmax(logits, -1) != labels)
    order = np.argsort(-margins, kind="stable")
    return order[misled[order]][:limit]


def gallery(path, images, adversarial, labels, clean_logits, adversarial_logits, class_names, limit=8):
    """A column for each of the worst images: as it is, after the attack, and the change, amplified to full contrast.

    Above each image stand the predicted class and its softmax probability, wrong ones in orange.

    Args:
      path: PNG to write.
      images, adversarial: float32 in [0, 1], shape [examples, height, width, 1 or 3].
      labels: int, shape [examples].
      clean_logits, adversarial_logits: shape [examples, classes].
      class_names: one string a class.
      limit: how many images at most.
    """
    chosen = worst(labels, clean_logits, adversarial_logits, limit)
    if len(chosen) == 0:
        drawn, axis = figure(5, 2)
        axis.text(0.5, 0.5, "no image was misled", ha="center", va="center", color=GREY)
        axis.set_axis_off()
        save(drawn, path)
        return
    images, adversarial = np.asarray(images)[chosen], np.asarray(adversarial)[chosen]
    change = adversarial - images
    largest = max(float(np.abs(change).max()), 1e-6)
    rows = (
        ("clean", images, np.asarray(clean_logits)[chosen]),
        ("adversarial", adversarial, np.asarray(adversarial_logits)[chosen]),
        (f"change\n±{_radius(largest)}", change / (2 * largest) + 0.5, None),
    )
    drawn, axes = figure(1.3 * len(chosen) + 0.7, 4.9, rows=3, columns=len(chosen), squeeze=False)
    for (title, shown, logits), line in zip(rows, axes, strict=True):
        for axis, pixels, index in zip(line, shown, range(len(chosen)), strict=True):
            show_image(axis, pixels)
            axis.spines[:].set_color("0.8")
            if logits is not None:
                predicted = int(np.argmax(logits[index]))
                right = predicted == np.asarray(labels)[chosen[index]]
                confidence = f"{_short(class_names[predicted])}\n{100 * _softmax(logits[index])[predicted]:.1f} %"
                axis.set_title(confidence, fontsize=9, color="black" if right else ORANGE, linespacing=1.1, pad=3)
        line[0].set_ylabel(title, fontsize=10)
    save(drawn, path)


def _radius(value):
    # Float32 differences of pixels are a little off the fraction that they stand for.
    steps = round(255 * value)
    return pixel_fraction(steps / 255) if abs(255 * value - steps) < 1e-3 else f"{value:.3g}"


def _softmax(logits):
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def _short(name):
    return name if len(name) <= 16 else f"{name[:15]}…"
