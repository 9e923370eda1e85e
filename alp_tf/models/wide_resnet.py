"""Wide residual networks (Zagoruyko and Komodakis 2016), and the one of Madry's CIFAR-10 challenge.

Both are what Shafahi calls WRN-32-10 and others WRN-34-10: three groups of five units, ten times as wide as a ResNet.
They differ in activation, shortcuts and in how images are normalised. Shafahi (footnote 3) follows Madry.
"""

import keras

from alp_tf.models import checks, residual

LEAST = 8
# Of leaky ReLU, in Madry's network.
LEAK = 0.1


def madry_wide_resnet(*, input_shape=(32, 32, 3), num_classes=10, units=5, width=10, weight_decay=2e-4):
    """The network of Madry's CIFAR-10 challenge, "w32-10"; 45,901,914 trainable weights with 10 classes.

    Each image is brought to mean 0 and deviation 1 first. Then a 3x3 convolution of 16 filters; three groups of
    pre-activation units of two 3x3 convolutions, of 16, 32 and 64 times `width` filters, the second and third at half
    the resolution; leaky ReLUs of slope 0.1; shortcuts that average and pad with zero channels, the first one taken
    after the first activation; a last BatchNorm, the mean over all pixels, and the logits.

    Args:
      input_shape: (height, width, channels), at least 8 pixels each way.
      num_classes: number of logits.
      units: in each group; 5 in the paper, which makes 1 + 30 + 1 layers with weights.
      width: factor of the filters; 10 in the paper.
      weight_decay: coefficient of half the sum of squares of all kernels, BatchNorm and biases excepted.

    Raises:
      ValueError: a shape or an option that is not allowed.
    """
    checks.check_shapes("madry_wide_resnet", input_shape, num_classes, LEAST)
    checks.check_whole("units", units, 1)
    checks.check_whole("width", width, 1)

    def activated(inputs):
        return keras.layers.LeakyReLU(LEAK)(residual.normalization()(inputs))

    def convolved(inputs, filters, strides=1):
        return residual.convolution(filters, strides=strides, weight_decay=weight_decay)(inputs)

    images = keras.Input(input_shape)
    outputs = convolved(_standardized(images), 16)
    for group, filters in enumerate((16 * width, 32 * width, 64 * width)):
        for unit in range(units):
            strides = 2 if group and not unit else 1
            inputs, branch = outputs, activated(outputs)
            if not (group or unit):
                inputs = branch
            branch = convolved(activated(convolved(branch, filters, strides)), filters)
            outputs = keras.layers.Add()([residual.shortcut(inputs, filters, strides), branch])
    outputs = keras.layers.GlobalAveragePooling2D()(activated(outputs))
    logits = residual.dense(num_classes, weight_decay=weight_decay)(outputs)
    return keras.Model(images, logits, name="madry_wide_resnet")


def wide_resnet(*, input_shape=(32, 32, 3), num_classes=10, depth=28, width=10, weight_decay=5e-4, dropout=0.0):
    """WRN-depth-width of Zagoruyko and Komodakis; 36,479,194 trainable weights as WRN-28-10 with 10 classes.

    A 3x3 convolution of 16 filters; three groups of (depth - 4) / 6 pre-activation units of two 3x3 convolutions;
    where a unit changes the shape, its shortcut is a 1x1 convolution of the activated inputs.

    Pixels enter as they are, in [0, 1], as in TRADES' WRN-34-10 and most networks it is compared with: dividing each
    image by its own deviation, as Madry's network does, would make the same epsilon a larger change of pale images
    than of others, and BatchNorm follows after one convolution anyhow.

    Args:
      input_shape: (height, width, channels), at least 8 pixels each way.
      num_classes: number of logits.
      depth: 10, 16, 22, 28, 34, 40 ...: 6 n + 4.
      width: factor of the filters 16, 32 and 64.
      weight_decay: coefficient of half the sum of squares of all kernels. The authors' optimizer also decayed
        BatchNorm's weights and the biases.
      dropout: share of values dropped between the convolutions of a unit; the authors used 0.3 on CIFAR, 0.4 on SVHN.

    Raises:
      ValueError: a shape or an option that is not allowed.
    """
    checks.check_shapes("wide_resnet", input_shape, num_classes, LEAST)
    checks.check_whole("width", width, 1)
    if isinstance(depth, bool) or not isinstance(depth, int) or depth < 10 or (depth - 4) % 6:
        raise ValueError(
            f"depth is {depth!r}; it must be 6 n + 4: 10, 16, 22, 28, 34, 40 ... Madry's network of 32 layers is "
            "madry_wide_resnet"
        )
    checks.check_share("dropout", dropout)

    def activated(inputs):
        return keras.layers.ReLU()(residual.normalization()(inputs))

    def convolved(inputs, filters, **options):
        return residual.convolution(filters, weight_decay=weight_decay, **options)(inputs)

    images = keras.Input(input_shape)
    outputs = convolved(images, 16)
    for group, filters in enumerate((16 * width, 32 * width, 64 * width)):
        for unit in range((depth - 4) // 6):
            strides = 2 if group and not unit else 1
            inputs, branch = outputs, activated(outputs)
            if inputs.shape[-1] != filters or strides > 1:
                inputs = convolved(branch, filters, size=1, strides=strides)
            branch = activated(convolved(branch, filters, strides=strides))
            if dropout:
                branch = keras.layers.Dropout(dropout)(branch)
            outputs = keras.layers.Add()([inputs, convolved(branch, filters)])
    outputs = keras.layers.GlobalAveragePooling2D()(activated(outputs))
    logits = residual.dense(num_classes, weight_decay=weight_decay)(outputs)
    return keras.Model(images, logits, name=f"wrn_{depth}_{width}")


def ready_made(depth, width):
    """The function that builds WRN-depth-width, with all other options of `wide_resnet`."""

    def build(*, input_shape=(32, 32, 3), num_classes=10, weight_decay=5e-4, dropout=0.0):
        return wide_resnet(
            input_shape=input_shape,
            num_classes=num_classes,
            depth=depth,
            width=width,
            weight_decay=weight_decay,
            dropout=dropout,
        )

    build.__doc__ = f"WRN-{depth}-{width}; see wide_resnet."
    return build


def _standardized(images):
    """Each image minus its mean, over its deviation: tf.image.per_image_standardization of pixels in 0 to 255.

    That divides by no less than 1 / sqrt(values of an image), on its scale; the floor comes under the root here, for
    there the gradient of a flat image is zero and not NaN.
    """
    height, width, channels = images.shape[1:]
    axes = (1, 2, 3)
    centred = images - keras.ops.mean(images, axes, keepdims=True)
    variance = keras.ops.mean(keras.ops.square(centred), axes, keepdims=True)
    floor = 1 / (255**2 * height * width * channels)
    return centred * keras.ops.rsqrt(keras.ops.maximum(variance, floor))
