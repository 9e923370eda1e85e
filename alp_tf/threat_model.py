"""What an adversary may do: the norm, the radius epsilon and the pixel bounds, with projection and random starts.

Every attack moves images only through these functions, so the promise "inside the ball and the bounds" is kept, and
tested, in one place. It is kept exactly: also when the distance is measured in float64 from the float32 results.
"""

import dataclasses
import math
import numbers

import numpy as np
import tensorflow as tf

NORMS = ("linf", "l2")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ThreatModel:
    """Perturbations of norm at most epsilon that leave every pixel inside its bounds (Kannan section 2).

    Attributes:
      epsilon: radius of the ball, in pixel units: with pixels in [0, 1] write `8/255`, not 8. For `l2` it is the
        Euclidean length over all pixels and channels of an image.
      norm: `linf` or `l2`.
      bounds: lowest and highest pixel value.

    Example:
      >>> ball = ThreatModel(epsilon=8 / 255)
      >>> print(ball)
      linf 8/255
      >>> grey = tf.fill((1, 2, 2, 1), 0.5)
      >>> round(float(tf.reduce_max(ball.project(grey + 0.3, grey) - grey)) * 255, 3)
      8.0
      >>> ThreatModel(epsilon=8)
      Traceback (most recent call last):
      ValueError: epsilon is 8, but pixels lie in [0, 1]: write 8/255 if that is what you mean; at most 1 is allowed

    Raises:
      ValueError: epsilon is negative or not finite, or exceeds the width of the bounds for `linf`; unknown norm.
    """

    epsilon: float
    norm: str = "linf"
    bounds: tuple = (0.0, 1.0)

    def __post_init__(self):
        if self.norm not in NORMS:
            raise ValueError(f"norm is {self.norm!r}; it must be one of {', '.join(NORMS)}")
        low, high = (float(bound) for bound in self.bounds)
        object.__setattr__(self, "bounds", (low, high))
        if isinstance(self.epsilon, np.generic):
            object.__setattr__(self, "epsilon", self.epsilon.item())
        if not low < high:
            raise ValueError(f"bounds are {self.bounds}; write (lowest, highest), for example (0.0, 1.0)")
        check_radius("epsilon", self.epsilon, self.norm, self.bounds)

    def __str__(self):
        """Short form for tables: `linf 0.3`, or `linf 8/255` where that is what it is."""
        return f"{self.norm} {pixel_fraction(self.epsilon)}"

    def limits(self, images):
        """The box that holds every permitted image: bounds, and for `linf` also the ball.

        Args:
          images: float32 originals, shape [batch, ...], inside the bounds.

        Returns:
          Two tensors (or scalars, for `l2`), lowest and highest permitted pixel values.
        """
        low, high = self.bounds
        if self.norm == "l2":
            return tf.constant(low, tf.float32), tf.constant(high, tf.float32)
        exact = tf.cast(images, tf.float64)
        floor = _round_up(tf.maximum(exact - self.epsilon, low))
        ceiling = _round_down(tf.minimum(exact + self.epsilon, high))
        return floor, ceiling

    def lengths(self, deltas):
        """Size of each example's perturbation in the norm.

        Args:
          deltas: float32, shape [batch, ...].

        Returns:
          float32 [batch, 1, ...], which divides `deltas` as it is.
        """
        axes = list(range(1, deltas.shape.rank))
        if self.norm == "linf":
            return tf.reduce_max(tf.abs(deltas), axes, keepdims=True)
        return tf.sqrt(tf.reduce_sum(tf.square(deltas), axes, keepdims=True))

    def project(self, candidates, images, limits=None):
        """Returns the permitted images nearest to the candidates (for `l2`: the ball first, then the bounds).

        Args:
          candidates: float32, shape [batch, ...]; may lie anywhere.
          images: the originals, same shape.
          limits: what `limits(images)` returned, to save computing it in every step of a loop.

        Returns:
          float32, same shape. Clipping to the bounds after the ball cannot leave the ball: it moves every pixel
          towards the original, which lies inside the bounds.
        """
        low, high = self.limits(images) if limits is None else limits
        if self.norm == "linf":
            return tf.clip_by_value(candidates, low, high)
        delta = candidates - images
        length = self.lengths(delta)
        radius = self._inner_radius(images)
        delta = delta * tf.where(length > radius, radius / tf.maximum(length, 1e-30), 1.0)
        return tf.clip_by_value(images + delta, low, high)

    def random_start(self, images, seed):
        """Uniform points of the ball around the images, clipped to the bounds.

        Args:
          images: float32 originals, shape [batch, ...].
          seed: int32 tensor of shape [2]; the same seed gives the same points.
        """
        shape = tf.shape(images)
        if self.norm == "linf":
            noise = tf.random.stateless_uniform(shape, seed, -1.0, 1.0) * tf.cast(self.epsilon, tf.float32)
        else:
            direction = tf.random.stateless_normal(shape, seed)
            size = tf.cast(tf.size(images) / tf.maximum(shape[0], 1), tf.float32)
            per_example = tf.concat([shape[:1], tf.ones_like(shape[1:])], 0)
            portion = tf.random.stateless_uniform(per_example, seed + 1) ** (1.0 / size)
            noise = direction / tf.maximum(self.lengths(direction), 1e-30) * portion * self.epsilon
        return self.project(images + noise, images)

    def ascent_direction(self, gradients):
        """The unit step that raises the loss most under the norm; zero where a gradient is zero or not finite.

        Args:
          gradients: float32, shape [batch, ...].

        Returns:
          sign(g) for `linf`, g / ||g||_2 of each example for `l2`.
        """
        # As a product, which takes a sixth of the time of tf.where.
        gradients = tf.math.multiply_no_nan(gradients, tf.cast(tf.math.is_finite(gradients), gradients.dtype))
        if self.norm == "linf":
            return tf.sign(gradients)
        # Scaled by the largest entry first: the squares of tiny or huge gradients would under- or overflow.
        axes = list(range(1, gradients.shape.rank))
        scaled = tf.math.divide_no_nan(gradients, tf.reduce_max(tf.abs(gradients), axes, keepdims=True))
        return tf.math.divide_no_nan(scaled, self.lengths(scaled))

    def check_images(self, images):
        """Raises ValueError for images that no threat model of this kind can start from.

        Args:
          images: array or tensor, shape [batch, ...]. The range is checked only where values are known (eagerly).
        """
        check_floating(images)
        low, high = self.bounds
        size = math.prod(images.shape[1:]) if None not in images.shape[1:] else None
        if self.norm == "l2" and size is not None and self.epsilon > math.sqrt(size) * (high - low):
            raise ValueError(
                f"epsilon is {self.epsilon:g} in L2, but no two images of {size} pixels in [{low:g}, {high:g}] are "
                f"further apart than {math.sqrt(size) * (high - low):.4g}. If it was meant for pixels in [0, 255], "
                f"write {self.epsilon:g}/255"
            )
        if not tf.executing_eagerly():
            return
        values = tf.convert_to_tensor(images)
        if tf.size(values) == 0:
            return
        lowest, highest = float(tf.reduce_min(values)), float(tf.reduce_max(values))
        if not (low <= lowest and highest <= high):
            raise ValueError(range_message(lowest, highest, self.bounds))

    def _inner_radius(self, images):
        # Rounding original + delta to float32 moves each pixel by half a unit in the last place at most; the ball
        # is shrunk by the length of that movement, so that the rounded result is still inside the true ball.
        size = tf.cast(tf.size(images) / tf.maximum(tf.shape(images)[0], 1), tf.float32)
        largest = max(abs(bound) for bound in self.bounds)
        rounding = tf.sqrt(size) * (largest * 2.0**-24)
        return tf.maximum(tf.cast(self.epsilon, tf.float32) * (1 - 4e-6) - rounding, 0.0)


