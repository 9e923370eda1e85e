"""Momentum iterative method (Dong 2018, arXiv:1710.06081, algorithm 1: MI-FGSM)."""

import dataclasses

import keras
import tensorflow as tf

from alp_tf import replicas
from alp_tf.attacks import base, classifier
from alp_tf.threat_model import check_radius


@keras.saving.register_keras_serializable("alp_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class MIM(base.GradientAttack):
    """Gradient steps along a running sum of gradients, each divided by its L1 norm; its images transfer well.

    Attributes:
      step_size: length of a step in pixel units; the paper takes epsilon / steps.
      steps: gradient steps in each restart; the paper takes 10.
      decay: mu of the paper, what is left of the sum after a step; 0 is BIM, 1 the paper's choice.
      random_start: start at a random point of the ball instead of at the image.
      restarts: independent runs; each example keeps the strongest. More than one needs a random start.
    """

    step_size: float
    steps: int
    decay: float = 1.0
    random_start: bool = False
    restarts: int = 1

    def __post_init__(self):
        super().__post_init__()
        check_radius("step_size", self.step_size, self.norm, self.bounds)
        base.check_count("steps", self.steps, 0)
        base.check_count("restarts", self.restarts, 1)
        if not 0 <= self.decay <= 1:
            raise ValueError(f"decay is {self.decay!r}; it must lie in [0, 1]")
        if self.restarts > 1 and not self.random_start:
            raise ValueError(
                f"restarts is {self.restarts}, but every run from the image itself is the same: write random_start=True"
            )

    def perturb(self, model, images, labels, seed):
        """See Attack.perturb."""
        with classifier.logits_in_mode(model, self.batch_norm) as logits_of:
            target_seed, start_seed = tf.unstack(tf.random.split(seed, 2))
            objective = self.objective(logits_of, images, labels, target_seed)
            limits = self.threat_model.limits(images)

            def move(index, points, total):
                _, _, gradients = base.input_gradient(logits_of, objective, points)
                total = self.decay * total + _of_unit_mean(gradients)
                ahead = points + self.step_size * self.threat_model.ascent_direction(total)
                return index + 1, self.threat_model.project(ahead, images, limits), total

            def run(seed):
                start = self.threat_model.random_start(images, seed) if self.random_start else images
                _, points, _ = replicas.while_loop(
                    lambda index, *_: index < self.steps,
                    move,
                    (tf.constant(0), start, tf.zeros_like(images)),
                    parallel_iterations=1,
                )
                if self.restarts == 1:
                    return points, None, None
                logits = logits_of(points)
                return points, tf.argmax(logits, -1, tf.int32) != labels, objective(logits)

            return base.strongest_restart(run, self.restarts, start_seed)


def _of_unit_mean(gradients):
    """Gradients scaled so that the mean of their absolute values is 1 in each example, or 0 where they vanish."""
    gradients = tf.where(tf.math.is_finite(gradients), gradients, 0.0)
    # By the largest entry first: the mean of huge gradients would overflow, that of tiny ones vanish.
    scaled = tf.math.divide_no_nan(gradients, tf.reduce_max(tf.abs(gradients), [1, 2, 3], keepdims=True))
    return tf.math.divide_no_nan(scaled, tf.reduce_mean(tf.abs(scaled), [1, 2, 3], keepdims=True))
