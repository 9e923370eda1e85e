"""Our AutoAttack beside torchattacks', on the same LeNet weights and MNIST images, in one process.

    pip install torch torchattacks
    python experiments/benchmarks/autoattack.py --model=runs/mnist_alp/model.keras --output=mnist_alp.json

Copies the weights of a LeNet into PyTorch, checks that both give the same logits, runs AutoAttack on both sides, and
prints robust accuracies, their difference in percentage points, seconds and ratios. Within AutoAttack each attack
meets what the ones before it left standing; for the row of an attack by itself, what they felled is attacked
afterwards. The sides take turns, batch by batch. Other work on the machine slows PyTorch far more than TensorFlow,
which would flatter us: what it took is measured, and only batches during which it took less than --quiet of the cores
count for the times. Every finished batch is kept beside the output, in a file named OUTPUT.kept, so that the same
command goes on where it was stopped: the whole takes hours.
"""

import json
import os
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
_QUIET = flags.DEFINE_float("quiet", 0.05, "share of the cores that other work may take while a batch is timed")
_BATCHES = flags.DEFINE_integer("batches", None, "stop after so many batches; the rest another time")

# Of AutoAttack (Croce & Hein 2020), in the order in which they run.
STAGES = ("APGD-CE", "APGD-T", "FAB-T", "Square")


def main(_):
    """Prints one Markdown table."""
    model, images, labels = mnist.load()
    twin = torch_twins.lenet(model)
    gap = np.abs(twin(torch_twins.channels_first(images)).detach().numpy() - model(images).numpy()).max()
    print(f"{len(labels)} MNIST test images, L-inf {_EPSILON.value}; largest difference of the two logits {gap:.1e}\n")
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
    kept = _kept(kept_json, conditions)
    keep = lambda: kept_json and files.write_json(kept_json, {"conditions": conditions, **kept})  # noqa: E731
    sides = {"alp_tf": _ours(model), "torchattacks": _theirs(twin)}
    _cascades(sides, images, labels, kept["batches"], keep)
    rows = [_whole(kept["batches"])]
    if mnist.BATCH.value * len(kept["batches"]) >= len(labels):
        _rest(sides, images, labels, kept, keep)
        rows = [_alone(stage, kept) for stage in STAGES] + rows
    print("| attack | alp_tf | torchattacks | difference, points | seconds | seconds | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        seconds = [row.get(f"{side}_seconds", 0.0) for side in sides]
        shares = f"{100 * row['alp_tf']:.1f} % | {100 * row['torchattacks']:.1f} % | {row['difference_points']:+.1f}"
        ratio = f"{seconds[1] / seconds[0]:.2f}" if all(seconds) else ""
        print(f"| {row['attack']} | {shares} | {seconds[0]:.1f} | {seconds[1]:.1f} | {ratio} |")
    conditions["examples"] = min(len(labels), mnist.BATCH.value * len(kept["batches"]))
    record.write(
        mnist.OUTPUT.value,
        **conditions,
        largest_logit_difference=float(gap),
        quiet=_QUIET.value,
        timed_examples=sum(len(batch["alp_tf"]["standing"]["clean"]) for batch in _timed(kept["batches"])),
        rows=rows,
        packages=("tensorflow", "keras", "numpy", "torch", "torchattacks"),
    )


def _kept(path, conditions):
    """What an earlier run of this command finished."""
    if not path or not path.exists():
        return {"batches": [], "rest": {}}
    stored = json.loads(path.read_text(encoding="utf-8"))
    if stored.pop("conditions") != conditions:
        raise ValueError(f"{path} holds another comparison; delete it, or write another --output")
    return stored


def _cascades(sides, images, labels, batches, keep):
    """AutoAttack on both sides, batch by batch; adds to `batches`, for each side, what stands after each stage."""
    size = mnist.BATCH.value
    ends = range(size * len(batches), len(labels), size)
    for first in ends[: _BATCHES.value]:
        rows = slice(first, first + size)
        batch = {}
        for side, attack in sides.items():
            standing, seconds, others = {"clean": attack(None, images[rows], labels[rows])}, {}, _OtherWork()
            for before, stage in zip(("clean", *STAGES), STAGES, strict=False):
                stands, started = standing[before].copy(), time.perf_counter()
                if stands.any():
                    stands[stands] = attack(stage, images[rows][stands], labels[rows][stands])
                seconds[stage], standing[stage] = round(time.perf_counter() - started, 3), stands
            batch[side] = {
                "standing": {name: stands.tolist() for name, stands in standing.items()},
                "seconds": seconds,
                "other_work": others.share(),
            }
            print(f"{side}: {first + len(stands)} images, {seconds}, other work {others.share()}", file=sys.stderr)
        batches.append(batch)
        keep()


def _rest(sides, images, labels, kept, keep):
    """Attacks by itself what the stages before had felled; adds to kept["rest"] the verdicts on these."""
    for stage in STAGES[1:]:
        found = kept["rest"].setdefault(stage, {})
        for side, attack in sides.items():
            if side in found:
                continue
            felled = _joined(kept["batches"], side, "clean") & ~_met(stage, kept["batches"], side)
            stands = np.zeros(len(labels), bool)
            if felled.any():
                stands[felled] = attack(stage, images[felled], labels[felled])
            found[side] = np.flatnonzero(stands).tolist()
            keep()


def _joined(batches, side, name):
    return np.concatenate([batch[side]["standing"][name] for batch in batches]).astype(bool)


def _met(stage, batches, side):
    """Which images the stage met within AutoAttack."""
    return _joined(batches, side, ("clean", *STAGES)[STAGES.index(stage)])


def _timed(batches):
    """Those during which nothing else ran."""
    quiet = lambda batch: all(found["other_work"] is None or found["other_work"] <= _QUIET.value for found in batch)  # noqa: E731
    return [batch for batch in batches if quiet(batch.values())]


def _row(name, stands, **seconds):
    ours, theirs = (float(stands[side].mean()) for side in ("alp_tf", "torchattacks"))
    points = round(100 * (ours - theirs), 4)
    return {"attack": name, "alp_tf": ours, "torchattacks": theirs, "difference_points": points, **seconds}


def _whole(batches):
    timed = _timed(batches)
    spent = {
        side: [sum(batch[side]["seconds"].values()) for batch in timed] for side in ("alp_tf", "torchattacks") if timed
    }
    extra = {f"{side}_seconds": round(sum(seconds), 3) for side, seconds in spent.items()}
    for side in spent:
        extra[f"{side}_seconds_by_stage"] = {
            stage: round(sum(batch[side]["seconds"][stage] for batch in timed), 3) for stage in STAGES
        }
    if timed:
        extra["ratio_by_batch"] = [round(b / a, 3) for a, b in zip(*spent.values(), strict=True)]
    stands = {side: _joined(batches, side, STAGES[-1]) for side in ("alp_tf", "torchattacks")}
    return _row("AutoAttack", stands, **extra)


def _alone(stage, kept):
    stands = {}
    for side in ("alp_tf", "torchattacks"):
        stands[side] = _joined(kept["batches"], side, stage)
        stands[side][kept["rest"].get(stage, {}).get(side, [])] = True
    return _row(stage, stands)


class _OtherWork:
    """What other processes take of the cores, from Linux' own count."""

    def __init__(self):
        self._started = self._read()

    def share(self):
        """Since the start, between 0 and 1; None where the system does not tell."""
        if self._started is None:
            return None
        busy, total, own = (now - then for now, then in zip(self._read(), self._started, strict=True))
        return round(max(0.0, busy - own) / max(total, 1e-9), 4)

    def _read(self):
        """Seconds that all processes ran, that there were, and that this process ran."""
        stat = pathlib.Path("/proc/stat")
        if not stat.exists():
            return None
        ticks = [int(count) / os.sysconf("SC_CLK_TCK") for count in stat.read_text().split("\n")[0].split()[1:9]]
        own = os.times()
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks), own.user + own.system


