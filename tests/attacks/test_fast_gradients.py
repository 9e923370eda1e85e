"""The fast input gradient is the model's own, whatever the model, and leaves no trace on it."""

import json
import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from alp_tf import attacks
from alp_tf.attacks import base, classifier, fast_gradients, wrappers

SHAPE = (9, 8, 1)


def sequential(*layers, shape=SHAPE):
    return keras.Sequential([keras.Input(shape), *layers])


def small():
    return sequential(
        keras.layers.Conv2D(6, 5, padding="same", activation="relu"),
        keras.layers.MaxPooling2D(2),
        keras.layers.Conv2D(4, 3, activation="tanh"),
        keras.layers.Flatten(),
        keras.layers.Dense(16, activation="relu"),
        keras.layers.Dense(5),
    )


def functional():
    inputs = keras.Input(SHAPE)
    left = keras.layers.Conv2D(6, 3, padding="same", activation="relu")(inputs)
    right = keras.layers.Conv2D(6, 5, padding="same", use_bias=False)(inputs)
    joined = keras.layers.BatchNormalization()(keras.layers.Add()([left, right]))
    return keras.Model(inputs, keras.layers.Dense(5)(keras.layers.GlobalMaxPooling2D()(joined)))


def shared():
    """One layer called twice."""
    inputs = keras.Input(SHAPE)
    twice = keras.layers.Conv2D(1, 3, padding="same", activation="relu")
    return keras.Model(inputs, keras.layers.Dense(5)(keras.layers.Flatten()(twice(twice(inputs)))))


class Block(keras.layers.Layer):
    """A layer of layers."""

    def __init__(self):
        super().__init__()
        self.parts = [keras.layers.Conv2D(4, 4, padding="same", activation="elu"), keras.layers.MaxPooling2D(3)]

    def call(self, inputs):
        for part in self.parts:
            inputs = part(inputs)
        return inputs


class Subclassed(keras.Model):
    """Its structure is known to nobody but itself."""

    def __init__(self):
        super().__init__()
        self.block, self.flatten, self.logits = Block(), keras.layers.Flatten(), keras.layers.Dense(5)

    def call(self, inputs):
        return self.logits(self.flatten(tf.nn.relu(self.block(inputs))))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, *SHAPE), np.float32))
    return model


def normalized(**options):
    model = sequential(
        keras.layers.Conv2D(6, 3),
        keras.layers.BatchNormalization(epsilon=0.3, **options),
        keras.layers.ReLU(),
        keras.layers.Flatten(),
        keras.layers.BatchNormalization(),
        keras.layers.Dense(5),
    )
    rng = np.random.default_rng(2)
    model.set_weights(
        [rng.uniform(0.2, 1, weights.shape) * np.where(weights < 0, -1, 1) for weights in model.get_weights()]
    )
    return model


class AlwaysTraining(keras.Model):
    """Batch normalisation by the batch also in inference."""

    def __init__(self):
        super().__init__()
        self.norm, self.flatten, self.logits = (
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
        )

    def call(self, inputs):
        return self.logits(self.flatten(self.norm(inputs, training=True)))


