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
CRAFT_THEIR_OWN = ("VAT", "step l.l.", "fast", "ensemble")
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
OTHER_FORMS = ("M-PGD, sum", "ALP, L1 sum", "mixup, per example", "clipped, batch")
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

    defense.compile(keras.optimizers.SGD(0.5))
    logs = defense.train_on_batch(images, labels, return_dict=True)
    assert logs["loss"] == pytest.approx(float(loss), rel=1e-5)
    for found, wanted in zip(classifier.get_weights(), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=2e-5)


@pytest.mark.parametrize("name", DEFENSES)
def test_metrics_are_the_terms_of_the_loss_and_the_accuracies(name, classifier, batch):
    defense = build(name, classifier)
    defense.compile("sgd", metrics=["accuracy"])
    logs = defense.train_on_batch(*batch, return_dict=True)
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


def test_regularisation_losses_of_the_classifier_are_added(batch):
    classifier = Subclassed()
    classifier(batch[0])
    defense = defenses.Undefended(classifier, seed=0)
    defense.compile(keras.optimizers.SGD(0.0))
    penalty = 0.01 * np.sum(classifier.logits.get_weights()[0] ** 2)
    logs = defense.train_on_batch(*batch, return_dict=True)
    assert logs["loss"] - logs["cross_entropy"] == pytest.approx(penalty, rel=1e-4)


@pytest.mark.parametrize("name", ["M-PGD", "LSQ"])
def test_batch_norm_statistics_move_once_a_step(name, batch):
    classifier = functional_classifier()
    norm = classifier.layers[2]
    defense = build(name, classifier)
    defense.compile(keras.optimizers.SGD(0.0))
    images, labels = (tf.constant(part) for part in batch)
    seed = tf.unstack(tf.random.split(tf.constant([0, 0], tf.int32), 2))[1]
    rows = images if name == "LSQ" else tf.concat([images, ATTACK(classifier, images, labels, seed=seed)], 0)
    expected = 0.01 * tf.reduce_mean(classifier.layers[1](rows), (0, 1, 2))
    defense.train_on_batch(images, labels)
    np.testing.assert_allclose(norm.moving_mean, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["ALP", "CLP"])
def test_steps_per_execution_and_odd_batches_change_nothing_and_retrace_nothing(name, batch):
    images, labels = (np.concatenate([part] * 3) for part in batch)
    weights = []
    for steps in (1, 3):
        keras.utils.set_random_seed(1)
        defense = build(name, small_classifier())
        defense.compile("sgd", steps_per_execution=steps)
        traces, step = [], defense.train_step
        defense.train_step = lambda data, step=step, traces=traces: traces.append(1) or step(data)
        # Batches of 10 leave one of 3 at the end.
        defense.fit(images, labels, batch_size=10, epochs=3, shuffle=False, verbose=0)
        weights.append(defense.classifier.get_weights())
        assert len(traces) <= 2
    for one, three in zip(*weights, strict=True):
        np.testing.assert_allclose(one, three, atol=1e-5)


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


@pytest.mark.parametrize(("delay", "ramp"), [(0, 0), (3, 0), (0, 4), (2, 3)])
def test_penalties_are_delayed_and_ramped_by_optimizer_steps(delay, ramp, classifier, batch):
    full = 0.3 * float(objectives.logit_squeezing(classifier(batch[0])))
    defense = defenses.LogitSqueezing(classifier, weight=0.3, penalty_delay=delay, penalty_ramp=ramp)
    defense.compile(keras.optimizers.SGD(0.0))
    found = []
    for _ in range(7):
        logs = defense.train_on_batch(*batch, return_dict=True)
        assert logs["loss"] == pytest.approx(logs["cross_entropy"] + logs["logit_squeezing"], rel=1e-5)
        found.append(logs["logit_squeezing"] / full)
        defense.reset_metrics()
    expected = [float(step >= delay) if ramp == 0 else min(max((step - delay) / ramp, 0), 1) for step in range(7)]
    assert found == pytest.approx(expected, abs=1e-5)


