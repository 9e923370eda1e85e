"""An exhibit's numbers, collected from its finished parts into one JSON-ready dictionary."""

from alp_tf import machine
from alp_tf.evaluation import protocols
from alp_tf.reproduction import budgets, intervals
from alp_tf.reproduction.exhibit import CLEAN

_MEASURED = {"columns", "protocols", "by_steps", "surface"}


def collect(order, store, *, command):
    """Everything that the exhibit's Markdown and pictures are made of.

    What is not measured yet is left out: a cell until each seed's is there, and a row of which nothing is.

    Args:
      order: parts.Order.
      store: work.Store.
      command: what the user typed.

    Returns:
      JSON-ready dictionary.
    """
    exhibit = order.exhibit
    train_examples, test_examples = store.counts(order.model(exhibit.rows[0], order.seeds[0]))
    measurements = [part for part in order.parts() if part.kind != "train"]
    rows = {row.label: _row(order, row, store) for row in exhibit.rows}
    return {
        "exhibit": f"{exhibit.kind} {exhibit.name}",
        "title": exhibit.title,
        "command": command,
        "budget": order.budget,
        "result": order.budget != "smoke",
        "seeds": list(order.seeds),
        "copies": order.copies,
        "dataset": {"name": exhibit.dataset, "train_examples": train_examples, "test_examples": test_examples},
        "threat_model": str(protocols.THREAT_MODELS[exhibit.dataset]),
        "differences": _differences(order),
        "measurements": {"made": sum(map(bool, map(store.done, measurements))), "all": len(measurements)},
        "rows": {label: row for label, row in rows.items() if _MEASURED.intersection(filter(row.get, row))},
        "versions": machine.versions(),
        "machine": machine.description(),
    }


def _row(order, row, store):
    models = [order.model(row, seed) for seed in order.seeds]
    cells = {column.label: _cell(order, row, column, store) for column in order.exhibit.columns}
    stood = {name: store.done(part) for name, part in order.protocol_parts(row).items()}
    trainings = [training for training in map(store.training, models) if training]
    described = {
        "models": [store.directory(model).name for model in models],
        "train_seconds": [training["seconds"] for training in trainings],
        "steps": trainings[0]["steps"] if trainings else None,
        "series": row.series,
        "x": row.x,
        "columns": {label: cell for label, cell in cells.items() if cell},
        "protocols": {name: _protocol(found) for name, found in stood.items() if found},
    }
    if order.exhibit.drawing in ("steps", "surface"):
        described |= _drawn(order, row, store)
    return described


def _drawn(order, row, store):
    """What a figure that is not made of accuracies shows of a row; nothing before it is measured."""
    drawn = [store.done(order.drawn_part(row, seed)) for seed in order.seeds]
    if order.exhibit.drawing == "steps":
        return {"by_steps": _by_steps(drawn)} if all(drawn) else {}
    if not drawn[0]:
        return {}
    left_out = ("asked", "versions", "machine")
    return {"surface": {key: value for key, value in drawn[0].items() if key not in left_out}}


def _cell(order, row, column, store):
    """Of each seed the lowest accuracy of the column's attacks and sources; None before all are measured."""
    key = "clean_accuracy" if column.kind == CLEAN else "top5_accuracy" if column.top5 else "robust_accuracy"
    by_seed = [[store.done(part) for part in order.attack_parts(row, seed, column)] for seed in order.seeds]
    if not all(each for measured in by_seed for each in measured):
        return None
    lowest = [min(measured, key=lambda each: each[key]) for measured in by_seed]
    cell = intervals.summary([each[key] for each in lowest], lowest[0]["examples"])
    if column.kind != CLEAN:
        cell["attacks"] = [part.name for part in order.attack_parts(row, order.seeds[0], column)]
    return cell


def _protocol(measured):
    kept = ("clean_accuracy", "robust_accuracy", "ci95", "examples", "seconds", "masking")
    attacks = {part["name"]: part["robust_accuracy"] for part in measured["parts"]}
    return {**{key: measured[key] for key in kept}, "after each attack": attacks}


def _by_steps(measured):
    """{steps: summary over the seeds}."""
    counts = [point["budget"] for point in measured[0]["by_steps"]]
    shares = [[each["by_steps"][index]["robust_accuracy"] for each in measured] for index in range(len(counts))]
    return {
        str(count): intervals.summary(of_count, measured[0]["examples"])
        for count, of_count in zip(counts, shares, strict=True)
    }


def _differences(order):
    """[[labels of rows, field, value on the budget, the paper's value]]; labels empty for all rows."""
    by_row = {
        row.label: {
            field: tuple(map(str, values))
            for field, values in budgets.differences(order.model(row, order.seeds[0]), order.budget).items()
        }
        for row in order.exhibit.rows
    }
    rows_of = {}
    for label, fields in by_row.items():
        for field, values in fields.items():
            rows_of.setdefault((field, values), []).append(label)
    found = [
        [[] if len(labels) == len(by_row) else labels, field, *values] for (field, values), labels in rows_of.items()
    ]
    return sorted(found, key=lambda each: (len(each[0]), each[1]))