MODELS = {
    "batch normalisation": normalized,
    "batch normalisation, centred only": lambda: normalized(scale=False),
    "batch normalisation, scaled only": lambda: normalized(center=False),
    "batch normalisation, rows": lambda: normalized(axis=1),
    "sequential": small,
    "functional": functional,
    "shared": shared,
    "subclassed": subclassed,
    "nested": lambda: sequential(small(), keras.layers.ReLU(), keras.layers.Dense(5)),
    "layer of layers": lambda: sequential(Block(), keras.layers.Flatten(), keras.layers.Dense(5)),
    "dense over rows": lambda: sequential(keras.layers.Dense(4), keras.layers.Flatten(), keras.layers.Dense(5)),
}
for padding in ("same", "valid"):
    for kernel in (1, 2, 3, 4, 5, (2, 5), 7):
        for channels in (1, 3, 5):
            MODELS[f"{padding}, kernel {kernel}, {channels} channels"] = (
                lambda padding=padding, kernel=kernel, channels=channels: sequential(
                    keras.layers.Conv2D(6, kernel, padding=padding, activation="softplus"),
                    keras.layers.Flatten(),
                    keras.layers.Dense(5),
                    shape=(11, 13, channels),
                )
            )
    for kernel in (1, 3):
        for strides in (2, (3, 2)):
            MODELS[f"{padding}, kernel {kernel}, strides {strides}"] = (
                lambda padding=padding, kernel=kernel, strides=strides: sequential(
                    keras.layers.Conv2D(6, kernel, strides, padding=padding),
                    keras.layers.Flatten(),
                    keras.layers.Dense(5),
                )
            )
    MODELS[f"{padding}, dilation"] = lambda padding=padding: sequential(
        keras.layers.Conv2D(6, 3, dilation_rate=2, padding=padding), keras.layers.Flatten(), keras.layers.Dense(5)
    )


def shape_of(model):
    return getattr(model, "input_shape", (None, *SHAPE))[1:]


def pictures(shape, kind="noise"):
    noise = np.random.default_rng(0).uniform(size=(6, *shape)).astype(np.float32)
    flat = np.ones_like(noise) * np.linspace(0, 1, 6, dtype=np.float32)[:, None, None, None]
    return tf.constant({"noise": noise, "flat": flat}[kind])


def gradient(logits_of, images):
    """What an attack sees: the gradient inside a loop."""

    @tf.function
    def run(images):
        def body(index, _):
            values, _, gradients = base.input_gradient(logits_of, lambda logits: logits[:, 0] - logits[:, 1], images)
            return index + 1, gradients + 0.0 * values[:, None, None, None]

        return tf.while_loop(lambda index, _: index < 2, body, (0, tf.zeros_like(images)))[1]

    return run(images).numpy()


def gradients_of(model, images):
    """The gradient of attacks, and the original's."""
    with classifier.logits_in_mode(model, "inference") as logits_of:
        return gradient(logits_of, images), gradient(classifier.logits_function(model), images)


def is_fast(model, shape=SHAPE):
    """Whether attacks take the fast gradient of that model, after it was used."""
    return fast_gradients._CHECKED.get(model, {}).get(tuple(shape), False)


def assert_equal(found, expected, tolerance=1e-5):
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("kind", ["noise", "flat"])
@pytest.mark.parametrize("name", MODELS)
def test_the_gradient_is_the_models_own(name, kind):
    model = MODELS[name]()
    found, expected = gradients_of(model, pictures(shape_of(model), kind))
    assert_equal(found, expected)
    assert is_fast(model, shape_of(model))


def test_mixed_precision_keeps_its_rounding():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        model = small()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    images = pictures(SHAPE)
    assert_equal(*gradients_of(model, images), tolerance=0.05)
    assert is_fast(model)
    with classifier.logits_in_mode(model, "inference") as logits_of:
        np.testing.assert_allclose(logits_of(images), model(images), atol=0.02)


def test_changed_weights_are_followed():
    model, images = small(), pictures(SHAPE)

    @tf.function
    def run(images):
        with classifier.logits_in_mode(model, "inference") as logits_of:
            return base.input_gradient(logits_of, lambda logits: logits[:, 0], images)[2]

    first = run(images).numpy()
    model.set_weights([1.5 * weights for weights in model.get_weights()])
    expected = base.input_gradient(classifier.logits_function(model), lambda logits: logits[:, 0], images)[2].numpy()
    assert_equal(run(images).numpy(), expected)
    assert np.abs(expected - first).max() > 0.1 * np.abs(first).max()


