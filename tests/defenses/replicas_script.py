"""Steps each defence twice on two replicas and on one, from the same weights and rows; prints those that agree."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)

import keras
import numpy as np

from alp_tf import attacks, defenses

REPLICAS = 2
# Random starts, of which every replica draws its own.
ATTACK = attacks.PGD(epsilon=0.1, step_size=0.06, steps=2)
# Made outside of any strategy, as one that was loaded beforehand.
SOURCE = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(5)])

# Options of each defence, by its name.
DEFENSES = {
    "undefended": {"noise": 0.1},
    "adversarial_training": {"attack": ATTACK},
    "mixed_minibatch_pgd": {"attack": ATTACK},
    "adversarial_logit_pairing": {"attack": ATTACK, "noise": 0.1},
    "clean_logit_pairing": {},
    "logit_squeezing": {},
    "batch_logit_squeezing": {},
    "logit_similarity": {},
    "label_smoothing": {},
    "mixup": {"per_example": True},
    # A floor between the two replicas' cross-entropies, and below that of the joined batch.
    "clipped_cross_entropy": {"floor": 1.55, "form": "batch"},
    "feature_pairing": {"attack": ATTACK, "layer": "hidden"},
    "free_adversarial_training": {"epsilon": 0.1, "replays": 2},
    "trades": {"attack": ATTACK},
    "virtual_adversarial_training": {"epsilon": 0.5},
    "step_ll_adversarial_training": {"epsilon": 0.1},
    "fast_adversarial_training": {"epsilon": 0.1},
    "ensemble_adversarial_training": {"attack": ATTACK, "sources": [SOURCE], "include_self": False},
}
# Thresholds that the joined gradient exceeds and the replicas' parts, or some of them, do not.
OPTIMIZERS = {
    "undefended": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5, clipvalue=0.01)),
    "mixed_minibatch_pgd": lambda: keras.optimizers.SGD(0.5, global_clipnorm=0.2),
    "logit_squeezing": lambda: keras.optimizers.SGD(0.5, clipnorm=0.1),
    "batch_logit_squeezing": lambda: keras.optimizers.SGD(0.5, clipvalue=0.01, loss_scale_factor=8.0),
    "logit_similarity": lambda: keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.5),
    "free_adversarial_training": lambda: keras.optimizers.SGD(0.5, global_clipnorm=0.2, use_ema=True, ema_momentum=0.5),
}


def of_the_joined_batch(cls):
    """The defence on one replica, given the rows of all and drawing for each part what its replica draws."""

    class Joined(cls):
        def _step_seeds(self):
            seed = tf.stack([self.seed, tf.cast(self.optimizer.iterations, tf.int32)])
            folded = [tf.random.fold_in(seed, replica) for replica in range(REPLICAS)]
            return zip(*(tf.unstack(tf.random.split(one, 2)) for one in folded), strict=True)

        def _parts(self, seeds, *rows):
            return zip(*(tf.split(part, REPLICAS) for part in rows), seeds, strict=True)

        def _noisy(self, images, seeds):
            return tf.concat([super(Joined, self)._noisy(*part) for part in self._parts(seeds, images)], 0)

        def examples(self, images, labels, seeds):
            found = [super(Joined, self).examples(*part) for part in self._parts(seeds, images, labels)]
            return {name: tf.concat([part[name] for part in found], 0) for name in found[0]}

        def targets(self, labels, classes, seeds):
            parts = [super(Joined, self).targets(part, classes, seed) for part, seed in self._parts(seeds, labels)]
            return tf.concat(parts, 0)

    return Joined


def in_pairs(images, labels):
    """The rows in the order in which clean logit pairing, whose pairs are formed within a replica, has the same."""
    rows = np.arange(len(labels)).reshape(REPLICAS, 2, -1).swapaxes(0, 1).reshape(-1)
    return images[rows], labels[rows]


def trained(name, strategy, images, labels, wrapped=lambda cls: cls):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        regularised = keras.layers.Dense(5, kernel_regularizer="l2")
        hidden = keras.layers.Dense(
            6, activation="tanh", name="hidden", activity_regularizer=keras.regularizers.L2(0.5)
        )
        model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), hidden, regularised])
        defense = wrapped(defenses.NAMED[name])(model, seed=0, **DEFENSES[name])
        defense.compile(OPTIMIZERS.get(name, lambda: keras.optimizers.SGD(0.5))())
        defense.optimizer.build(defense.trainable_variables)
        if name == "adversarial_logit_pairing":
            data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(len(images)).repeat(2)
            defense.fit(data, epochs=1, verbose=0)
        else:
            step_twice(defense, strategy, (images, labels))
    return model.get_weights(), float(defense.get_metrics_result()["loss"])


def step_twice(defense, strategy, rows):
    """What fit does with each batch; its preparations would take as long as all the rest."""
    parts = tuple(np.split(array, strategy.num_replicas_in_sync) for array in rows)
    batch = tuple(
        strategy.experimental_distribute_values_from_function(
            lambda context, part=part: tf.constant(part[context.replica_id_in_sync_group])
        )
        for part in parts
    )
    defense.make_train_function()
    for _ in range(2):
        defense.train_function(iter([batch]))


def main():
    # One strategy for all: a second one would number its collective operations from the start again.
    mirrored = tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(REPLICAS)])
    rng = np.random.default_rng(0)
    rows = rng.uniform(size=(16, 4, 4, 1)).astype(np.float32), rng.integers(0, 5, 16)
    for name in defenses.NAMED:
        two, loss_of_two = trained(name, mirrored, *rows)
        joined = in_pairs(*rows) if name == "clean_logit_pairing" else rows
        one, loss_of_one = trained(name, tf.distribute.get_strategy(), *joined, of_the_joined_batch)
        for first, second in zip(two, one, strict=True):
            np.testing.assert_allclose(first, second, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(loss_of_two, loss_of_one, rtol=1e-4, err_msg=name)
        print(name)


if __name__ == "__main__":
    main()
