"""What a training step costs beside the passes it needs.

    python experiments/benchmarks/train_step.py

Times, in turn and in one process, the train step of each defence and the bare passes it is made of, on LeNet with
28x28 images, and prints the ratio of the medians. Bare passes are the forward pass and the input gradient of each
attack step, and the forward pass and weight gradient of the examples trained on; no optimizer, no metrics, no checks.
The defences without an attack are compared with a Keras model's own train step. About three minutes on 2 cores; let
nothing else run.
"""

import statistics
import time

import numpy as np
from absl import app, flags

from alp_tf import command_line

command_line.load_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

from alp_tf import attacks, defenses, models  # noqa: E402

_BATCH = flags.DEFINE_integer("batch", 128, "images a batch")
_STEPS = flags.DEFINE_integer("steps", 7, "steps of the training attack")
_ROUNDS = flags.DEFINE_integer("rounds", 25, "how often each side is timed")


def main(_):
    """Prints one Markdown table."""
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(_BATCH.value, 28, 28, 1)).astype(np.float32)
    labels = rng.integers(0, 10, _BATCH.value).astype(np.int32)
    attack = attacks.PGD(epsilon=0.3, step_size=0.1, steps=_STEPS.value)

    def network():
        return models.build("lenet", input_shape=(28, 28, 1), num_classes=10)

    plain = network()
    plain.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    sides = {
        "Keras": _train_step(plain, images, labels),
        "input gradient": _input_gradient(network(), images, labels),
        "weight gradient, m rows": _weight_gradient(network(), images, labels),
        "weight gradient, 2m rows": _weight_gradient(network(), np.tile(images, (2, 1, 1, 1)), np.tile(labels, 2)),
    }
    defended = {
        "undefended": defenses.Undefended(network()),
        "clean logit pairing": defenses.CleanLogitPairing(network()),
        "logit squeezing": defenses.LogitSqueezing(network()),
        "batch-wise logit squeezing": defenses.BatchLogitSqueezing(network()),
        "logit similarity": defenses.LogitSimilarity(network()),
        "adversarial training": defenses.AdversarialTraining(network(), attack=attack),
        "M-PGD": defenses.MixedMinibatchPGD(network(), attack=attack),
        "ALP": defenses.AdversarialLogitPairing(network(), attack=attack),
    }
    for name, defense in defended.items():
        defense.compile("adam", metrics=["accuracy"])
        sides[name] = _train_step(defense, images, labels)
    seconds = _medians(sides, _ROUNDS.value)

    print(f"LeNet, batch {_BATCH.value}, training attack of {_STEPS.value} steps, medians of {_ROUNDS.value} rounds\n")
    print("| step | ms | compared with | ms | ratio |\n|---|---:|---|---:|---:|")
    for name in defended:
        trains_on = defended[name].trains_on
        if "adversarial" in trains_on:
            bare = f"weight gradient, {'2' if len(trains_on) == 2 else ''}m rows"
            other, against = f"{_STEPS.value} input gradients + {bare}", _STEPS.value * seconds["input gradient"]
            against += seconds[bare]
        else:
            other, against = "Keras step", seconds["Keras"]
        ratio = seconds[name] / against
        print(f"| {name} | {1e3 * seconds[name]:.1f} | {other} | {1e3 * against:.1f} | {ratio:.3f} |")


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
    # The sides take turns, so that a drift of the machine's speed touches all of them alike.
    times = {name: [] for name in sides}
    for _ in range(3):
        for run in sides.values():
            run()
    for _ in range(rounds):
        for name, run in sides.items():
            started = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    app.run(main)
