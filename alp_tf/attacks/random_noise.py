"""Random points of the ball: what an attack must beat to deserve its name (Carlini et al. 2019)."""

import dataclasses

import keras

from alp_tf.attacks import base, classifier, losses


@keras.saving.register_keras_serializable("alp_tf")
@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomNoise(base.Attack):
    """The strongest of many uniform points of the ball, for each example; no gradients.

    Noise that fools a model where a gradient attack does not shows that gradients are masked.

    Attributes:
      samples: points tried for each example.
    """

    samples: int = 100

    def __post_init__(self):
        super().__post_init__()
        base.check_count("samples", self.samples, 1)

    def perturb(self, model, images, labels, seed):
        """See Attack.perturb."""
        logits_of = classifier.logits_function(model)

        def run(seed):
            points = self.threat_model.random_start(images, seed)
            chosen, best_other = losses.split_logits(logits_of(points), labels)
            return points, best_other >= chosen, best_other - chosen

        return base.strongest_restart(run, self.samples, seed)
