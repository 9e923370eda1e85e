"""Projected gradient descent (Madry 2017): the attack that Kannan and Shafahi train and evaluate with."""

import dataclasses

import keras
import tensorflow as tf

from alp_tf import replicas
from alp_tf.attacks import base, classifier
from alp_tf.threat_model import check_radius

KEEP = ("last", "best")


@keras.saving.register_keras_serializable("alp_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class PGD(base.GradientAttack):
    """Projected gradient descent with a random start and restarts.

    Attributes:
      step_size: length of a step in pixel units (L-inf or L2, after the norm), such as `2/255`.
      steps: gradient steps in each restart.
      random_start: start at a random point of the ball (Kannan: "noisy BIM") instead of at the image.
      restarts: independent runs; each example keeps the run that fools the model, or else raises the loss most.
      keep: `last` returns the final iterate, as both papers do; `best` returns the strongest iterate of each example,
        for one more forward pass.

    Example:
      >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
      >>> images, labels = tf.fill((2, 8, 8, 1), 0.5), tf.constant([3, 7])
      >>> attack = PGD(epsilon=8 / 255, step_size=2 / 255, steps=7, restarts=2)
      >>> adversarial = attack(model, images, labels, seed=0)
      >>> adversarial.shape, bool(tf.reduce_all(abs(adversarial - images) <= 8 / 255))
      (TensorShape([2, 8, 8, 1]), True)
    """

    step_size: float
    steps: int
    random_start: bool = True
    restarts: int = 1
    keep: str = "last"

    def __post_init__(self):
        super().__post_init__()
        check_radius("step_size", self.step_size, self.norm, self.bounds)
        base.check_count("steps", self.steps, 0)
        base.check_count("restarts", self.restarts, 1)
        if self.keep not in KEEP:
            raise ValueError(f"keep is {self.keep!r}; it must be one of {', '.join(KEEP)}")

    def perturb(self, model, images, labels, seed):
        """See Attack.perturb."""
        with classifier.logits_in_mode(model, self.batch_norm) as logits_of:
            target_seed, start_seed = tf.unstack(tf.random.split(seed, 2))
            objective = self.objective(logits_of, images, labels, target_seed)
            climb = _Climb(self, logits_of, objective, images, labels)
            return base.strongest_restart(climb, self.restarts, start_seed)


@dataclasses.dataclass(frozen=True)
class _Climb:
    """One run of PGD on one batch: from a seed to (images, whether they fool the model, loss)."""

    attack: PGD
    logits_of: callable
    objective: callable
    images: tf.Tensor
    labels: tf.Tensor

    def __call__(self, seed):
        threat_model = self.attack.threat_model
        start = threat_model.random_start(self.images, seed) if self.attack.random_start else self.images
        limits = threat_model.limits(self.images)

        def step(current, gradients):
            moved = current + self.attack.step_size * threat_model.ascent_direction(gradients)
            return threat_model.project(moved, self.images, limits)

        def move(index, current):
            _, _, gradients = base.input_gradient(self.logits_of, self.objective, current)
            return index + 1, step(current, gradients)

        def move_and_compare(index, current, best):
            losses, logits, gradients = base.input_gradient(self.logits_of, self.objective, current)
            best = base.stronger((current, self._fooled(logits), losses), best)
            return index + 1, step(current, gradients), best

        if self.attack.keep == "best":
            nothing = (start, tf.zeros_like(self.labels, tf.bool), tf.fill(tf.shape(self.labels), float("-inf")))
            _, last, best = self._loop(move_and_compare, (start, nothing))
            return base.stronger(self._judged(last), best)
        _, last = self._loop(move, (start,))
        if self.attack.restarts == 1:
            return last, None, None
        return self._judged(last)

    def _loop(self, body, state):
        # One iteration at a time: overlapping them would only multiply the memory, each needs the one before.
        return replicas.while_loop(
            lambda index, *_: index < self.attack.steps, body, (tf.constant(0), *state), parallel_iterations=1
        )

    def _judged(self, images):
        logits = self.logits_of(images)
        return images, self._fooled(logits), self.objective(logits)

    def _fooled(self, logits):
        return tf.argmax(logits, -1, tf.int32) != self.labels
