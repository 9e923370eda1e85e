"""What Keras asks of a model around a classifier: to be built, traced, configured and saved."""

import inspect

import keras

from alp_tf.defenses import checks


class Wrapper(keras.Model):
    """A model with a `classifier`, and with options that are the keyword arguments of its constructor.

    Attributes:
      classifier: any keras.Model.
    """

    def compile(self, optimizer="rmsprop", loss=None, *args, **kwargs):
        """As keras.Model; a classifier that is built makes the defence so: callbacks and files may ask for it.

        Args:
          optimizer: as for keras.Model.
          loss: None, or sparse cross-entropy from logits: the defence brings its own.
          *args, **kwargs: as for keras.Model.

        Raises:
          ValueError: another loss, or an attack whose pixels may leave [0, 1].
        """
        # Here and not in `fit`: Keras keeps a loss beyond the next `compile` without one.
        checks.check_loss(loss)
        for name in ("attack", "evaluation_attack"):
            checks.check_bounds(getattr(self, name, None))
        super().compile(optimizer, loss, *args, **kwargs)
        shape = getattr(self.classifier, "input_shape", None) if self.classifier.built else None
        if isinstance(shape, tuple) and len(shape) == 4:
            self._build(shape[1:])

    def compile_from_config(self, config):
        """Inverse of get_compile_config, which Keras leaves to whoever has a `compile` of its own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            # For the state that is loaded next.
            self.optimizer.build(self.trainable_variables)

    def make_train_function(self, force=False):
        """Keras' train function, with the checks that run inside the graph turned into readable errors."""
        if force or self.train_function is None:
            self._make_variables(training=True)
            super().make_train_function(force=True)
            self.train_function = checks.with_readable_errors(self.train_function)
        return self.train_function

    def make_test_function(self, force=False):
        """Keras' test function, likewise."""
        if force or self.test_function is None:
            self._make_variables(training=False)
            super().make_test_function(force=True)
            self.test_function = checks.with_readable_errors(self.test_function)
        return self.test_function

    @classmethod
    def options(cls):
        """The keyword arguments of the constructor, its base classes' included: name -> inspect.Parameter.

        Each is kept in an attribute of its name; configurations and saved models are made from them.
        """
        found = {}
        for owner in cls.__mro__[: cls.__mro__.index(keras.Model)]:
            for parameter in inspect.signature(vars(owner).get("__init__", lambda: None)).parameters.values():
                if parameter.kind is parameter.KEYWORD_ONLY:
                    found.setdefault(parameter.name, parameter)
        return found

    def get_config(self):
        """The constructor's arguments, for Keras serialisation."""
        own = {name: getattr(self, name) for name in ("classifier", *self.options())}
        return {**super().get_config(), **keras.saving.serialize_keras_object(own)}

    @classmethod
    def from_config(cls, config):
        """Inverse of get_config."""
        return cls(
            **{
                name: keras.saving.deserialize_keras_object(value) if isinstance(value, dict) else value
                for name, value in config.items()
            }
        )

    def _build(self, image_shape):
        # Nothing else calls the defence itself in `fit`, and Keras saves what is built: weights, and optimizers.
        if not self.built:
            self(keras.KerasTensor((None, *image_shape), "float32"))

    def _make_variables(self, *, training):
        # TensorFlow traces a graph in which variables were made a second time, which takes as long as the first.
        if not self.classifier.built:
            return
        metrics, optimizer = self._compile_metrics, self.optimizer
        with self.distribute_strategy.scope():
            if metrics is not None and not metrics.built:
                # They learn from the number of dimensions what a label is; two stands for any number of classes.
                metrics.build(keras.KerasTensor((None,), "int32"), keras.KerasTensor((None, 2)))
            if training and not optimizer.built:
                optimizer.build(self.trainable_weights)
