"""Fast adversarial training (Wong et al. 2020, arXiv:2001.03994): one gradient from a random start."""

import keras

from alp_tf.attacks import PGD
from alp_tf.defenses import base


@keras.saving.register_keras_serializable("alp_tf")
class FastAdversarialTraining(base.Defense):
    """Cross-entropy on adversarial examples of one L-inf step, from a uniformly random point of the ball.

    Such training can fail between one epoch and the next ("catastrophic overfitting"): accuracy under the one-step
    attack jumps up, under a multi-step attack it falls to zero. `adversarial_accuracy` of training shows the jump
    alone, so give `evaluation_attack=PGD(...)` and validation data, and keep the weights of the best
    `val_adversarial_accuracy` (keras.callbacks.EarlyStopping(..., mode="max", restore_best_weights=True)): Wong's own
    remedy is to stop when accuracy under PGD on a few training images drops.

    Attributes:
      epsilon: radius in pixel units.
      step_size: length of the step; None takes 1.25 * epsilon, as in the paper, where 2 * epsilon failed.
    """

    trains_on = ("adversarial",)

    def __init__(self, classifier, *, epsilon, step_size=None, **kwargs):
        super().__init__(classifier, **kwargs)
        step_size = 1.25 * epsilon if step_size is None else step_size
        self.attack = PGD(epsilon=epsilon, step_size=step_size, steps=1)
        self.epsilon = epsilon
        self.step_size = step_size
