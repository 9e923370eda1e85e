"""Virtual adversarial training (Miyato et al. 2017, arXiv:1704.03976), to which Kannan section 6 compares ALP."""

import keras
import tensorflow as tf

from alp_tf import objectives
from alp_tf.attacks.virtual import VirtualAdversarial
from alp_tf.defenses import base, checks

DIRECTIONS = ("clean_to_adversarial", "adversarial_to_clean")


@keras.saving.register_keras_serializable("alp_tf")
class VirtualAdversarialTraining(base.Defense):
    """VAT: cross-entropy on clean images, and the KL divergence to the prediction on perturbed ones.

    The perturbation is where the prediction itself changes most; it needs no label (see attacks.virtual). Kannan
    section 6 says that on MNIST VAT improved on Madry's training, and ALP on VAT, whichever way round the KL was, and
    names two possible causes: the KL's gradients may saturate, and it is blind to a shift of all logits of an example,
    which logit pairing is not. It gives no figures or hyperparameters, nor says whether the images were perturbed as
    Miyato does or by PGD; for a KL term on PGD's images see Trades.

    Miyato also trains on unlabelled images; here every image of a batch has its label.

    Attributes:
      epsilon: length of the perturbation in pixel units.
      weight: of the KL, averaged over the batch; 1 throughout in Miyato.
      xi, iterations: of the power method that finds the perturbation, see attacks.virtual.VirtualAdversarial.
      direction: "clean_to_adversarial" is KL(p(clean) || p(adversarial)), as Miyato; "adversarial_to_clean" is
        Kannan's flipped one. The perturbation is the same for both: they have one Hessian at the image.
      stop_gradient: the clean prediction is a fixed goal, as in Miyato; False draws the two predictions towards each
        other, as logit pairing does with logits.
      norm: "l2" as Miyato, or "linf".
    """

    trains_on = ("clean", "adversarial")
    penalty_names = ("kl_divergence",)

    def __init__(
        self,
        classifier,
        *,
        epsilon,
        weight=1.0,
        xi=0.1,
        iterations=1,
        direction="clean_to_adversarial",
        stop_gradient=True,
        norm="l2",
        **kwargs,
    ):
        super().__init__(classifier, **kwargs)
        self.attack = VirtualAdversarial(epsilon=epsilon, xi=xi, iterations=iterations, norm=norm)
        self.epsilon = epsilon
        self.weight = checks.checked_weight(weight)
        self.xi = xi
        self.iterations = iterations
        self.direction = checks.checked_choice("direction", direction, DIRECTIONS)
        self.stop_gradient = stop_gradient
        self.norm = norm

    def classification_loss(self, cross_entropies):
        """See Defense; that of the clean images alone."""
        return tf.reduce_mean(cross_entropies["clean"])

    def penalties(self, logits):
        """See Defense."""
        clean = tf.stop_gradient(logits["clean"]) if self.stop_gradient else logits["clean"]
        pair = (clean, logits["adversarial"])
        if self.direction == "adversarial_to_clean":
            pair = pair[::-1]
        return {"kl_divergence": self.weight * tf.reduce_mean(objectives.kl_divergence(*pair))}
