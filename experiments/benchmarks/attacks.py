"""The speed of PGD beside other libraries', on the same weights and images, in one process.

    pip install foolbox adversarial-robustness-toolbox torch torchattacks
    python experiments/benchmarks/attacks.py

Two networks: LeNet on 28x28x1, and a wide residual network with batch normalisation (WRN-10-2) on 32x32x3. Every side
runs L-inf PGD of the same steps from a random start on one batch, called as its documentation shows and in its fastest
settings: foolbox without its check of success, ART with the batch in one piece and no progress bar, on PyTorch with
weights that ask for no gradients. The sides take turns in random order, medians count; each row's ratio is that side's
time over ours. "bare PyTorch" is the shortest loop one can write by hand. Half an hour on 2 cores; let nothing else
run.
"""

import random
import statistics
import time

import numpy as np
from absl import app, flags

from alp_tf import command_line

command_line.load_tensorflow()

import foolbox  # noqa: E402
import keras  # noqa: E402
import record  # noqa: E402
import tensorflow as tf  # noqa: E402
import torch  # noqa: E402
import torch_twins  # noqa: E402
import torchattacks  # noqa: E402
from art.attacks.evasion import ProjectedGradientDescentTensorFlowV2  # noqa: E402
from art.estimators.classification import TensorFlowV2Classifier  # noqa: E402

from alp_tf import attacks, models  # noqa: E402

CLASSES = 10
OURS = "alp_tf"
SIDES = (
    OURS,
    "foolbox, TensorFlow",
    "foolbox, TensorFlow, compiled model",
    "ART, TensorFlow",
    "foolbox, PyTorch",
    "torchattacks, PyTorch",
    "bare PyTorch",
)

_BATCH = flags.DEFINE_integer("batch", 100, "images a batch")
_STEPS = flags.DEFINE_integer("steps", 40, "steps of PGD")
_ROUNDS = flags.DEFINE_integer("rounds", 7, "how often each side is timed")
_SIDES = flags.DEFINE_multi_enum("sides", list(SIDES), SIDES, "who takes part; ours always does")
_NETWORKS = flags.DEFINE_list("networks", ["lenet", "wide_residual"], "which networks")
_EPSILON = flags.DEFINE_float("epsilon", 0.3, "L-inf radius")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write")
_STEP_SIZE = flags.DEFINE_float("step_size", 0.01, "length of a step")


def main(_):
    """Prints a Markdown table for each network."""
    rows = []
    for network in _NETWORKS.value:
        shape, build, build_twin = NETWORKS[network]
        rng = np.random.default_rng(0)
        images = rng.uniform(size=(_BATCH.value, *shape)).astype(np.float32)
        labels = rng.integers(0, CLASSES, _BATCH.value).astype(np.int32)
        model = build(shape)
        twin = build_twin(model).requires_grad_(False)
        gap = np.abs(twin(torch_twins.channels_first(images)).numpy() - model(images).numpy()).max()
        if gap > 1e-3:
            raise ValueError(f"the PyTorch twin of {network} is another network: its logits differ by {gap:.1e}")
        wanted = {OURS: _ours, **{side: MAKERS[side] for side in _SIDES.value if side != OURS}}
        sides = {side: make(model, twin, images, labels) for side, make in wanted.items()}
        for side, run in sides.items():
            _check(side, run(), images)
        times = _times(sides)
        height, width, channels = shape
        print(
            f"\n{network}, batch {_BATCH.value} of {height}x{width}x{channels}, PGD-{_STEPS.value}, "
            f"medians of {_ROUNDS.value} rounds; largest difference of the two logits {gap:.1e}\n"
        )
        print("| side | image-steps/s | seconds | theirs / ours | of single rounds |\n|---|---:|---:|---:|---|")
        for side, seconds in times.items():
            median = statistics.median(seconds)
            ratios = [theirs / ours for theirs, ours in zip(seconds, times[OURS], strict=True)]
            ratio = median / statistics.median(times[OURS])
            speed = _BATCH.value * _STEPS.value / median
            spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
            print(f"| {side} | {speed:,.0f} | {median:.2f} | {ratio:.2f} | {spread} |", flush=True)
            row = {"network": network, "side": side, "image_steps_per_second": round(speed, 1)}
            rows.append({**row, "seconds": [round(value, 4) for value in seconds], "ratio": round(ratio, 4)})
    record.write(
        _OUTPUT.value,
        batch=_BATCH.value,
        steps=_STEPS.value,
        rows=rows,
        packages=("tensorflow", "keras", "foolbox", "adversarial-robustness-toolbox", "torch", "torchattacks"),
    )


