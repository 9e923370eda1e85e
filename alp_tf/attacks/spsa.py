"""SPSA (Uesato et al. 2018): gradient descent on gradients estimated from the logits."""

import dataclasses

import keras
import tensorflow as tf

from alp_tf import replicas
from alp_tf.attacks import base, classifier, losses


@keras.saving.register_keras_serializable("alp_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class SPSA(base.Attack):
    """Adam on the margin, its gradient estimated from differences along random signs (Shafahi 5.1.2).

    Attributes:
      steps: of Adam; Shafahi took 20, Uesato 100.
      samples: pairs of forward passes for each estimate; Uesato's strongest attack takes 4,096.
      delta: half the length of a difference, in pixel units.
      step_size: Adam's learning rate, in pixel units.
    """

    steps: int = 20
    samples: int = 128
    delta: float = 0.01
    step_size: float = 0.01

    def __post_init__(self):
        super().__post_init__()
        base.check_count("steps", self.steps, 1)
        base.check_count("samples", self.samples, 1)
        for name in ("delta", "step_size"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must lie in (0, 1], such as 0.01")

    def perturb(self, model, images, labels, seed):
        """See Attack.perturb."""
        logits_of = classifier.logits_function(model)
        limits = self.threat_model.limits(images)
        seeds = tf.unstack(tf.random.split(seed, 2))

        def lead(points):
            chosen, best_other = losses.split_logits(logits_of(points), labels)
            return best_other - chosen

        def estimate(points, seed):
            def add(index, total):
                shape = tf.shape(points)
                bits = tf.random.stateless_uniform(shape, tf.random.fold_in(seed, index), 0, 2, tf.int32)
                signs = 2.0 * tf.cast(bits, tf.float32) - 1.0
                difference = lead(points + self.delta * signs) - lead(points - self.delta * signs)
                return index + 1, total + base.pixelwise(difference) * signs

            zero = (tf.constant(0), tf.zeros_like(points))
            total = tf.while_loop(lambda index, _: index < self.samples, add, zero, parallel_iterations=1)[1]
            total = tf.where(tf.math.is_finite(total), total, 0.0)
            return total / (2 * self.delta * self.samples)

        def step(index, points, first, second, best):
            gradients = estimate(points, tf.random.fold_in(seeds[1], index))
            # Adam with its usual decay rates, ascending.
            first, second = 0.9 * first + 0.1 * gradients, 0.999 * second + 0.001 * tf.square(gradients)
            count = tf.cast(index + 1, tf.float32)
            unbiased = tf.sqrt(second / (1 - 0.999**count)) + 1e-8
            moved = points + self.step_size * first / (1 - 0.9**count) / unbiased
            points = self.threat_model.project(moved, images, limits)
            ahead = lead(points)
            return index + 1, points, first, second, base.stronger((points, ahead >= 0, ahead), best)

        start = self.threat_model.random_start(images, seeds[0])
        ahead = lead(start)
        zeros = tf.zeros_like(images)
        state = (tf.constant(0), start, zeros, zeros, (start, ahead >= 0, ahead))
        state = replicas.while_loop(lambda index, *_: index < self.steps, step, state, parallel_iterations=1)
        return state[-1][0]
