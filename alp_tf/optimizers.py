"""Optimizers by name, and how their step size changes over a run.

    optimizer = optimizers.build(
        {"name": "sgd", "learning_rate": 0.1, "momentum": 0.9, "schedule": "piecewise",
         "boundaries": (40_000, 60_000), "factors": (0.1, 0.01)},
        steps=80_000, batch_size=128, steps_per_epoch=390,
    )

The options are the fields of a configuration's `optimizer`; None is the same as leaving one out.
"""

import inspect

import keras

from alp_tf import names

NAMED = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD, "rmsprop": keras.optimizers.RMSprop}

# Fields for which not every optimizer has a keyword; they are Keras' own.
_OWN = ("momentum", "nesterov", "rho", "epsilon")
_COMMON = ("name", "learning_rate", "schedule", "scale_with_batch", "base_batch", "warmup_steps", "clip_norm", "ema")

_RANGES = {
    "learning_rate": (lambda value: value > 0, "above 0"),
    "momentum": (lambda value: 0 <= value < 1, "at least 0 and below 1"),
    "rho": (lambda value: 0 <= value < 1, "at least 0 and below 1"),
    "epsilon": (lambda value: value > 0, "above 0"),
    "decay_rate": (lambda value: 0 < value <= 1, "above 0 and at most 1"),
    "decay_epochs": (lambda value: value > 0, "above 0"),
    "base_batch": (lambda value: value >= 1, "at least 1"),
    "warmup_steps": (lambda value: value >= 0, "at least 0"),
    "clip_norm": (lambda value: value > 0, "above 0"),
    "ema": (lambda value: 0 < value < 1, "between 0 and 1, such as 0.9999"),
}


def taken(options):
    """Names of the fields that the optimizer and the schedule of `options` use.

    Raises:
      ValueError: unknown optimizer or schedule; says the nearest.
    """
    parameters = inspect.signature(names.lookup("optimizer", options["name"], NAMED)).parameters
    own = [name for name in _OWN if name in parameters]
    return {*_COMMON, *own, *_fields(names.lookup("schedule", options["schedule"], SCHEDULES))}


def build(options, *, steps, batch_size, steps_per_epoch):
    """The optimizer with its schedule.

    Args:
      options: mapping of the fields; see configs.default. Fields that its optimizer or schedule has no use for are left
        out.
      steps: of the whole run.
      batch_size: images a step, over all replicas.
      steps_per_epoch: for the schedule that counts in epochs; None where it is not known.

    Raises:
      ValueError: a number outside its range, or numbers that do not fit together.
    """
    cls, schedule, keywords = planned(options, steps=steps, batch_size=batch_size, steps_per_epoch=steps_per_epoch)
    return cls(schedule, **keywords)


def planned(options, *, steps, batch_size, steps_per_epoch):
    """What `build` makes, as (class, schedule, keywords): without variables, which would start TensorFlow.

    Args:
      options, steps, batch_size, steps_per_epoch: see build.

    Raises:
      ValueError: see build.
    """
    used = {name: options.get(name) for name in taken(options) if options.get(name) is not None}
    for name, (allowed, says) in _RANGES.items():
        if name in used and not allowed(used[name]):
            raise ValueError(f"config.optimizer.{name} is {used[name]!r}; it must be {says}")
    rate = used["learning_rate"] * _scale(used, batch_size)
    make = SCHEDULES[used["schedule"]]
    schedule = make(rate, steps, steps_per_epoch, **{name: used[name] for name in _fields(make) if name in used})
    if used.get("warmup_steps"):
        schedule = Warmup(schedule, used["warmup_steps"])
    keywords = {name: used[name] for name in _OWN if name in used}
    if "clip_norm" in used:
        keywords["global_clipnorm"] = used["clip_norm"]
    if "ema" in used:
        keywords.update(use_ema=True, ema_momentum=used["ema"])
    return NAMED[used["name"]], schedule, keywords


@keras.saving.register_keras_serializable("alp_tf")
class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """Raises the step size linearly over the first steps; under it, the schedule runs as it would without.

    Attributes:
      schedule: a Keras schedule, or a number.
      steps: step `steps - 1` is the first at the schedule's own size.
    """

    def __init__(self, schedule, steps):
        super().__init__()
        self.schedule = schedule
        self.steps = steps

    def __call__(self, step):
        """The step size at that step, counted from 0."""
        rate = self.schedule(step) if callable(self.schedule) else self.schedule
        return rate * keras.ops.minimum(1.0, (keras.ops.cast(step, "float32") + 1.0) / self.steps)

    def get_config(self):
        """For Keras serialisation."""
        return {"schedule": keras.saving.serialize_keras_object(self.schedule), "steps": self.steps}

    @classmethod
    def from_config(cls, config):
        """Inverse of get_config."""
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["steps"])


def _scale(used, batch_size):
    """Factor of the linear scaling rule (Goyal et al. 2017): a batch k times as large takes steps k times as long."""
    if not used.get("scale_with_batch"):
        return 1.0
    if "base_batch" not in used:
        raise ValueError(
            "config.optimizer.scale_with_batch needs config.optimizer.base_batch, the batch that learning_rate is for"
        )
    return batch_size / used["base_batch"]


def _constant(rate, steps, steps_per_epoch):
    return rate


def _cosine(rate, steps, steps_per_epoch):
    return keras.optimizers.schedules.CosineDecay(rate, max(steps, 1))


def _piecewise(rate, steps, steps_per_epoch, *, boundaries=(), factors=()):
    boundaries, factors = tuple(boundaries), tuple(factors)
    if not boundaries or len(boundaries) != len(factors):
        raise ValueError(
            f"config.optimizer.boundaries {boundaries} and factors {factors} must be of one length: the steps at which "
            "the learning rate becomes learning_rate * factor"
        )
    if list(boundaries) != sorted(set(boundaries)):
        raise ValueError(f"config.optimizer.boundaries are {boundaries}; each must be above the one before")
    values = [rate, *(rate * factor for factor in factors)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(list(boundaries), values)


def _exponential(rate, steps, steps_per_epoch, *, decay_rate=None, decay_epochs=None):
    if decay_rate is None or decay_epochs is None:
        raise ValueError(
            "schedule 'exponential' needs config.optimizer.decay_rate and decay_epochs: the learning rate is "
            "multiplied by decay_rate every decay_epochs epochs"
        )
    if steps_per_epoch is None:
        raise ValueError(
            "schedule 'exponential' counts epochs, and how many images this data set has is not known; take 'piecewise'"
        )
    every = max(round(decay_epochs * steps_per_epoch), 1)
    return keras.optimizers.schedules.ExponentialDecay(rate, every, decay_rate, staircase=True)


def _fields(schedule):
    return [name for name, field in inspect.signature(schedule).parameters.items() if field.kind is field.KEYWORD_ONLY]


# Each from the first learning rate, the steps of the run and of an epoch; the keywords are fields of its own.
SCHEDULES = {"constant": _constant, "cosine": _cosine, "piecewise": _piecewise, "exponential": _exponential}
