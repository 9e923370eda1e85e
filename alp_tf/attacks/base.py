"""The protocol that every attack follows.

    attack = PGD(epsilon=8/255, step_size=2/255, steps=10)
    adversarial = attack(model, images, labels, seed=0)

An attack is a value: a frozen dataclass whose repr is its configuration. Calling it eagerly checks the input, compiles
a graph once for each model and image shape, and runs it; calling it inside a `tf.function` or a `train_step` adds its
operations to that graph. A new attack is one class with one method, `perturb`.
"""

import dataclasses
import numbers
import weakref

import keras
import numpy as np
import tensorflow as tf

from alp_tf import replicas
from alp_tf.attacks import classifier, fast_gradients, losses
from alp_tf.threat_model import ThreatModel

# model -> {(attack, image shape): compiled function}; a model that is gone takes its graphs along, but for what
# TensorFlow itself keeps: its registry of custom gradients never forgets one.
_COMPILED = weakref.WeakKeyDictionary()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attack:
    """An attack within one threat model.

    Attributes:
      epsilon: radius in pixel units, such as `8/255` (see ThreatModel).
      norm: `linf` or `l2`.
      bounds: lowest and highest pixel value.
    """

    epsilon: float
    norm: str = "linf"
    bounds: tuple = (0.0, 1.0)

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.generic):
                # As of a loop over an array; the repr, by which results are found again, is that of Python's number.
                object.__setattr__(self, field.name, value.item())
        object.__setattr__(self, "bounds", self.threat_model.bounds)

    @property
    def threat_model(self):
        """The set of images the attack may return."""
        return ThreatModel(epsilon=self.epsilon, norm=self.norm, bounds=self.bounds)

    def runs(self):
        """The attack as independent runs, for those who stop attacking an example once it has fallen."""
        restarts = getattr(self, "restarts", 1)
        return [dataclasses.replace(self, restarts=1)] * restarts if restarts > 1 else [self]

    def perturb(self, model, images, labels, seed):
        """Builds the attack's graph; implemented by each attack.

        Args:
          model: keras.Model or callable that returns logits.
          images: float32 tensor [batch, height, width, channels] inside the bounds; the batch may be unknown.
          labels: int32 tensor [batch].
          seed: int32 tensor [2].

        Returns:
          float32 tensor like images, inside the threat model.
        """
        raise AttributeError(f"{type(self).__name__} must implement perturb")

    def __call__(self, model, images, labels, *, seed=None):
        """Returns adversarial images.

        Args:
          model: keras.Model (or callable) that takes float32 images and returns logits [batch, classes].
          images: float32 in [0, 1] (or `bounds`), shape [batch, height, width, channels].
          labels: true classes, int, shape [batch]; also for targeted attacks, which choose their own targets.
          seed: an int, or an int32 tensor [2]; the same seed gives the same images. None draws one.

        Raises:
          ValueError: integer images, pixels outside the bounds, or labels that are not integer classes; also, in
            eager mode, labels that are no class of the model.
        """
        self.threat_model.check_images(images)
        images = tf.stop_gradient(tf.cast(images, tf.float32))
        labels = classifier.class_labels(labels)
        seed = as_seed(seed)
        if not tf.executing_eagerly():
            return tf.stop_gradient(self.perturb(model, images, labels, seed))
        if images.shape[0] != labels.shape[0]:
            raise ValueError(f"there are {images.shape[0]} images but {labels.shape[0]} labels")
        if images.shape[0] == 0:
            return images
        run, classes = self._compiled(model, images.shape)
        classifier.check_label_range(labels, classes)
        return run(images, labels, seed)

    def _compiled(self, model, shape):
        """The attack's graph for that model and image shape, and how many classes the model has."""
        functions = _COMPILED.setdefault(model, {})
        key = (self, tuple(shape[1:]))
        if key not in functions:
            reference = weakref.ref(model)

            @tf.function(
                autograph=False,
                input_signature=[
                    tf.TensorSpec([None, *shape[1:]], tf.float32),
                    tf.TensorSpec([None], tf.int32),
                    tf.TensorSpec([2], tf.int32),
                ],
            )
            def run(images, labels, seed):
                return self.perturb(reference(), images, labels, seed)

            # First, for it says what is wrong with a model that cannot be attacked.
            classes = classifier.number_of_classes(model, (None, *shape[1:]))
            # Traced here: TensorFlow would warn of many functions of one name that are each traced once.
            functions[key] = run.get_concrete_function(), classes
        return functions[key]

    def get_config(self):
        """The constructor's arguments, for Keras serialisation."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @classmethod
    def from_config(cls, config):
        """Inverse of get_config."""
        config = {**config, "bounds": tuple(config["bounds"])}
        if isinstance(config.get("loss"), dict):
            config["loss"] = keras.saving.deserialize_keras_object(config["loss"])
        return cls(**config)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientAttack(Attack):
    """What attacks that climb a loss have in common.

    Attributes:
      loss: `cross_entropy`, `margin` (Carlini-Wagner, Shafahi equation 4), `margin_50` (Madry's), `kl` (TRADES'; of
        the prediction, so without labels or targets, and from a random start), or a function of logits and labels
        from `attacks.losses`.
      target: None climbs the loss of the true class; `least_likely`, `random`, `runner_up`, or k for the class whose
        logit is the k-th largest, push towards that class.
      batch_norm: `inference` attacks the model as it will be used. `train` normalises with the statistics of the
        attacked batch (and keeps dropout on), and leaves the moving averages as they were.
    """

    loss: str = "cross_entropy"
    target: str | int | None = None
    batch_norm: str = "inference"

    def __post_init__(self):
        super().__post_init__()
        losses.named(self.loss)
        losses.check_target(self.target)
        losses.check_relative(self.loss, self.target, getattr(self, "random_start", True))
        classifier.check_batch_norm(self.batch_norm)

    def objective(self, logits_of, images, labels, seed):
        """A function from logits to the loss of each example, higher being better for the adversary."""
        loss = losses.named(self.loss)
        if getattr(loss, "relative", False):
            clean_logits = logits_of(images)
            return lambda logits: loss(logits, clean_logits)
        if self.target is None:
            return lambda logits: loss(logits, labels)
        targets = losses.target_classes(self.target, logits_of(images), labels, seed)
        return lambda logits: loss(logits, labels, targets)


@dataclasses.dataclass(frozen=True)
class Draws:
    """A randomised model's logits function, and how many draws stand for its expectation."""

    logits_of: callable
    samples: int