def pixel_fraction(value):
    """`8/255` for 8/255, `0.3` for 0.3: the way papers print a radius or step."""
    steps = value * 255
    if round(value, 2) == value:
        return f"{value:g}"
    if abs(steps - round(steps)) < 1e-6 and 0 < round(steps) < 255:
        return f"{round(steps)}/255"
    return f"{value:.6g}"


def check_floating(images):
    """Raises ValueError for integer images."""
    dtype = tf.as_dtype(images.dtype)
    if not dtype.is_floating:
        raise ValueError(
            f"images are {dtype.name}; float32 pixels in [0, 1] are needed. Write tf.cast(images, tf.float32) / 255"
        )


def range_message(lowest, highest, bounds=(0.0, 1.0)):
    """The one sentence that every part of the package says about pixels outside their bounds."""
    low, high = bounds
    hint = "images / 255" if highest > 2 else "(images + 1) / 2" if lowest < 0 else "tf.clip_by_value(images, 0, 1)"
    return (
        f"images span [{lowest:.4g}, {highest:.4g}], but pixels must lie in [{low:g}, {high:g}]. Write {hint} and put "
        "any other normalisation inside the model (keras.layers.Rescaling or Normalization)"
    )


def check_radius(name, value, norm, bounds=(0.0, 1.0)):
    """Raises ValueError unless `value` is a possible radius or step size in pixel units."""
    if not isinstance(value, numbers.Real) or not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} is {value!r}; it must be a number of at least 0, such as 8/255")
    width = bounds[1] - bounds[0]
    if norm == "linf" and value > width:
        raise ValueError(
            f"{name} is {value:g}, but pixels lie in [{bounds[0]:g}, {bounds[1]:g}]: write {value:g}/255 if that is "
            f"what you mean; at most {width:g} is allowed"
        )


def _round_down(exact):
    rounded = tf.cast(exact, tf.float32)
    return tf.where(tf.cast(rounded, tf.float64) > exact, tf.math.nextafter(rounded, float("-inf")), rounded)


def _round_up(exact):
    rounded = tf.cast(exact, tf.float32)
    return tf.where(tf.cast(rounded, tf.float64) < exact, tf.math.nextafter(rounded, float("inf")), rounded)
