"""Reversible networks: the published sizes, the definition, and plain backpropagation's gradient from less memory."""

import math
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from alp_tf import attacks, defenses, loading, models
from alp_tf.attacks import classifier as contract
from tests.models import reference

SHAPE, CLASSES = (8, 8, 3), 5
SMALL = {"input_shape": SHAPE, "num_classes": CLASSES, "units": (3,), "filters": (8, 12)}


def small(**options):
    """A network of three units, two of them reversed, whose averages are not those of the start."""
    return moved(models.build("revnet", **{**SMALL, **options}))


def moved(model):
    """The network with other weights than those of the start, also in its averages."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "kernel" not in weight.name:
            weight.assign(weight + rng.uniform(0, 0.3, weight.shape))
    return model


def pair(**options):
    """The same network reversible and plain."""
    model, plain = small(**options), small(reversible=False, **options)
    plain.set_weights(model.get_weights())
    return model, plain


@pytest.fixture
def images():
    return tf.constant(np.random.default_rng(1).uniform(size=(6, *SHAPE)), tf.float32)


LABELS = np.arange(6) % CLASSES


def passes(model, images, training, called=None):
    """Logits, and the gradients of the loss by the images and all weights; `called` is the model in another form."""
    with tf.GradientTape() as tape:
        tape.watch(images)
        logits = tf.cast(called(images) if called else model(images, training=training), tf.float32)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=LABELS, logits=logits)
        loss = tf.reduce_mean(losses)
    return logits, tape.gradient(loss, [images, *model.trainable_weights])


def largest_difference(found, expected):
    """Over all gradients, the norm of the difference by the norm of what is expected."""
    found, expected = ([np.asarray(item, np.float64) for item in items] for items in (found, expected))
    return max(np.linalg.norm(one - other) / np.linalg.norm(other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("revnet-9", {}, 464_890),
        ("revnet", {"units": (9, 9, 9), "filters": (32, 32, 64, 128)}, 1_729_194),
    ],
)
def test_weights_are_as_many_as_published(name, options, count):
    model = models.build(name, input_shape=(32, 32, 3), num_classes=10, **options)
    assert sum(math.prod(weight.shape) for weight in model.trainable_weights) == count


def test_a_stage_is_the_definition():
    stage = models.ReversibleStage(2, 12, strides=2)
    inputs = np.random.default_rng(0).normal(size=(2, 8, 8, 8)).astype(np.float32)
    stage(inputs)
    rng = np.random.default_rng(1)
    for weight in stage.weights:
        if weight.name != "kernel":
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    # Of each branch: gamma, beta, mean and variance, and the kernel; twice. Those of all F come first.
    weights = [weight.numpy() for weight in stage.weights]
    f0, f1, g0, g1 = (weights[start : start + 10] for start in range(0, 40, 10))

    def branch(values, inputs, stride=1):
        inputs = np.maximum(reference.normalized(inputs, values[:4]), 0)
        inputs = reference.convolution(inputs, values[4], stride)
        return reference.convolution(np.maximum(reference.normalized(inputs, values[5:9]), 0), values[9])

    x1, x2 = np.split(inputs.astype(np.float64), 2, -1)
    y1 = reference.halved(x1, 6) + branch(f0, x2, 2)
    y2 = reference.halved(x2, 6) + branch(g0, y1)
    y1 = y1 + branch(f1, y2)
    y2 = y2 + branch(g1, y1)
    np.testing.assert_allclose(stage(inputs), np.concatenate([y1, y2], -1), atol=1e-4)


@pytest.mark.parametrize(
    ("mode", "training"), [("eager", True), ("graph", True), ("graph", False), ("around a graph", True)]
)
def test_the_gradient_is_that_of_plain_backpropagation(mode, training, images):
    model, plain = pair()

    def run(network):
        if mode == "eager":
            return passes(network, images, training)
        if mode == "graph":
            return tf.function(lambda pixels: passes(network, pixels, training), autograph=False)(images)
        # The tape is outside, so that TensorFlow splits the graph at what the backward pass needs.
        called = tf.function(lambda pixels: network(pixels, training=training), autograph=False)
        return passes(network, images, training, called)

    (logits, found), (expected_logits, expected) = run(model), run(plain)
    np.testing.assert_allclose(logits, expected_logits, atol=1e-5)
    assert largest_difference(found, expected) < 1e-5
    # BatchNorm's averages moved once, not again as the inputs were computed anew.
    for one, other in zip(model.weights, plain.weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6, err_msg=one.path)


def test_frozen_stages_pass_the_gradient_on(images):
    model, plain = pair()
    for network in (model, plain):
        for layer in network.layers:
            layer.trainable = not isinstance(layer, models.ReversibleStage)
    (_, found), (_, expected) = passes(model, images, True), passes(plain, images, True)
    assert largest_difference(found, expected) < 1e-5


def kept(model):
    """Elements an image has in what the backward pass of a training step takes from the forward pass."""

    def step(pixels):
        logits = model(pixels, training=True)
        weights = [weight.value for weight in model.trainable_weights]
        return logits, tf.gradients(tf.reduce_sum(logits**2), weights)

    specification = tf.TensorSpec([None, *SHAPE])
    graph = tf.function(step, autograph=False).get_concrete_function(specification).graph
    forward, ahead = set(), [graph.outputs[0].op]
    while ahead:
        operation = ahead.pop()
        if operation not in forward:
            forward.add(operation)
            ahead += [tensor.op for tensor in operation.inputs]
    taken = {
        tensor.ref()
        for operation in graph.get_operations()
        # A shape is read at once, and nothing kept for it.
        if operation not in forward and operation.type not in ("Shape", "ShapeN", "StopGradient")
        for tensor in operation.inputs
        if tensor.op in forward and tensor.shape.rank == 4 and tensor.shape[0] is None
    }
    return sum(math.prod(reference.deref().shape[1:]) for reference in taken)


def test_what_the_backward_pass_keeps_does_not_grow_with_depth():
    def of(units, reversible):
        return kept(models.build("revnet", **{**SMALL, "units": (units,)}, reversible=reversible))

    assert of(2, True) == of(4, True)
    assert of(4, False) > 1.7 * of(4, True)


def test_attacks_have_the_gradient_of_plain_backpropagation(images):
    model, plain = pair()

    def gradient(logits_of):
        return tf.function(lambda pixels: tf.gradients(logits_of(pixels), pixels)[0], autograph=False)(images)

    expected = gradient(contract.logits_function(plain))
    found = gradient(lambda pixels: contract.differentiable_logits(model)(pixels))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_attacks_on_the_batchs_own_statistics_have_that_gradient_too_and_leave_the_averages(images):
    # In L2 a step has the gradient's direction, not its signs alone.
    options = {"epsilon": 0.5, "norm": "l2", "step_size": 0.2, "steps": 2, "random_start": False}
    found = []
    for network in pair(units=(2,)):
        before = network.get_weights()
        found.append(attacks.PGD(**options, batch_norm="train")(network, images, LABELS).numpy())
        for weight, value in zip(network.weights, before, strict=True):
            np.testing.assert_array_equal(weight, value, err_msg=weight.path)
    np.testing.assert_allclose(*found, atol=1e-5)
    assert np.abs(found[0] - attacks.PGD(**options)(network, images, LABELS)).max() > 1e-3


def test_defences_train_both_alike(images):
    attack = attacks.FGSM(epsilon=0.1)
    weights = []
    for network in pair(units=(2,)):
        defense = defenses.AdversarialLogitPairing(network, attack=attack, weight=0.5, seed=0)
        defense.compile(keras.optimizers.SGD(0.01, momentum=0.9))
        defense.fit(images, LABELS, batch_size=6, epochs=1, verbose=0)
        weights.append(network.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize(("policy", "error"), [("mixed_float16", 1e-2), ("mixed_bfloat16", 1e-2), ("float64", 1e-10)])
def test_other_precisions_have_the_gradient_of_plain_backpropagation(policy, error, images, tmp_path):
    try:
        keras.mixed_precision.set_global_policy(policy)
        model, plain = pair()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    stage = next(layer for layer in model.layers if isinstance(layer, models.ReversibleStage))
    assert stage(tf.zeros((1, 8, 8, 8))).dtype == policy.removeprefix("mixed_")
    (_, found), (_, expected) = passes(model, images, True), passes(plain, images, True)
    assert largest_difference(found, expected) < error
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(images), model(images))


def test_the_whole_revnet_9_has_the_gradient_of_plain_backpropagation():
    # In float32 activations near zero, which the inverse gives another sign, are most of the difference.
    keras.mixed_precision.set_global_policy("float64")
    try:
        model, plain = (
            moved(models.build("revnet-9", input_shape=(32, 32, 3), num_classes=10, reversible=reversible))
            for reversible in (True, False)
        )
    finally:
        keras.mixed_precision.set_global_policy("float32")
    plain.set_weights(model.get_weights())
    images = tf.constant(np.random.default_rng(1).uniform(size=(6, 32, 32, 3)))
    (_, found), (_, expected) = (passes(network, images, True) for network in (model, plain))
    assert found[0].dtype == tf.float64
    assert largest_difference(found, expected) < 1e-8


def test_saved_and_exported_networks_are_the_same(images, tmp_path):
    model = small()
    logits = model(images)
    assert logits.shape == (6, CLASSES)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images), logits)
    np.testing.assert_allclose(sum(loaded.losses), sum(model.losses), rtol=1e-6)
    model.export(tmp_path / "exported", verbose=False)
    exported = loading.classifier(tmp_path / "exported")

    def gradient(network):
        return tf.function(lambda pixels: tf.gradients(network(pixels), pixels)[0], autograph=False)(images)

    np.testing.assert_allclose(exported(images), logits, atol=1e-5)
    expected = gradient(model)
    np.testing.assert_allclose(gradient(exported), expected, atol=1e-5 * np.abs(expected).max())


def test_decay_is_half_the_squares_of_all_kernels():
    model = small(weight_decay=0.01)
    kernels = [weight.numpy() for weight in model.trainable_weights if weight.name == "kernel"]
    assert len(kernels) == 1 + 4 * 3 + 1
    expected = 0.01 * sum(np.square(kernel.astype(np.float64)).sum() / 2 for kernel in kernels)
    np.testing.assert_allclose(sum(model.losses), expected, rtol=1e-5)


def test_two_replicas_step_as_one_on_the_joined_batch():
    # In a process of its own: logical devices must be set before TensorFlow starts.
    script = pathlib.Path(__file__).with_name("replicas_script.py")
    result = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-2000:]
    assert result.stdout.split() == ["reversible"]


def test_large_images_can_be_pooled_in_the_stem():
    shape = (33, 40, 1)
    model = models.build(
        "revnet", input_shape=shape, num_classes=3, units=(1, 2), filters=(8, 8, 16), stem_pooling=True
    )
    assert model(np.zeros((2, *shape), np.float32)).shape == (2, 3)
    last = [layer for layer in model.layers if isinstance(layer, models.ReversibleStage)][-1]
    assert last.output.shape == (None, 5, 5, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"units": (3, 3)}, "must have 3 entries"),
        ({"units": (3, 0, 3)}, "units of a stage is 0"),
        ({"filters": (32, 32, 64, 110)}, "multiples of 4"),
        ({"filters": (33, 33, 65, 113)}, "must be even"),
        ({"filters": (32, 32, 64, 32)}, "or not at all"),
        ({"input_shape": (4, 4, 3)}, "at least 8x8"),
        ({"weight_decay": -1e-4}, "weight_decay is -0.0001"),
    ],
)
def test_what_no_network_can_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        models.build("revnet", **{"input_shape": (32, 32, 3), "num_classes": 10, **options})
