"""Loss surfaces: the loss on the plane through an image, an adversarial direction and a random one.

    found = loss_surface(model, images[:3], labels[:3], ThreatModel(epsilon=8/255))
    surface_figure.draw("figures/surface.png", found)

Shafahi section 4 explains squeezing by such plots: it finds minima that are accurate and flat with respect to the
image. Engstrom et al. 2018 drew them for Kannan's models and found them jagged instead, the mark of a loss that hides
its gradient. The plane is x + a * epsilon * d1 + b * epsilon * d2 for a and b in [-1, 1].
"""

import dataclasses

import numpy as np
import tensorflow as tf

from alp_tf import progress
from alp_tf.attacks import Attack, base, classifier, losses
from alp_tf.evaluation import inputs
from alp_tf.threat_model import ThreatModel


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """Losses on a grid.

    Attributes:
      epsilon, norm: of the threat model; epsilon in pixel units.
      direction: `gradient`, or the repr of the attack whose perturbation spans the plane.
      offsets: the values of a and of b, float64 [points]; 0 is among them.
      cross_entropy: of the true class in nats, float32 [examples, points, points]; the first axis of the grid is a,
        along the adversarial direction, the second is b.
      margin: largest other logit minus that of the true class, same shape: above 0 the image is misclassified.
      labels: int32 [examples].
    """

    epsilon: float
    norm: str
    direction: str
    offsets: np.ndarray
    cross_entropy: np.ndarray
    margin: np.ndarray
    labels: np.ndarray


def loss_surface(
    model,
    images,
    labels,
    threat_model,
    *,
    attack=None,
    points=25,
    batch_size=200,
    seed=0,
    show_progress=True,
):
    """Computes the losses on the plane through each image.

    Points outside the pixels' bounds are moved to them, as in every attack. Both directions have length 1 in the
    threat model's norm, so that the axes reach the sphere of radius epsilon and the corners lie beyond it.

    Args:
      model: keras.Model that returns logits, wrapper or callable; used as at inference.
      images: float32 in [0, 1], shape [examples, height, width, channels]; a few.
      labels: true classes, int, shape [examples].
      threat_model: ThreatModel with epsilon above 0.
      attack: None for the direction of the loss's gradient at the image (its sign in L-inf, its unit vector in L2); or
        an attack, such as attacks.PGD, whose perturbation, divided by epsilon, is the direction.
      points: of each axis, odd, so that the image itself is one.
      batch_size: points classified at a time.
      seed: of the random direction, a Rademacher vector (every entry -1 or +1, scaled to length 1), and of the attack.
      show_progress: show a bar with the time left.

    Returns:
      Surface.

    Raises:
      ValueError: an even number of points, epsilon 0, an attack of another threat model, images or labels outside
        their range, or no images.
    """
    if not isinstance(threat_model, ThreatModel) or threat_model.epsilon == 0:
        raise ValueError(f"threat_model is {threat_model!r}; write for example alp_tf.ThreatModel(epsilon=8/255)")
    if not isinstance(points, int) or points < 3 or points % 2 == 0:
        raise ValueError(f"points is {points!r}; it must be an odd integer of at least 3, such as 25")
    if attack is not None and not (isinstance(attack, Attack) and attack.threat_model == threat_model):
        raise ValueError(f"attack is {attack!r}; it must be an attack of the same threat model, {threat_model}")
    classifier.warn_unless_logits(model)
    images, labels = inputs.arrays((images, labels))
    threat_model.check_images(images)
    classifier.check_label_range(labels, inputs.classes(model, images.shape[1:]))
    images = images.astype(np.float32)
    adversarial = _adversarial_directions(model, images, labels, threat_model, attack, seed)
    random = _rademacher(images.shape, threat_model, seed)
    offsets = np.linspace(-1, 1, points)
    # linspace may miss 0 by a rounding error, and the image itself must be a point.
    offsets[points // 2] = 0.0
    grid = threat_model.epsilon * np.stack(np.meshgrid(offsets, offsets, indexing="ij"), -1).reshape(-1, 2)
    logits_of = inputs.logits_of(model, images.shape[1:])
    cross_entropy, margin = (np.empty((len(images), len(grid)), np.float32) for _ in range(2))
    with progress.bar(len(images) * len(grid), "loss surface", "point", shown=show_progress) as bar:
        for example, label in enumerate(labels):
            for rows in inputs.chunks(np.arange(len(grid)), batch_size):
                a, b = (grid[rows, axis, None, None, None].astype(np.float32) for axis in (0, 1))
                moved = images[example] + a * adversarial[example] + b * random[example]
                logits = logits_of(np.clip(moved, *threat_model.bounds))
                chosen, other = losses.split_logits(logits, tf.fill([len(rows)], label))
                cross_entropy[example, rows] = losses.CrossEntropy()(logits, tf.fill([len(rows)], label))
                margin[example, rows] = other - chosen
                bar.update(len(rows))
    shape = (len(images), points, points)
    return Surface(
        epsilon=threat_model.epsilon,
        norm=threat_model.norm,
        direction="gradient" if attack is None else repr(attack),
        offsets=offsets,
        cross_entropy=cross_entropy.reshape(shape),
        margin=margin.reshape(shape),
        labels=labels,
    )


def _adversarial_directions(model, images, labels, threat_model, attack, seed):
    """Unit vectors of the norm (shorter for an attack that stayed inside the ball), float32 like images."""
    if attack is not None:
        return (attack(model, images, labels, seed=seed).numpy() - images) / threat_model.epsilon
    logits_of, loss = classifier.logits_function(model), losses.CrossEntropy()
    _, _, gradients = base.input_gradient(logits_of, lambda logits: loss(logits, labels), tf.constant(images))
    return threat_model.ascent_direction(gradients).numpy()


def _rademacher(shape, threat_model, seed):
    signs = np.random.default_rng(seed & 0xFFFFFFFF).choice(np.float32([-1, 1]), size=shape)
    return signs / np.float32(np.sqrt(signs[0].size)) if threat_model.norm == "l2" else signs
