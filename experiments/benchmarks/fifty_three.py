"""53 replicas of which 50 count, as in Kannan 5.3.2, on one machine: 20 steps of LeNet with ALP.

    python experiments/benchmarks/fifty_three.py --workers=4 --output=fifty_three.json

As many real processes as --workers; each splits its CPU into logical devices, one a replica. A multi-worker strategy
wants the same number of replicas of every worker, and 53 is prime: with --workers=53 each has one, and with --workers=4
there are 14 each, of which the last three of all never take a ticket: they wait until a step is closed. A process takes
some 0.6 GB.

Before the timed steps, one step is made twice: by all replicas, and by the chief alone on the rows of the 50 that
counted. The largest difference between the weights is written down, beside the largest step that a weight made.
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
    competing, idle = (
        found["counted"][: COUNTED.value + BACKUPS.value],
        found["counted"][COUNTED.value + BACKUPS.value :],
    )
    if any(idle):
        raise RuntimeError(f"replicas counted that do not compete: {idle}")
    print(f"\n{len(competing)} replicas in {WORKERS.value} processes; each step counted {COUNTED.value}")
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

    def exactness(cluster):
        return _difference(cluster, attacks, defenses)

    def defense(model, _):
        attack = attacks.PGD(epsilon=0.3, step_size=0.1, steps=3)
        return defenses.AdversarialLogitPairing(model, attack=attack)

    backups = each * WORKERS.value - COUNTED.value
    training.steps(
        defense,
        WORKER.value,
        steps=STEPS.value,
        batch=BATCH.value,
        backups=backups,
        competing=COUNTED.value + BACKUPS.value,
        timeout=1800,
        before=exactness,
    )


def _difference(cluster, attacks, defenses):
    """How far one step of all replicas is from that of one on the rows of those that counted; {} but for the chief."""
    import keras
    import numpy as np
    import training

    from alp_tf import models

    def made():
        model = models.build("lenet", input_shape=(28, 28, 1), num_classes=10)
        # Without a random start: replicas draw different ones.
        attack = attacks.BIM(epsilon=0.3, step_size=0.1, steps=3)
        found = defenses.AdversarialLogitPairing(model, attack=attack)
        found.compile(keras.optimizers.SGD(0.1))
        found.optimizer.build(found.trainable_variables)
        return found

    with cluster.scope():
        together = made()
    start = together.classifier.get_weights()
    cluster.prepare(together, image_shape=(28, 28, 1))
    training.let_wait(cluster, COUNTED.value + BACKUPS.value)
    data = training.random_images()
    options = {"steps_per_epoch": 1, "epochs": 1, "verbose": 0}
    together.fit(cluster.dataset(data, BATCH.value * COUNTED.value, seed=0), **options)
    counted = np.flatnonzero(cluster.quorum.take_counts())
    if not cluster.chief:
        return {}
    alone = made()
    alone.classifier.set_weights(start)
    joined = next(iter(data.train_batches(BATCH.value * cluster.replicas, seed=0)))
    rows = np.concatenate([np.arange(BATCH.value * replica, BATCH.value * (replica + 1)) for replica in counted])
    images, labels = (part.numpy()[rows] for part in joined)
    alone.fit(images, labels, batch_size=len(rows), shuffle=False, verbose=0)
    weights = [each.classifier.get_weights() for each in (together, alone)]
    apart = max(np.abs(one - other).max() for one, other in zip(*weights, strict=True))
    moved = max(np.abs(one - old).max() for one, old in zip(weights[1], start, strict=True))
    return {"difference": float(apart), "largest_step": float(moved), "first_counted": len(counted)}


if __name__ == "__main__":
    app.run(main)
