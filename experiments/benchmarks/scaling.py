"""Weak scaling: twice the workers, each with one core and the same number of images, should take as long for a step.

    python experiments/benchmarks/scaling.py --output=scaling.json

LeNet with M-PGD on random images: one worker on core 0, then two on cores 0 and 1, each with --batch images. The
efficiency is the first's median step over the second's. What two busy cores take from each other is measured beside it:
two processes at once, a core each, each a whole cluster by itself, that have nothing to say to each other. No way of
joining workers can be better than they.
"""

import concurrent.futures
import os
import statistics

from absl import app, flags

WORKER = flags.DEFINE_string("worker", None, "internal: run as one worker, and write there")
STEPS = flags.DEFINE_integer("steps", 40, "steps of each run")
BATCH = flags.DEFINE_integer("batch", 64, "images a worker")
ATTACK_STEPS = flags.DEFINE_integer("attack_steps", 7, "steps of the training attack")
ROUNDS = flags.DEFINE_integer("rounds", 3, "how often each is run, in turn")
OUTPUT = flags.DEFINE_string("output", None, "JSON file for the table")

_ALONE, _APART, _TOGETHER = "one worker", "two processes that are not joined", "two workers"


def main(_):
    """Prints the medians and the efficiency."""
    if WORKER.value:
        _work()
        return
    import cluster
    import record

    options = [f"--{name}={flags.FLAGS[name].value}" for name in ("steps", "batch", "attack_steps")]
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise ValueError("two cores are needed")

    def median_step(workers, cores):
        found = cluster.measured(__file__, workers, options, cores=[{core} for core in cores])
        return statistics.median(found["seconds"])

    def apart():
        with concurrent.futures.ThreadPoolExecutor() as pool:
            return statistics.mean(pool.map(lambda core: median_step(1, [core]), cores))

    sides = {
        _ALONE: lambda: median_step(1, cores),
        _APART: apart,
        _TOGETHER: lambda: median_step(2, cores),
    }
    seconds = {side: [] for side in sides}
    for _ in range(ROUNDS.value):
        for side, run in sides.items():
            seconds[side].append(run())
    medians = {side: statistics.median(values) for side, values in seconds.items()}
    efficiency = medians[_ALONE] / medians[_TOGETHER]
    of_cores = medians[_ALONE] / medians[_APART]
    rows = [{"side": side, "median": medians[side], "of_rounds": seconds[side]} for side in sides]
    print("| | median step, s |\n|---|---:|")
    for row in rows:
        print(f"| {row['side']} | {row['median']:.3f} |")
    print(f"\nefficiency {efficiency:.3f}, of processes that are not joined {of_cores:.3f}")
    conditions = {name: flags.FLAGS[name].value for name in ("steps", "batch", "attack_steps", "rounds")}
    packages = ["tensorflow", "keras", "alp_tf"]
    record.write(OUTPUT.value, rows=rows, packages=packages, efficiency=efficiency, of_cores=of_cores, **conditions)


def _work():
    from alp_tf import command_line

    command_line.load_tensorflow()
    import training

    from alp_tf import attacks, defenses

    def defense(model, _):
        attack = attacks.PGD(epsilon=0.3, step_size=0.1, steps=ATTACK_STEPS.value)
        return defenses.MixedMinibatchPGD(model, attack=attack)

    training.steps(defense, WORKER.value, steps=STEPS.value, batch=BATCH.value)


if __name__ == "__main__":
    app.run(main)
