"""The network of Madry's MNIST challenge, which Kannan (5.1) and Shafahi (3.1) use as well."""

import keras


def lenet(*, input_shape=(28, 28, 1), num_classes=10):
    """Two 5x5 convolutions of 32 and 64 filters, each pooled by 2, and 1,024 hidden units.

    Weights start as truncated normals of standard deviation 0.1 and biases at 0.1, as in Madry's code; on MNIST it
    has 3,274,634 parameters.

    Args:
      input_shape: (height, width, channels), at least 4 pixels each way.
      num_classes: number of logits.
    """

    def start():
        normal = keras.initializers.TruncatedNormal(stddev=0.1)
        return {"kernel_initializer": normal, "bias_initializer": keras.initializers.Constant(0.1)}

    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Conv2D(32, 5, padding="same", activation="relu", **start()),
            keras.layers.MaxPooling2D(2),
            keras.layers.Conv2D(64, 5, padding="same", activation="relu", **start()),
            keras.layers.MaxPooling2D(2),
            keras.layers.Flatten(),
            keras.layers.Dense(1024, activation="relu", **start()),
            keras.layers.Dense(num_classes, **start()),
        ],
        name="lenet",
    )
