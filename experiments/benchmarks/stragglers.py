"""What a slow worker costs, with and without backup replicas (Kannan 5.3.2).

    python experiments/benchmarks/stragglers.py --output=stragglers.json

Processes of one machine train LeNet with ALP on random images: four workers undisturbed; four of which one is slower by
--delay seconds a step, in its attack; five undisturbed, and four with one backup, whose ratio is what backups cost when
nobody is slow; four with one backup, of which one is slower; and the same of which a random one is stopped (SIGSTOP)
for --stop seconds, --stops times. A stopped process cannot take part in the all-reduce either: that step waits for it,
which the longest step and the total show and the median does not. Ratios are to the first run.
"""

import json
import random
import signal
import statistics
import time

from absl import app, flags

WORKER = flags.DEFINE_string("worker", None, "internal: run as one worker, and write there")
WORKERS = flags.DEFINE_integer("workers", 4, "workers that count")
STEPS = flags.DEFINE_integer("steps", 60, "steps of each run")
BATCH = flags.DEFINE_integer("batch", 8, "images a replica")
ATTACK_STEPS = flags.DEFINE_integer("attack_steps", 10, "steps of the training attack")
DELAY = flags.DEFINE_float("delay", 1.0, "seconds a step by which one worker is slower")
STOP = flags.DEFINE_float("stop", 10.0, "seconds for which a worker is stopped")
STOPS = flags.DEFINE_integer("stops", 3, "how often one is")
SEED = flags.DEFINE_integer("seed", 0, "of the moments and victims")
BACKUPS = flags.DEFINE_integer("backups", 0, "internal")
SLOW = flags.DEFINE_bool("slow", False, "internal: whether the last worker is slow")
SIDES = flags.DEFINE_list("sides", None, "numbers of the runs to make, from 0 in the order above; all if not given")
OUTPUT = flags.DEFINE_string("output", None, "JSON file for the table")


def main(_):
    """Prints one Markdown table."""
    if WORKER.value:
        _work()
        return
    import cluster
    import record

    count = WORKERS.value

    def run(workers, backups=0, slow=False, meanwhile=None):
        names = ("steps", "batch", "attack_steps", "delay")
        options = [f"--{name}={flags.FLAGS[name].value}" for name in names]
        options += [f"--backups={backups}", f"--slow={slow}"]
        return cluster.measured(__file__, workers, options, meanwhile=meanwhile)

    sides = {
        f"{count} workers": lambda: run(count),
        f"{count} workers, one slower": lambda: run(count, slow=True),
        f"{count + 1} workers": lambda: run(count + 1),
        f"{count} + 1 backup": lambda: run(count + 1, 1),
        f"{count} + 1 backup, one slower": lambda: run(count + 1, 1, slow=True),
        f"{count} + 1 backup, one stopped": lambda: run(count + 1, 1, meanwhile=_Stopper()),
    }
    if SIDES.value:
        sides = {name: run for number, (name, run) in enumerate(sides.items()) if str(number) in SIDES.value}
    rows = []
    for name, measure in sides.items():
        found = measure()
        seconds = found["seconds"]
        rows.append(
            {
                "side": name,
                "median": statistics.median(seconds),
                "longest": max(seconds),
                "total": sum(seconds),
                "counted": found["counted"],
            }
        )
        print(f"{name}: median {rows[-1]['median']:.3f} s", flush=True)
    against = rows[0]["median"]
    print("\n| cluster | median step, s | ratio | longest, s | counted |\n|---|---:|---:|---:|---|")
    for row in rows:
        ratio = row["ratio"] = row["median"] / against
        print(f"| {row['side']} | {row['median']:.3f} | {ratio:.2f} | {row['longest']:.2f} | {row['counted']} |")
    conditions = {name: flags.FLAGS[name].value for name in ("steps", "batch", "attack_steps", "delay", "stop", "seed")}
    record.write(OUTPUT.value, rows=rows, packages=["tensorflow", "keras", "alp_tf"], **conditions)


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
        attack = attacks.PGD(epsilon=0.3, step_size=0.05, steps=ATTACK_STEPS.value, **loss)
        return defenses.AdversarialLogitPairing(model, attack=attack)

    found = training.steps(
        defense, steps=STEPS.value, batch=BATCH.value, backups=BACKUPS.value, marker=f"{WORKER.value}.begun"
    )
    if found:
        with open(WORKER.value, "w", encoding="utf-8") as file:
            json.dump(found, file)


if __name__ == "__main__":
    app.run(main)
