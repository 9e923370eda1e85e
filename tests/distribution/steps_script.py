"""Steps defences as one worker of a cluster, and as one process on the joined batch; writes the weights of both.

python tests/distribution/steps_script.py OUTPUT.npz [backup_replicas], with TF_CONFIG set.
"""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np

from alp_tf import attacks, datasets, defenses, distribution

# No random start: replicas draw different ones, as they should.
ATTACK = attacks.BIM(epsilon=0.1, step_size=0.03, steps=3)
DEFENSES = {
    "plain": defenses.Undefended,
    "M-PGD": lambda model: defenses.MixedMinibatchPGD(model, attack=ATTACK),
    "ALP": lambda model: defenses.AdversarialLogitPairing(model, attack=ATTACK),
    "batch-wise": defenses.BatchLogitSqueezing,
    "similarity": defenses.LogitSimilarity,
}
STEPS, BATCH = 3, 24


def classifier(batch_norm):
    hidden = [keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten(), keras.layers.Dense(10)]
    if batch_norm:
        hidden.insert(1, keras.layers.BatchNormalization())
    return keras.Sequential([keras.Input((8, 8, 1)), *hidden])


def trained(name, cluster, data, seed, *, batch_norm=False):
    """(weights and loss by name) after some steps."""
    keras.utils.set_random_seed(seed)
    with cluster.scope():
        defense = DEFENSES[name](classifier(batch_norm))
        defense.compile(keras.optimizers.SGD(0.5))
        defense.optimizer.build(defense.trainable_variables)
    cluster.prepare(defense)
    history = defense.fit(cluster.dataset(data, BATCH, seed=1), steps_per_epoch=STEPS, epochs=1, verbose=0)
    found = {f"{name}/{number}": value for number, value in enumerate(defense.classifier.get_weights())}
    metrics = {f"{name}/{metric}": values[0] for metric, values in history.history.items()}
    counts = {} if cluster.quorum is None else {f"{name}/counts": cluster.quorum.take_counts()}
    return {**found, **metrics, **counts}


def main(output, backups=0):
    data = datasets.load("digits")
    fields = {**distribution.DEFAULTS, "strategy": "multi_worker", "backup_replicas": int(backups)}
    with distribution.start(fields) as cluster:
        # Other weights on every worker: the chief's are taken.
        joint = {}
        for name in DEFENSES:
            joint.update(trained(name, cluster, data, 0 if cluster.chief else 7))
        normed = trained("ALP", cluster, data, 0, batch_norm=True)
        joint.update({f"normed {key}": value for key, value in normed.items()})
        alone = {}
        if cluster.chief and not int(backups):
            with distribution.start(distribution.DEFAULTS) as single:
                for name in DEFENSES:
                    alone.update({f"alone {key}": value for key, value in trained(name, single, data, 0).items()})
        np.savez(output, **joint, **alone)
        cluster.wait_for_chief()


if __name__ == "__main__":
    main(*sys.argv[1:])
