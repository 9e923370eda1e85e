"""53 replicas of which 50 count, as in Kannan 5.3.2, on one machine: 20 steps of LeNet with ALP.

    python experiments/benchmarks/fifty_three.py --workers=4 --output=fifty_three.json

As many real processes as --workers; each splits its CPU into logical devices, one a replica. A multi-worker strategy
wants the same number of replicas of every worker, and 53 is prime: with 53 workers each has one; with fewer, the job
has the next multiple of --workers, of which so many more are backups that 50 count, and the result says how many. With
one worker it is 53 devices of one process. A process takes some 0.6 GB.
"""

import json
import math

from absl import app, flags

WORKER = flags.DEFINE_string("worker", None, "internal: run as one worker, and write there")
WORKERS = flags.DEFINE_integer("workers", 4, "processes")
COUNTED = flags.DEFINE_integer("counted", 50, "replicas that count")
BACKUPS = flags.DEFINE_integer("backups", 3, "replicas that need not")
STEPS = flags.DEFINE_integer("steps", 20, "steps")
BATCH = flags.DEFINE_integer("batch", 2, "images a replica")
OUTPUT = flags.DEFINE_string("output", None, "JSON file for the result")


def main(_):
    """Prints what counted."""
    if WORKER.value:
        _work()
        return
    import cluster
    import record

    names = ("workers", "counted", "backups", "steps", "batch")
    found = cluster.measured(__file__, WORKERS.value, [f"--{name}={flags.FLAGS[name].value}" for name in names])
    print(json.dumps(found, indent=2))
    expected = COUNTED.value * (STEPS.value + 5)
    if sum(found["counted"]) != expected:
        raise RuntimeError(f"{sum(found['counted'])} gradients counted, not {expected}")
    print(f"\n{len(found['counted'])} replicas in {WORKERS.value} processes; each step counted {COUNTED.value}")
    conditions = {name: flags.FLAGS[name].value for name in names}
    record.write(OUTPUT.value, rows=[found], packages=["tensorflow", "keras", "alp_tf"], **conditions)


def _work():
    from alp_tf import command_line

    command_line.load_tensorflow()
    import tensorflow as tf
    import training
    from tensorflow.python.distribute import collective_all_reduce_strategy

    from alp_tf import attacks, defenses

    each = math.ceil((COUNTED.value + BACKUPS.value) / WORKERS.value)
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * each
    )

    # The strategy takes all GPUs of a worker, but of a CPU one device only.
    def devices(self, cluster_resolver, worker_device):
        return tuple(f"{worker_device}/device:CPU:{number}" for number in range(each)), "CPU"

    collective_all_reduce_strategy.CollectiveAllReduceExtended._initialize_local_devices = devices

    def defense(model, _):
        attack = attacks.PGD(epsilon=0.3, step_size=0.1, steps=3)
        return defenses.AdversarialLogitPairing(model, attack=attack)

    backups = each * WORKERS.value - COUNTED.value
    training.steps(defense, WORKER.value, steps=STEPS.value, batch=BATCH.value, backups=backups)


if __name__ == "__main__":
    app.run(main)
