"""What every attack promises, as one table over all attacks, and what sets each apart."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from alp_tf import attacks, datasets
from alp_tf.attacks import losses
from tests.conftest import small_classifier

STEPS = {"step_size": 0.03, "steps": 4}
ATTACKS = {
    "fgsm": lambda **options: attacks.FGSM(**options),
    "bim": lambda **options: attacks.BIM(**STEPS, **options),
    "step_ll": lambda **options: attacks.StepLL(**options),
    "iter_ll": lambda **options: attacks.IterLL(**STEPS, **options),
    "mim": lambda **options: attacks.MIM(**STEPS, **options),
    "mim, restarts": lambda **options: attacks.MIM(**STEPS, random_start=True, restarts=2, **options),
    "pgd": lambda **options: attacks.PGD(**STEPS, **options),
    "pgd, restarts": lambda **options: attacks.PGD(**STEPS, restarts=3, **options),
    "pgd, best iterate": lambda **options: attacks.PGD(**STEPS, keep="best", **options),
    "pgd, best of restarts": lambda **options: attacks.PGD(**STEPS, keep="best", restarts=2, **options),
}
for loss in ("cross_entropy", "dlr"):
    ATTACKS[f"apgd, {loss}"] = lambda loss=loss, **options: attacks.APGD(**{"steps": 12, "loss": loss, **options})
    ATTACKS[f"apgd, {loss}, restarts"] = lambda loss=loss, **options: attacks.APGD(
        **{"steps": 7, "restarts": 2, "loss": loss, **options}
    )
WITHOUT_LOSS = {
    "fab": lambda **options: attacks.FAB(steps=8, **options),
    "fab, nearest class": lambda **options: attacks.FAB(steps=8, target=None, **options),
    "fab, restarts": lambda **options: attacks.FAB(steps=8, restarts=2, target="runner_up", **options),
    "spsa": lambda **options: attacks.SPSA(**{"steps": 6, "samples": 30, "step_size": 0.1, **options}),
    "random noise": lambda **options: attacks.RandomNoise(samples=20, **options),
    "square": lambda **options: attacks.Square(queries=60, **options),
    "square, restarts": lambda **options: attacks.Square(queries=20, restarts=2, **options),
    # The other versions take a second a part to compile: see test_autoattack.
    "autoattack": lambda **options: attacks.AutoAttack(version="rand", steps=6, **options),
}
EVERY = {**ATTACKS, **WITHOUT_LOSS}
# The KL takes neither targets nor a start at the image: see test_kl.
LOSSES = (*(name for name in losses.NAMED if name != "kl"), attacks.Margin(confidence=3.0))
TARGETS = (None, *losses.TARGETS, 3)


def classifier_for(shape, weights_scale=1.0):
    model = small_classifier(shape)
    model.set_weights([weights_scale * weights for weights in model.get_weights()])
    return model


def lengths(delta, norm):
    flat = np.abs(delta.astype(np.float64)).reshape(len(delta), -1)
    return flat.max(1) if norm == "linf" else np.sqrt((flat**2).sum(1))


def assert_permitted(adversarial, images, attack):
    adversarial = np.asarray(adversarial)
    assert adversarial.shape == images.shape
    assert adversarial.dtype == np.float32
    assert np.isfinite(adversarial).all()
    assert adversarial.min() >= 0
    assert adversarial.max() <= 1
    distance = lengths(adversarial.astype(np.float64) - images.astype(np.float64), attack.norm)
    assert (distance <= attack.epsilon).all()


def choices(name, **options):
    """Options of an attack without those that only attacks with a loss have."""
    return {key: value for key, value in options.items() if name in ATTACKS or key not in ("loss", "target")}


@settings(max_examples=15, deadline=None)
@given(
    # What AutoAttack returns is what one of these returned, and takes ten times as long.
    name=st.sampled_from(sorted({*EVERY} - {"autoattack"})),
    norm=st.sampled_from(["linf", "l2"]),
    loss=st.sampled_from(LOSSES),
    target=st.sampled_from(TARGETS),
    epsilon=st.floats(0, 1),
    shape=st.tuples(st.integers(1, 5), st.integers(3, 6), st.integers(3, 6), st.integers(1, 3)),
    # Huge weights overflow to infinite logits and NaN gradients.
    weights_scale=st.sampled_from([0.0, 1.0, 1e20]),
    seed=st.integers(0, 2**40),
)
def test_results_are_permitted_finite_and_seeded(name, norm, loss, target, epsilon, shape, weights_scale, seed):
    rng = np.random.default_rng(seed)
    images = rng.uniform(size=shape).astype(np.float32)
    labels = rng.integers(0, 5, len(images))
    attack = EVERY[name](**choices(name, epsilon=epsilon, norm=norm, loss=loss, target=target))
    model = classifier_for(shape[1:], weights_scale)
    adversarial = attack(model, images, labels, seed=seed)
    assert_permitted(adversarial, images, attack)
    np.testing.assert_array_equal(adversarial, attack(model, images, labels, seed=seed))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_attacks_raise_the_loss(name, norm, classifier, batch):
    images = batch[0]
    labels = np.argmax(classifier(images), -1)
    attack = EVERY[name](epsilon=0.1 if name in ATTACKS or norm == "linf" else 1.0, norm=norm)
    adversarial = attack(classifier, images, labels, seed=0)
    assert_permitted(adversarial, images, attack)
    loss = losses.named(attack.loss) if name in ATTACKS else losses.Margin(confidence=50.0)
    labels = tf.constant(labels, tf.int32)
    target = getattr(attack, "target", None) if name in ATTACKS else None
    targets = None if target is None else losses.target_classes(target, classifier(images), labels, None)
    before, after = (loss(classifier(x), labels, targets).numpy() for x in (images, adversarial))
    assert (after > before).all()


# AutoAttack takes the longest to trace, and does so once for the same test of its own.
@pytest.mark.parametrize("name", [name for name in EVERY if name != "autoattack"])
def test_the_graph_of_a_tf_function_gives_what_the_eager_call_gives(name, classifier, batch):
    images, labels = batch
    attack = EVERY[name](epsilon=0.1)

    @tf.function(input_signature=[tf.TensorSpec([None, 6, 6, 1]), tf.TensorSpec([None], tf.int64)])
    def inside(images, labels):
        return attack(classifier, images, labels, seed=7)

    eager = attack(classifier, images, labels, seed=7)
    np.testing.assert_allclose(inside(images, labels), eager, atol=1e-6)
    assert inside(images[:4], labels[:4]).shape == (4, 6, 6, 1)
    assert inside.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("kind", [tf.constant, np.asarray])
def test_a_tf_function_may_hold_its_images(kind, classifier, batch):
    images, labels = map(kind, batch)
    attack = attacks.FGSM(epsilon=0.1)
    held = tf.function(lambda: attack(classifier, images, labels, seed=7), autograph=False)
    np.testing.assert_allclose(held(), attack(classifier, *batch, seed=7), atol=1e-6)


def test_numbers_of_numpy_are_numbers(classifier, batch):
    number = np.float32(0.1)
    attack = attacks.PGD(epsilon=number, step_size=np.float64(0.05), steps=np.int64(2))
    assert repr(attack) == repr(attacks.PGD(epsilon=float(number), step_size=0.05, steps=2))
    np.testing.assert_array_equal(attack(classifier, *batch, seed=np.int64(3)), attack(classifier, *batch, seed=3))


def test_a_tie_does_not_fool_a_model_of_coarse_logits():
    """Some of the first proposals raise the mean to a tie only, which argmax gives to class 0."""
    images = np.full((20, 8, 8, 1), 0.5, np.float32)

    def model(images):
        other = tf.floor(8 * (tf.reduce_mean(images, [1, 2, 3]) - 0.5))
        return tf.stack([tf.zeros_like(other), other], 1)

    labels = np.zeros(20, np.int64)
    first = model(attacks.Square(epsilon=0.25, queries=2)(model, images, labels, seed=0)).numpy()
    assert (first[:, 1] == 0).any()
    last = model(attacks.Square(epsilon=0.25, queries=100)(model, images, labels, seed=0)).numpy()
    assert (last[:, 1] > 0).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_a_value(name, loss):
    attack, same = (ATTACKS[name](epsilon=0.1, target="random", loss=loss) for _ in range(2))
    assert attack == same
    assert attack.loss == loss
    assert hash(attack) == hash(same)
    assert repr(attack).startswith(type(attack).__name__ + "(epsilon=0.1")
    restored = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(attack))
    assert restored == attack
    with pytest.raises(dataclasses.FrozenInstanceError):
        attack.epsilon = 0.2


@pytest.mark.parametrize("name", WITHOUT_LOSS)
def test_attacks_without_a_loss_are_saved_as_well(name):
    attack = WITHOUT_LOSS[name](epsilon=0.1, norm="l2", bounds=(-1.0, 1.0))
    assert keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(attack)) == attack


@pytest.mark.parametrize("name", EVERY)
def test_an_epsilon_of_zero_changes_nothing(name, classifier, batch):
    images, labels = batch
    np.testing.assert_array_equal(EVERY[name](epsilon=0.0)(classifier, images, labels), images)


@pytest.mark.parametrize("name", EVERY)
def test_an_empty_batch_stays_empty(name, classifier):
    empty = np.zeros((0, 6, 6, 1), np.float32)
    assert EVERY[name](epsilon=0.1)(classifier, empty, np.zeros(0, np.int32)).shape == (0, 6, 6, 1)


def test_without_a_seed_every_call_differs(classifier, batch):
    attack = attacks.PGD(epsilon=0.1, step_size=0.0, steps=0)
    assert np.abs(attack(classifier, *batch) - attack(classifier, *batch)).max() > 0.01


@pytest.fixture
def robust_setting(digits_classifier):
    images, labels = next(iter(datasets.load("digits").test_batches(360)))

    def robust_share(attack):
        adversarial = attack(digits_classifier, images, labels, seed=5)
        return np.mean(np.argmax(digits_classifier(adversarial), -1) == labels)

    return robust_share


def test_more_steps_and_more_restarts_are_never_weaker(robust_setting):
    def best(**options):
        return robust_setting(attacks.PGD(epsilon=0.12, step_size=0.03, keep="best", **options))

    by_steps = [best(steps=steps) for steps in (0, 1, 3, 10, 30)]
    assert by_steps == sorted(by_steps, reverse=True)
    assert by_steps[-1] < by_steps[0] - 0.2
    by_restarts = [
        robust_setting(attacks.PGD(epsilon=0.12, step_size=0.03, steps=2, restarts=restarts))
        for restarts in (1, 2, 5, 10)
    ]
    assert by_restarts == sorted(by_restarts, reverse=True)
    assert by_restarts[-1] < by_restarts[0]


def test_iterative_attacks_beat_a_single_step(robust_setting):
    fgsm = robust_setting(attacks.FGSM(epsilon=0.15))
    assert robust_setting(attacks.BIM(epsilon=0.15, step_size=0.02, steps=20)) < fgsm


def batch_norm_classifier():
    layers = [keras.Input((6, 6, 1)), keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization(), keras.layers.ReLU()]
    return keras.Sequential([*layers, keras.layers.Flatten(), keras.layers.Dropout(0.5), keras.layers.Dense(5)])


@pytest.mark.parametrize("mode", ["inference", "train"])
def test_attacks_leave_every_variable_as_it_was(mode, batch):
    model = batch_norm_classifier()
    before = [variable.numpy() for variable in model.variables]
    attacks.PGD(epsilon=0.1, step_size=0.02, steps=3, restarts=2, batch_norm=mode)(model, *batch, seed=0)
    for variable, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_batch_norm_modes_attack_different_functions(batch):
    model = batch_norm_classifier()
    model.layers[1].moving_mean.assign([3.0, -3.0, 1.0, 0.5])
    found = {
        mode: attacks.BIM(epsilon=0.1, step_size=0.02, steps=5, batch_norm=mode)(model, *batch, seed=0)
        for mode in ("inference", "train")
    }
    assert np.abs(found["inference"] - found["train"]).max() > 0.01


def test_the_compiled_graph_follows_the_weights_and_is_made_once(classifier, batch, monkeypatch):
    perturb, traces = attacks.BIM.perturb, []
    monkeypatch.setattr(attacks.BIM, "perturb", lambda *given: traces.append(given) or perturb(*given))
    attack = attacks.BIM(epsilon=0.1, step_size=0.1, steps=1)
    first = attack(classifier, *batch).numpy()
    classifier.set_weights([-weights for weights in classifier.get_weights()])
    assert np.abs(attack(classifier, *batch).numpy() - first).max() > 0.05
    images, labels = batch
    for size in (1, 5, 7):
        attack(classifier, images[:size], labels[:size])
    assert len(traces) == 1


def test_a_plain_function_can_be_attacked(batch):
    weights = tf.constant(np.random.default_rng(0).normal(size=(36, 5)), tf.float32)
    adversarial = attacks.FGSM(epsilon=0.1)(lambda images: tf.reshape(images, [-1, 36]) @ weights, *batch)
    assert np.abs(adversarial - batch[0]).max() == pytest.approx(0.1, abs=1e-6)


def test_a_model_of_several_outputs_is_refused(classifier, batch):
    several = keras.Model(classifier.inputs, {"logits": classifier.outputs[0], "more": classifier.outputs[0]})
    for model, seen in ((several, "the entries logits, more"), (lambda images: [images, images], "2 tensors")):
        with pytest.raises(ValueError, match=f"returns {seen}; it must return one tensor of logits"):
            attacks.FGSM(epsilon=0.1)(model, *batch)


def test_mixed_precision_models_can_be_attacked(batch):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = small_classifier()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    attack = attacks.PGD(epsilon=0.1, step_size=0.02, steps=3)
    assert_permitted(attack(model, *batch, seed=0), batch[0], attack)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: attacks.PGD(epsilon=8, step_size=2, steps=1), "8/255"),
        (lambda: attacks.PGD(epsilon=0.1, step_size=2, steps=1), "step_size is 2"),
        (lambda: attacks.PGD(epsilon=0.1, step_size=0.1, steps=-1), "steps is -1"),
        (lambda: attacks.PGD(epsilon=0.1, step_size=0.1, steps=1, restarts=0), "restarts is 0"),
        (lambda: attacks.PGD(epsilon=0.1, step_size=0.1, steps=1, keep="first"), "last, best"),
        (lambda: attacks.PGD(epsilon=0.1, step_size=0.1, steps=1, norm="l7"), "linf, l2"),
        (lambda: attacks.FGSM(epsilon=0.1, loss="hinge"), "cross_entropy, margin"),
        (lambda: attacks.FGSM(epsilon=0.1, target="cat"), "least_likely"),
        (lambda: attacks.FGSM(epsilon=0.1, batch_norm="eval"), "inference, train"),
        (lambda: attacks.MIM(epsilon=0.1, step_size=0.1, steps=1, decay=1.5), "decay is 1.5"),
        (lambda: attacks.MIM(epsilon=0.1, step_size=0.1, steps=1, restarts=2), "random_start=True"),
        (lambda: attacks.MIM(epsilon=8, step_size=0.1, steps=1), "8/255"),
        (lambda: attacks.AutoAttack(epsilon=0.1, version="standart"), "did you mean 'standard'"),
        (lambda: attacks.AutoAttack(epsilon=0.1, steps=0), "steps is 0"),
    ],
)
def test_impossible_attacks_are_refused_when_they_are_made(make, says):
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (np.zeros((2, 6, 6, 1), np.uint8), [0, 1], "uint8"),
        (np.full((2, 6, 6, 1), 255, np.float32), [0, 1], "images / 255"),
        (np.zeros((2, 6, 6, 1), np.float32), np.eye(5)[:2], "tf.argmax"),
        (np.zeros((2, 6, 6, 1), np.float32), [0, 5], "labels span 0 to 5.*0 to 4"),
        (np.zeros((2, 6, 6, 1), np.float32), [-1, 2], "labels span -1 to 2"),
        (np.zeros((2, 6, 6, 1), np.float32), [0, 1, 2], "2 images but 3 labels"),
    ],
)
def test_bad_batches_are_refused(images, labels, says, classifier):
    with pytest.raises(ValueError, match=says):
        attacks.FGSM(epsilon=0.1)(classifier, images, np.asarray(labels))
