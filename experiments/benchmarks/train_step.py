"""What a training step costs beside the passes it needs.

    python experiments/benchmarks/train_step.py

Times, in turn and in one process, the train step of each defence and the bare passes it is made of, on LeNet with
28x28 images, and prints the ratio of the medians. Bare passes are the forward pass and the input gradient of each
attack step, and the forward pass and weight gradient of the examples trained on; no optimizer, no metrics, no checks.
The defences without an attack are compared with a Keras model's own train step. About three minutes on 2 cores; let
nothing else run.
"""

import random
import statistics
import time

import numpy as np
from absl import app, flags

from alp_tf import command_line

command_line.load_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from alp_tf import attacks, defenses, models  # noqa: E402

WITH_ATTACK = {
    "adversarial training": defenses.AdversarialTraining,
    "M-PGD": defenses.MixedMinibatchPGD,
    "ALP": defenses.AdversarialLogitPairing,
}
WITHOUT_ATTACK = {
    "undefended": defenses.Undefended,
    "clean logit pairing": defenses.CleanLogitPairing,
    "logit squeezing": defenses.LogitSqueezing,
    "batch-wise logit squeezing": defenses.BatchLogitSqueezing,
    "logit similarity": defenses.LogitSimilarity,
}

_BATCH = flags.DEFINE_integer("batch", 128, "images a batch")
_STEPS = flags.DEFINE_integer("steps", 7, "steps of the training attack")
_BUILDS = flags.DEFINE_integer("builds", 5, "how often each step with an attack is built")
_ROUNDS = flags.DEFINE_integer("rounds", 12, "how often each side is timed, and six times as often without an attack")


def main(_):
    """Prints one Markdown table."""
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(_BATCH.value, 28, 28, 1)).astype(np.float32)
    labels = rng.integers(0, 10, _BATCH.value).astype(np.int32)
    attack = attacks.PGD(epsilon=0.3, step_size=0.1, steps=_STEPS.value)

    # One network for all sides: where in memory its weights happen to lie changes a pass by up to a sixth.
    model = models.build("lenet", input_shape=(28, 28, 1), num_classes=10)

    def steps(classes, **options):
        return {name: _train_step(_compiled(cls(model, **options)), images, labels) for name, cls in classes.items()}

    passes = {
        "input gradient": _input_gradient(model, images, labels),
        "weight gradient, m rows": _weight_gradient(model, images, labels),
        "weight gradient, 2m rows": _weight_gradient(model, np.tile(images, (2, 1, 1, 1)), np.tile(labels, 2)),
    }
    # Of the same graph, built twice in a process, one build may run a sixth slower than the other, and in the next
    # process neither: each is built several times, and the median build counts.
    builds = {
        f"{name} #{build}": step
        for build in range(_BUILDS.value)
        for name, step in steps(WITH_ATTACK, attack=attack).items()
    }
    seconds = _medians({**passes, **builds}, _ROUNDS.value)
    rows = []
    for name, cls in WITH_ATTACK.items():
        last = f"weight gradient, {'2' if len(cls.trains_on) == 2 else ''}m rows"
        bare = _STEPS.value * seconds["input gradient"] + seconds[last]
        of_builds = [seconds[f"{name} #{build}"] for build in range(_BUILDS.value)]
        spread = f"{min(of_builds) / bare:.3f} to {max(of_builds) / bare:.3f}"
        rows.append((name, statistics.median(of_builds), f"{_STEPS.value} input gradients + {last}", bare, spread))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    # More rounds for a single pass: the difference to be seen is smaller.
    seconds = _medians({"Keras": _train_step(model, images, labels), **steps(WITHOUT_ATTACK)}, 6 * _ROUNDS.value)
    rows += [(name, seconds[name], "Keras step", seconds["Keras"], "") for name in WITHOUT_ATTACK]

    print(f"LeNet, batch {_BATCH.value}, training attack of {_STEPS.value} steps, medians of {_ROUNDS.value} rounds\n")
    print("| step | ms | compared with | ms | ratio | of single builds |\n|---|---:|---|---:|---:|---|")
    for name, step, other, against, spread in rows:
        print(f"| {name} | {1e3 * step:.1f} | {other} | {1e3 * against:.1f} | {step / against:.3f} | {spread} |")


def _compiled(defense):
    defense.compile("adam", metrics=["accuracy"])
    return defense


def _train_step(model, images, labels):
    iterator = iter(tf.data.Dataset.from_tensors((tf.constant(images), tf.constant(labels))).repeat().prefetch(2))
    model.fit(images, labels, batch_size=len(images), verbose=0)
    return lambda: model.train_function(iterator)


def _input_gradient(model, images, labels):
    @tf.function
    def passes(images, labels):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            loss = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(images, training=False))
        return tape.gradient(loss, images)

    images, labels = tf.constant(images), tf.constant(labels)
    return lambda: passes(images, labels)


def _weight_gradient(model, images, labels):
    @tf.function
    def passes(images, labels):
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, model(images, training=True))
            loss = tf.reduce_mean(losses)
        return tape.gradient(loss, model.trainable_variables)

    images, labels = tf.constant(images), tf.constant(labels)
    return lambda: passes(images, labels)


def _medians(sides, rounds):
    # The sides take turns, in another order every round: a drift of the machine's speed, or what a step finds in the
    # caches after the one before, touches all of them alike.
    order, times = random.Random(0), {name: [] for name in sides}
    for count in range(rounds + 3):
        for name, run in order.sample(list(sides.items()), len(sides)):
            started = time.perf_counter()
            run()
            if count >= 3:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    app.run(main)
