"""Every defence takes the step its paper's equation says, and behaves as a Keras model does."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from alp_tf import attacks, datasets, defenses, models, objectives
from tests.conftest import small_classifier
from tests.defenses.test_mixup import unmixed

ATTACK = attacks.PGD(epsilon=0.1, step_size=0.04, steps=3)
TARGETED = attacks.BIM(epsilon=0.1, step_size=0.04, steps=3, target="least_likely")
# Every defence, and what its training loss must be: from labels, clean logits and adversarial logits; or, where
# `of_model` says so, from the model, images, labels, adversarial images and the step's seed. None has a test elsewhere.
XENT = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def mixed(y, c, a):
    return (XENT(y, c) + XENT(y, a)) / 2


def of_model(reference):
    reference.of_model = True
    return reference


def mixup(**options):
    @of_model
    def reference(model, x, y, a, seed):
        mixtures = defenses.Mixup(model, **options).examples(x, y, seed)["mixed"]
        portions, partners = unmixed(mixtures.numpy(), x.numpy())
        logits = tf.cast(model(mixtures), tf.float32)
        losses = [objectives.cross_entropy(labels, logits) for labels in (y, tf.gather(y, partners))]
        return tf.reduce_mean(portions * losses[0] + (1 - portions) * losses[1])

    return reference


@of_model
def feature_pairing(model, x, y, a, seed):
    both = keras.Model(model.inputs, [model.outputs[0], model.get_layer("hidden").output])
    (clean, features), (adversarial, others) = ([tf.cast(part, tf.float32) for part in both(of)] for of in (x, a))
    return mixed(y, clean, adversarial) + 0.7 * tf.reduce_mean((features - others) ** 2)


def kl(first, second):
    p, q = tf.nn.softmax(first), tf.nn.softmax(second)
    return tf.reduce_mean(tf.reduce_sum(p * tf.math.log(p / q), -1))


def step_ll(y, c, mixed):
    # Every other row is adversarial, and weighs 0.3.
    weights = tf.constant([0.3, 1.0] * 10 + [0.3])
    return XENT(y, mixed, sample_weight=weights) * 21 / tf.reduce_sum(weights)


DEFENSES = {
    "undefended": (defenses.Undefended, {}, lambda y, c, a: XENT(y, c)),
    "adversarial training": (defenses.AdversarialTraining, {"attack": ATTACK}, lambda y, c, a: XENT(y, a)),
    "M-PGD": (defenses.MixedMinibatchPGD, {"attack": ATTACK}, mixed),
    "M-PGD, sum": (defenses.MixedMinibatchPGD, {"attack": ATTACK, "form": "sum"}, lambda y, c, a: 2 * mixed(y, c, a)),
    "ALP": (
        defenses.AdversarialLogitPairing,
        {"attack": ATTACK, "weight": 0.7},
        lambda y, c, a: mixed(y, c, a) + 0.7 * tf.reduce_mean((c - a) ** 2),
    ),
    "ALP, L1 sum": (
        defenses.AdversarialLogitPairing,
        {"attack": ATTACK, "weight": 0.7, "distance": "l1", "reduction": "sum"},
        lambda y, c, a: mixed(y, c, a) + 0.7 * tf.reduce_mean(tf.reduce_sum(tf.abs(c - a), 1)),
    ),
    "CLP": (
        defenses.CleanLogitPairing,
        {"weight": 0.3},
        lambda y, c, a: XENT(y, c) + 0.3 * tf.reduce_mean((c[:10] - c[10:20]) ** 2),
    ),
    "LSQ": (
        defenses.LogitSqueezing,
        {"weight": 0.3},
        lambda y, c, a: XENT(y, c) + 0.3 * tf.reduce_mean(tf.norm(c, axis=1)),
    ),
    "batch-wise LSQ": (
        defenses.BatchLogitSqueezing,
        {"weight": 9.0},
        lambda y, c, a: XENT(y, c) + 9.0 / 21 * tf.norm(c),
    ),
    "similarity": (
        defenses.LogitSimilarity,
        {"weight": 9.0, "gamma": 2.0},
        lambda y, c, a: XENT(y, c) + 9.0 / 21 * tf.norm(c - 2.0),
    ),
    "label smoothing": (
        defenses.LabelSmoothing,
        {},
        lambda y, c, a: (
            -tf.reduce_mean(tf.reduce_sum((0.05 * tf.one_hot(y, 5) + 0.95 / 5) * tf.math.log_softmax(c), 1))
        ),
    ),
    "mixup": (defenses.Mixup, {}, mixup()),
    "mixup, per example": (
        defenses.Mixup,
        {"alpha": 0.4, "per_example": True},
        mixup(alpha=0.4, per_example=True),
    ),
    "clipped": (
        defenses.ClippedCrossEntropy,
        {"floor": 1.6},
        lambda y, c, a: tf.reduce_mean(tf.maximum(objectives.cross_entropy(y, c), 1.6)),
    ),
    "clipped, batch": (
        defenses.ClippedCrossEntropy,
        {"floor": 1.6, "form": "batch"},
        lambda y, c, a: tf.maximum(XENT(y, c), 1.6),
    ),
    "feature pairing": (
        defenses.FeaturePairing,
        {"attack": ATTACK, "layer": "hidden", "weight": 0.7},
        feature_pairing,
    ),
    "free": (defenses.FreeAdversarialTraining, {"epsilon": 0.1, "replays": 2}, None),
    "TRADES": (defenses.Trades, {"attack": ATTACK}, lambda y, c, a: XENT(y, c) + 6.0 * kl(c, a)),
    "TRADES, KL": (
        defenses.Trades,
        {"attack": attacks.PGD(epsilon=0.1, step_size=0.04, steps=3, loss="kl"), "weight": 2.0},
        lambda y, c, a: XENT(y, c) + 2.0 * kl(c, a),
    ),
    "VAT": (
        defenses.VirtualAdversarialTraining,
        {"epsilon": 0.5, "weight": 3.0},
        lambda y, c, a: XENT(y, c) + 3.0 * kl(tf.stop_gradient(c), a),
    ),
    "step l.l.": (defenses.StepLLAdversarialTraining, {"epsilon": 0.1}, step_ll),
    "fast": (defenses.FastAdversarialTraining, {"epsilon": 0.1}, lambda y, c, a: XENT(y, a)),
    "ensemble": (
        defenses.EnsembleAdversarialTraining,
        {"attack": attacks.FGSM(epsilon=0.1), "sources": (small_classifier(), small_classifier())},
        mixed,
    ),
}


# Their own tests hold the images they craft against the paper.
CRAFT_THEIR_OWN = ("TRADES, KL", "VAT", "step l.l.", "fast", "ensemble")
RELATIVES = ("TRADES", *CRAFT_THEIR_OWN)


def build(name, classifier, **options):
    cls, own, _ = DEFENSES[name]
    return cls(classifier, **{**own, "seed": 0, **options})


def reference_loss(name, classifier, images, labels, adversarial, seed):
    reference = DEFENSES[name][2]
    if hasattr(reference, "of_model"):
        return reference(classifier, images, labels, adversarial, seed)
    return reference(labels, *(tf.cast(classifier(of), tf.float32) for of in (images, adversarial)))


def crafted(name, defense, attack, images, labels, seed):
    """The adversarial images of a step."""
    if name in CRAFT_THEIR_OWN:
        return defense.examples(images, tf.cast(labels, tf.int32), seed)[defense.trains_on[-1]]
    return attack(defense.classifier, images, labels, seed=seed)


class Subclassed(keras.Model):
    """A user's own model class, with BatchNorm and Dropout."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.features = keras.layers.Dense(8, name="hidden")
        self.norm = keras.layers.BatchNormalization()
        self.drop = keras.layers.Dropout(0.2)
        self.logits = keras.layers.Dense(5, kernel_regularizer="l2")

    def call(self, images, training=False):
        hidden = self.norm(self.features(keras.ops.reshape(images, (-1, 36))), training=training)
        return self.logits(self.drop(keras.ops.relu(hidden), training=training))


