"""Tables of several experiments: what is in them, and how they are trained, printed and drawn."""

import dataclasses
import importlib.util
import pathlib
import time

from alp_tf import configs, evaluation, experiment, files
from alp_tf.evaluation import plots
from alp_tf.workdir import WorkDir


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of experiments that share data and evaluation.

    Attributes:
      title: above the table.
      rows: {label: name of the file in experiments/}.
      attack: the name of the evaluation attack that fills the robust column.
      attack_label: what the column is called.
    """

    title: str
    rows: dict
    attack: str
    attack_label: str


TABLES = {
    "digits": Table(
        title="Embedded 8x8 digits, 360 test images, L-inf epsilon 0.2",
        rows={
            "undefended": "digits_undefended",
            "logit squeezing": "digits_lsq",
            "M-PGD": "digits_mpgd",
            "ALP": "digits_alp",
        },
        attack="pgd",
        attack_label="PGD-100, 5 restarts",
    )
}


def make(table, path, *, command=None, seed=0):
    """Trains and evaluates what is missing, and writes `table.md`, `table.json` and `figures/table.png`.

    Args:
      table: Table.
      path: directory; each experiment keeps its work directory in it.
      command: what the user typed, for the JSON.
      seed: of every experiment.

    Returns:
      The Markdown text.

    Raises:
      ValueError, OSError: see experiment.run.
    """
    path = pathlib.Path(path)
    rows, started = [], time.perf_counter()
    for label, name, config in _experiments(table, seed):
        results = experiment.run(config, path / name, name=name, command=command)
        report = evaluation.Report.from_dict(results)
        rows.append((label, report, report[table.attack], results["train_seconds"]))
    lines = [
        f"| {label} | {evaluation.percent(item.clean_accuracy)} "
        f"| {evaluation.percent(item.robust_accuracy)}{report.doubt(item)} "
        f"| {evaluation.percent(item.ci95[0])} to {evaluation.percent(item.ci95[1])} | {seconds:.0f} |"
        for label, report, item, seconds in rows
    ]
    head = f"| defence | clean accuracy | {table.attack_label} | 95 % interval | training, s |"
    text = "\n".join([f"{table.title} (seed {seed})", "", head, "|---|---:|---:|---:|---:|", *lines])
    plots.accuracy_bars(
        path / "figures" / "table.png",
        [(label, item.clean_accuracy, item.robust_accuracy) for label, _, item, _ in rows],
        table.attack_label,
    )
    files.write_text(path / "table.md", f"{text}\n\n![The table as bars](figures/table.png)\n")
    summary = {"table": table.title, "command": command, "seed": seed}
    summary["seconds"] = round(time.perf_counter() - started, 1)
    summary["rows"] = {
        label: {
            **evaluation.Report((item,)).to_dict()["evaluations"][0],
            "masking": report.to_dict()["masking"],
            "train_seconds": seconds,
        }
        for label, report, item, seconds in rows
    }
    files.write_json(path / "table.json", summary)
    return text


def plan(table, path, *, seed=0):
    """What `make` has still to do.

    Args:
      table, path, seed: as for `make`.

    Returns:
      A line for each row.

    Raises:
      ValueError: the directory belongs to another table; says which fields differ.
    """
    path = pathlib.Path(path)
    lines = []
    for label, name, config in _experiments(table, seed):
        workdir = WorkDir(path / name, default=configs.default())
        if workdir.finished(config):
            state = "done"
        elif workdir.trained(config):
            state = "trained, to be evaluated"
        else:
            state = f"to be trained for {config.train.steps:,} steps and evaluated"
        lines.append(f"{label}: {state}, in {path / name}")
    return "\n".join(lines)


def experiments_directory():
    """Where the experiment files lie: beside the package in a checkout, inside it when installed.

    Raises:
      ValueError: in neither place.
    """
    package = pathlib.Path(__file__).parent
    for place in (package.parent / "experiments", package / "experiments"):
        if (place / "digits_alp.py").is_file():
            return place
    raise ValueError("the experiments directory is missing; install alp_tf again, or run from a checkout")


def _experiments(table, seed):
    for label, name in table.rows.items():
        config = _config(name)
        config.seed = seed
        yield label, name, config


def _config(name):
    specification = importlib.util.spec_from_file_location(name, experiments_directory() / f"{name}.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.get_config()
