"""The gradient of the input alone, faster than TensorFlow's own and equal to it up to rounding.

During an attack weights stand still, so what the backward pass makes of them can be made once, outside the attack's
loop. On CPUs these layers gain from that, in every Keras model they occur in:

- Dense: a product with the kernel transposed beforehand; with a transposed view the product takes twice as long.
- Conv2D on few channels, as a network's first: the gradient is a convolution with as many filters as the images have
  channels, one or three, and leaves most of a vector register empty. Computing a block of pixels at a time, as so many
  filters of a strided convolution, fills it.
- Conv2D of 1x1: a matrix product, with zeros in between where it strides.
- BatchNormalization: one fused operation forward, for Keras' product and sum, and one product backward.

(Flipped kernels for other convolutions and masks for max-pooling are as fast as TensorFlow's gradients, no faster.)

While the model is called, such layers' `call` gives way to one with the other gradient; afterwards the model is as it
was. Before any of this is used, its gradient is compared with the original's, once for a model and image shape.
"""

import contextlib
import dataclasses
import logging
import math
import threading
import weakref

import keras
import tensorflow as tf

from alp_tf import machine

# Floats a vector register holds, and the gain from which on a blocked convolution is faster also in practice.
LANES = 16
WORTHWHILE = 1.5

_LOG = logging.getLogger(__name__)

# model -> {image shape: whether the gradients agreed}
_CHECKED = weakref.WeakKeyDictionary()
_SUBSTITUTION = threading.RLock()


def logits_function(model):
    """A function from images to float32 logits whose gradient by the images is fast; that by weights is lost.

    Call it outside of the attack's loop: what the gradient needs of the weights is computed here.

    Args:
      model: keras.layers.Layer that takes images; called in inference mode.

    Returns:
      The function, with the attribute `pools`, which `kept_apart` looks for.
    """

    def original(images):
        return tf.cast(model(images, training=False), tf.float32)

    substitutes = _substitutes(model)

    def fast(images):
        with _substituted(substitutes):
            return original(images)

    def logits_of(images):
        return (fast if substitutes and _agrees(model, original, images.shape[1:]) else original)(images)

    logits_of.pools = _on_one_cpu() and any(
        isinstance(layer, keras.layers.MaxPooling2D) for layer in model._flatten_layers()
    )
    return logits_of


def try_out(model, shape):
    """Compares the fast gradient with the original's now, for replicas that cannot do so while they train.

    Args:
      model: keras.Model.
      shape: (height, width, channels) of its images.
    """

    def original(images):
        return tf.cast(model(images, training=False), tf.float32)

    if _substitutes(model):
        _agrees(model, original, tf.TensorShape(shape))


@dataclasses.dataclass(frozen=True)
class _Substitute:
    """An affine layer's `call` with another gradient.

    Attributes:
      layer: the keras layer.
      affine: from inputs to outputs before the activation.
      input_gradient: from the gradient of those, and the static shape of the inputs, to that of the inputs.
      rank: of the inputs that can be served; all but their batch must be known.
    """

    layer: keras.layers.Layer
    affine: callable
    input_gradient: callable
    rank: int

    def __call__(self, inputs, training=None, **options):
        options = {name: option for name, option in options.items() if option is not None}
        if training or options or inputs.shape.rank != self.rank or None in inputs.shape[1:]:
            return type(self.layer).call(self.layer, inputs, training=training, **options)
        activation = getattr(self.layer, "activation", None)
        # Inside the substitute, so that TensorFlow still fuses it with the product.
        rectified = activation is keras.activations.relu

        @tf.custom_gradient
        def call(inputs):
            outputs = self.affine(inputs)
            if rectified:
                outputs = tf.nn.relu(outputs)

            def backward(upstream):
                if rectified:
                    upstream = tf.raw_ops.ReluGrad(gradients=upstream, features=outputs)
                return self.input_gradient(upstream, inputs.shape)

            return outputs, backward

        outputs = call(inputs)
        return outputs if rectified or activation is None else activation(outputs)


def kept_apart(passes, logits_of):
    """A forward and backward pass, as a graph of its own inside the graph of the attack's loop where the model pools.

    TensorFlow gives max-pooling the fast gradient of oneDNN, which takes a sixth of the time of its own, where it meets
    the pooling before its gradient. In a loop, which it walks as a circle, that is a matter of luck, and a step with
    two such layers took a fifth longer in every second process. To trace it takes longer, so others go without.

    Args:
      passes: function of tensors, which calls `logits_of`.
      logits_of: what `logits_function` returned, or any other function of images.
    """
    if tf.executing_eagerly() or not getattr(logits_of, "pools", False):
        return passes
    return tf.function(passes, autograph=False, experimental_attributes={"_noinline": True})