@pytest.mark.parametrize("name", ["sequential", "functional", "subclassed", "nested"])
def test_the_model_is_left_as_it_was(name, tmp_path):
    model, images = MODELS[name](), pictures(SHAPE)
    before = model(images).numpy(), [vars(layer).copy() for layer in model._flatten_layers()]
    nodes = [len(layer._inbound_nodes) for layer in model._flatten_layers()]
    config = json.dumps(model.get_config(), default=str)
    variables = len(model.variables)
    attacks.PGD(epsilon=0.1, step_size=0.05, steps=2)(model, images, np.zeros(len(images), int))
    assert is_fast(model)
    np.testing.assert_array_equal(model(images), before[0])
    for layer, attributes in zip(model._flatten_layers(), before[1], strict=True):
        assert vars(layer).keys() == attributes.keys()
    assert [len(layer._inbound_nodes) for layer in model._flatten_layers()] == nodes
    assert json.dumps(model.get_config(), default=str) == config
    assert len(model.variables) == variables
    model.save_weights(tmp_path / "kept.weights.h5")
    if name == "subclassed":
        return
    model.save(tmp_path / "kept.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "kept.keras")(images), before[0])


def test_an_error_while_the_model_is_called_leaves_it_as_it_was():
    model = small()
    with classifier.logits_in_mode(model, "inference") as logits_of:
        logits_of(pictures(SHAPE))
        with pytest.raises(ValueError, match="incompatible"):
            logits_of(tf.zeros([2, 5, 5, 3]))
    assert all("call" not in vars(layer) for layer in model._flatten_layers())


def test_weight_gradients_of_the_model_itself_are_untouched():
    model, images = small(), pictures(SHAPE)
    attacks.FGSM(epsilon=0.1)(model, images, np.zeros(len(images), int))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(images) ** 2)
    assert all(np.abs(gradient).max() > 0 for gradient in tape.gradient(loss, model.trainable_variables))


class Doubled(keras.layers.Dense):
    """A Dense that is none."""

    def call(self, inputs, training=None):
        return 2.0 * super().call(inputs)


def test_subclasses_of_a_layer_are_left_alone():
    model = sequential(keras.layers.Flatten(), Doubled(8, activation="tanh"), Doubled(5))
    assert_equal(*gradients_of(model, pictures(SHAPE)))
    assert not is_fast(model)


def test_batch_normalisation_that_always_trains_goes_on_to():
    model = AlwaysTraining()
    model(pictures(SHAPE))
    with classifier.logits_in_mode(model, "inference") as logits_of:
        first = logits_of(pictures(SHAPE))
    np.testing.assert_allclose(first, model(pictures(SHAPE)), atol=1e-5)
    assert np.abs(model.norm.moving_mean).max() > 0


def test_layers_with_adapters_are_left_alone():
    model = small()
    model.layers[-1].enable_lora(2)
    model.layers[-1].lora_kernel_b.assign(np.ones((2, 5)))
    model.layers[0].enable_lora(2)
    model.layers[0].lora_kernel_b.assign(np.ones((2, 6)))
    assert_equal(*gradients_of(model, pictures(SHAPE)))


@pytest.mark.parametrize("wrong", ["_blocked_filters", "_pads"])
def test_a_gradient_that_differs_is_not_used(wrong, monkeypatch, caplog):
    right = getattr(fast_gradients, wrong)
    broken = {
        "_blocked_filters": lambda *arguments: 1.01 * right(*arguments),
        "_pads": lambda *arguments: right(*arguments)[::-1],
    }
    monkeypatch.setattr(fast_gradients, wrong, broken[wrong])
    model = sequential(keras.layers.Conv2D(4, 4, padding="same"), keras.layers.Flatten(), keras.layers.Dense(5))
    with caplog.at_level(logging.DEBUG, "alp_tf"):
        assert_equal(*gradients_of(model, pictures(SHAPE)))
    assert not is_fast(model)
    assert model.name in caplog.text


