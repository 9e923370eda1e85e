"""Robust accuracy against the adversary's budget: epsilon, gradient steps and restarts.

    found = accuracy_curves(model, test_ds, ThreatModel(epsilon=8/255))
    curves_figure.draw("figures/budget.png", found)

One number hides how it was come by. The curve over epsilon must fall to zero, or gradients are masked (Athalye 2018);
those over steps and restarts must have levelled out, or the attack was too weak: Kannan's ImageNet model did not stand
against more steps (Engstrom 2018), and Shafahi's lose a few to a dozen points between 20 and 200 (tables 2 and 4).
"""

import dataclasses
import math
import time

from alp_tf import progress
from alp_tf.attacks import PGD, base, classifier
from alp_tf.evaluation import climb, inputs, json_ready, wilson_interval
from alp_tf.threat_model import ThreatModel

# Of the threat model's epsilon: denser up to it, then far enough beyond it for the accuracy to reach zero.
_RADII = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200)
_RESTARTS = (1, 2, 5, 10, 20)


@dataclasses.dataclass(frozen=True)
class Point:
    """One point of a curve.

    Attributes:
      budget: epsilon in pixel units, gradient steps, or restarts.
      robust_accuracy: share classified correctly as they are and after the attack.
      ci95: Wilson's 95 % interval of it.
    """

    budget: float
    robust_accuracy: float
    ci95: tuple


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curves:
    """What `accuracy_curves` measured. No curve ever rises.

    Attributes:
      threat_model: such as `linf 8/255`.
      epsilon: of the threat model.
      attack: repr of the attack at that epsilon, with one restart.
      steps: gradient steps of each run of the curves over epsilon and restarts.
      examples: how many images.
      clean_accuracy: share classified correctly as they are.
      by_epsilon, by_steps, by_restarts: tuples of Point.
      seconds: time it took.
      seed: fixes the random starts.
    """

    threat_model: str
    epsilon: float
    attack: str
    steps: int
    examples: int
    clean_accuracy: float
    by_epsilon: tuple
    by_steps: tuple
    by_restarts: tuple
    seconds: float
    seed: int

    def to_dict(self):
        """JSON-ready; inverse of from_dict."""
        return json_ready.lists(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, found):
        """Inverse of to_dict."""
        found = json_ready.tuples(found)
        names = ("by_epsilon", "by_steps", "by_restarts")
        return cls(**{**found, **{name: tuple(Point(**point) for point in found[name]) for name in names}})


def accuracy_curves(
    model,
    data,
    threat_model,
    *,
    examples=200,
    steps=40,
    radii=_RADII,
    step_counts=_STEPS,
    restart_counts=_RESTARTS,
    loss="cross_entropy",
    batch_size=200,
    seed=0,
    show_progress=True,
):
    """Measures robust accuracy against epsilon, steps and restarts of PGD.

    The attack is PGD from a random start with steps of epsilon / 8, so that 40 of them cross the ball two and a half
    times; an example falls with the first iterate that fools the model (keep="best"). Each curve reuses its own run:
    the smallest number of steps that fools each example answers for all numbers of steps, and an example that fell at a
    smaller epsilon, or in an earlier restart, is not attacked again, for what fooled the model is permitted still.

    Args:
      model: keras.Model that returns logits, wrapper or callable.
      data: tf.data.Dataset of batches (float32 images in [0, 1], integer labels), or a pair of arrays.
      threat_model: ThreatModel with epsilon above 0.
      examples: use the first so many; None or 0 for all.
      steps: of the curves over epsilon and restarts.
      radii: points of the first curve, as multiples of epsilon; cut off at the width of the pixels' bounds.
      step_counts, restart_counts: points of the other two.
      loss: see attacks.PGD.
      batch_size: images attacked at a time.
      seed: fixes the random starts.
      show_progress: show a bar with the time left.

    Returns:
      Curves.

    Raises:
      ValueError: no images, images or labels outside their range, or epsilon 0.
    """
    if not isinstance(threat_model, ThreatModel) or threat_model.epsilon == 0:
        raise ValueError(f"threat_model is {threat_model!r}; write for example alp_tf.ThreatModel(epsilon=8/255)")
    for name, counts in (("steps", (steps,)), ("step_counts", step_counts), ("restart_counts", restart_counts)):
        for count in counts:
            base.check_count(name, count, 1)
    classifier.warn_unless_logits(model)
    images, labels = inputs.arrays(data, examples=examples, batch_size=batch_size)
    threat_model.check_images(images)
    classifier.check_label_range(labels, inputs.classes(model, images.shape[1:]))
    began = time.perf_counter()
    balls = _balls(threat_model, radii, math.prod(images.shape[1:]))
    units = (len(balls) - balls.count(None)) * steps + max(step_counts) + max(restart_counts) * steps
    with progress.bar(units * len(images), "curves", "image-step", shown=show_progress) as bar:
        run = climb.Run(model, images, labels, batch_size=batch_size, seed=seed, bar=bar)
        by_epsilon, standing = [], run.clean
        for ball in balls:
            if ball is not None:
                standing = run.stands(_attack(ball, steps, loss), standing)
            by_epsilon.append(_point(ball.epsilon if ball else 0.0, standing))
        falls = run.steps_to_fall(_attack(threat_model, max(step_counts), loss), run.clean)
        by_steps = [_point(count, falls > count) for count in sorted(step_counts)]
        by_restarts, standing = [], run.clean
        for restart in range(max(restart_counts)):
            standing = run.stands(_attack(threat_model, steps, loss), standing, restart)
            if restart + 1 in restart_counts:
                by_restarts.append(_point(restart + 1, standing))
    return Curves(
        threat_model=str(threat_model),
        epsilon=threat_model.epsilon,
        attack=repr(_attack(threat_model, steps, loss)),
        steps=steps,
        examples=len(labels),
        clean_accuracy=float(run.clean.mean()),
        by_epsilon=tuple(by_epsilon),
        by_steps=tuple(by_steps),
        by_restarts=tuple(by_restarts),
        seconds=round(time.perf_counter() - began, 3),
        seed=seed,
    )


def _attack(ball, steps, loss):
    options = {"epsilon": ball.epsilon, "norm": ball.norm, "bounds": ball.bounds, "step_size": ball.epsilon / 8}
    return PGD(**options, steps=steps, loss=loss, keep="best")


def _balls(threat_model, radii, size):
    """Threat models of rising epsilon, and None for epsilon 0, which leaves no choice to an adversary."""
    low, high = threat_model.bounds
    widest = (high - low) * (math.sqrt(size) if threat_model.norm == "l2" else 1.0)
    epsilons = sorted({min(radius * threat_model.epsilon, widest) for radius in radii})
    return [dataclasses.replace(threat_model, epsilon=epsilon) if epsilon else None for epsilon in epsilons]


def _point(budget, standing):
    interval = wilson_interval(int(standing.sum()), len(standing))
    return Point(budget, float(standing.mean()), tuple(round(bound, 6) for bound in interval))
