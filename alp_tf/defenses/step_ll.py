"""Adversarial training with one-step examples (Kurakin et al. 2017a, arXiv:1611.01236), Kannan's predecessor."""

import keras
import tensorflow as tf

from alp_tf.attacks import StepLL
from alp_tf.attacks.base import pixelwise
from alp_tf.defenses import base


@keras.saving.register_keras_serializable("alp_tf")
class StepLLAdversarialTraining(base.Defense):
    """Part of each minibatch replaced by its step l.l. examples, whose losses weigh less.

    The loss is (sum of the m - k clean losses + w * sum of the k adversarial ones) / (m - k + w * k). Which k rows are
    replaced the paper leaves to the shuffling of the data; here they are spread evenly, so that replicas together
    replace the rows that one replica would, where each replica's share is a whole number. `mixed_accuracy` is the
    accuracy on the minibatch as it was trained on.

    Attributes:
      epsilon: largest radius (L-inf) in pixel units; 16/255 in the paper.
      adversarial_share: k / m; half in the paper.
      adversarial_weight: w, lambda in the paper, 0.3.
      random_epsilon: each example's radius is |N(0, epsilon / 2)| cut off at epsilon, without which the paper's models
        were robust to the one radius alone; False takes epsilon itself.
    """

    trains_on = ("mixed",)
    attacks_images = True

    def __init__(
        self,
        classifier,
        *,
        epsilon,
        adversarial_share=0.5,
        adversarial_weight=0.3,
        random_epsilon=True,
        **kwargs,
    ):
        super().__init__(classifier, **kwargs)
        if not 0 < adversarial_share <= 1:
            raise ValueError(f"adversarial_share is {adversarial_share!r}; it must lie above 0 and be at most 1")
        if not (isinstance(adversarial_weight, int | float) and 0 < adversarial_weight < float("inf")):
            raise ValueError(f"adversarial_weight is {adversarial_weight!r}; it must be a number above 0")
        self.attack = StepLL(epsilon=epsilon)
        self.epsilon = epsilon
        self.adversarial_share = adversarial_share
        self.adversarial_weight = adversarial_weight
        self.random_epsilon = random_epsilon

    def examples(self, images, labels, seed):
        """See Defense; the minibatch with some of its images replaced."""
        rows = tf.where(self._replaced(tf.shape(labels)[0]))
        originals = tf.gather_nd(images, rows)
        strongest = self.attack(self.classifier, originals, tf.gather_nd(labels, rows), seed=seed)
        if self.random_epsilon:
            radius = pixelwise(self._radii(tf.shape(rows)[:1], seed))
            # The step is linear in its length, up to the bounds: cutting the longest gives each shorter one.
            strongest = tf.clip_by_value(strongest, originals - radius, originals + radius)
        return {"mixed": tf.tensor_scatter_nd_update(images, rows, strongest)}

    def classification_loss(self, cross_entropies):
        """See Defense; the mean in which replaced rows weigh less."""
        losses = cross_entropies["mixed"]
        weights = tf.where(self._replaced(tf.shape(losses)[0]), self.adversarial_weight, 1.0)
        return tf.reduce_sum(weights * losses) / tf.reduce_sum(weights)

    def _replaced(self, size):
        """Whether each row is replaced, bool [size]: the first, and evenly spread as many as to reach the share."""
        rows = tf.cast(tf.range(size + 1), tf.float64)
        # Rounding must not make four rows of three tenths of ten.
        so_far = tf.math.ceil(self.adversarial_share * rows - 1e-9)
        return so_far[1:] > so_far[:-1]

    def _radii(self, shape, seed):
        # TensorFlow's truncated normal ends at two standard deviations, which is epsilon.
        return tf.abs(tf.random.stateless_truncated_normal(shape, seed, stddev=self.epsilon / 2))
