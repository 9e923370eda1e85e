"""Keras' `fit` under tf.distribute, where Keras 3 does not do it right.

What is replaced, and why, as of Keras 3.15:

- `_maybe_symbolic_build` adds up the batches of several replicas to learn their shape, and fails for several workers.
  A defence around a built classifier has nothing left to build.
- The train function averages the replicas' metrics along an axis that scalars do not have, which fails for several
  workers; and an average of averages is wrong where replicas count for different numbers of images. Here the metrics'
  variables are summed over all replicas, in one collective operation, and the metrics are computed from the sums.
- `_get_metrics_result_or_logs` would read each variable over the network again at the end of an epoch.

`tests/distribution` trains with two processes and compares with one.
"""

import inspect
import types
import warnings

import keras
import tensorflow as tf

from alp_tf import replicas

# The newest Keras under which the tests of this file have passed.
CHECKED = (3, 15)
_REPLACED = {
    "_maybe_symbolic_build": ["self", "iterator", "data_batch"],
    "make_train_function": ["self", "force"],
    "_get_metrics_result_or_logs": ["self", "logs"],
}


def adapt(defense, strategy):
    """Makes `defense.fit` train under the strategy; its dataset gives batches of one replica each.

    Args:
      defense: defenses.Defense, compiled in the strategy's scope, around a built classifier.
      strategy: tf.distribute.Strategy with more than one replica.

    Raises:
      ValueError: a Keras in which a method that is replaced here is not what it was; says what to do.
    """
    check_version(type(defense))
    if defense.steps_per_execution != 1:
        raise ValueError("steps_per_execution must be 1 with several replicas; leave it out of compile")
    defense._maybe_symbolic_build = types.MethodType(lambda self, iterator=None, data_batch=None: None, defense)
    defense._get_metrics_result_or_logs = types.MethodType(lambda self, logs: logs, defense)

    # Defense.make_train_function puts readable errors around what this returns.
    def _make_function(self, step_function):
        return _on_all_replicas(self, step_function, strategy)

    defense._make_function = types.MethodType(_make_function, defense)


def check_version(cls, version=None):
    """Warns of a Keras newer than the checked one, and fails on one in which a replaced method is another.

    Args:
      cls: subclass of keras.Model.
      version: of Keras, if not the installed one.

    Raises:
      ValueError: see above.
    """
    version = version or keras.__version__
    remedy = (
        f"The multi-worker fit was checked up to Keras {'.'.join(map(str, CHECKED))}; this is {version}. Install "
        f"'keras<{CHECKED[0]}.{CHECKED[1] + 1}', or compare alp_tf/distribution/keras_fit.py with Keras' "
        "backend/tensorflow/trainer.py, run `pytest tests/distribution` and raise CHECKED"
    )
    for name, parameters in {**_REPLACED, "_make_function": ["self", "step_function"]}.items():
        method = getattr(cls, name, None)
        if method is None or list(inspect.signature(method).parameters) != parameters:
            raise ValueError(f"keras.Model.{name} is not what it was. {remedy}")
    if tuple(int(part) for part in version.split(".")[:2]) > CHECKED:
        warnings.warn(remedy, stacklevel=3)


def _on_all_replicas(model, step_function, strategy):
    def replica_step(data):
        logs = step_function(data)
        joint = _joint_metrics(model)
        return {name: joint[name] for name in logs}

    @tf.function(reduce_retracing=True, autograph=False)
    def step(iterator):
        logs = strategy.run(replica_step, args=(iterator.get_next(),))
        # All replicas have the same.
        return {name: strategy.experimental_local_results(value)[0] for name, value in logs.items()}

    return step


def _joint_metrics(model):
    """{name: value} of the model's metrics over all replicas, in replica context."""
    variables = [variable for metric in model.metrics for variable in metric.variables]
    local = [tf.reshape(tf.cast(tf.convert_to_tensor(variable.value), tf.float32), [-1]) for variable in variables]
    summed = tf.split(replicas.total(tf.concat(local, 0))[0], [part.shape[0] for part in local])
    values = [
        (variable, tf.cast(tf.reshape(part, variable.shape), variable.dtype))
        for variable, part in zip(variables, summed, strict=True)
    ]
    with keras.StatelessScope(state_mapping=values):
        return model.get_metrics_result()
