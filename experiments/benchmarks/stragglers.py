"""What a slow worker costs, with and without backup replicas (Kannan 5.3.2).

    python experiments/benchmarks/stragglers.py --output=stragglers.json --trace=clusters.json
    python -m launch.plan --check=clusters.json

Processes of one machine train LeNet with ALP on random images: four workers undisturbed; four of which one is slower
by --delay seconds a step, in its attack; five undisturbed, and four with one backup, in --rounds turns, whose ratio is
what backups cost when nobody is slow; four with one backup, of which one is slower; and the same of which a random one
is stopped (SIGSTOP) for --stop seconds, --stops times. A stopped process cannot take part in the all-reduce either:
that step waits for it, which the longest step and the total show and the median does not.

With --trace, two more runs take the time at which each worker has its own gradient, and the file says, next to what the
runs above measured, what a plan has to know to predict them.
"""

import random
import signal
import statistics
import time

from absl import app, flags

WORKER = flags.DEFINE_string("worker", None, "internal: run as one worker, and write there")
WORKERS = flags.DEFINE_integer("workers", 4, "workers that count")
STEPS = flags.DEFINE_integer("steps", 60, "steps of each run")
BATCH = flags.DEFINE_integer("batch", 8, "images a replica")
ATTACK_STEPS = flags.DEFINE_integer("attack_steps", 40, "steps of the training attack, as many as Kannan's on MNIST")
DELAY = flags.DEFINE_float("delay", 1.0, "seconds a step by which one worker is slower")
STOP = flags.DEFINE_float("stop", 10.0, "seconds for which a worker is stopped")
STOPS = flags.DEFINE_integer("stops", 3, "how often one is")
SEED = flags.DEFINE_integer("seed", 0, "of the moments and victims")
BACKUPS = flags.DEFINE_integer("backups", 0, "internal")
SLOW = flags.DEFINE_bool("slow", False, "internal: whether the last worker is slow")
STAMPS = flags.DEFINE_bool("stamps", False, "internal: whether each worker's own seconds are taken")
ROUNDS = flags.DEFINE_integer("rounds", 3, "how often the two runs that show the costs of backups are made")
SIDES = flags.DEFINE_list("sides", None, "numbers of the runs to make, from 0 in the order above; all if not given")
OUTPUT = flags.DEFINE_string("output", None, "JSON file for the table")
TRACE = flags.DEFINE_string("trace", None, "JSON file for launch.plan --check")


def main(_):
    """Prints one Markdown table."""
    if WORKER.value:
        _work()
        return
    import cluster
    import record

    count = WORKERS.value

    def run(workers, backups=0, slow=False, stamps=False, meanwhile=None):
        names = ("steps", "batch", "attack_steps", "delay")
        options = [f"--{name}={flags.FLAGS[name].value}" for name in names]
        options += [f"--backups={backups}", f"--slow={slow}", f"--stamps={stamps}"]
        return cluster.measured(__file__, workers, options, meanwhile=meanwhile)

    sides = [
        (f"{count} workers", lambda: run(count)),
        (f"{count} workers, one slower", lambda: run(count, slow=True)),
        (f"{count + 1} workers", lambda: run(count + 1)),
        (f"{count} + 1 backup", lambda: run(count + 1, 1)),
        (f"{count} + 1 backup, one slower", lambda: run(count + 1, 1, slow=True)),
        (f"{count} + 1 backup, one stopped", lambda: run(count + 1, 1, meanwhile=_Stopper())),
    ]
    chosen = [number for number in range(len(sides)) if not SIDES.value or str(number) in SIDES.value]
    found = {number: [] for number in chosen}
    # Two that are compared to a few percent take turns.
    for number in [*chosen, *([number for number in (2, 3) if number in found] * (ROUNDS.value - 1))]:
        name, measure = sides[number]
        found[number].append(measure())
        print(f"{name}: median {statistics.median(found[number][-1]['seconds']):.3f} s", flush=True)
    rows = [_row(sides[number][0], runs) for number, runs in found.items()]
    print("\n| cluster | median step, s | 95 % of steps, s | longest, s | counted |\n|---|---:|---:|---:|---|")
    for row in rows:
        cells = [f"{row[name]:.3f}" for name in ("median", "p95", "longest")]
        print(f"| {row['side']} | {' | '.join(cells)} | {row['counted']} |")
    medians = {number: row["median"] for number, row in zip(found, rows, strict=True)}
    ratios = {says: medians[a] / medians[b] for says, a, b in _RATIOS if {a, b} <= set(medians)}
    print("\n".join(f"{says}: {ratio:.3f}" for says, ratio in ratios.items()))
    names = ("workers", "steps", "batch", "attack_steps", "delay", "stop", "stops", "rounds", "seed")
    conditions = {name: flags.FLAGS[name].value for name in names}
    packages = ["tensorflow", "keras", "alp_tf"]
    record.write(OUTPUT.value, rows=rows, packages=packages, ratios=ratios, **conditions)
    if TRACE.value:
        stamped = {workers: run(workers, stamps=True) for workers in (count, count + 1)}
        checks = [
            _check(row, stamped, *_CLUSTERS[number]) for number, row in zip(found, rows, strict=True) if number < 5
        ]
        record.write(TRACE.value, rows=checks, packages=packages, **conditions)


