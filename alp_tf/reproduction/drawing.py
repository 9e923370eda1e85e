"""Figures like the papers', from an exhibit's JSON."""

import numpy as np
from matplotlib import ticker

from alp_tf.evaluation import surface_figure
from alp_tf.evaluation.canvas import BLUE, GREEN, GREY, ORANGE, SKY, figure, save
from alp_tf.evaluation.surface import Surface

_COLOURS = (BLUE, ORANGE, GREEN, SKY)
_PROTOCOLS = {"strong": ("--", "strong"), "autoattack": (":", "AutoAttack")}


def draw(directory, exhibit, results):
    """Draws what the exhibit says.

    Args:
      directory: where the PNGs go.
      exhibit: exhibit.Exhibit.
      results: what results.collect returned.

    Returns:
      As `names`.
    """
    smoke = "" if results["result"] else "smoke, not a result"
    if exhibit.drawing == "surface":
        _surfaces(directory, exhibit, results)
    if exhibit.drawing in ("", "surface"):
        return names(exhibit, results)
    drawn, axis = figure(6.4, 4.2)
    if exhibit.drawing == "sweep":
        _sweep(axis, exhibit, results)
    else:
        _steps(axis, results)
    axis.set(xlabel=exhibit.x_label, ylabel="accuracy (%)", ylim=(0, 102))
    axis.grid(axis="y", color="0.92")
    axis.set_axisbelow(True)
    axis.set_title(smoke, fontsize=10, color=ORANGE)
    # Beside the axes: curves cross every part of them.
    axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8.5)
    drawn.set_size_inches(8.6, 4.2)
    save(drawn, directory / f"{exhibit.stem}.png")
    return names(exhibit, results)


def names(exhibit, results):
    """{title: file name} of what `draw` draws; empty for a table."""
    if exhibit.drawing == "surface":
        return {label: f"{exhibit.stem}_{'_'.join(label.lower().split())}.png" for label in results["rows"]}
    return {exhibit.title: f"{exhibit.stem}.png"} if exhibit.drawing else {}


def _sweep(axis, exhibit, results):
    """Accuracy against x, a colour a curve: the paper's attack with its interval, the strong protocols dashed."""
    measured, attacks = exhibit.columns[0].label, exhibit.columns[0].attacks
    of_several = f"the lower of {' and '.join(attacks)}" if len(attacks) > 1 else attacks[0]
    axis.set_title(f"solid: {of_several}", loc="left", fontsize=8.5, color=GREY)
    curves, levels = {}, []
    for label, row in results["rows"].items():
        if measured not in row["columns"]:
            # Not yet.
            continue
        if row["x"] is None:
            levels.append((label, row))
        else:
            curves.setdefault(row["series"], []).append(row)
    for colour, (series, rows) in zip(_COLOURS, curves.items(), strict=False):
        rows = sorted(rows, key=lambda row: row["x"])
        xs, cells = [row["x"] for row in rows], [row["columns"][measured] for row in rows]
        low, high = ([100 * cell["ci95"][end] for cell in cells] for end in (0, 1))
        axis.fill_between(xs, low, high, color=colour, alpha=0.18, linewidth=0)
        if len(xs) == 1:
            # A band of one point has no width.
            axis.vlines(xs, low, high, color=colour, linewidth=1.5)
        axis.plot(xs, [100 * cell["mean"] for cell in cells], color=colour, marker="o", markersize=4.5, label=series)
        for name, (style, said) in _PROTOCOLS.items():
            stood = [(row["x"], row["protocols"][name]["robust_accuracy"]) for row in rows if name in row["protocols"]]
            if stood:
                options = {"linestyle": style, "marker": "x", "markersize": 4}
                points = [x for x, _ in stood], [100 * share for _, share in stood]
                axis.plot(*points, color=colour, label=f"{series}, {said}", **options)
    for label, row in levels:
        axis.axhline(100 * row["columns"][measured]["mean"], color=GREY, linestyle="-.", linewidth=1, label=label)
    _scale(axis, sorted({row["x"] for rows in curves.values() for row in rows}))


def _scale(axis, xs):
    """Logarithmic where the points are spread out, with room for a point at 0."""
    positive = [x for x in xs if x > 0]
    if positive and positive[-1] / positive[0] >= 10:
        scale = {"value": "symlog", "linthresh": positive[0]} if xs[0] == 0 else {"value": "log"}
        axis.set_xscale(**scale)
        if xs[0] == 0:
            axis.set_xlim(left=-positive[0] / 4)
    axis.set_xticks(xs, [f"{x:g}" for x in xs])
    axis.tick_params(axis="x", labelsize=8)
    axis.xaxis.set_minor_locator(ticker.NullLocator())


def _steps(axis, results):
    for colour, (label, row) in zip(_COLOURS, results["rows"].items(), strict=False):
        counts, cells = [int(count) for count in row["by_steps"]], [*row["by_steps"].values()]
        low, high = ([100 * cell["ci95"][end] for cell in cells] for end in (0, 1))
        axis.fill_between(counts, low, high, color=colour, alpha=0.18, linewidth=0)
        axis.plot(counts, [100 * cell["mean"] for cell in cells], color=colour, marker="o", markersize=4.5, label=label)
    axis.set_xscale("log")
    axis.set_xticks(counts, [str(count) for count in counts])
    axis.xaxis.set_minor_locator(ticker.NullLocator())


def _surfaces(directory, exhibit, results):
    for label, name in names(exhibit, results).items():
        found = results["rows"][label]["surface"]
        arrays = {name: np.asarray(found[name]) for name in ("offsets", "cross_entropy", "margin", "labels")}
        described = {name: found[name] for name in ("epsilon", "norm", "direction")}
        titles = [f"{label}: {of_class}" for of_class in found["class_names"]]
        surface_figure.draw(directory / name, Surface(**described, **arrays), titles=titles)
