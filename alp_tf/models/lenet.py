"""The network of Madry's MNIST challenge, which Kannan (5.1) and Shafahi (3.1) use as well."""

import keras

from alp_tf.models import checks

INITIALIZERS = ("madry", "glorot")


def lenet(*, input_shape=(28, 28, 1), num_classes=10, initializer="madry", weight_decay=0.0, dropout=0.0):
    """Two 5x5 convolutions of 32 and 64 filters, each pooled by 2, and 1,024 hidden units; 3,274,634 weights on MNIST.

    Args:
      input_shape: (height, width, channels), at least 4 pixels each way.
      num_classes: number of logits.
      initializer: "madry" starts weights as truncated normals of standard deviation 0.1 and biases at 0.1, as Madry's
        code does; "glorot" is Keras' own start, from which adversarial training takes hold within hundreds instead of
        thousands of steps.
      weight_decay: coefficient of half the sum of squares of all kernels, biases excepted; 0 is Madry's.
      dropout: share of the hidden units' outputs dropped while training; 0 is Madry's. The network of TensorFlow's
        tutorial, from which Madry's comes, had it here.

    Raises:
      ValueError: another initializer, a negative weight_decay, or a share outside [0, 1).
    """
    if initializer not in INITIALIZERS:
        raise ValueError(f"initializer is {initializer!r}; it must be one of {', '.join(INITIALIZERS)}")
    checks.check_share("dropout", dropout)

    def weights():
        regularizer = {"kernel_regularizer": checks.half_squares(weight_decay)}
        if initializer == "glorot":
            return regularizer
        normal = keras.initializers.TruncatedNormal(stddev=0.1)
        return regularizer | {"kernel_initializer": normal, "bias_initializer": keras.initializers.Constant(0.1)}

    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Conv2D(32, 5, padding="same", activation="relu", **weights()),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(64, 5, padding="same", activation="relu", **weights()),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(1024, activation="relu", **weights()),
            *([keras.layers.Dropout(dropout)] if dropout else []),
            keras.layers.Dense(num_classes, **weights()),
        ],
        name="lenet",
    )