def wide_residual(shape, widths=(32, 64, 128)):
    """WRN-10-2 (Zagoruyko & Komodakis 2016): one pre-activation block a stage, every shortcut a convolution.

    Args:
      shape: (height, width, channels) of an image.
      widths: filters of each stage; the stem has half of the first.
    """

    def convolution(name, filters, size, strides=1):
        return keras.layers.Conv2D(filters, size, strides, padding="same", use_bias=False, name=name)

    inputs = keras.Input(shape)
    maps = convolution("stem", widths[0] // 2, 3)(inputs)
    for stage, width in enumerate(widths):
        block, strides = f"block{stage}_", 1 if stage == 0 else 2
        active = keras.layers.ReLU()(keras.layers.BatchNormalization(name=f"{block}norm0")(maps))
        inner = convolution(f"{block}conv0", width, 3, strides)(active)
        inner = keras.layers.ReLU()(keras.layers.BatchNormalization(name=f"{block}norm1")(inner))
        inner = convolution(f"{block}conv1", width, 3)(inner)
        maps = keras.layers.Add()([convolution(f"{block}shortcut", width, 1, strides)(active), inner])
    active = keras.layers.ReLU()(keras.layers.BatchNormalization(name="norm")(maps))
    logits = keras.layers.Dense(CLASSES, name="logits")(keras.layers.GlobalAveragePooling2D()(active))
    model = keras.Model(inputs, logits)
    # A fresh batch normalisation does nothing; give it something to do.
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weights.shape) for weights in layer.get_weights()])
    return model


def _ours(model, twin, images, labels):
    attack = attacks.PGD(epsilon=_EPSILON.value, step_size=_STEP_SIZE.value, steps=_STEPS.value)
    return lambda: attack(model, images, labels).numpy()


def _foolbox(model, images, labels):
    attack = foolbox.attacks.LinfPGD(abs_stepsize=_STEP_SIZE.value, steps=_STEPS.value, random_start=True)
    return lambda: attack.run(model, images, labels, epsilon=_EPSILON.value).numpy()


def _foolbox_tensorflow(model, twin, images, labels):
    wrapped = foolbox.TensorFlowModel(model, bounds=(0, 1))
    return _foolbox(wrapped, tf.constant(images), tf.constant(labels))


def _foolbox_compiled(model, twin, images, labels):
    compiled = foolbox.TensorFlowModel(tf.function(lambda x: model(x, training=False)), bounds=(0, 1))
    return _foolbox(compiled, tf.constant(images), tf.constant(labels))


def _art(model, twin, images, labels):
    estimator = TensorFlowV2Classifier(
        model,
        nb_classes=CLASSES,
        input_shape=images.shape[1:],
        loss_object=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        clip_values=(0, 1),
    )
    attack = ProjectedGradientDescentTensorFlowV2(
        estimator,
        eps=_EPSILON.value,
        eps_step=_STEP_SIZE.value,
        max_iter=_STEPS.value,
        num_random_init=1,
        batch_size=len(images),
        verbose=False,
    )
    return lambda: attack.generate(images, labels)


def _foolbox_torch(model, twin, images, labels):
    wrapped = foolbox.PyTorchModel(twin, bounds=(0, 1))
    run = _foolbox(wrapped, torch_twins.channels_first(images), torch.tensor(labels).long())
    return lambda: run().transpose(0, 2, 3, 1)


def _torchattacks(model, twin, images, labels):
    attack = torchattacks.PGD(twin, eps=_EPSILON.value, alpha=_STEP_SIZE.value, steps=_STEPS.value)
    clean, classes = torch_twins.channels_first(images), torch.tensor(labels).long()
    return lambda: attack(clean, classes).numpy().transpose(0, 2, 3, 1)


def _bare_torch(model, twin, images, labels):
    clean, classes = torch_twins.channels_first(images), torch.tensor(labels).long()
    low = (clean - _EPSILON.value).clamp_(min=0)
    high = (clean + _EPSILON.value).clamp_(max=1)

    def run():
        current = clean + torch.empty_like(clean).uniform_(-_EPSILON.value, _EPSILON.value)
        current = torch.clamp(current, low, high)
        for _ in range(_STEPS.value):
            current.requires_grad_(True)
            loss = torch.nn.functional.cross_entropy(twin(current), classes, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, current)
            current = torch.clamp(current.detach().add_(gradient.sign_(), alpha=_STEP_SIZE.value), low, high)
        return current.numpy().transpose(0, 2, 3, 1)

    return run


MAKERS = dict(
    zip(
        SIDES,
        (_ours, _foolbox_tensorflow, _foolbox_compiled, _art, _foolbox_torch, _torchattacks, _bare_torch),
        strict=True,
    )
)


def _lenet(shape):
    return models.build("lenet", input_shape=shape, num_classes=CLASSES)


NETWORKS = {
    "lenet": ((28, 28, 1), _lenet, torch_twins.lenet),
    "wide_residual": ((32, 32, 3), wide_residual, torch_twins.WideResidual),
}


def _check(side, found, images):
    # A side that does nothing would be very fast.
    distance = np.abs(found - images).max()
    if not 0.9 * _EPSILON.value < distance < _EPSILON.value + 1e-3:
        raise ValueError(f"{side} went {distance:.3f} from the images; up to {_EPSILON.value} was expected")


def _times(sides):
    order, times = random.Random(0), {side: [] for side in sides}
    for count in range(_ROUNDS.value + 1):
        for side, run in order.sample(list(sides.items()), len(sides)):
            started = time.perf_counter()
            run()
            if count >= 1:
                times[side].append(time.perf_counter() - started)
    return times


if __name__ == "__main__":
    app.run(main)
