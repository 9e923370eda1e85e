"""What every defence has from its base: regularisation, noise, smoothing, weights, schedules; and what it refuses."""

import dataclasses
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from alp_tf import defenses, objectives
from tests.conftest import small_classifier
from tests.defenses.test_defenses import ATTACK, CLASSIFIERS, XENT, Subclassed, build, functional_classifier


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
    for given in (weights, weights[:, None]):
        logs = defense.train_on_batch(images, labels, sample_weight=given, return_dict=True)
        assert logs["loss"] == pytest.approx(expected, rel=1e-5)
        logs = defense.evaluate(images, labels, sample_weight=given, verbose=0, return_dict=True)
        assert logs["loss"] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match=r"sample_weight has the shape \(21, 5\); it must be \[batch\]"):
        defense.train_on_batch(images, labels, sample_weight=np.ones((21, 5)))


def test_a_replica_without_rows_does_not_spoil_the_loss(classifier, batch):
    """As under a strategy, in the last batch of an epoch."""
    images, labels = batch
    defense = defenses.Undefended(classifier)
    defense.compile("sgd", run_eagerly=True)
    expected = defense.test_step((tf.constant(images), tf.constant(labels)))["loss"]
    found = defense.test_step((tf.constant(images[:0]), tf.constant(labels[:0])))["loss"]
    assert float(found) == pytest.approx(float(expected))


@pytest.mark.parametrize("asked", ["auto", True])
def test_xla_is_never_used_for_it_leaves_out_the_checks(asked, classifier, monkeypatch):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda *_: [types.SimpleNamespace(device_type="GPU")])
    classifier.compile("sgd", jit_compile=asked)
    assert classifier.jit_compile
    defense = defenses.Undefended(classifier)
    defense.compile("sgd", jit_compile=asked)
    assert not defense.jit_compile


def test_a_new_defence_takes_weights_from_a_file_and_training_goes_on_from_a_backup(batch, tmp_path):
    class Stopped(Exception):
        pass

    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise Stopped

    def fitted(callbacks=()):
        keras.utils.set_random_seed(1)
        defense = build("LSQ", small_classifier())
        defense.compile("adam")
        defense.fit(*batch, batch_size=21, epochs=4, shuffle=False, callbacks=callbacks, verbose=0)
        return defense

    whole = fitted()
    with pytest.raises(Stopped):
        fitted([keras.callbacks.BackupAndRestore(tmp_path / "backup"), Stop()])
    resumed = fitted([keras.callbacks.BackupAndRestore(tmp_path / "backup")])
    whole.save_weights(tmp_path / "best.weights.h5")
    restored = build("LSQ", small_classifier())
    restored.compile("adam")
    restored.load_weights(tmp_path / "best.weights.h5")
    for other in (resumed, restored):
        for found, wanted in zip(other.classifier.get_weights(), whole.classifier.get_weights(), strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_numbers_of_numpy_are_numbers(classifier, batch):
    number = np.float32(0.5)
    options = {"noise": number, "label_smoothing": number, "penalty_delay": np.int64(3), "seed": np.int64(4)}
    defense = defenses.LogitSqueezing(classifier, weight=number, evaluation_attack=ATTACK, **options)
    defense.compile("sgd")
    defense.fit(*batch, validation_data=batch, verbose=0)
    config = defense.get_config()
    assert {type(config[name]) for name in options} == {float, int}


@pytest.mark.parametrize("where", ["attack", "evaluation_attack"])
def test_an_attack_on_other_pixels_is_refused(where, classifier):
    wide = dataclasses.replace(ATTACK, bounds=(-1.0, 1.0))
    defense = defenses.AdversarialTraining(classifier, **{"attack": ATTACK, where: wide})
    with pytest.raises(ValueError, match=r"bounds are \(-1.0, 1.0\), but a defence trains on pixels in \[0, 1\]"):
        defense.compile("sgd")


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
    for loss in ("mse", "sparse_categorical_crossentropy", keras.losses.SparseCategoricalCrossentropy()):
        with pytest.raises(ValueError, match="Leave loss out"):
            defense.compile("sgd", loss)
        # What the error says to type is enough.
        defense.compile("sgd", metrics=["accuracy"])
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
