"""Steps defences on three replicas of which two count, and on one with those two's rows; prints those that agree."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np

from alp_tf import attacks, datasets, defenses, distribution

ATTACK = attacks.BIM(epsilon=0.1, step_size=0.03, steps=3)
DEFENSES = {
    "M-PGD": lambda model: defenses.MixedMinibatchPGD(model, attack=ATTACK),
    # Its norm is that of the joined rows: who counts is decided in the forward pass.
    "batch-wise": lambda model: defenses.BatchLogitSqueezing(model, weight=5.0),
}
BATCH, EACH = 24, 12


def network(*middle):
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            *middle,
            keras.layers.Flatten(),
            keras.layers.Dense(10),
        ]
    )


def compiled(defense, **options):
    defense.compile(keras.optimizers.SGD(0.5, **options))
    defense.optimizer.build(defense.trainable_variables)
    return defense


def step(cluster, defense, data, number):
    """One step; returns the loss, and the images and labels of the replicas that counted."""
    fitted = defense.fit(
        cluster.dataset(data, BATCH, seed=1, start_step=number), steps_per_epoch=1, epochs=1, verbose=0
    )
    counted = np.flatnonzero(cluster.quorum.take_counts())
    assert len(counted) == 2
    images, labels = (part.numpy() for part in next(iter(data.train_batches(3 * EACH, seed=1, start_step=number))))
    rows = [slice(EACH * replica, EACH * (replica + 1)) for replica in counted]
    return fitted.history, [(images[each], labels[each]) for each in rows]


def agree_with_one_replica(cluster, data, name):
    options = {"global_clipnorm": 0.5} if name == "M-PGD" else {}
    with cluster.scope():
        defense = compiled(DEFENSES[name](network()), **options)
    alone = compiled(DEFENSES[name](network()), **options)
    alone.classifier.set_weights(defense.classifier.get_weights())
    cluster.prepare(defense)
    for number in range(3):
        found, parts = step(cluster, defense, data, number)
        images, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
        expected = alone.fit(images, labels, batch_size=BATCH, shuffle=False, verbose=0).history
        assert found.keys() == expected.keys()
        for metric, values in expected.items():
            np.testing.assert_allclose(found[metric], values, rtol=1e-4, atol=1e-6, err_msg=f"{name}, {metric}")
        for first, second in zip(defense.classifier.get_weights(), alone.classifier.get_weights(), strict=True):
            np.testing.assert_allclose(first, second, atol=1e-5, err_msg=name)


def normalise_with_those_that_count(cluster, data):
    with cluster.scope():
        defense = compiled(defenses.Undefended(network(keras.layers.BatchNormalization(momentum=0.5))))
    before = defense.classifier.get_weights()
    cluster.prepare(defense)
    _, parts = step(cluster, defense, data, 0)
    model = network(keras.layers.BatchNormalization(momentum=0.5))
    averages = []
    for images, _ in parts:
        model.set_weights(before)
        model(images, training=True)
        averages.append([variable.numpy() for variable in model.non_trainable_variables])
    for variable, first, second in zip(defense.classifier.non_trainable_variables, *averages, strict=True):
        for replica in variable.value.values:
            np.testing.assert_allclose(replica, (first + second) / 2, rtol=1e-4, atol=1e-6)


def count_every_replay(cluster, data):
    with cluster.scope():
        defense = compiled(defenses.FreeAdversarialTraining(network(), epsilon=0.1, replays=2))
    cluster.prepare(defense)
    defense.fit(cluster.dataset(data, BATCH, seed=1), steps_per_epoch=3, epochs=1, verbose=0)
    assert cluster.quorum.take_counts().sum() == 2 * 2 * 3
    assert defense.optimizer.iterations.numpy() == 6


def main():
    fields = {**distribution.DEFAULTS, "strategy": "mirrored", "devices": 3, "backup_replicas": 1}
    data = datasets.load("digits")
    with distribution.start(fields) as cluster:
        for name in DEFENSES:
            agree_with_one_replica(cluster, data, name)
            print(name)
        normalise_with_those_that_count(cluster, data)
        print("BatchNorm")
        count_every_replay(cluster, data)
        print("free")


if __name__ == "__main__":
    main()