def _on_one_cpu():
    # TensorFlow brings fast routines of its own to other devices, and replicas trace in threads that share the layers.
    if machine.accelerated():
        return False
    strategy = tf.distribute.get_strategy()
    return strategy.num_replicas_in_sync == 1 or len(strategy.extended.worker_devices) == 1


def _substitutes(model):
    if not _on_one_cpu():
        return []
    # Keras has no public way to the layers of layers.
    found = (_substitute(layer) for layer in model._flatten_layers())
    return [substitute for substitute in found if substitute is not None]


def _substitute(layer):
    # Exactly these types: a subclass may compute something else.
    if type(layer) not in _MAKERS or not layer.built or "call" in vars(layer) or "convolution_op" in vars(layer):
        return None
    if getattr(layer, "lora_enabled", False) or layer.quantization_mode is not None or layer._remat_mode is not None:
        return None
    return _MAKERS[type(layer)](layer)


def _dense(layer):
    kernel = _constant(layer, layer.kernel)
    transposed = tf.transpose(kernel)
    affine = _biased(layer, lambda inputs: tf.matmul(inputs, kernel))
    return _Substitute(layer, affine, lambda upstream, _: tf.matmul(upstream, transposed), rank=2)


def _convolution(layer):
    if layer.padding not in ("same", "valid") or layer.data_format != "channels_last" or layer.groups > 1:
        return None
    kernel, padding = _constant(layer, layer.kernel), layer.padding.upper()
    if layer.kernel_size == (1, 1):
        input_gradient = _pointwise_gradient(kernel, layer.strides)
    elif layer.strides == layer.dilation_rate == (1, 1) and _block_size(kernel.shape) > 1:
        input_gradient = _blocked_gradient(kernel, padding)
    else:
        return None
    affine = _biased(layer, lambda inputs: tf.nn.conv2d(inputs, kernel, layer.strides, padding))
    return _Substitute(layer, affine, input_gradient, rank=4)


def _batch_normalization(layer):
    # In half precision Keras normalises in float32 and rounds afterwards.
    if layer.axis not in (-1, 3) or layer.compute_dtype != "float32":
        return None
    mean, variance = _constant(layer, layer.moving_mean), _constant(layer, layer.moving_variance)
    gamma = _constant(layer, layer.gamma) if layer.scale else tf.ones_like(mean)
    beta = _constant(layer, layer.beta) if layer.center else tf.zeros_like(mean)
    slope = gamma * tf.math.rsqrt(variance + layer.epsilon)

    def affine(inputs):
        return tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=gamma,
            offset=beta,
            mean=mean,
            variance=variance,
            epsilon=layer.epsilon,
            is_training=False,
        ).y

    return _Substitute(layer, affine, lambda upstream, _: upstream * slope, rank=4)


_MAKERS = {
    keras.layers.Dense: _dense,
    keras.layers.Conv2D: _convolution,
    keras.layers.BatchNormalization: _batch_normalization,
}


def _constant(layer, variable):
    return tf.cast(tf.convert_to_tensor(variable), layer.compute_dtype)


def _biased(layer, linear):
    if layer.bias is None:
        return linear
    bias = _constant(layer, layer.bias)
    return lambda inputs: tf.nn.bias_add(linear(inputs), bias)


def _pointwise_gradient(kernel, strides):
    channels, filters = kernel.shape[2:]
    transposed = tf.transpose(kernel[0, 0])

    def input_gradient(upstream, shape):
        height, width = (math.ceil(size / stride) for size, stride in zip(shape[1:3], strides, strict=True))
        pixels = tf.matmul(tf.reshape(upstream, [-1, filters]), transposed)
        if strides == (1, 1):
            return tf.reshape(pixels, [-1, height, width, channels])
        # Zeros for the pixels that the convolution stepped over.
        gaps = [[0, 0], [0, 0], [0, strides[0] - 1], [0, 0], [0, strides[1] - 1], [0, 0]]
        spread = tf.pad(tf.reshape(pixels, [-1, height, 1, width, 1, channels]), gaps)
        return _cropped(tf.reshape(spread, [-1, height * strides[0], width * strides[1], channels]), shape)

    return input_gradient


def _blocked_gradient(kernel, padding):
    block = _block_size(kernel.shape)
    filters = _blocked_filters(kernel, block)

    def input_gradient(upstream, shape):
        pads = [_pads(*axis, block, padding) for axis in zip(shape[1:3], kernel.shape[:2], strict=True)]
        blocks = tf.nn.conv2d(upstream, filters, block, [[0, 0], *pads, [0, 0]])
        return _cropped(tf.nn.depth_to_space(blocks, block), shape)

    return input_gradient


