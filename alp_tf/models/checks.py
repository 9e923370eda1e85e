"""What the larger networks refuse, with one wording for all."""

import keras


def check_shapes(network, input_shape, num_classes, least):
    """Raises ValueError unless images are large enough, grey or RGB, and there are at least two classes.

    Args:
      network: its name, for the error.
      input_shape: (height, width, channels).
      num_classes: number of logits.
      least: pixels that height and width must have.
    """
    sizes = tuple(input_shape)
    if len(sizes) != 3 or not all(isinstance(size, int) for size in sizes):
        raise ValueError(
            f"{network} got input_shape={input_shape}; three whole numbers (height, width, channels) are needed, "
            "for example (32, 32, 3)"
        )
    height, width, channels = sizes
    if min(height, width) < least:
        raise ValueError(
            f"{network} got images of {height}x{width} pixels; it needs at least {least}x{least}. Enlarge the images, "
            "or choose another network"
        )
    if channels not in (1, 3):
        raise ValueError(
            f"{network} got images of {channels} channels; 1 (grey) or 3 (RGB), channels last, are allowed"
        )
    check_whole("num_classes", num_classes, 2)


def check_whole(name, value, least):
    """Raises ValueError unless the value is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number of at least {least}")


def check_share(name, value):
    """Raises ValueError unless the value is a share of which something is left: at least 0 and below 1."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} is {value!r}; it must lie in [0, 1)")


def half_squares(weight_decay):
    """The regulariser weight_decay * sum(w**2) / 2, whose gradient is weight_decay * w; None for 0.

    Args:
      weight_decay: coefficient as the papers and tf.nn.l2_loss mean it; Keras' own L2 knows no half.

    Raises:
      ValueError: negative.
    """
    if not 0 <= weight_decay < float("inf"):
        raise ValueError(f"weight_decay is {weight_decay!r}; it must be a number of at least 0")
    return keras.regularizers.L2(weight_decay / 2) if weight_decay else None
