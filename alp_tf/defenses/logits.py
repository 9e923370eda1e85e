"""Defences that cost no attack: penalties on the logits of clean (usually noisy) images."""

import keras

from alp_tf import objectives
from alp_tf.defenses import base, checks

FORMS = ("norm", "squared")


@keras.saving.register_keras_serializable("alp_tf")
class CleanLogitPairing(base.Defense):
    """CLP: the logits of randomly paired clean images drawn together (Kannan 4.2.2).

    Image i of a batch is paired with image i + m/2, so batches must be shuffled; an odd batch leaves one unpaired.

    Attributes:
      weight: lambda. Kannan gives none; Mosbach's models used 0.5.
      distance, reduction: see objectives.logit_pairing.
    """

    penalty_names = ("clean_logit_pairing",)

    def __init__(self, classifier, *, weight=0.5, distance="l2", reduction="mean", **kwargs):
        super().__init__(classifier, **kwargs)
        self.weight = checks.checked_weight(weight)
        self.distance = checks.checked_choice("distance", distance, objectives.DISTANCES)
        self.reduction = checks.checked_choice("reduction", reduction, ("mean", "sum"))

    def penalties(self, logits):
        """See Defense."""
        pairing = objectives.clean_logit_pairing(logits["clean"], distance=self.distance, reduction=self.reduction)
        return {"clean_logit_pairing": self.weight * pairing}


@keras.saving.register_keras_serializable("alp_tf")
class LogitSqueezing(base.Defense):
    """LSQ: the size of each example's logits penalised (Kannan 4.2.3; Shafahi equation 2).

    Attributes:
      weight: beta of equation 2.
      form: "norm" is ||z||_2, "squared" its square.
    """

    penalty_names = ("logit_squeezing",)

    def __init__(self, classifier, *, weight=0.5, form="norm", **kwargs):
        super().__init__(classifier, **kwargs)
        self.weight = checks.checked_weight(weight)
        self.form = checks.checked_choice("form", form, FORMS)

    def penalties(self, logits):
        """See Defense."""
        return {"logit_squeezing": self.weight * objectives.logit_squeezing(logits["clean"], form=self.form)}


@keras.saving.register_keras_serializable("alp_tf")
class LogitSimilarity(base.Defense):
    """The batch's logits drawn to a common value (Shafahi equation 7).

    Attributes:
      weight: beta', multiplied by ||Z - gamma||_F / batch; Shafahi used 5 to 11 with batches of 128.
      gamma: the common value; 1 in the paper.
      form: "norm" is the Frobenius norm, "squared" its square.
    """

    penalty_names = ("logit_similarity",)

    def __init__(self, classifier, *, weight=10.0, gamma=1.0, form="norm", **kwargs):
        super().__init__(classifier, **kwargs)
        self.weight = checks.checked_weight(weight)
        self.gamma = float(gamma)
        self.form = checks.checked_choice("form", form, FORMS)

    def penalties(self, logits):
        """See Defense."""
        similarity = objectives.logit_similarity(logits["clean"], gamma=self.gamma, form=self.form)
        return {"logit_similarity": self.weight * similarity}


@keras.saving.register_keras_serializable("alp_tf")
class BatchLogitSqueezing(base.Defense):
    """The Frobenius norm of the batch's logits penalised (Shafahi equation 5).

    Attributes:
      weight: beta, multiplied by ||Z||_F / batch; Shafahi used 5 to 11 with batches of 128.
      form: "norm" is the Frobenius norm, "squared" its square.
    """

    penalty_names = ("batch_logit_squeezing",)

    def __init__(self, classifier, *, weight=10.0, form="norm", **kwargs):
        super().__init__(classifier, **kwargs)
        self.weight = checks.checked_weight(weight)
        self.form = checks.checked_choice("form", form, FORMS)

    def penalties(self, logits):
        """See Defense."""
        squeezing = objectives.batch_logit_squeezing(logits["clean"], form=self.form)
        return {"batch_logit_squeezing": self.weight * squeezing}
