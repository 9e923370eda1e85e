"""Defences that change what the classifier is taught to answer: label smoothing, mixup, clipped cross-entropy."""

import keras
import tensorflow as tf

from alp_tf import objectives
from alp_tf.defenses import base, checks

FORMS = ("example", "batch")


@keras.saving.register_keras_serializable("alp_tf")
class LabelSmoothing(base.Defense):
    """Cross-entropy with warm labels, smoothed very strongly (Shafahi 5.2, equation 8; Kannan section 6, Table 10).

    The paper combines it with Gaussian noise: `noise=20 / 255` on CIFAR-10.

    Attributes:
      label_smoothing: lambda. Shafahi's Table 3 has 0.9 and 0.95; Szegedy et al. and Mosbach's code use 0.1. What
        Kannan section 6 calls delta is lambda * (1 - 1 / classes).
    """

    def __init__(self, classifier, *, label_smoothing=0.95, **kwargs):
        super().__init__(classifier, label_smoothing=label_smoothing, **kwargs)


@keras.saving.register_keras_serializable("alp_tf")
class ClippedCrossEntropy(base.Defense):
    """Cross-entropy that cannot fall below a floor (Shafahi 4, equation 6), which the paper found not to help.

    Attributes:
      floor: omega, in nats. Shafahi saw at most 50 % training accuracy from 1.5 on. Sample weights come before it.
      form: see objectives.clipped_cross_entropy.
    """

    def __init__(self, classifier, *, floor=1.5, form="example", **kwargs):
        super().__init__(classifier, **kwargs)
        self.floor = checks.checked_weight(floor, name="floor")
        self.form = checks.checked_choice("form", form, FORMS)

    def classification_loss(self, cross_entropies):
        """See Defense."""
        return objectives.clipped_cross_entropy(cross_entropies["clean"], self.floor, form=self.form)


@keras.saving.register_keras_serializable("alp_tf")
class Mixup(base.Defense):
    """Cross-entropy on mixtures of two images against the same mixtures of their labels (Kannan section 6, Table 10).

    Zhang et al. 2018, *mixup: Beyond Empirical Risk Minimization*: x = lambda x_i + (1 - lambda) x_j, and the same for
    the one-hot labels, where j is a random permutation of the batch and lambda is drawn from Beta(alpha, alpha). The
    `mixed_accuracy` of training asks for the label that has the larger part in the mixture. Under n replicas each mixes
    its own rows.

    Attributes:
      alpha: 1 mixes evenly, towards 0 hardly at all. Zhang used 1 on CIFAR-10 and 0.2 on ImageNet; Kannan says nothing.
      per_example: draw lambda for every image, not once a batch as Zhang's code does.
    """

    trains_on = ("mixed",)

    def __init__(self, classifier, *, alpha=1.0, per_example=False, **kwargs):
        super().__init__(classifier, **kwargs)
        if not (isinstance(alpha, int | float) and 0 < alpha < float("inf")):
            raise ValueError(f"alpha is {alpha!r}; it must be a number above 0, such as 1.0 or 0.2")
        self.alpha = float(alpha)
        self.per_example = per_example

    def examples(self, images, labels, seed):
        """See Defense."""
        return {"mixed": self._mixed(images, seed)}

    def targets(self, labels, classes, seed):
        """See Defense."""
        return self._mixed(tf.one_hot(labels, classes), seed)

    def _mixed(self, rows, seed):
        # Called with the same seed for images and labels, which are so mixed alike.
        own, partners = tf.unstack(tf.random.split(seed, 2))
        batch = tf.shape(rows)[0]
        portion = symmetric_beta(self.alpha, batch if self.per_example else 1, own)
        portion = tf.reshape(portion, [-1] + [1] * (rows.shape.rank - 1))
        order = tf.argsort(tf.random.stateless_uniform([batch], partners))
        return portion * rows + (1 - portion) * tf.gather(rows, order)


def symmetric_beta(alpha, draws, seed):
    """Random numbers from Beta(alpha, alpha), float32 [draws].

    Args:
      alpha: above 0, however small.
      draws: how many.
      seed: int32 [2].
    """
    # X / (X + Y) with X and Y from Gamma(alpha), in logarithms: for small alpha both are often too small for a float.
    # Gamma(alpha) is Gamma(alpha + 1) times U^(1 / alpha).
    gamma_seed, uniform_seed = tf.unstack(tf.random.split(seed, 2))
    gammas = tf.random.stateless_gamma([2, draws], gamma_seed, alpha + 1.0)
    uniforms = 1.0 - tf.random.stateless_uniform([2, draws], uniform_seed)
    logarithms = tf.math.log(gammas) + tf.math.log(uniforms) / alpha
    return tf.sigmoid(logarithms[0] - logarithms[1])