def test_noise_is_seeded_clipped_on_request_and_new_at_every_step(classifier, batch):
    seen = []

    class Spy(defenses.Undefended):
        def _noisy(self, images, seed):
            noisy = super()._noisy(images, seed)
            seen.append(noisy.numpy())
            return noisy

    for clip in (True, True, False):
        defense = Spy(classifier, noise=0.5, clip_noise=clip, seed=3)
        defense.compile(keras.optimizers.SGD(0.0), run_eagerly=True)
        defense.fit(*batch, batch_size=21, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(seen[0], seen[2])
    assert np.abs(seen[0] - seen[1]).max() > 0.1
    assert seen[0].min() == 0
    assert seen[0].max() == 1
    assert seen[4].min() < -0.5
    np.testing.assert_allclose(seen[4].clip(0, 1), seen[0], atol=1e-6)
    assert np.std(seen[4] - batch[0]) == pytest.approx(0.5, rel=0.1)


def test_label_smoothing_enters_the_training_loss_alone(classifier, batch):
    defense = defenses.Undefended(classifier, label_smoothing=0.9)
    defense.compile(keras.optimizers.SGD(0.0))
    expected = tf.reduce_mean(objectives.cross_entropy(batch[1], classifier(batch[0]), smoothing=0.9))
    assert defense.train_on_batch(*batch, return_dict=True)["loss"] == pytest.approx(float(expected), rel=1e-5)
    plain = XENT(batch[1], classifier(batch[0]))
    assert defense.evaluate(*batch, return_dict=True, verbose=0)["loss"] == pytest.approx(float(plain), rel=1e-5)


def test_sample_and_class_weights_scale_the_cross_entropy(classifier, batch):
    images, labels = batch
    weights = np.linspace(0, 2, len(labels)).astype(np.float32)
    defense = defenses.Undefended(classifier)
    defense.compile(keras.optimizers.SGD(0.0))
    expected = np.mean(weights * objectives.cross_entropy(labels, classifier(images)).numpy())
    logs = defense.train_on_batch(images, labels, sample_weight=weights, return_dict=True)
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)


def test_two_replicas_step_as_one_on_the_joined_batch():
    # In a process of its own: logical devices must be set before TensorFlow starts.
    script = pathlib.Path(__file__).with_name("replicas_script.py")
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-2000:]
    of_the_papers = ["undefended", "M-PGD", "ALP", "LSQ", "batch-wise", "similarity", "clipped", "features", "free"]
    assert result.stdout.split() == [*of_the_papers, "TRADES", "step-ll", "ensemble"]


def test_training_makes_a_classifier_robust():
    data = datasets.load("digits")
    images, labels = next(iter(data.test_batches(360)))
    attack = attacks.PGD(epsilon=0.15, step_size=0.04, steps=5)
    strong = attacks.PGD(epsilon=0.15, step_size=0.02, steps=20)
    robust = {}
    for cls, options in ((defenses.Undefended, {}), (defenses.AdversarialLogitPairing, {"attack": attack})):
        keras.utils.set_random_seed(0)
        model = models.build("digits_cnn", input_shape=(8, 8, 1), num_classes=10)
        defense = cls(model, seed=0, **options)
        defense.compile("adam")
        defense.fit(data.train_batches(64, seed=0), steps_per_epoch=220, verbose=0)
        adversarial = strong(model, images, labels, seed=0)
        robust[cls] = np.mean(np.argmax(model(adversarial), -1) == labels)
    assert robust[defenses.AdversarialLogitPairing] > robust[defenses.Undefended] + 0.3


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (np.zeros((4, 6, 6, 1), np.uint8), np.zeros(4, int), "uint8"),
        (np.full((4, 6, 6, 1), 200.0, np.float32), np.zeros(4, int), "images / 255"),
        (np.full((4, 6, 6, 1), np.nan, np.float32), np.zeros(4, int), "nan"),
        (np.zeros((4, 6, 6, 1), np.float32), np.array([0, 1, 2, 5]), "labels span 0 to 5.*0 to 4"),
        (np.zeros((4, 6, 6, 1), np.float32), np.eye(5)[:4], "tf.argmax"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "evaluate"])
