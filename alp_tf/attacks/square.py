"""Square attack (Andriushchenko et al. 2020): random search with squares, by the logits alone, no gradients."""

import dataclasses
import math

import keras
import numpy as np
import tensorflow as tf

from alp_tf import replicas
from alp_tf.attacks import base, classifier, losses

# After so many of 10,000 queries the share of changed pixels is that part of `p_init` (the paper's appendix B).
_SCHEDULE = (
    (0, 1),
    (10, 2),
    (50, 4),
    (200, 8),
    (500, 16),
    (1000, 32),
    (2000, 64),
    (4000, 128),
    (6000, 256),
    (8000, 512),
)


@keras.saving.register_keras_serializable("alp_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Square(base.Attack):
    """Random search: a square of the image gets a new perturbation, and keeps it if the margin shrinks.

    It lowers z_y - max_{j != y} z_j, and stops asking about an example once it is misclassified. Since it needs no
    gradient, a Square attack that beats a gradient attack shows that gradients are masked.

    Attributes:
      queries: squares tried on an example, at most; the paper and AutoAttack take 5,000. The model is not asked about
        one that changes nothing.
      p_init: share of the pixels that the first squares change.
      restarts: independent runs; each example keeps the strongest.
    """

    queries: int = 5000
    p_init: float = 0.8
    restarts: int = 1

    def __post_init__(self):
        super().__post_init__()
        base.check_count("queries", self.queries, 1)
        base.check_count("restarts", self.restarts, 1)
        if not 0 < self.p_init <= 1:
            raise ValueError(f"p_init is {self.p_init!r}; it must lie in (0, 1]")

    def perturb(self, model, images, labels, seed):
        """See Attack.perturb."""
        logits_of = classifier.logits_function(model)
        propose = _linf_squares if self.norm == "linf" else _l2_squares
        start = _linf_stripes if self.norm == "linf" else _l2_tiles

        def margins(points, labels):
            chosen, best_other = losses.split_logits(logits_of(points), labels)
            return chosen - best_other

        def run(seed):
            limits = self.threat_model.limits(images)
            points = self.threat_model.project(start(images, self.epsilon, tf.random.fold_in(seed, 0)), images, limits)
            state = (tf.constant(1), points, margins(points, labels))
            for first, last, side in self.stages(images.shape[1:3]):

                def query(index, points, lowest, side=side):
                    # Only the examples that still stand are asked about; coarse logits may tie, which fools nobody yet.
                    standing = tf.where(lowest >= 0)[:, 0]
                    originals, current = tf.gather(images, standing), tf.gather(points, standing)
                    proposed = propose(originals, current, self.epsilon, side, tf.random.fold_in(seed, index))
                    # Made once: in each query anew they would cost a tenth of it.
                    room = limits if self.norm == "l2" else [tf.gather(limit, standing) for limit in limits]
                    proposed = self.threat_model.project(proposed, originals, room)
                    # A square that leaves its image as it was, a quarter of them all on MNIST, has a known answer.
                    changed = tf.reduce_any(proposed != current, [1, 2, 3])
                    rows = tf.where(changed | ~tf.reduce_any(changed))[:, 0]
                    asked, proposed = tf.gather(standing, rows), tf.gather(proposed, rows)
                    found = margins(proposed, tf.gather(labels, asked))
                    better = tf.where(found < tf.gather(lowest, asked))[:, 0]
                    places = tf.gather(asked, better)[:, None]
                    lowest = tf.tensor_scatter_nd_update(lowest, places, tf.gather(found, better))
                    return index + 1, tf.tensor_scatter_nd_update(points, places, tf.gather(proposed, better)), lowest

                state = replicas.while_loop(
                    lambda index, _, lowest, last=last: (index < last) & tf.reduce_any(lowest >= 0),
                    query,
                    (tf.constant(first), *state[1:]),
                    parallel_iterations=1,
                )
            _, points, lowest = state
            return points, lowest < 0, -lowest

        return base.strongest_restart(run, self.restarts, seed)

    def stages(self, size):
        """(first query, query after the last, side of the square) of each stage.

        Args:
          size: (height, width) of the images.
        """
        height, width = size
        smallest = 1 if self.norm == "linf" else 3
        starts = [start for start, _ in _SCHEDULE] + [max(self.queries, 10_000)]
        stages = []
        for (start, divisor), end in zip(_SCHEDULE, starts[1:], strict=True):
            side = max(round(math.sqrt(self.p_init / divisor * height * width)), smallest)
            if self.norm == "l2":
                side += side % 2 == 0
            first, last = max(start + 1, 1), min(end + 1, self.queries)
            if first < last:
                stages.append((first, last, min(side, height, width)))
        return stages


def _linf_stripes(images, epsilon, seed):
    shape = tf.shape(images)
    return images + epsilon * _signs([shape[0], 1, shape[2], shape[3]], seed)


def _linf_squares(originals, current, epsilon, side, seed):
    shape = tf.shape(current)
    place_seed, sign_seed = tf.unstack(tf.random.split(seed, 2))
    rows, columns = _windows(shape, side, place_seed)
    inside = tf.reduce_max(rows, 2)[:, :, None, None] * tf.reduce_max(columns, 2)[:, None, :, None]
    # A step of 2 epsilon either way reaches the ball's border from anywhere inside it.
    return current + 2 * epsilon * inside * _signs([shape[0], 1, 1, shape[3]], sign_seed)


def _l2_tiles(images, epsilon, seed):
    shape = tf.shape(images)
    height, width, channels = images.shape[1:]
    side = max(min(height, width) // 5, 1)
    tile = _bump(side)
    down, across = height // side, width // side
    signs = _signs([shape[0], down, across, channels], seed)
    tiles = tf.einsum("bijc,st->bisjtc", signs, tile)
    tiles = tf.reshape(tiles, [shape[0], down * side, across * side, channels])
    top, left = (height - down * side) // 2, (width - across * side) // 2
    paddings = [[0, 0], [top, height - down * side - top], [left, width - across * side - left], [0, 0]]
    return images + epsilon * _normalised(tf.pad(tiles, paddings), [1, 2, 3])


def _l2_squares(originals, current, epsilon, side, seed):
    """Moves the perturbation of one window into another, adds a bump there, and spends what epsilon leaves."""
    shape = tf.shape(current)
    channels = current.shape[-1]
    seeds = tf.unstack(tf.random.split(seed, 4))
    delta = current - originals
    rows, columns = _windows(shape, side, seeds[0])
    other_rows, other_columns = _windows(shape, side, seeds[1])
    covered = [
        tf.reduce_max(down, 2)[:, :, None, None] * tf.reduce_max(across, 2)[:, None, :, None]
        for down, across in ((rows, columns), (other_rows, other_columns))
    ]
    both = tf.maximum(*covered)

    def squares(values, axes):
        return tf.reduce_sum(tf.square(values), axes, keepdims=True)

    window = tf.einsum("bhs,bhwc,bwt->bstc", rows, delta, columns)
    upright = tf.random.stateless_uniform([shape[0], 1, 1, 1], seeds[2]) < 0.5
    bump = _bump(side)[None, :, :, None]
    bump = tf.where(upright, bump, tf.transpose(bump, [0, 2, 1, 3])) * _signs([shape[0], 1, 1, channels], seeds[3])
    fresh = _normalised(bump + _normalised(window, [1, 2]), [1, 2])
    unspent = tf.maximum(epsilon**2 - squares(delta, [1, 2, 3]), 0.0) / channels
    fresh *= tf.sqrt(unspent + squares(delta * both, [1, 2]))
    placed = tf.einsum("bhs,bstc,bwt->bhwc", rows, fresh, columns)
    return originals + epsilon * _normalised(delta * (1 - both) + placed, [1, 2, 3])


def _windows(shape, side, seed):
    """Where a square of that side lies in each example: 0/1 matrices [batch, height, side] and [batch, width, side]."""
    down_seed, across_seed = tf.unstack(tf.random.split(seed, 2))
    offsets = tf.range(side)
    matrices = []
    for length, axis_seed in ((shape[1], down_seed), (shape[2], across_seed)):
        first = tf.random.stateless_uniform([shape[0], 1], axis_seed, 0, length - side + 1, tf.int32)
        matrices.append(tf.transpose(tf.one_hot(first + offsets, length), [0, 2, 1]))
    return matrices


def _bump(side):
    """Two pyramids of opposite sign side by side, of Euclidean length 1 (the paper's figure 3)."""

    def pyramid(height, width):
        levels = np.zeros((height, width))
        down, across = height // 2, width // 2
        for ring in range(max(down, across) + 1):
            rows = slice(max(down - ring, 0), down + ring + 1)
            levels[rows, max(across - ring, 0) : across + ring + 1] += 1 / (ring + 1) ** 2
        return levels / max(np.linalg.norm(levels), 1e-12)

    half = side // 2
    bump = np.concatenate([pyramid(half, side), -pyramid(side - half, side)])
    return tf.constant(bump / np.linalg.norm(bump), tf.float32)


def _normalised(values, axes):
    return values / tf.maximum(tf.sqrt(tf.reduce_sum(tf.square(values), axes, keepdims=True)), 1e-12)


def _signs(shape, seed):
    return 2.0 * tf.cast(tf.random.stateless_uniform(shape, seed, 0, 2, tf.int32), tf.float32) - 1.0
