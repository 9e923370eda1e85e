"""Figures of what an attack does to a classifier's classes and logits, from plain arrays.

clean, attacked = logits_of(images), logits_of(adversarial)
class_bars("figures/classes.png", labels, clean, attacked, data.class_names)
logit_histograms("figures/logits.png", labels, clean, attacked)
"""

import numpy as np

from alp_tf.evaluation.canvas import BLUE, GREY, ORANGE, figure, save


def class_bars(path, labels, clean_logits, adversarial_logits, class_names, limit=25):
    """Clean and robust accuracy of each class, the least robust class first; the lines are the means over all images.

    Args:
      path: PNG to write.
      labels: int, shape [examples].
      clean_logits, adversarial_logits: shape [examples, classes].
      class_names: one string a class.
      limit: how many classes to show; the least robust ones where there are more.
    """
    labels = np.asarray(labels)
    clean, robust = _right(labels, clean_logits, adversarial_logits)
    present = np.unique(labels)
    shares = np.array([[clean[labels == each].mean(), robust[labels == each].mean()] for each in present]) * 100
    order = np.lexsort((shares[:, 0], shares[:, 1]))[:limit]
    wide = max(len(class_names[each]) for each in present[order]) > 6
    drawn, axis = figure(max(0.62 * len(order) + 1.2, 4.5), 3.8 if wide else 3.4)
    places = np.arange(len(order))
    for offset, column, colour, label in ((-0.2, 0, BLUE, "clean images"), (0.2, 1, ORANGE, "after the attack")):
        bars = axis.bar(places + offset, shares[order, column], 0.38, color=colour, label=label)
        axis.bar_label(bars, fmt="%.0f", fontsize=8, padding=1)
    for right, colour in ((clean, BLUE), (robust, ORANGE)):
        axis.axhline(100 * right.mean(), color=colour, linewidth=1, linestyle="--", zorder=0)
    axis.plot([], [], color=GREY, linewidth=1, linestyle="--", label="all classes")
    slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if wide else {}
    axis.set_xticks(places, [class_names[each] for each in present[order]], **slanted)
    hidden = f" (the least robust {len(order)} of {len(present)})" if len(order) < len(present) else ""
    axis.set(xlabel=f"class{hidden}", ylabel="accuracy (%)", ylim=(0, 108), xlim=(-0.6, len(order) - 0.4))
    axis.set_yticks(range(0, 101, 20))
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    save(drawn, path)


def logit_histograms(path, labels, clean_logits, adversarial_logits, bins=60):
    """How large the logits are: all of them on the left, those of the true class on the right.

    Squeezing shrinks logits (Kannan section 4.2.3, Shafahi section 3); where they are small, a margin is too.

    Args:
      path: PNG to write.
      labels: int, shape [examples].
      clean_logits, adversarial_logits: shape [examples, classes].
      bins: columns of each histogram.
    """
    labels = np.asarray(labels)
    logits = {"clean images": np.asarray(clean_logits), "after the attack": np.asarray(adversarial_logits)}
    everything = np.concatenate([_finite(values) for values in logits.values()])
    low, high = (everything.min(), everything.max()) if len(everything) else (0.0, 0.0)
    edges = np.linspace(low, max(high, low + 1e-6), bins + 1)
    drawn, axes = figure(10, 3.4, columns=2, sharex=True)
    rows = np.arange(len(labels))
    panels = (("all logits", np.ravel), ("logit of the true class", lambda values: values[rows, labels]))
    for axis, (title, chosen) in zip(axes, panels, strict=True):
        for (name, values), colour in zip(logits.items(), (BLUE, ORANGE), strict=True):
            taken = _finite(chosen(values))
            weights = np.full(len(taken), 100 / max(len(taken), 1))
            style = {"color": colour, "histtype": "stepfilled", "linewidth": 1.2}
            spread = (
                f"mean {taken.mean():.2f}, standard deviation {taken.std():.2f}" if len(taken) else "none is finite"
            )
            axis.hist(taken, edges, weights=weights, alpha=0.3, **style)
            axis.hist(taken, edges, weights=weights, label=f"{name}: {spread}", **{**style, "histtype": "step"})
        axis.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
        axis.set(xlabel=title, ylabel="share (%)")
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1.0), frameon=False, fontsize=8.5)
    save(drawn, path)


def _finite(values):
    return values[np.isfinite(values)]


def _right(labels, clean_logits, adversarial_logits):
    """Whether each image is right as it is, and both so and after the attack."""
    clean = np.argmax(clean_logits, -1) == labels
    return clean, clean & (np.argmax(adversarial_logits, -1) == labels)
