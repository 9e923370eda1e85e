"""Models around models that every attack and `evaluate` take in a classifier's place.

    attack(EOT(noisy_model, samples=20), images, labels)      # expectation over the model's own randomness

A wrapper holds the `model` inside it and says with `wrap_logits` what becomes of its logits.
"""

import weakref

import tensorflow as tf

from alp_tf.attacks import base, classifier

# Pass counters by model, so that a model keeps the graphs that were compiled for it.
_COUNTERS = weakref.WeakKeyDictionary()


class EOT:
    """Expectation over transformation (Athalye 2018, section 4.2): what a randomised model does on average.

    Gradient attacks climb the mean loss over `samples` draws; the prediction is the class of largest mean probability.
    """

    def __init__(self, model, *, samples=20):
        """Wraps a model.

        Args:
          model: keras.Model or callable whose logits differ from call to call.
          samples: draws for each gradient and each prediction; AutoAttack takes 20.

        Raises:
          ValueError: samples is no positive integer.
        """
        base.check_count("samples", samples, 1)
        self.model, self.samples = model, samples

    def __call__(self, images):
        """Log mean probabilities, float32 [batch, classes]."""
        return classifier.logits_function(self)(images)

    def wrap_logits(self, logits_of):
        """See the module's docstring; what comes back carries `draws`, which `base.input_gradient` looks for."""

        def expected(images):
            def add(index, total):
                return index + 1, total + tf.nn.softmax(logits_of(images))

            first = tf.nn.softmax(logits_of(images))
            total = tf.while_loop(lambda index, _: index < self.samples, add, (tf.constant(1), first))[1]
            return tf.math.log(tf.maximum(total / self.samples, 1e-37))

        expected.draws = base.Draws(logits_of, self.samples)
        return expected


class PassCounter:
    """Counts how many images went forward and backward through a model, as they do.

    Attributes:
      forward, backward: int64 tf.Variables.
    """

    def __init__(self, model):
        """Wraps a model; prefer `PassCounter.of`, which makes one a model."""
        self._reference = weakref.ref(model)
        with tf.init_scope():
            self.forward, self.backward = (tf.Variable(0, dtype=tf.int64, trainable=False) for _ in range(2))

    @classmethod
    def of(cls, model):
        """The counter around that model; an EOT is kept on the outside, so that each of its draws counts."""
        if model not in _COUNTERS:
            is_eot = isinstance(model, EOT)
            _COUNTERS[model] = EOT(cls.of(model.model), samples=model.samples) if is_eot else cls(model)
        return _COUNTERS[model]

    @property
    def model(self):
        """The model inside."""
        return self._reference()

    def __call__(self, images):
        """Logits of the model inside."""
        return classifier.logits_function(self)(images)

    def wrap_logits(self, logits_of):
        """See the module's docstring."""

        @tf.custom_gradient
        def watched(logits):
            def backward(upstream):
                with tf.control_dependencies([self.backward.assign_add(_rows(upstream))]):
                    return tf.identity(upstream)

            return tf.identity(logits), backward

        def counted(images):
            with tf.control_dependencies([self.forward.assign_add(_rows(images))]):
                return watched(logits_of(tf.identity(images)))

        # See fast_gradients.kept_apart. Not `draws`: those of an EOT inside would go past the counter.
        counted.pools = getattr(logits_of, "pools", False)
        return counted


def passes(counted):
    """(images forward, images backward) so far through what `PassCounter.of` returned."""
    counter = counted.model if isinstance(counted, EOT) else counted
    return int(counter.forward), int(counter.backward)


def _rows(tensor):
    return tf.shape(tensor, tf.int64)[0]