def functional_classifier():
    inputs = keras.Input((6, 6, 1))
    hidden = keras.layers.Conv2D(4, 3)(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    hidden = keras.layers.Dropout(0.2)(keras.layers.Flatten()(keras.layers.ReLU(name="hidden")(hidden)))
    return keras.Model(inputs, keras.layers.Dense(5, activity_regularizer="l2")(hidden))


CLASSIFIERS = {"sequential": small_classifier, "functional": functional_classifier, "subclass": Subclassed}


# What differs in the loss alone does not have to meet every kind of model.
OTHER_FORMS = ("TRADES, KL", "M-PGD, sum", "ALP, L1 sum", "mixup, per example", "clipped, batch")
LOSS_ALONE = (*OTHER_FORMS, *RELATIVES, "CLP", "batch-wise LSQ", "similarity", "label smoothing", "clipped")
MODELS = [(name, kind) for name in DEFENSES for kind in CLASSIFIERS if kind == "sequential" or name not in LOSS_ALONE]
STEPS = [(name, ATTACK) for name, (_, _, reference) in DEFENSES.items() if reference]
STEPS += [(name, TARGETED) for name, (_, options, _) in DEFENSES.items() if "attack" in options]


@pytest.mark.parametrize(("name", "attack"), STEPS)
def test_one_step_descends_the_equation_of_the_paper(name, attack, classifier, batch):
    images, labels = (tf.constant(part) for part in batch)
    start = classifier.get_weights()
    defense = build(name, classifier, **({"attack": attack} if attack is TARGETED else {}))
    # The step's adversarial images, crafted here from the seed that the step derives for itself.
    seeds = tf.unstack(tf.random.split(tf.constant([0, 0], tf.int32), 2))
    adversarial = crafted(name, defense, attack, images, labels, seeds[1])
    with tf.GradientTape() as tape:
        loss = reference_loss(name, classifier, images, labels, adversarial, seeds[1])
    expected = [
        w - 0.5 * g.numpy() for w, g in zip(start, tape.gradient(loss, classifier.trainable_weights), strict=True)
    ]

    defense.compile(keras.optimizers.SGD(0.5), metrics=["accuracy"])
    logs = defense.train_on_batch(images, labels, return_dict=True)
    assert logs["loss"] == pytest.approx(float(loss), rel=1e-5)
    check_metrics(defense, logs)
    for found, wanted in zip(classifier.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=2e-5)


# Of the others, the test above sees them too.
@pytest.mark.parametrize("name", [name for name, (_, _, reference) in DEFENSES.items() if not reference])
def test_metrics_are_the_terms_of_the_loss_and_the_accuracies(name, classifier, batch):
    defense = build(name, classifier)
    defense.compile("sgd", metrics=["accuracy"])
    check_metrics(defense, defense.train_on_batch(*batch, return_dict=True))


def check_metrics(defense, logs):
    terms = {"cross_entropy", *defense.penalty_names}
    accuracies = {f"{kind}_accuracy" for kind in defense.trains_on}
    assert set(logs) == {"loss", "accuracy", *terms, *accuracies}
    assert logs["loss"] == pytest.approx(sum(logs[term] for term in terms), rel=1e-5)
    assert logs["accuracy"] == pytest.approx(logs[f"{defense.trains_on[0]}_accuracy"])


@pytest.mark.parametrize(("name", "kind"), MODELS)
def test_fit_evaluate_predict_save_and_load(name, kind, batch, tmp_path):
    classifier = CLASSIFIERS[kind]()
    defense = build(name, classifier, noise=0.1, evaluation_attack=ATTACK)
    defense.compile("adam", metrics=["accuracy"])
    seen = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(logs))
    history = defense.fit(*batch, batch_size=8, epochs=2, validation_data=batch, callbacks=[callback], verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert seen[1]["val_clean_accuracy"] == history.history["val_clean_accuracy"][1]
    measured = defense.evaluate(*batch, return_dict=True, verbose=0)
    assert set(measured) == {"loss", "accuracy", "cross_entropy", "clean_accuracy", "adversarial_accuracy"}
    logits = defense.predict(batch[0], verbose=0)
    np.testing.assert_allclose(logits, classifier(batch[0], training=False), atol=1e-5)
    assert measured["clean_accuracy"] == pytest.approx(np.mean(logits.argmax(1) == batch[1]))
    assert measured["adversarial_accuracy"] <= measured["clean_accuracy"]

    defense.save(tmp_path / "robust.keras")
    custom = {"Subclassed": Subclassed}
    restored = keras.models.load_model(tmp_path / "robust.keras", custom_objects=custom)
    assert type(restored) is type(defense)
    assert restored.get_config()["seed"] == 0
    np.testing.assert_allclose(restored.predict(batch[0], verbose=0), logits, atol=1e-5)
    if kind == "sequential":
        # The restored model goes on training as the saved one does. (Of Dropout, Keras saves no state.)
        again = [
            model.fit(*batch, batch_size=8, shuffle=False, verbose=0).history["loss"] for model in (defense, restored)
        ]
        assert again[0] == pytest.approx(again[1], rel=1e-5)


@pytest.mark.parametrize("name", ["ALP", "free"])
def test_a_step_is_traced_once(name, classifier, batch):
    traced = []

    class Counting(DEFENSES[name][0]):
        def train_step(self, data):
            traced.append("train")
            return super().train_step(data)

        def test_step(self, data):
            traced.append("test")
            return super().test_step(data)

    defense = Counting(classifier, **DEFENSES[name][1])
    defense.compile("adam", metrics=["accuracy"])
    defense.evaluate(*batch, batch_size=8, verbose=0)
    defense.fit(*batch, batch_size=8, epochs=2, validation_data=batch, verbose=0)
    assert traced == ["test", "train"]


@pytest.mark.parametrize("kind", ["functional", "subclass"])
def test_what_was_only_fitted_is_saved_whole(kind, batch, tmp_path):
    defense = build("LSQ", CLASSIFIERS[kind]())
    defense.compile("adam")
    best = keras.callbacks.ModelCheckpoint(tmp_path / "best.weights.h5", save_weights_only=True)
    defense.fit(*batch, batch_size=8, callbacks=[best], verbose=0)
    defense.save(tmp_path / "robust.keras")
    steps = int(defense.optimizer.iterations)
    weights = defense.classifier.get_weights()
    restored = keras.models.load_model(tmp_path / "robust.keras", custom_objects={"Subclassed": Subclassed})
    assert int(restored.optimizer.iterations) == steps > 0
    for found, wanted in zip(restored.classifier.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, wanted)
    defense.fit(*batch, batch_size=8, verbose=0)
    defense.load_weights(tmp_path / "best.weights.h5")
    for found, wanted in zip(defense.classifier.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", ["ALP", "batch-wise LSQ", "VAT"])
def test_mixed_precision(name, policy, batch):
    keras.mixed_precision.set_global_policy(policy)
    try:
        defense = build(name, small_classifier())
        defense.compile("adam", metrics=["accuracy"])
        losses = defense.fit(*batch, batch_size=21, epochs=30, verbose=0).history["loss"]
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert all(weight.dtype == "float32" for weight in defense.trainable_weights)


@pytest.mark.parametrize("name", [name for name in DEFENSES if name not in OTHER_FORMS])
def test_in_half_precision_clipped_and_averaged_the_step_is_the_same(name, batch):
    images, labels = (tf.constant(part) for part in batch)
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        classifier = small_classifier()
        defense = build(name, classifier)
        seed = tf.unstack(tf.random.split(tf.constant([0, 0], tf.int32), 2))[1]
        if DEFENSES[name][2]:
            adversarial = crafted(name, defense, ATTACK, images, labels, seed)
            expected = float(reference_loss(name, classifier, images, labels, adversarial, seed))
        # Both clip to 0.01, and the rate is 0.5.
        sgd = keras.optimizers.SGD(0.5, global_clipnorm=0.01, use_ema=True, ema_momentum=0.75)
        defense.compile(sgd)
        weights = [classifier.get_weights()]
        for _ in range(2):
            logs = defense.train_on_batch(images, labels, return_dict=True)
            weights.append(classifier.get_weights())
            if len(weights) == 2 and DEFENSES[name][2]:
                assert logs["loss"] == pytest.approx(expected, rel=0.02)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert isinstance(defense.optimizer, keras.mixed_precision.LossScaleOptimizer)
    replays = getattr(defense, "replays", 1)
    for before, after in zip(weights, weights[1:], strict=False):
        moved = np.sqrt(sum(np.sum((new - old) ** 2) for old, new in zip(before, after, strict=True)))
        assert 0 < moved <= replays * 0.005 * 1.001
    if replays == 1:
        averages = [np.asarray(average.value) for average in sgd._model_variables_moving_average]
        for average, first, second in zip(averages, *weights[1:], strict=True):
            np.testing.assert_allclose(average, 0.75 * first + 0.25 * second, atol=1e-6)


def test_two_replicas_step_as_one_on_the_joined_batch():
    # In a process of its own: logical devices must be set before TensorFlow starts.
    script = pathlib.Path(__file__).with_name("replicas_script.py")
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.split() == list(defenses.NAMED)


def test_training_makes_a_classifier_robust(digits_classifier):
    data = datasets.load("digits")
    images, labels = next(iter(data.test_batches(120)))
    model = models.build("digits_cnn", input_shape=(8, 8, 1), num_classes=10)
    attack = attacks.PGD(epsilon=0.15, step_size=0.06, steps=3)
    defense = defenses.AdversarialLogitPairing(model, attack=attack, seed=0)
    defense.compile("adam")
    defense.fit(data.train_batches(64, seed=0), steps_per_epoch=220, verbose=0)
    strong = attacks.PGD(epsilon=0.15, step_size=0.02, steps=20)

    def robust(classifier):
        return np.mean(np.argmax(classifier(strong(classifier, images, labels, seed=0)), -1) == labels)

    assert robust(model) > robust(digits_classifier) + 0.3