@pytest.mark.parametrize("steps", [1, 2])
def test_bad_data_fail_with_one_clear_error(method, images, labels, says, steps, classifier):
    defense = defenses.MixedMinibatchPGD(classifier, attack=ATTACK)
    defense.compile("sgd", steps_per_execution=steps)
    with pytest.raises(ValueError, match=says):
        getattr(defense, method)(images, labels, verbose=0)


def test_a_compiled_loss_is_refused_unless_it_is_the_one_meant(classifier, batch):
    defense = defenses.Undefended(classifier)
    defense.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    defense.fit(*batch, verbose=0)
    for loss in ("mse", keras.losses.SparseCategoricalCrossentropy()):
        defense.compile("sgd", loss)
        with pytest.raises(ValueError, match="Leave loss out"):
            defense.fit(*batch, verbose=0)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda model: defenses.Undefended(model, noise=20), "20/255"),
        (lambda model: defenses.Undefended(model, label_smoothing=2), r"\[0, 1\]"),
        (lambda model: defenses.AdversarialTraining(model, attack="pgd"), "attacks.PGD"),
        (lambda model: defenses.MixedMinibatchPGD(model, attack=ATTACK, form="max"), "mean, sum"),
        (lambda model: defenses.MixedMinibatchPGD(model, attack=ATTACK, noise=0.1, clip_noise=False), "clip_noise"),
        (lambda model: defenses.AdversarialLogitPairing(model, attack=ATTACK, weight=-1), "at least 0"),
        (lambda model: defenses.CleanLogitPairing(model, distance="l3"), "l2, l1, huber"),
        (lambda model: defenses.LogitSqueezing(model, form="cubed"), "norm, squared"),
        (lambda model: defenses.Undefended(len), "keras.Model"),
        (lambda model: defenses.LogitSqueezing(model, penalty_delay=-1), "penalty_delay is -1.*whole number"),
        (lambda model: defenses.LogitSqueezing(model, penalty_ramp=0.5), "penalty_ramp is 0.5.*whole number"),
        (lambda model: defenses.LabelSmoothing(model, label_smoothing=95), r"\[0, 1\]"),
        (lambda model: defenses.ClippedCrossEntropy(model, floor=-1), "floor is -1.*at least 0"),
        (lambda model: defenses.ClippedCrossEntropy(model, form="all"), "example, batch"),
        (lambda model: defenses.Mixup(model, alpha=0), "alpha is 0.*above 0"),
        (lambda model: defenses.FeaturePairing(model, attack=ATTACK, layer="hiden"), "did you mean 'hidden'.*Known"),
        (lambda model: defenses.FreeAdversarialTraining(model, epsilon=8), "8/255"),
        (lambda model: defenses.FreeAdversarialTraining(model, epsilon=0.1, step_size=-1), "step_size is -1"),
        (lambda model: defenses.FreeAdversarialTraining(model, epsilon=0.1, replays=0), "replays is 0"),
    ],
)
def test_impossible_defences_are_refused(make, says, classifier):
    with pytest.raises(ValueError, match=says):
        make(classifier)


@pytest.mark.parametrize(
    "last",
    [
        [keras.layers.Dense(5, activation="softmax")],
        [keras.layers.Dense(5), keras.layers.Softmax()],
        [keras.layers.Dense(5), keras.layers.Activation("softmax")],
        [keras.Sequential([keras.layers.Dense(5, activation="softmax")])],
    ],
)
def test_a_model_that_ends_in_softmax_is_warned_about(last):
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), *last])
    with pytest.warns(UserWarning, match="must return logits"):
        defenses.Undefended(model)


@pytest.mark.filterwarnings("error:the model ends in a softmax")
@pytest.mark.parametrize("kind", CLASSIFIERS)
def test_a_model_that_returns_logits_is_not_warned_about(kind):
    defenses.Undefended(CLASSIFIERS[kind]())
