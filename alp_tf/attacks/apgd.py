"""Auto-PGD (Croce & Hein 2020): projected gradient descent that chooses its own step size."""

import dataclasses
import typing

import keras
import tensorflow as tf

from alp_tf import replicas
from alp_tf.attacks import base, classifier


class _State(typing.NamedTuple):
    """One run on one batch; all but the last two hold one value, or one image, an example."""

    point: tf.Tensor
    previous: tf.Tensor
    gradients: tf.Tensor
    losses: tf.Tensor
    best_point: tf.Tensor
    best_gradients: tf.Tensor
    best_losses: tf.Tensor
    best_at_check: tf.Tensor
    halved: tf.Tensor
    rises: tf.Tensor
    step_sizes: tf.Tensor
    fooled: tf.Tensor
    found: tf.Tensor
    in_period: tf.Tensor
    period: tf.Tensor


@keras.saving.register_keras_serializable("alp_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class APGD(base.GradientAttack):
    """Gradient ascent with momentum; each example halves its own step, from 2 epsilon, when its loss stops rising.

    APGD-CE is the default, APGD-DLR has `loss="dlr"`, one target of APGD-T has `loss="dlr", target=k` for the k-th
    likeliest class, k from 2 to 10. Every iterate is tried on the model: an example that was ever misclassified
    comes back misclassified.

    Attributes:
      steps: gradient steps in each restart; the paper takes 100.
      restarts: independent runs from random points; each example keeps the strongest.
      momentum: alpha of the paper, the share of the new step.
      rho: the share of steps that must have raised the loss, or the step size is halved.
    """

    steps: int = 100
    restarts: int = 1
    momentum: float = 0.75
    rho: float = 0.75

    def __post_init__(self):
        super().__post_init__()
        base.check_count("steps", self.steps, 1)
        base.check_count("restarts", self.restarts, 1)

    def perturb(self, model, images, labels, seed):
        """See Attack.perturb."""
        with classifier.logits_in_mode(model, self.batch_norm) as logits_of:
            target_seed, start_seed = tf.unstack(tf.random.split(seed, 2))
            objective = self.objective(logits_of, images, labels, target_seed)

            def run(seed):
                start = self._start(images, seed)
                return self._climb(logits_of, objective, images, labels, start)

            return base.strongest_restart(run, self.restarts, start_seed)

    def _start(self, images, seed):
        # The paper's start lies on the sphere of radius epsilon, in a uniform (L-inf) or Gaussian (L2) direction.
        shape = tf.shape(images)
        if self.norm == "linf":
            direction = tf.random.stateless_uniform(shape, seed, -1.0, 1.0)
        else:
            direction = tf.random.stateless_normal(shape, seed)
        start = images + self.epsilon * direction / self.threat_model.lengths(direction)
        return self.threat_model.project(start, images)

    def _climb(self, logits_of, objective, images, labels, start):
        threat_model = self.threat_model
        limits = threat_model.limits(images)
        periods = tf.constant(step_size_periods(self.steps))

        def measure(points):
            losses, logits, gradients = base.input_gradient(logits_of, objective, points)
            return losses, tf.argmax(logits, -1, tf.int32) != labels, gradients

        losses, fooled, gradients = measure(start)
        state = _State(
            point=start,
            previous=start,
            gradients=gradients,
            losses=losses,
            best_point=start,
            best_gradients=gradients,
            best_losses=losses,
            best_at_check=losses,
            halved=tf.ones_like(fooled),
            rises=tf.zeros_like(labels),
            step_sizes=tf.fill(tf.shape(labels), tf.constant(2.0 * self.epsilon, tf.float32)),
            fooled=fooled,
            found=start,
            in_period=tf.constant(0),
            period=tf.constant(0),
        )

        def step(index, state):
            ascent = threat_model.ascent_direction(state.gradients) * base.pixelwise(state.step_sizes)
            ahead = threat_model.project(state.point + ascent, images, limits)
            alpha = tf.where(index == 0, 1.0, self.momentum)
            moved = state.point + alpha * (ahead - state.point) + (1 - alpha) * (state.point - state.previous)
            point = threat_model.project(moved, images, limits)
            losses, fooled, gradients = measure(point)
            better = losses > state.best_losses
            state = state._replace(
                previous=state.point,
                point=point,
                gradients=gradients,
                rises=state.rises + tf.cast(losses > state.losses, tf.int32),
                losses=losses,
                best_point=tf.where(base.pixelwise(better), point, state.best_point),
                best_gradients=tf.where(base.pixelwise(better), gradients, state.best_gradients),
                best_losses=tf.where(better, losses, state.best_losses),
                fooled=state.fooled | fooled,
                found=tf.where(base.pixelwise(fooled), point, state.found),
                in_period=state.in_period + 1,
            )
            period_is_over = state.in_period == periods[state.period]
            return index + 1, tf.cond(period_is_over, lambda: self._checked(state, periods), lambda: state)

        _, state = replicas.while_loop(
            lambda index, _: index < self.steps, step, (tf.constant(0), state), parallel_iterations=1
        )
        found = tf.where(base.pixelwise(state.fooled), state.found, state.best_point)
        return found, state.fooled, state.best_losses

    def _checked(self, state, periods):
        """The state after a period: examples that did not rise enough halve their step and go back to their best."""
        length = tf.cast(periods[state.period], tf.float32)
        oscillates = tf.cast(state.rises, tf.float32) <= self.rho * length
        stands_still = ~state.halved & (state.best_at_check >= state.best_losses)
        halve = oscillates | stands_still
        return state._replace(
            step_sizes=tf.where(halve, state.step_sizes / 2, state.step_sizes),
            point=tf.where(base.pixelwise(halve), state.best_point, state.point),
            gradients=tf.where(base.pixelwise(halve), state.best_gradients, state.gradients),
            halved=halve,
            best_at_check=state.best_losses,
            rises=tf.zeros_like(state.rises),
            in_period=tf.constant(0),
            period=state.period + 1,
        )


def step_size_periods(steps):
    """Lengths of the periods after which the step size is reconsidered: 22, 19, 16, ... 6, 6 for 100 steps.

    Args:
      steps: in all; the periods cover at least as many.
    """
    length, shortest, shrink = (max(int(share * steps), 1) for share in (0.22, 0.06, 0.03))
    periods = []
    while sum(periods) <= steps:
        periods.append(length)
        length = max(length - shrink, shortest)
    return periods