def _ours(model):
    threat_model = ThreatModel(epsilon=_EPSILON.value)
    cascade = attacks.AutoAttack(epsilon=_EPSILON.value, queries=_QUERIES.value).parts(10)
    parts = {stage: {key: attack for key, attack in cascade.items() if key.split()[0] == stage} for stage in STAGES}

    def stands(stage, images, labels):
        if stage is None:
            return model.predict(images, verbose=0).argmax(-1) == labels
        protocols.PROTOCOLS["benchmark"] = lambda *_: parts[stage]
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

    return stands


def _theirs(twin):
    torch.manual_seed(mnist.SEED.value)
    common = {"norm": "Linf", "eps": _EPSILON.value, "seed": mnist.SEED.value}
    # torchattacks.AutoAttack itself takes 10 steps where the paper, and ours, take 100; its own cascade
    # (torchattacks.MultiAttack) hands on what still stands, as `_cascades` does here.
    stages = {
        "APGD-CE": torchattacks.APGD(twin, steps=100, loss="ce", **common),
        "APGD-T": torchattacks.APGDT(twin, steps=100, n_classes=10, **common),
        "FAB-T": torchattacks.FAB(twin, steps=100, n_classes=10, multi_targeted=True, **common),
        "Square": torchattacks.Square(twin, n_queries=_QUERIES.value, **common),
    }

    def stands(stage, images, labels):
        batch, wanted = torch_twins.channels_first(images), torch.tensor(labels).long()
        found = stages[stage](batch, wanted) if stage else batch
        return (twin(found).argmax(1) == wanted).numpy()

    return stands


if __name__ == "__main__":
    app.run(main)
