"""Defences that train on adversarial examples: adversarial training, mixed minibatches, adversarial logit pairing."""

import keras
import tensorflow as tf

from alp_tf import objectives
from alp_tf.attacks import Attack
from alp_tf.defenses import base, checks

FORMS = ("mean", "sum")


@keras.saving.register_keras_serializable("alp_tf")
class AdversarialTraining(base.Defense):
    """Cross-entropy on adversarial examples alone (Madry; Kannan equation 1).

    Attributes:
      attack: crafts the adversarial example of every training image at every step.
    """

    trains_on = ("adversarial",)

    def __init__(self, classifier, *, attack, **kwargs):
        super().__init__(classifier, **kwargs)
        if not isinstance(attack, Attack):
            raise ValueError(f"attack is {attack!r}; write for example alp_tf.attacks.PGD(epsilon=8/255, ...)")
        self.attack = attack


@keras.saving.register_keras_serializable("alp_tf")
class MixedMinibatchPGD(AdversarialTraining):
    """M-PGD: cross-entropy on each image and on its adversarial example (Kannan equation 2).

    Attributes:
      form: "mean" over the 2m rows, as the authors' code; "sum" of the two means, as equation 2 is written.
    """

    trains_on = ("clean", "adversarial")

    def __init__(self, classifier, *, attack, form="mean", **kwargs):
        super().__init__(classifier, attack=attack, **kwargs)
        if form not in FORMS:
            raise ValueError(f"form is {form!r}; it must be one of {', '.join(FORMS)}")
        self.form = form

    def classification_loss(self, cross_entropies):
        """See Defense."""
        if self.form == "mean":
            return super().classification_loss(cross_entropies)
        return tf.add_n([tf.reduce_mean(losses) for losses in cross_entropies.values()])


@keras.saving.register_keras_serializable("alp_tf")
class AdversarialLogitPairing(MixedMinibatchPGD):
    """ALP: M-PGD, and the logits of an image and of its adversarial example drawn together (Kannan 4.2.1).

    Attributes:
      weight: lambda; Kannan used 1 on MNIST (0.2 to 1 did as well) and 0.5 on SVHN and ImageNet.
      distance, reduction: see objectives.logit_pairing; published weights assume the defaults.

    Example:
      >>> from alp_tf import attacks, datasets
      >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
      >>> attack = attacks.PGD(epsilon=0.2, step_size=0.05, steps=3)
      >>> robust = AdversarialLogitPairing(model, attack=attack, weight=0.5, seed=0)
      >>> robust.compile(optimizer="adam", metrics=["accuracy"])
      >>> batches = datasets.load("digits").train_batches(64, seed=0)
      >>> history = robust.fit(batches, steps_per_epoch=2, verbose=0)
      >>> sorted(history.history)
      ['accuracy', 'adversarial_accuracy', 'clean_accuracy', 'cross_entropy', 'logit_pairing', 'loss']
    """

    penalty_names = ("logit_pairing",)

    def __init__(self, classifier, *, attack, weight=0.5, distance="l2", reduction="mean", **kwargs):
        super().__init__(classifier, attack=attack, **kwargs)
        self.weight = checks.checked_weight(weight)
        self.distance = checks.checked_choice("distance", distance, objectives.DISTANCES)
        self.reduction = checks.checked_choice("reduction", reduction, ("mean", "sum"))

    def penalties(self, logits):
        """See Defense."""
        pairing = objectives.logit_pairing(
            logits["clean"], logits["adversarial"], distance=self.distance, reduction=self.reduction
        )
        return {"logit_pairing": self.weight * pairing}
