"""What the simulation found, as a table and as a figure."""

from alp_tf import markdown_table


def markdown(rows, chosen):
    """A row for each number of backups; the recommended one is marked.

    Args:
      rows: list of simulation.Row.
      chosen: one of them.
    """
    heads = ["backups", "workers", "median step, s", "p95, s", "images/s", "hours", "worker-hours"]
    cells = []
    for row in rows:
        mark = "**" if row is chosen else ""
        cells.append(
            [
                f"{mark}{row.backups}{mark}",
                str(row.workers),
                *(f"{number:.4g}" for number in (row.median_seconds, row.p95_seconds, row.images_per_second)),
                f"{row.hours:,.1f}",
                f"{row.worker_hours:,.0f}",
                *(f"{100 * share:.1f} %" for share in (row.discarded, row.waiting)),
            ]
        )
    return markdown_table.joined([*heads, "discarded", "waiting"], cells, texts=0)


def draw(path, rows, chosen):
    """Two panels: seconds of a step and worker-hours of the run, against backups.

    Args:
      path: PNG to write.
      rows: list of simulation.Row.
      chosen: the recommended one.
    """
    # Here: the package of figures loads TensorFlow, which a table need not wait for.
    from alp_tf import command_line

    command_line.load_tensorflow()
    from alp_tf.evaluation.canvas import BLUE, GREEN, GREY, ORANGE, figure, save

    backups = [row.backups for row in rows]
    drawn, (left, right) = figure(9, 3.8, columns=2)
    left.plot(backups, [row.p95_seconds for row in rows], color=ORANGE, marker="o", label="95th percentile")
    left.plot(backups, [row.median_seconds for row in rows], color=BLUE, marker="o", label="median")
    left.set(ylabel="seconds of a step")
    left.legend(frameon=False)
    right.plot(backups, [row.worker_hours for row in rows], color=GREEN, marker="o")
    right.set(ylabel="worker-hours of the run")
    for axis in (left, right):
        axis.axvline(chosen.backups, color=GREY, linewidth=1, linestyle="--", zorder=0)
        axis.set(xlabel=f"backups beside the {rows[0].workers} workers that count")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid(axis="y", color="0.92")
        axis.set_axisbelow(True)
    left.set_ylim(bottom=0)
    drawn.suptitle(f"recommended: {chosen.backups} backups (dashed)", fontsize=9, color=GREY)
    save(drawn, path)
