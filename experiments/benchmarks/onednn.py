"""What oneDNN is worth on this processor: training steps without it and with it.

    python experiments/benchmarks/onednn.py --output=onednn.json

TensorFlow's packages for x86 hold oneDNN's routines, and switch them on by themselves on some processors only, those
that have AVX-512's VNNI or newer. The commands of alp_tf switch them on wherever they are. TensorFlow decides at its
start, so each side is a process of its own; they take turns, and the ratio is of the medians. About five minutes on 2
cores; let nothing else run.
"""

import json
import os
import statistics
import subprocess
import sys
import time

from absl import app, flags

WORKER = flags.DEFINE_bool("worker", False, "internal: time one side, and print the seconds as JSON")
STEPS = flags.DEFINE_integer("steps", 5, "timed steps of each network in each round")
ROUNDS = flags.DEFINE_integer("rounds", 3, "how often each side runs, in turn")
OUTPUT = flags.DEFINE_string("output", None, "JSON file for the table")

_VARIABLE = "TF_ENABLE_ONEDNN_OPTS"
_SIDES = {"TensorFlow's choice": None, "off": "0", "on": "1"}
# Name and image shape of the network, epsilon and steps of the attack, images a batch; LeNet's as on its `laptop`.
_NETWORKS = (
    ("digits_cnn", (8, 8, 1), 0.2, 7, 64),
    ("lenet", (28, 28, 1), 0.3, 4, 64),
    ("wrn-10-1", (32, 32, 3), 8 / 255, 7, 64),
)
# Steps that trace and warm up.
_FIRST = 3


def main(_):
    """Prints the medians, and how many times as long a step takes without oneDNN as with it."""
    if WORKER.value:
        print(json.dumps({name: _seconds(name, *rest) for name, *rest in _NETWORKS}))
        return
    import record

    from alp_tf import machine

    seconds = {side: {name: [] for name, *_ in _NETWORKS} for side in _SIDES}
    for _ in range(ROUNDS.value):
        for side, value in _SIDES.items():
            for name, found in _measured(value).items():
                seconds[side][name] += found
    rows = []
    print("| network | TensorFlow's choice, s | off, s | on, s | off / on |\n|---|---:|---:|---:|---:|")
    for name, *_ in _NETWORKS:
        chosen, off, on = medians = [statistics.median(seconds[side][name]) for side in _SIDES]
        rows.append({"network": name, "medians": dict(zip(_SIDES, medians, strict=True)), "ratio": off / on})
        print(f"| {name} | {chosen:.3f} | {off:.3f} | {on:.3f} | {off / on:.2f} |")
    # Those on which TensorFlow's choice depends.
    deciding = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_tile")
    instructions = [name for name in deciding if name in machine.instructions()]
    conditions = {"networks": _NETWORKS, "steps": STEPS.value, "rounds": ROUNDS.value, "instructions": instructions}
    record.write(OUTPUT.value, rows=rows, packages=["tensorflow", "keras", "alp_tf"], **conditions)


def _measured(value):
    environment = {name: kept for name, kept in os.environ.items() if name != _VARIABLE}
    if value is not None:
        environment[_VARIABLE] = value
    command = [sys.executable, __file__, "--worker", f"--steps={STEPS.value}"]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def _seconds(name, shape, epsilon, attack_steps, batch):
    # Not through command_line.load_tensorflow, which switches oneDNN on.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import numpy as np
    import tensorflow as tf

    from alp_tf import attacks, defenses, models

    model = models.build(name, input_shape=shape, num_classes=10)
    attack = attacks.PGD(epsilon=epsilon, step_size=epsilon / 3, steps=attack_steps)
    defense = defenses.AdversarialLogitPairing(model, attack=attack)
    defense.compile("adam", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    images, labels = rng.uniform(size=(batch, *shape)).astype(np.float32), rng.integers(0, 10, batch)
    defense.make_train_function()
    iterator = iter(tf.data.Dataset.from_tensors((images, labels)).repeat())
    found = []
    for _ in range(_FIRST + STEPS.value):
        started = time.perf_counter()
        defense.train_function(iterator)
        found.append(time.perf_counter() - started)
    return found[_FIRST:]


if __name__ == "__main__":
    app.run(main)
