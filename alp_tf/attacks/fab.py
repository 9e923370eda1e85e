"""Fast adaptive boundary attack (Croce & Hein 2020, arXiv:1907.02044): looks for the nearest adversarial image."""

import dataclasses

import keras
import tensorflow as tf

from alp_tf.attacks import base, classifier, losses


@keras.saving.register_keras_serializable("alp_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class FAB(base.Attack):
    """Walks along the boundary between the true class and another, towards the image.

    Each step projects the iterate and the image onto the linearised boundary, within the bounds, moves to a mixture
    of both, and steps back towards the image once it is adversarial. What it finds counts if it is within epsilon.
    FAB-T of AutoAttack is this attack for the targets 2 to 10.

    Attributes:
      target: the class to meet at the boundary, see GradientAttack; any misclassification counts. None takes at each
        step the class whose linearised boundary is nearest (the paper's section 3), for one gradient a class.
      steps: gradient steps of each run.
      restarts: runs; the first from the image itself, the others from points up to epsilon / 2 away.
      overshoot: eta of the paper, how far steps go beyond the boundary.
      pull: alpha_max of the paper, the largest share of the image's own projection in the mixture.
      backward: beta of the paper, how far an adversarial iterate stays on its way back to the image.
      batch_norm: see GradientAttack.
    """

    target: str | int | None = 2
    steps: int = 100
    restarts: int = 1
    overshoot: float = 1.05
    pull: float = 0.1
    backward: float = 0.9
    batch_norm: str = "inference"

    def __post_init__(self):
        super().__post_init__()
        losses.check_target(self.target)
        base.check_count("steps", self.steps, 1)
        base.check_count("restarts", self.restarts, 1)
        classifier.check_batch_norm(self.batch_norm)

    def runs(self):
        """See Attack.runs; only the first restart begins at the image, so that they are not alike."""
        return [self]

    def perturb(self, model, images, labels, seed):
        """See Attack.perturb."""
        with classifier.logits_in_mode(model, self.batch_norm) as logits_of:
            target_seed, start_seed = tf.unstack(tf.random.split(seed, 2))
            boundary = self._boundary(logits_of, images, labels, target_seed)
            best = self._walk(logits_of, images, labels, boundary, images)
            for restart in range(1, self.restarts):
                away = self.threat_model.random_start(images, tf.random.fold_in(start_seed, restart))
                start = images + (away - images) / 2
                best = base.stronger(self._walk(logits_of, images, labels, boundary, start), best)
        return best[0]

    def _boundary(self, logits_of, images, labels, seed):
        """A function from points to (lead of another class over the true one [batch], its gradient like images)."""

        def lead_over_label(points, targets):
            def lead(logits):
                return losses.split_logits(logits, targets)[0] - losses.split_logits(logits, labels)[0]

            values, _, gradients = base.input_gradient(logits_of, lead, points)
            return values, tf.where(tf.math.is_finite(gradients), gradients, 0.0)

        logits = logits_of(images)
        if self.target is not None:
            targets = losses.target_classes(self.target, logits, labels, seed)
            return lambda points: lead_over_label(points, targets)
        classes = tf.shape(logits)[-1]

        def nearest(points):
            def compare(offset, distance, values, gradients):
                candidate = lead_over_label(points, (labels + offset) % classes)
                away = tf.abs(candidate[0]) / (self._dual_size(candidate[1]) + 1e-12)
                nearer = away < distance
                return (
                    offset + 1,
                    tf.where(nearer, away, distance),
                    tf.where(nearer, candidate[0], values),
                    tf.where(base.pixelwise(nearer), candidate[1], gradients),
                )

            infinite = tf.fill(tf.shape(labels), float("inf"))
            state = (tf.constant(1), infinite, tf.zeros_like(infinite), tf.zeros_like(points))
            return tf.while_loop(lambda offset, *_: offset < classes, compare, state, parallel_iterations=1)[2:]

        return nearest

    def _walk(self, logits_of, images, labels, boundary, start):
        """One run: (nearest adversarial images, whether they fool the model within epsilon, minus their distance)."""
        low, high = self.bounds

        def step(index, point, nearest, distance):
            values, gradients = boundary(point)
            # The boundary w x = offset, as the linearised model at the iterate has it.
            offset = tf.reduce_sum(gradients * point, [1, 2, 3]) - values
            both = nearest_on_plane(
                tf.concat([point, images], 0),
                tf.concat([gradients, gradients], 0),
                tf.concat([offset, offset], 0),
                self.norm,
                self.bounds,
            )
            here, there = tf.split(both, 2)
            size_here, size_there = (tf.maximum(self._size(delta), 1e-8) for delta in (here, there))
            share = base.pixelwise(tf.minimum(size_here / (size_here + size_there), self.pull))
            point = (1 - share) * (point + self.overshoot * here) + share * (images + self.overshoot * there)
            point = tf.clip_by_value(point, low, high)
            fools = tf.argmax(logits_of(point), -1, tf.int32) != labels
            size = self._size(point - images)
            nearer = fools & (size < distance)
            nearest = tf.where(base.pixelwise(nearer), point, nearest)
            back = images + self.backward * (point - images)
            point = tf.where(base.pixelwise(fools), back, point)
            return index + 1, point, nearest, tf.where(nearer, size, distance)

        fools = tf.argmax(logits_of(images), -1, tf.int32) != labels
        distance = tf.where(fools, 0.0, float("inf"))
        _, _, nearest, distance = tf.while_loop(
            lambda index, *_: index < self.steps,
            step,
            (tf.constant(0), start, images, distance),
            parallel_iterations=1,
        )
        nearest = self.threat_model.project(nearest, images)
        fools = tf.argmax(logits_of(nearest), -1, tf.int32) != labels
        return nearest, fools, -distance

    def _size(self, delta):
        return self.threat_model.lengths(delta)[:, 0, 0, 0]

    def _dual_size(self, gradients):
        if self.norm == "linf":
            return tf.reduce_sum(tf.abs(gradients), [1, 2, 3])
        return tf.sqrt(tf.reduce_sum(tf.square(gradients), [1, 2, 3]))


def nearest_on_plane(points, normals, offsets, norm, bounds):
    """The shortest steps from points onto hyperplanes that stay within the bounds.

    Solves min ||d|| such that w (x + d) = offset and low <= x + d <= high, exactly, for each example. Whichever the
    norm, pixels move by one common amount (L-inf) or in proportion to |w| (L2) until each meets its bound. What w x
    gains is a concave, piecewise linear function of the amount, so Newton's method reaches the amount from below, in
    as many steps as it crosses pieces.

    Args:
      points: float32 [batch, height, width, channels], within the bounds.
      normals: w, same shape.
      offsets: float32 [batch].
      norm: `linf` or `l2`.
      bounds: (low, high).

    Returns:
      d, like points. Where the plane does not meet the box, the d that comes nearest to it.
    """
    low, high = bounds
    size = points.shape[1] * points.shape[2] * points.shape[3]
    flat, normals_flat = tf.reshape(points, [-1, size]), tf.reshape(normals, [-1, size])
    missing = offsets - tf.reduce_sum(flat * normals_flat, 1)
    # Turned so that the step must raise w x by `needed` >= 0.
    upward = normals_flat * tf.where(missing < 0, -1.0, 1.0)[:, None]
    needed, slope = tf.abs(missing), tf.abs(upward)
    room = tf.where(upward > 0, high - flat, flat - low)
    # How far a pixel goes for an amount of 1, and for which it meets its bound.
    pace, meets = (1.0, room) if norm == "linf" else (slope, tf.math.divide_no_nan(room, slope))
    gain, rate = slope * room, slope * pace

    def tangent(amount, _):
        moves = tf.cast(meets > amount[:, None], tf.float32)
        gained = tf.reduce_sum((1.0 - moves) * gain, 1)
        speed = tf.reduce_sum(moves * rate, 1)
        # No pixel left to move: all of them go to their bounds.
        further = tf.where(speed > 0, tf.math.divide_no_nan(needed - gained, speed), 1e30)
        return tf.maximum(amount, further), tf.reduce_any(further > amount)

    start = (tf.zeros_like(needed), tf.constant(True))
    amount, _ = tf.while_loop(lambda _, moved: moved, tangent, start, parallel_iterations=1)
    amount = amount[:, None]
    # A pixel without gradient stays where it is.
    step = tf.sign(upward) * tf.minimum(amount * pace, room)
    return tf.reshape(step, tf.shape(points))
