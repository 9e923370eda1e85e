"""After how many gradient steps PGD first fools a model: one run that answers for every smaller number of steps."""

import dataclasses

import numpy as np
import tensorflow as tf

from alp_tf.attacks import base, classifier
from alp_tf.evaluation import inputs


class Run:
    """Images, which of them are right as they are, and how long each stands against attacks.

    Attributes:
      clean: bool [examples], classified correctly as they are.
    """

    def __init__(self, model, images, labels, *, batch_size, seed, bar):
        """Classifies the images.

        Args:
          model: keras.Model, wrapper or callable.
          images, labels: float32 [examples, height, width, channels] and int32 [examples].
          batch_size: images attacked at a time.
          seed: int.
          bar: progress bar, counting one unit for each step of each image.
        """
        self._model, self._images, self._labels = model, images, labels
        self._batch_size, self._seed, self._bar = batch_size, seed, bar
        self._climbs = {}
        predict = inputs.logits_of(model, images.shape[1:])
        predicted = [predict(images[rows]).argmax(-1) for rows in inputs.chunks(np.arange(len(labels)), batch_size)]
        self.clean = np.concatenate(predicted) == labels

    def steps_to_fall(self, attack, standing, restart=0):
        """After how many steps of PGD each image falls.

        Args:
          attack: attacks.PGD of one restart.
          standing: bool [examples]; the others are not attacked.
          restart: which run; each has random starts of its own.

        Returns:
          float64 [examples]: 0 for images that did not stand, infinity for those that stand to the end.
        """
        # One graph for any number of steps.
        key = dataclasses.replace(attack, steps=0)
        if key not in self._climbs:
            self._climbs[key] = steps_to_fool(self._model, attack, self._images.shape[1:])
        falls, attacked = np.zeros(len(standing)), np.flatnonzero(standing)
        seed = tf.random.fold_in(base.as_seed(self._seed), restart)
        for index, rows in enumerate(inputs.chunks(attacked, self._batch_size)):
            found = self._climbs[key](
                tf.constant(self._images[rows], tf.float32),
                tf.constant(self._labels[rows]),
                tf.random.fold_in(seed, index),
                tf.constant(attack.steps),
            ).numpy()
            falls[rows] = np.where(found > attack.steps, np.inf, found)
            self._bar.update(attack.steps * len(rows))
        self._bar.update(attack.steps * (len(standing) - len(attacked)))
        return falls

    def stands(self, attack, standing, restart=0):
        """Which of the images that stand still do after the attack: bool [examples]."""
        return np.isinf(self.steps_to_fall(attack, standing, restart))


def steps_to_fool(model, attack, image_shape):
    """Compiles the climb of one run of PGD.

    The iterates are those of attacks.PGD, so that PGD(keep="best") with n steps fools exactly the images for which the
    answer is at most n.

    Args:
      model: keras.Model that returns logits, wrapper or callable; used as at inference.
      attack: attacks.PGD; its steps and restarts are not used.
      image_shape: (height, width, channels).

    Returns:
      Function of float32 images [batch, *image_shape], int32 labels [batch], an int32 seed [2] and an int32 number of
      steps, to int32 [batch]: the first iterate that fools the model, 0 being the start; steps + 1 if none does.
    """
    threat_model = attack.threat_model

    @tf.function(
        autograph=False,
        input_signature=[
            tf.TensorSpec([None, *image_shape], tf.float32),
            tf.TensorSpec([None], tf.int32),
            tf.TensorSpec([2], tf.int32),
            tf.TensorSpec([], tf.int32),
        ],
    )
    def run(images, labels, seed, steps):
        logits_of = classifier.differentiable_logits(model)
        # The seeds of a PGD of one restart, as attacks.PGD.perturb draws them.
        target_seed, start_seed = tf.unstack(tf.random.split(seed, 2))
        start_seed = tf.random.fold_in(start_seed, 0)
        objective = attack.objective(logits_of, images, labels, target_seed)
        limits = threat_model.limits(images)

        def fooled(logits):
            # Logits that are not finite are no classification.
            finite = tf.reduce_all(tf.math.is_finite(logits), -1)
            return (tf.argmax(logits, -1, tf.int32) != labels) | ~finite

        def standing_or(index, first, logits):
            return tf.where((first > steps) & fooled(logits), index, first)

        def move(index, current, first):
            _, logits, gradients = base.input_gradient(logits_of, objective, current)
            moved = current + attack.step_size * threat_model.ascent_direction(gradients)
            return index + 1, threat_model.project(moved, images, limits), standing_or(index, first, logits)

        start = threat_model.random_start(images, start_seed) if attack.random_start else images
        _, last, first = tf.while_loop(
            # Nothing is left to do once every image has fallen.
            lambda index, _, first: (index < steps) & tf.reduce_any(first > steps),
            move,
            (tf.constant(0), start, tf.fill(tf.shape(labels), steps + 1)),
            parallel_iterations=1,
        )
        return standing_or(steps, first, logits_of(last))

    return run.get_concrete_function()