def input_gradient(logits_of, objective, images):
    """One forward and backward pass, or the mean of several for a randomised model (see wrappers.EOT).

    Returns:
      (losses [batch], logits [batch, classes], gradients like images): of the images alone, never of weights.
    """
    draws = getattr(logits_of, "draws", None)
    if draws is not None:
        return _expected_gradient(draws, objective, images)

    def passes(images):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(images)
            logits = logits_of(images)
            values = objective(logits)
        gradients = tape.gradient(values, images, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return values, logits, gradients

    return fast_gradients.kept_apart(passes, logits_of)(images)


def _expected_gradient(draws, objective, images):
    def draw():
        values, logits, gradients = input_gradient(draws.logits_of, objective, images)
        return values, tf.nn.softmax(logits), gradients

    def add(index, total):
        return index + 1, tuple(a + b for a, b in zip(total, draw(), strict=True))

    state = tf.while_loop(lambda index, _: index < draws.samples, add, (tf.constant(1), draw()), parallel_iterations=1)
    values, probabilities, gradients = (total / draws.samples for total in state[1])
    return values, tf.math.log(tf.maximum(probabilities, 1e-37)), gradients


def stronger(candidate, incumbent):
    """Of each example the attempt that fools the model, or else the one of higher loss; the incumbent on ties.

    Args:
      candidate, incumbent: (images, whether each fools the model [batch], losses [batch]).
    """
    fools, fooled = candidate[1], incumbent[1]
    wins = (fools & ~fooled) | ((fools == fooled) & (candidate[2] > incumbent[2]))
    return (
        tf.where(pixelwise(wins), candidate[0], incumbent[0]),
        fools | fooled,
        tf.where(wins, candidate[2], incumbent[2]),
    )


def strongest_restart(run, restarts, seed):
    """The strongest attempt of each example over independent runs.

    Args:
      run: function of a seed that returns an attempt, see `stronger`.
      restarts: how many runs; run i is the same whatever their number, so that more are never weaker.
      seed: int32 [2].

    Returns:
      Images.
    """

    def again(index, best):
        return index + 1, stronger(run(tf.random.fold_in(seed, index)), best)

    first = run(tf.random.fold_in(seed, 0))
    if restarts == 1:
        return first[0]
    return replicas.while_loop(lambda i, _: i < restarts, again, (tf.constant(1), first), parallel_iterations=1)[1][0]


def pixelwise(values):
    """One value an example, shaped to be combined with images."""
    return values[:, None, None, None]


def check_count(name, value, least):
    """Raises ValueError unless `value` is an integer of at least `least`."""
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be an integer of at least {least}")


def as_seed(seed):
    """An int32 tensor [2] from an int, a tensor [2], or None (drawn anew at every run)."""
    if seed is None:
        return tf.random.uniform([2], maxval=tf.int32.max, dtype=tf.int32)
    if isinstance(seed, numbers.Integral):
        seed = int(seed)
        # Two halves: a seed past 2**31 must not wrap onto a small one.
        return tf.constant([seed & 0x7FFFFFFF, (seed >> 31) & 0x7FFFFFFF], tf.int32)
    return tf.cast(seed, tf.int32)


def aims(attack, model, images, labels, seed, *, logits=None):
    """The classes that a call of the attack with these arguments aims at.

    Args:
      attack: any Attack.
      model, images, labels: as in the call.
      seed: int32 [2], as in the call.
      logits: the model's for these images at inference, where they are known.

    Returns:
      int32 [batch], chosen as the attack chooses them; None for an attack that aims at no class.
    """
    target = getattr(attack, "target", None)
    if target is None:
        return None
    batch_norm = getattr(attack, "batch_norm", "inference")
    if logits is None or batch_norm == "train":
        with classifier.logits_in_mode(model, batch_norm) as logits_of:
            logits = logits_of(tf.cast(images, tf.float32))
    return losses.target_classes(target, logits, tf.constant(labels, tf.int32), tf.unstack(tf.random.split(seed, 2))[0])