def _cropped(images, shape):
    return images if images.shape[1:3] == shape[1:3] else images[:, : shape[1], : shape[2]]


def _block_size(shape):
    """Side of the square of pixels whose gradients are computed at a time; 1 if that does not pay.

    Args:
      shape: of the kernel.
    """
    height, width, channels, _ = shape

    def cost(block):
        # Multiplications a pixel: each filter grows by what a block is wider than a pixel, and fills up registers.
        lanes = LANES * math.ceil(block**2 * channels / LANES)
        return (height + block - 1) * (width + block - 1) * lanes / block**2

    best = min(range(1, 5), key=cost)
    return best if cost(1) >= WORTHWHILE * cost(best) else 1


def _blocked_filters(kernel, block):
    """Filters of stride `block` that give the gradients of block x block pixels as channels, for depth_to_space.

    Args:
      kernel: [height, width, channels, filters] of the convolution.

    Returns:
      [height + block - 1, width + block - 1, filters, block * block * channels].
    """
    turned = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2])
    shifts = [[[row, block - 1 - row], [column, block - 1 - column]] for row in range(block) for column in range(block)]
    return tf.concat([tf.pad(turned, [*shift, [0, 0], [0, 0]]) for shift in shifts], -1)


def _pads(size, kernel_size, block, padding):
    """Zeros before and after the upstream gradient along one axis, so that the blocks cover `size` pixels."""
    before = (kernel_size - 1) // 2 if padding == "SAME" else 0
    upstream = size if padding == "SAME" else size - kernel_size + 1
    blocks = math.ceil(size / block)
    left = kernel_size - 1 - before
    return [left, block * blocks + kernel_size - 1 - left - upstream]


@contextlib.contextmanager
def _substituted(substitutes):
    with _SUBSTITUTION, contextlib.ExitStack() as restore:
        for substitute in substitutes:
            # Past Keras' own attribute tracking, which would make it part of the model.
            own = vars(substitute.layer)
            if "call" not in own:
                own["call"] = substitute
                restore.callback(own.pop, "call")
        yield


def _agrees(model, original, shape):
    """Whether the fast gradient is the original's, tried on noise and on a flat image of that shape."""
    if None in shape.as_list():
        return False
    known = _CHECKED.setdefault(model, {})
    key = tuple(shape)
    if key not in known and tf.distribute.get_strategy().num_replicas_in_sync > 1:
        # Trying it writes variables, in which all replicas would have to join.
        return False
    if key not in known:
        # Leaves all graphs that are being traced; inside TensorFlow 1's there is no way out, and so no answer.
        with tf.init_scope():
            if not tf.executing_eagerly():
                return False
            known[key] = _compare(model, original, shape)
        if not known[key]:
            _LOG.debug("%s: the fast gradient differs for images of %s; attacks use the original's", model.name, key)
    return known[key]


def _compare(model, original, shape):
    noise = tf.random.stateless_uniform([2, *shape], seed=[0, 1])
    images = tf.concat([noise, tf.fill([1, *shape], 0.5)], 0)
    expected = _probe(model, original, images)
    try:
        with _substituted(_substitutes(model)):
            found = _probe(model, original, images)
    except tf.errors.OpError:
        return False
    half = any(tf.as_dtype(layer.compute_dtype).size == 2 for layer in model._flatten_layers())
    tolerance = 0.1 if half else 1e-4
    return all(
        float(tf.reduce_max(tf.abs(one - other))) <= tolerance * float(tf.reduce_max(tf.abs(one)))
        for one, other in zip(expected, found, strict=True)
    )


def _probe(model, logits_of, images):
    """Logits and the input gradient of a fixed mixture of them; the model's variables stay as they are."""
    # A randomised model's seeds would move on, and a run that is resumed would differ from one that is not.
    variables = [variable.value for variable in model.non_trainable_variables]
    before = [tf.identity(variable) for variable in variables]

    def passes(images):
        logits = logits_of(images)
        mixture = tf.reduce_sum(logits * tf.random.stateless_normal(tf.shape(logits), seed=[2, 3]))
        # Not a tape: inside of init_scope none records.
        return logits, tf.gradients(mixture, images, unconnected_gradients="zero")[0]

    # Traced explicitly: TensorFlow would take the probes of several models for one that is traced again and again.
    traced = tf.function(passes, autograph=False).get_concrete_function(tf.TensorSpec(images.shape, images.dtype))
    found = traced(images)
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    return found
