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


def adapt(defense, strategy, *, notice=None):
    """Makes `defense.fit` train under the strategy; its dataset gives batches of one replica each.

    Args:
      defense: defenses.Defense, compiled in the strategy's scope, around a built classifier.
      strategy: tf.distribute.Strategy with more than one replica.
      notice: preemption.Notice, which learns after each step whether a worker was told to end; None for one process.

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
        return _on_all_replicas(self, step_function, strategy, notice)

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


def _on_all_replicas(model, step_function, strategy, notice):
    def replica_step(data):
        logs = step_function(data)
        told = () if notice is None else (notice.flags.read_value(),)
        joint, told = _joint_metrics(model, told)
        return {name: joint[name] for name in logs}, told

    @tf.function(reduce_retracing=True, autograph=False)
    def step(iterator):
        # All replicas have the same.
        return tf.nest.map_structure(
            lambda value: strategy.experimental_local_results(value)[0],
            strategy.run(replica_step, args=(iterator.get_next(),)),
        )

    def run(iterator):
        logs, told = step(iterator)
        if notice is not None:
            notice.summed(*told)
        return logs

    return run


def _joint_metrics(model, others):
    """Sums over all replicas, in replica context: ({name: value} of the model's metrics, the other tensors)."""
    variables = [variable for metric in model.metrics for variable in metric.variables]
    parts = [tf.cast(tf.convert_to_tensor(variable.value), tf.float32) for variable in variables] + list(others)
    local = [tf.reshape(part, [-1]) for part in parts]
    summed = tf.split(replicas.total(tf.concat(local, 0))[0], [part.shape[0] for part in local])
    summed = [tf.reshape(total, part.shape) for total, part in zip(summed, parts, strict=True)]
    values = [(variable, tf.cast(total, variable.dtype)) for variable, total in zip(variables, summed, strict=False)]
    with keras.StatelessScope(state_mapping=values):
        return model.get_metrics_result(), tuple(summed[len(variables) :])
