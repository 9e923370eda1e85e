"""After how many gradient steps PGD first fools a model: one run that answers for every smaller number of steps."""

import tensorflow as tf

from alp_tf.attacks import base, classifier


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
    logits_of = classifier.logits_function(model)
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
