"""TRADES (Zhang et al. 2019, arXiv:1901.08573): accuracy on clean images, and predictions that do not move."""

import keras
import tensorflow as tf

from alp_tf import objectives
from alp_tf.defenses import adversarial, checks


@keras.saving.register_keras_serializable("alp_tf")
class Trades(adversarial.AdversarialTraining):
    """Cross-entropy on clean images, and weight * KL(p(clean) || p(adversarial)).

    Both predictions are pulled, as in the authors' code. Their adversary climbs the same KL: give `attack` as
    `PGD(loss="kl", ...)`. It starts from a random point of the whole ball, theirs from the image plus 0.001 times
    Gaussian noise: either lies off the image, where the KL has no gradient. An attack with another loss is taken as
    well, a known variation: `PGD(...)` as it comes climbs the cross-entropy of the labels.

    Attributes:
      weight: 1 / lambda of the paper; 6 in its CIFAR-10 model of highest robustness, 1 in that of highest accuracy.
    """

    trains_on = ("clean", "adversarial")
    penalty_names = ("kl_divergence",)

    def __init__(self, classifier, *, attack, weight=6.0, **kwargs):
        super().__init__(classifier, attack=attack, **kwargs)
        self.weight = checks.checked_weight(weight)

    def classification_loss(self, cross_entropies):
        """See Defense; that of the clean images alone."""
        return tf.reduce_mean(cross_entropies["clean"])

    def penalties(self, logits):
        """See Defense."""
        divergence = objectives.kl_divergence(logits["clean"], logits["adversarial"])
        return {"kl_divergence": self.weight * tf.reduce_mean(divergence)}