class Noise(keras.layers.Layer):
    """Random also in inference: from Keras' seeds, or from TensorFlow's own generator."""

    def __init__(self, stateful):
        super().__init__()
        self.seeds = keras.random.SeedGenerator(3) if stateful else None

    def call(self, inputs):
        if self.seeds is None:
            return inputs + tf.random.normal(tf.shape(inputs))
        return inputs + keras.random.normal(tf.shape(inputs), seed=self.seeds)


@pytest.mark.parametrize("stateful", [False, True])
def test_randomised_models_work_and_their_seeds_stay(stateful):
    model = sequential(Noise(stateful), keras.layers.Flatten(), keras.layers.Dense(8, "tanh"), keras.layers.Dense(5))
    before = [variable.numpy() for variable in model.variables]
    with classifier.logits_in_mode(model, "inference") as logits_of:
        fast_gradients._agrees(model, classifier.logits_function(model), tf.TensorShape(SHAPE))
        for variable, value in zip(model.variables, before, strict=True):
            np.testing.assert_array_equal(variable, value)
        assert np.isfinite(gradient(logits_of, pictures(SHAPE))).all()


def test_a_model_that_is_not_built_yet_is_attacked_as_it_is():
    model, images = Subclassed(), pictures(SHAPE)
    with classifier.logits_in_mode(model, "inference") as logits_of:
        found = gradient(logits_of, images)
    assert_equal(found, gradient(classifier.logits_function(model), images))


@pytest.mark.parametrize("kind", ["noise", "flat"])
@pytest.mark.parametrize("options", [{}, {"keep": "best", "restarts": 2}, {"norm": "l2"}], ids=str)
def test_an_attack_finds_what_it_found_without(kind, options, monkeypatch):
    model, images = small(), pictures(SHAPE, kind)
    attack = attacks.PGD(epsilon=0.1, step_size=0.02, steps=8, **options)
    labels = np.arange(len(images)) % 5
    found = attack(model, images, labels, seed=1)
    assert is_fast(model)
    monkeypatch.setattr(fast_gradients, "_substitutes", lambda model: [])
    base._COMPILED.pop(model)
    np.testing.assert_allclose(found, attack(model, images, labels, seed=1), atol=1e-4)


def test_wrappers_gain_as_well_and_count_as_before():
    model, images = small(), pictures(SHAPE)
    counter = wrappers.PassCounter.of(model)
    assert_equal(*gradients_of(counter, images))
    assert is_fast(model)
    # Two passes a loop, and two loops.
    assert wrappers.passes(counter) == (4 * len(images), 4 * len(images))


def test_any_batch_size_uses_the_same_graph():
    model = small()

    @tf.function(input_signature=[tf.TensorSpec([None, *SHAPE]), tf.TensorSpec([None], tf.int32)])
    def run(images, labels):
        return attacks.BIM(epsilon=0.1, step_size=0.1, steps=2)(model, images, labels)

    images = pictures(SHAPE)
    every = run(images, np.zeros(6, np.int32))
    assert is_fast(model)
    for size in (1, 4):
        np.testing.assert_allclose(run(images[:size], np.zeros(size, np.int32)), every[:size], atol=1e-6)


@pytest.mark.parametrize(("make", "expected"), [(small, True), (Subclassed, True), (functional, False)])
@pytest.mark.parametrize("wrapped", [False, True])
def test_only_models_with_max_pooling_have_their_passes_kept_apart(make, expected, wrapped):
    model = make()
    model(np.zeros((1, *SHAPE), np.float32))
    tried = wrappers.PassCounter.of(model) if wrapped else model

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, *SHAPE], tf.float32)])
    def gradients(images):
        logits_of = classifier.differentiable_logits(tried)
        return base.input_gradient(logits_of, lambda logits: tf.reduce_sum(logits, -1), images)[2]

    inside = gradients.get_concrete_function().graph.as_graph_def().library.function
    assert any(function.attr["_noinline"].b for function in inside) == expected
