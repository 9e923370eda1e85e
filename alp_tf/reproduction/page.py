"""docs/results.md, made of the committed JSON: what was measured, and with which command the rest would be.

Its discussion is experiments/results/discussion.md, if there is one. A number in it is written as where it comes from,
`{table kannan/1 | ALP | White Box}`, or with a protocol's name or an attack's steps for the column, and the measured
value takes its place.
"""

import json
import re

from alp_tf import files, markdown_table, tables
from alp_tf.reproduction import drawing, markdown, parts

# Fewer test images than this are a slice, and no result.
_LEAST_IMAGES = 1000
_PAPERS = {
    "kannan": "Kannan et al. 2018, Adversarial Logit Pairing",
    "shafahi": "Shafahi et al. 2019, Batch-wise Logit-Similarity",
}
_REFERENCE = re.compile(r"\{(table|figure)\s([^|{}]+?)\s\|\s+([^|{}]+?)\s\|\s+([^|{}]+?)\}")
_INTRODUCTION = """# Results: the papers' tables and figures, measured here

`paper` is what the paper prints, `ours` what this package measured: in per cent, with 95 % intervals in brackets.
Beside both stands what is left under attacks that the papers did not try: the protocol `strong` and AutoAttack
([attacks.md](attacks.md)), and whether the model masks its gradients ([evaluation.md](evaluation.md)). A robust
accuracy is an upper bound: a stronger attack may find more.

This page is made of the JSON files in `experiments/results/` by `python -m alp_tf.reproduce --page`. Each holds the
command, the seeds, the number of images and the versions that it was measured with."""


def results_directory():
    """Where the committed JSON lies."""
    return tables.experiments_directory() / "results"


def publish(exhibit, results):
    """Writes an exhibit's JSON and pictures where they are committed.

    Args:
      exhibit: exhibit.Exhibit.
      results: what results.collect returned.

    Returns:
      The JSON's path.

    Raises:
      ValueError: a smoke, or measured on too few images.
    """
    if not results["result"]:
        raise ValueError("a smoke is no result: leave out --publish, or take --budget=laptop")
    check_size(results["dataset"]["name"], results["dataset"]["test_examples"])
    path = _json_path(exhibit)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.draw(path.parent, exhibit, results)
    files.write_json(path, results)
    return path


def check_size(dataset, test_examples):
    """So many test images are enough for a result.

    Raises:
      ValueError: they are too few.
    """
    if test_examples < _LEAST_IMAGES:
        raise ValueError(
            f"{dataset} has only {test_examples} test images here, which is a slice of it; at least {_LEAST_IMAGES:,} "
            "are needed for a result. Leave out --publish"
        )


def text():
    """The page.

    Raises:
      ValueError: the discussion names a number that no JSON holds.
    """
    sections = [_INTRODUCTION]
    discussion = results_directory() / "discussion.md"
    if discussion.exists():
        sections.append(filled(discussion.read_text(encoding="utf-8").strip()))
    for paper, title in _PAPERS.items():
        sections.append(f"## {title}")
        for registry in (parts.TABLES, parts.FIGURES):
            sections += [_section(exhibit) for exhibit in registry.values() if exhibit.paper == paper]
    return "\n\n".join(sections) + "\n"


def filled(discussion):
    """The discussion with the measured values in place of their names.

    Raises:
      ValueError: one that no JSON holds.
    """
    return _REFERENCE.sub(lambda match: _value(*match.groups()), discussion)


def command_for(exhibit):
    """The command that measures an exhibit."""
    budget = "laptop" if "laptop" in exhibit.budgets else "paper"
    return f"python -m alp_tf.reproduce --{exhibit.kind}={exhibit.name} --budget={budget} --seeds=3"


def committed(exhibit):
    """The committed JSON of an exhibit, or None."""
    path = _json_path(exhibit)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def state(exhibit):
    """How much of an exhibit is committed, in a few words."""
    results = committed(exhibit)
    if results is None:
        return "not measured here"
    made = results.get("measurements")
    return "measured" if not made or made["made"] == made["all"] else "measured in part"


def _section(exhibit):
    head, results = f"### {markdown.heading(exhibit)}", committed(exhibit)
    if results is None:
        columns = [column for column in exhibit.columns if any(column.label in row.published for row in exhibit.rows)]
        printed = _published(exhibit, columns) if columns else ""
        body = f"Not measured here. `{command_for(exhibit)}` would measure it."
        return "\n\n".join(part for part in (head, printed, body, exhibit.note) if part)
    folder = f"../experiments/results/{exhibit.paper}"
    return "\n\n".join([head, markdown.text(exhibit, results, _pictures(exhibit, results, folder))])


def _published(exhibit, columns):
    """What the paper prints, alone."""
    rows = []
    for row in exhibit.rows:
        cells = [row.published.get(column.label, "") for column in columns]
        rows += [[row.label, *cells]] if any(cells) else []
    return markdown_table.joined(["model", *(f"{column.label}: paper" for column in columns)], rows)


def _pictures(exhibit, results, folder):
    return {title: f"{folder}/{name}" for title, name in drawing.names(exhibit, results).items()}


def _json_path(exhibit):
    return results_directory() / exhibit.paper / f"{exhibit.stem}.json"


def _value(kind, name, label, column):
    named = f"{{{kind} {name} | {label} | {column}}}"
    registry = parts.TABLES if kind == "table" else parts.FIGURES
    results = committed(registry[name]) if name in registry else None
    row = results["rows"].get(label) if results else None
    measured = {**row["columns"], **row["protocols"], **row.get("by_steps", {})} if row else {}
    if not (cell := measured.get(column)):
        raise ValueError(f"experiments/results/discussion.md has {named}, which no committed JSON holds")
    return f"{100 * cell.get('mean', cell.get('robust_accuracy')):.1f} %"
