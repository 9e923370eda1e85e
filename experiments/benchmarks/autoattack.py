"""Our AutoAttack beside torchattacks', on the same LeNet weights and MNIST images, in one process.

    pip install torch torchattacks
    python experiments/benchmarks/autoattack.py --model=runs/mnist_alp/model.keras --output=mnist_alp.json

Copies the weights of a LeNet into PyTorch, checks that both give the same logits, runs each attack of AutoAttack on
both sides, and prints robust accuracies, their difference in percentage points, seconds and ratios. The sides take
turns, batch by batch; let nothing else run. Every finished batch is kept beside the output, in a file named
OUTPUT.kept, so that the same command goes on where it was stopped, and one with more --attacks adds to it: the whole
takes hours.
"""

import json
import pathlib
import sys
import time

import numpy as np
from absl import app, flags

from alp_tf import command_line

command_line.load_tensorflow()

import mnist  # noqa: E402
import record  # noqa: E402
import torch  # noqa: E402
import torch_twins  # noqa: E402
import torchattacks  # noqa: E402

from alp_tf import ThreatModel, attacks, evaluation, files  # noqa: E402
from alp_tf.evaluation import protocols  # noqa: E402

_EPSILON = flags.DEFINE_float("epsilon", 0.3, "L-inf radius")
_QUERIES = flags.DEFINE_integer("queries", 5000, "of Square")
_ATTACKS = flags.DEFINE_list("attacks", ["PGD-40", "APGD-CE", "APGD-T", "FAB-T", "Square", "AutoAttack"], "what to run")


def main(_):
    """Prints one Markdown table."""
    model, images, labels = mnist.load()
    twin = torch_twins.lenet(model)
    gap = np.abs(twin(torch_twins.channels_first(images)).detach().numpy() - model(images).numpy()).max()
    print(f"{len(labels)} MNIST test images, L-inf {_EPSILON.value}; largest difference of the two logits {gap:.1e}\n")
    print("| attack | alp_tf | torchattacks | difference, points | seconds | seconds | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    conditions = {
        "model": mnist.MODEL.value,
        "data": "mnist test",
        "examples": len(labels),
        "batch": mnist.BATCH.value,
        "seed": mnist.SEED.value,
        "epsilon": _EPSILON.value,
        "queries": _QUERIES.value,
    }
    kept_json = mnist.OUTPUT.value and pathlib.Path(f"{mnist.OUTPUT.value}.kept")
    kept, rows = _kept(kept_json, conditions), []
    for name in _ATTACKS.value:
        sides = {"alp_tf": _ours(name, model), "torchattacks": _theirs(name, twin)}
        right, seconds = kept.setdefault(name, ({side: [] for side in sides}, {side: [] for side in sides}))
        for first in range(mnist.BATCH.value * len(right["alp_tf"]), len(labels), mnist.BATCH.value):
            batch = slice(first, first + mnist.BATCH.value)
            found = {}
            for side, attacked in sides.items():
                started = time.perf_counter()
                found[side] = (attacked(images[batch], labels[batch]), time.perf_counter() - started)
            for side, (verdicts, spent) in found.items():
                right[side].append(verdicts.tolist())
                seconds[side].append(round(spent, 3))
            if kept_json:
                files.write_json(kept_json, {"conditions": conditions, "kept": kept})
            print(f"{name}: {first + len(labels[batch])} images", file=sys.stderr, flush=True)
        ours, theirs = (np.concatenate(right[side]).mean() for side in sides)
        our_seconds, their_seconds = (sum(seconds[side]) for side in sides)
        rows.append(
            {
                "attack": name,
                "alp_tf": float(ours),
                "torchattacks": float(theirs),
                "difference_points": round(100 * float(ours - theirs), 4),
                "alp_tf_seconds": round(our_seconds, 3),
                "torchattacks_seconds": round(their_seconds, 3),
                "ratio_by_batch": [
                    round(them / us, 3) for us, them in zip(seconds["alp_tf"], seconds["torchattacks"], strict=True)
                ],
            }
        )
        shares = f"{100 * ours:.1f} % | {100 * theirs:.1f} % | {100 * (ours - theirs):+.1f}"
        ratio = their_seconds / our_seconds
        print(f"| {name} | {shares} | {our_seconds:.1f} | {their_seconds:.1f} | {ratio:.2f} |", flush=True)
        record.write(
            mnist.OUTPUT.value,
            **conditions,
            largest_logit_difference=float(gap),
            rows=rows,
            packages=("tensorflow", "keras", "numpy", "torch", "torchattacks"),
        )


def _kept(path, conditions):
    """{attack: (verdicts by side, seconds by side)} of the batches that an earlier run of this command finished."""
    if not path or not path.exists():
        return {}
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored["conditions"] != conditions:
        raise ValueError(f"{path} holds batches of {stored['conditions']}; delete it, or write another --output")
    return stored["kept"]


def _ours(name, model):
    threat_model = ThreatModel(epsilon=_EPSILON.value)
    cascade = attacks.AutoAttack(epsilon=_EPSILON.value, queries=_QUERIES.value).parts(10)
    if name == "PGD-40":
        chosen = {name: attacks.PGD(epsilon=_EPSILON.value, step_size=0.01, steps=40)}
    else:
        chosen = {key: attack for key, attack in cascade.items() if name == "AutoAttack" or key.split()[0] == name}
    protocols.PROTOCOLS["benchmark"] = lambda *_: chosen

    def still_right(images, labels):
        report = evaluation.evaluate(
            model,
            (images, labels),
            protocol="benchmark",
            threat_model=threat_model,
            batch_size=mnist.BATCH.value,
            seed=mnist.SEED.value,
            masking_examples=0,
            show_progress=False,
        )
        return report.verdicts["benchmark"]

    return still_right


def _theirs(name, twin):
    torch.manual_seed(mnist.SEED.value)
    common = {"norm": "Linf", "eps": _EPSILON.value, "seed": mnist.SEED.value}
    attack = {
        "PGD-40": lambda: torchattacks.PGD(twin, eps=_EPSILON.value, alpha=0.01, steps=40),
        "APGD-CE": lambda: torchattacks.APGD(twin, steps=100, loss="ce", **common),
        "APGD-T": lambda: torchattacks.APGDT(twin, steps=100, n_classes=10, **common),
        "FAB-T": lambda: torchattacks.FAB(twin, steps=100, n_classes=10, multi_targeted=True, **common),
        "Square": lambda: torchattacks.Square(twin, n_queries=_QUERIES.value, **common),
        # torchattacks.AutoAttack itself takes 10 steps where the paper, and ours, take 100.
        "AutoAttack": lambda: torchattacks.MultiAttack(
            [
                torchattacks.APGD(twin, steps=100, loss="ce", **common),
                torchattacks.APGDT(twin, steps=100, n_classes=10, **common),
                torchattacks.FAB(twin, steps=100, n_classes=10, multi_targeted=True, **common),
                torchattacks.Square(twin, n_queries=_QUERIES.value, **common),
            ]
        ),
    }[name]()

    def still_right(images, labels):
        batch, wanted = torch_twins.channels_first(images), torch.tensor(labels).long()
        found = attack(batch, wanted)
        return (twin(found).argmax(1) == wanted).numpy() & (twin(batch).argmax(1) == wanted).numpy()

    return still_right


if __name__ == "__main__":
    app.run(main)
