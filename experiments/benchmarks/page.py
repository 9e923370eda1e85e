"""Writes docs/benchmarks.md from the JSON files in experiments/results/benchmarks/.

python experiments/benchmarks/page.py
"""

import json
import pathlib
import sys

from alp_tf import markdown_table
from alp_tf.evaluation import report

ROOT = pathlib.Path(__file__).parents[2]
# Not installed with the package.
sys.path.append(str(ROOT))

from launch import plan  # noqa: E402

RESULTS = ROOT / "experiments" / "results" / "benchmarks"
PAGE = ROOT / "docs" / "benchmarks.md"
MODELS = {"mnist_mpgd": "adversarially trained LeNet (M-PGD)", "mnist_lsq": "logit-squeezed LeNet"}
NETWORKS = {"lenet": "LeNet, 28x28x1", "wide_residual": "WRN-10-2 with batch normalisation, 32x32x3"}


def text():
    """The page, as the results have it."""
    parts = [
        "# Benchmarks",
        "Beside independent implementations: as strong, and as fast? Every table comes from a committed JSON file in "
        "`experiments/results/benchmarks/`, which holds the command, the seed and the versions; this page is made of "
        "them by `experiments/benchmarks/page.py`. All on 2 cores, without a GPU. The robust and the squeezed LeNet "
        "were trained with earlier budgets than `mnist_mpgd.py` and `mnist_lsq.py` have now.",
        _speed(),
        _onednn(),
        *(_agreement(name) for name in MODELS),
        *(_autoattack(name) for name in MODELS),
        _memory(),
        _stragglers(),
        _scaling("scaling"),
        _scaling("scaling_pgd40"),
        _fifty_three(),
        _plan(),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _speed():
    results = _load("attacks")
    if results is None:
        return ""
    parts = [
        "## Speed of PGD",
        f"PGD-{results['steps']} on one batch of {results['batch']} images; both sides take turns in one process, "
        f"medians of {len(results['rows'][0]['seconds'])} rounds. The ratio is their time over ours. "
        f"`{results['command']}`, {_versions(results)}.",
    ]
    for network, title in NETWORKS.items():
        rows = [row for row in results["rows"] if row["network"] == network]
        if rows:
            parts.append(
                markdown_table.joined(
                    [title, "image-steps a second", "their time / ours"],
                    [[row["side"], f"{row['image_steps_per_second']:,.0f}", f"{row['ratio']:.2f}"] for row in rows],
                )
            )
    return "\n\n".join(parts)


def _onednn():
    results = _load("onednn")
    if results is None:
        return ""
    networks = {name: f"{name}, {'x'.join(map(str, shape))}" for name, shape, *_ in results["networks"]}
    rows = [
        [networks[row["network"]], *(f"{seconds:.3f}" for seconds in row["medians"].values()), f"{row['ratio']:.2f}"]
        for row in results["rows"]
    ]
    return "\n\n".join(
        [
            "## oneDNN on a processor on which TensorFlow leaves it off",
            "A training step of ALP without and with oneDNN's routines, which TensorFlow for x86 switches on by itself "
            "where there is AVX-512's VNNI or newer. This processor has "
            f"{' and '.join(results['instructions'])}. Processes that take turns, medians of {results['rounds']} "
            f"rounds of {results['steps']} steps. `{results['command']}`, {_versions(results)}.",
            markdown_table.joined(
                ["network", *(f"{side}, s" for side in results["rows"][0]["medians"]), "off / on"], rows
            ),
        ]
    )


def _agreement(name):
    results = _load(f"agreement_{name}")
    if results is None:
        return ""
    head = ["attack", "threat model", "alp_tf", "95 % interval", "foolbox, TensorFlow", "difference, points"]
    rows = []
    for row in results["rows"]:
        ours = [_percent(row["alp_tf"]), _interval(row["alp_tf"], results["examples"])]
        theirs = [_percent(row["foolbox"]), f"{row['difference_points']:+.1f}"]
        rows.append([row["attack"], row["threat_model"], *ours, *theirs])
    return "\n\n".join(
        [
            f"## Robust accuracy beside foolbox: {MODELS[name]}",
            f"The first {results['examples']:,} MNIST test images, the same weights, seed {results['seed']}. "
            f"`{results['command']}`, {_versions(results)}.",
            markdown_table.joined(head, rows),
        ]
    )


def _autoattack(name):
    results = _load(f"autoattack_{name}")
    if results is None:
        return ""
    head = [
        "attack",
        "alp_tf",
        "95 % interval",
        "torchattacks",
        "difference, points",
        "alp_tf, s",
        "torchattacks, s",
        "their time / ours",
    ]
    rows = []
    for row in results["rows"]:
        ours = [_percent(row["alp_tf"]), _interval(row["alp_tf"], results["examples"])]
        shares = [*ours, _percent(row["torchattacks"]), f"{row['difference_points']:+.1f}"]
        times = ["", "", ""]
        # Other work on the machine slows PyTorch's side far more than ours, which would flatter us.
        if "alp_tf_seconds" in row and "note" not in results:
            ours, theirs = row["alp_tf_seconds"], row["torchattacks_seconds"]
            times = [f"{ours:.0f}", f"{theirs:.0f}", f"{theirs / ours:.2f}"]
        rows.append([row["attack"], *shares, *times])
    return "\n\n".join(
        [
            f"## AutoAttack beside torchattacks: {MODELS[name]}",
            f"The first {results['examples']:,} MNIST test images, the same weights copied to PyTorch, L-inf "
            f"{results['epsilon']}, 100 steps on both sides, Square with {results['queries']:,} queries, seed "
            f"{results['seed']}.{_timed(results)}{results.get('note', '')} `{results['command']}`, "
            f"{_versions(results)}.",
            markdown_table.joined(head, rows),
        ]
    )


def _timed(results):
    """Which of the images the times are of."""
    if not results.get("timed_examples"):
        return ""
    factors = next(row["ratio_by_batch"] for row in results["rows"] if "ratio_by_batch" in row)
    return (
        f" Times are those of {results['timed_examples']:,} of these images, in batches of {results['batch']}, while "
        f"other work took less than {100 * results['quiet']:.0f} % of the cores; by batch, their time is "
        f"{', '.join(f'{factor:.2f}' for factor in factors)} times ours, which traces its graphs in the first batch "
        "after each start."
    )


def _memory():
    results = _load("revnet_memory")
    if results is None:
        return ""
    rows = results["rows"]
    first, last = rows[0], rows[-1]
    return "\n\n".join(
        [
            "## Memory of a training step of a RevNet",
            f"Three stages, 32x32x3, batch {results['batch']}, undefended: the peak of TensorFlow's allocator during a "
            f"training step above what it held before, medians of {results['steps']} steps, each network in a process "
            "of its own. Counted are blocks of 256 KB and more, so activations, and no parameters or gradients. From "
            f"{first['units']} to {last['units']} units a stage the reversible network takes "
            f"{last['reversible_mb'] / first['reversible_mb']:.2f} times as much, the one that remembers everything "
            f"{last['plain_mb'] / first['plain_mb']:.2f} times. "
            f"`{results['command']}`, {_versions(results)}.",
            markdown_table.joined(
                ["units a stage", "trainable weights", "reversible, MB", "plain, MB"],
                [
                    [str(row["units"]), f"{row['weights']:,}", f"{row['reversible_mb']:.0f}", f"{row['plain_mb']:.0f}"]
                    for row in rows
                ],
            ),
        ]
    )


def _stragglers():
    results = _load("stragglers")
    if results is None:
        return ""
    rows = [
        [row["side"], *(f"{row[name]:.3f}" for name in ("median", "p95", "longest")), _counted(row["counted"])]
        for row in results["rows"]
    ]
    return "\n\n".join(
        [
            "## Stragglers and backup replicas",
            f"LeNet with ALP and an attack of {results['attack_steps']} steps, {results['batch']} images a worker, "
            f"{results['steps']} steps a run; all workers are processes of this machine, which has fewer cores than "
            f"they are. The slower one sleeps {results['delay']:g} s in each step's attack; the stopped one, another "
            f"every time, is stopped (SIGSTOP) {results['stops']} times for {results['stop']:g} s. "
            f"`{results['command']}`, {_versions(results)}.",
            markdown_table.joined(
                ["cluster", "median step, s", "95 % of steps, s", "longest, s", "steps in which each counted"], rows
            ),
            markdown_table.joined(
                ["medians", "ratio"], [[says, f"{ratio:.3f}"] for says, ratio in results["ratios"].items()]
            ),
        ]
    )


def _scaling(name):
    results = _load(name)
    if results is None:
        return ""
    rows = [[row["side"], f"{row['median']:.3f}"] for row in results["rows"]]
    return "\n\n".join(
        [
            f"## Weak scaling from one worker to two, PGD-{results['attack_steps']}",
            f"LeNet with M-PGD and an attack of {results['attack_steps']} steps, {results['batch']} images a worker, "
            f"one core each; medians of {results['rounds']} rounds of {results['steps']} steps. One worker's step "
            f"takes {results['efficiency']:.3f} times as long as two workers' of twice the images. Two processes that "
            "run at the same time, a core each, and have nothing to say to each other show what the cores take from "
            f"each other: theirs is {results['of_cores']:.3f}. "
            f"`{results['command']}`, {_versions(results)}.",
            markdown_table.joined(["", "median step, s"], rows),
        ]
    )


def _fifty_three():
    results = _load("fifty_three")
    if results is None:
        return ""
    (row,) = results["rows"]
    replicas = results["counted"] + results["backups"]
    idle = len(row["counted"]) - replicas
    padding = f" ({idle} more replicas fill the last process up and never count)" if idle else ""
    return "\n\n".join(
        [
            "## As many replicas as Kannan's",
            f"{replicas} replicas in {results['workers']} processes, each of which splits its CPU into logical "
            f"devices{padding}; LeNet with ALP, {results['batch']} images a replica, {results['steps']} steps and five "
            f"before them. In every step {results['counted']} of the {replicas} counted: {sum(row['counted']):,} "
            f"gradients in all, of each replica {_counted(row['counted'][:replicas])}. After a first step the weights "
            f"differed by at most {row['difference']:.1g} from those of one process that made it with the rows of the "
            f"{row['first_counted']} that counted; the largest change of a weight was {row['largest_step']:.1g}. "
            f"`{results['command']}`, {_versions(results)}.",
        ]
    )


def _plan():
    results = _load("clusters")
    if results is None:
        return ""
    table = plan.check(RESULTS / "clusters.json", simulated_steps=20_000, seed=0)
    return "\n\n".join(
        [
            "## What the planner predicts of these clusters",
            "`python -m launch.plan --check=experiments/results/benchmarks/clusters.json`, from the seconds that each "
            "worker took for its own gradient; the clusters are those of the table of a slow worker, in its order. "
            f"`{results['command']}`, {_versions(results)}.",
            table,
        ]
    )


def _counted(counts):
    if not counts:
        return "all"
    return f"{min(counts)} to {max(counts)}" if len(counts) > 10 else ", ".join(map(str, counts))


def _load(name):
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _interval(share, examples):
    low, high = report.wilson_interval(round(share * examples), examples)
    return f"{_percent(low)} to {_percent(high)}"


def _percent(share):
    return f"{100 * share:.1f} %"


def _versions(results):
    return ", ".join(f"{package} {version}" for package, version in results["versions"].items() if package != "python")


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
    print(f"written: {PAGE}")
