"""An exhibit as Markdown: a caption that says how it was made, and the paper's figures beside ours."""

from alp_tf import markdown_table, names
from alp_tf.evaluation import report
from alp_tf.reproduction.exhibit import BLACK_BOX, CLEAN

# Images of the whole data sets (docs/data.md), for those who have only a part of one: training, test.
OFFICIAL = {
    "digits": (1_437, 360),
    "mnist": (60_000, 10_000),
    "svhn_cropped": (73_257, 26_032),
    "cifar10": (50_000, 10_000),
    "cifar100": (50_000, 10_000),
    "imagenet2012": (1_281_167, 50_000),
}
_PROTOCOLS = {"strong": "strong", "autoattack": "AutoAttack"}
_NOT_YET = "–"


def heading(exhibit):
    """`Table 1 of Kannan et al.: ALP and ...`; the paper is not said to have what it prints no number above."""
    number = exhibit.name.split("/")[1]
    if not number.isdigit():
        return f"{exhibit.title} (`--{exhibit.kind}={exhibit.name}`)"
    paper = {"kannan": "Kannan et al.", "shafahi": "Shafahi et al."}.get(exhibit.paper, exhibit.paper)
    return f"{exhibit.kind.capitalize()} {number} of {paper}: {exhibit.title}"


def text(exhibit, results, picture=None):
    """Table, picture and caption.

    Args:
      exhibit: exhibit.Exhibit.
      results: what results.collect returned.
      picture: {title: path} of the pictures, as a link finds them.
    """
    mark = "" if results["result"] else "**Smoke, not a result.** It shows that everything runs.\n\n"
    tables = {"steps": _steps_table, "surface": _surface_table}
    table = tables.get(exhibit.drawing, _table)(exhibit, results)
    pictures = [f"![{title}]({path})" for title, path in (picture or {}).items()]
    return mark + "\n\n".join([table, *pictures, caption(exhibit, results)])


def caption(exhibit, results):
    """How it was made, and in what that differs from the paper."""
    dataset, seeds = results["dataset"], results["seeds"]
    ours = (dataset["train_examples"], dataset["test_examples"])
    sentences = [
        f"{dataset['name']}, {results['threat_model']}, budget `{results['budget']}`; "
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}."
    ]
    for count, official, which in zip(ours, OFFICIAL[dataset["name"]], ("training", "test"), strict=True):
        if count != official:
            sentences.append(f"Only {count:,} of the {official:,} {which} images were there.")
    cells = [cell for row in results["rows"].values() for cell in (*row["columns"].values(), *_points(row))]
    intervals = sorted({f"{cell['interval']}, {cell['examples']:,} test images" for cell in cells})
    if intervals:
        sentences.append(f"Accuracies in per cent, with 95 % intervals: {'; '.join(intervals)}.")
    stood = [each for row in results["rows"].values() for each in row["protocols"].values()]
    if stood:
        sentences.append(
            f"`strong` and AutoAttack (docs/attacks.md): the first {stood[0]['examples']:,} test images, seed "
            f"{seeds[0]}, with Wilson's interval."
        )
    # What was published before it could be in part is whole.
    made = results.get("measurements", {"made": 0, "all": 0})
    if made["made"] < made["all"]:
        sentences.append(f"{_NOT_YET} is not measured yet: {made['made']} of {made['all']} measurements are.")
    if any(column.kind == BLACK_BOX for column in exhibit.columns):
        sentences.append(
            f"Black box: {names.counted(results['copies'], 'copy', 'copies')} of each model, trained alike from "
            "another seed, unless the note says otherwise."
        )
    sentences.append(_differences(results))
    sentences.append(exhibit.note)
    versions = ", ".join(f"{package} {version}" for package, version in results["versions"].items())
    hours = sum(sum(row["train_seconds"]) for row in results["rows"].values()) / 3600
    sentences.append(
        f"Training of the rows: {hours:.1f} hours ({results['machine']}; {versions}). `{results['command']}`"
    )
    return " ".join(sentence for sentence in sentences if sentence)


def verdict(row):
    """What the tests for masked gradients said, in a few words."""
    # Along with which protocol the tests were made is measuring's affair.
    masking = [finding["status"] for protocol in row["protocols"].values() for finding in protocol["masking"]]
    if not masking and len(row["protocols"]) < len(_PROTOCOLS):
        return _NOT_YET
    made, failed, warned = report.counted(masking)
    if not made:
        return "not looked for"
    if failed:
        return f"✗ {failed} of {made} tests fail"
    return f"? {warned} of {made} tests warn" if warned else f"✓ none of {made} tests"


def _table(exhibit, results):
    strong = [*_PROTOCOLS] if exhibit.strong else []
    head = ["model"]
    for column in exhibit.columns:
        head += [f"{column.label}: paper", "ours"] if _printed(exhibit, column) else [column.label]
    head += [_PROTOCOLS[name] for name in strong] + (["masked gradients?"] if strong else [])
    lines = []
    for row in exhibit.rows:
        if row.label not in results["rows"] and not row.published:
            continue
        measured = results["rows"].get(row.label, {"columns": {}, "protocols": {}})
        cells = [row.label]
        for column in exhibit.columns:
            cells += [row.published.get(column.label, "")] if _printed(exhibit, column) else []
            cells.append(_share(measured["columns"].get(column.label), "mean", column.kind != CLEAN))
        cells += [_share(measured["protocols"].get(name), "robust_accuracy") for name in strong]
        lines.append([*cells, *([verdict(measured)] if strong else [])])
    return markdown_table.joined(head, lines)


def _steps_table(exhibit, results):
    rows = {label: row["by_steps"] for label, row in results["rows"].items()}
    counts = next(iter(rows.values()))
    return markdown_table.joined(
        ["attack steps", *rows],
        [[count, *(_share(points[count], "mean") for points in rows.values())] for count in counts],
    )


def _surface_table(exhibit, results):
    rows = [
        [label, ", ".join(f"{rise:.2f}" for rise in row["surface"]["largest_rise"])]
        for label, row in results["rows"].items()
    ]
    return markdown_table.joined(
        ["model", "largest rise of the cross-entropy from the image, nats, for three images"], rows
    )


def _points(row):
    return row.get("by_steps", {}).values()


def _printed(exhibit, column):
    """Whether the paper has a figure for any row."""
    return any(column.label in row.published for row in exhibit.rows)


def _share(cell, key, interval=True):
    if cell is None:
        return _NOT_YET
    low, high = (100 * end for end in cell["ci95"])
    return f"{100 * cell[key]:.2f}" + (f" ({low:.1f} to {high:.1f})" if interval else "")


def _differences(results):
    if not results["differences"]:
        return "The training is the paper's." if results["budget"] == "paper" else ""
    by_rows = {}
    for labels, field, ours, papers in results["differences"]:
        said = f"`{field}` {_setting(ours)} (paper's budget: {_setting(papers)})"
        by_rows.setdefault(tuple(labels), []).append(said)
    parts = [f"{f'{_listed(labels)}: ' if labels else ''}{', '.join(said)}" for labels, said in by_rows.items()]
    return f"Trained otherwise than in the paper: {'; '.join(parts)}."


def _setting(value):
    # A field that is not set leaves what it names to the defence, network or optimizer.
    return "its default" if value == "None" else value


def _listed(labels):
    return ", ".join(labels) if len(labels) < 4 else f"{labels[0]} and {len(labels) - 1} more rows"
