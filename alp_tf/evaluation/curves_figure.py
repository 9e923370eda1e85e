"""Figure: robust accuracy against epsilon, gradient steps and restarts."""

from matplotlib import ticker

from alp_tf.evaluation.canvas import BLUE, GREEN, GREY, ORANGE, figure, save
from alp_tf.threat_model import pixel_fraction

_BAND = 0.18


def draw(path, curves):
    """Three panels side by side, with bands of the 95 % intervals.

    Args:
      path: PNG to write.
      curves: curves.Curves.
    """
    drawn, axes = figure(11, 3.8, columns=3, sharey=True)
    panels = (
        (curves.by_epsilon, BLUE, f"epsilon ({curves.threat_model.split()[0]}, pixel units)"),
        (curves.by_steps, ORANGE, f"gradient steps, at {curves.threat_model}"),
        (curves.by_restarts, GREEN, f"restarts of {curves.steps} steps, at {curves.threat_model}"),
    )
    for axis, (points, colour, label) in zip(axes, panels, strict=True):
        budgets = [point.budget for point in points]
        shares = [100 * point.robust_accuracy for point in points]
        low, high = ([100 * point.ci95[end] for point in points] for end in (0, 1))
        axis.fill_between(budgets, low, high, color=colour, alpha=_BAND, linewidth=0)
        axis.plot(budgets, shares, color=colour, marker="o", markersize=4.5)
        axis.axhline(100 * curves.clean_accuracy, color=GREY, linewidth=1, linestyle=":")
        axis.set(xlabel=label, ylim=(0, 102))
        axis.set_yticks(range(0, 101, 20))
        axis.grid(axis="y", color="0.92")
        axis.set_axisbelow(True)
        # The numbers at both ends say what a reader would otherwise measure with a ruler.
        for index, side in ((0, "left"), (len(points) - 1, "right")):
            place = {"xytext": (0, -13 if shares[index] > 12 else 7), "textcoords": "offset points", "ha": side}
            axis.annotate(f"{shares[index]:.1f}", (budgets[index], shares[index]), fontsize=8.5, **place)
    axes[0].axvline(curves.epsilon, color=GREY, linewidth=1, linestyle="--")
    axes[0].set_xticks(*_epsilon_ticks(curves))
    axes[0].set_ylabel("robust accuracy (%)")
    for axis, points in ((axes[1], curves.by_steps), (axes[2], curves.by_restarts)):
        axis.set_xscale("log")
        axis.set_xticks([point.budget for point in points], [str(point.budget) for point in points])
        axis.xaxis.set_minor_locator(ticker.NullLocator())
    axes[1].text(
        0.98,
        100 * curves.clean_accuracy / 102 - 0.015,
        "clean images",
        transform=axes[1].transAxes,
        ha="right",
        va="top",
        color=GREY,
        fontsize=8.5,
    )
    about = (
        f"PGD with steps of epsilon / 8, its strongest iterates; bands: 95 % intervals of {curves.examples:,} images"
    )
    drawn.suptitle(about, fontsize=9, color=GREY)
    save(drawn, path)


def _epsilon_ticks(curves):
    """Zero, half, one, one and a half and two times epsilon, as papers print them."""
    highest = curves.by_epsilon[-1].budget
    ticks = [share * curves.epsilon for share in (0, 0.5, 1, 1.5, 2) if share * curves.epsilon <= highest * 1.0001]
    return ticks, [_short(tick) for tick in ticks]


def _short(epsilon):
    printed = pixel_fraction(epsilon)
    return printed if len(printed) <= 7 else f"{epsilon:.3g}"