# What is compared with what, by the numbers of the runs.
_RATIOS = (
    ("one slower, without backup / undisturbed", 1, 0),
    ("one slower, with backup / undisturbed without", 4, 0),
    ("one slower, with backup / undisturbed with", 4, 3),
    ("one stopped, with backup / undisturbed without", 5, 0),
    ("one stopped, with backup / undisturbed with", 5, 3),
    ("with backup / as many workers without, nobody slow", 3, 2),
)
# Of the first five runs: (processes beyond --workers, backups, whether the last is slow).
_CLUSTERS = ((0, 0, False), (0, 0, True), (1, 0, False), (1, 1, False), (1, 1, True))


def _row(name, runs):
    seconds = [second for run in runs for second in run["seconds"]]
    counted = [run["counted"] for run in runs]
    return {
        "side": name,
        "median": statistics.median(seconds),
        "p95": statistics.quantiles(seconds, n=20, method="inclusive")[-1],
        "longest": max(seconds),
        "total": sum(seconds),
        "medians": [statistics.median(run["seconds"]) for run in runs],
        "counted": counted[0] and [sum(each) for each in zip(*counted, strict=True)],
    }


def _check(row, stamped, beyond, backups, slow):
    """A row as launch/planning/measured.py has it."""
    processes = WORKERS.value + beyond
    own, steps = stamped[processes]["own"], stamped[processes]["seconds"]
    slowest = [max(each) for each in zip(*own, strict=True)]
    undisturbed = statistics.median(own[-1])
    return {
        "side": row["side"],
        "workers": processes - backups,
        "backups": backups,
        "worker_seconds": own,
        "delays": [0.0] * (processes - 1) + [DELAY.value if slow else 0.0],
        "allreduce_seconds": statistics.median(step - last for step, last in zip(steps, slowest, strict=True)),
        "poll_seconds": (undisturbed + (DELAY.value if slow else 0.0)) / ATTACK_STEPS.value,
        "median_seconds": row["median"],
        "p95_seconds": row["p95"],
    }


class _Stopper:
    """Stops a random process now and then, and lets it go on."""

    def __init__(self):
        self._random = random.Random(SEED.value)
        self._left, self._victim = STOPS.value, None
        self._next = time.monotonic()

    def __call__(self, processes):
        if time.monotonic() < self._next or (self._victim is None and not self._left):
            return
        if self._victim is None:
            self._victim = self._random.choice(processes)
            self._victim.send_signal(signal.SIGSTOP)
            self._left -= 1
            self._next = time.monotonic() + STOP.value
        else:
            self._victim.send_signal(signal.SIGCONT)
            self._victim = None
            self._next = time.monotonic() + self._random.uniform(1, 5)


def _work():
    from alp_tf import command_line

    command_line.load_tensorflow()
    import tensorflow as tf
    import training

    from alp_tf import attacks, defenses

    def wait(labels):
        time.sleep(DELAY.value / ATTACK_STEPS.value)
        return labels

    def slow_loss(logits, labels):
        # Waits anew in every step of the attack.
        labels = tf.ensure_shape(tf.numpy_function(wait, [labels], tf.int32), labels.shape)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

    def defense(model, last):
        loss = {"loss": slow_loss} if SLOW.value and last else {}
        attack = attacks.PGD(epsilon=0.3, step_size=0.01, steps=ATTACK_STEPS.value, **loss)
        return defenses.AdversarialLogitPairing(model, attack=attack)

    options = {"steps": STEPS.value, "batch": BATCH.value, "backups": BACKUPS.value, "stamps": STAMPS.value}
    training.steps(defense, WORKER.value, **options)


if __name__ == "__main__":
    app.run(main)
