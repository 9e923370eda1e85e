"""What an experiment's configuration holds, and how it becomes a model, a defence, an optimizer and attacks.

An experiment is a file with a `get_config()` that starts from `default()`, and changes what differs:

    def get_config():
        config = configs.default()
        config.dataset.name = "mnist"
        config.defense.name = "adversarial_logit_pairing"
        config.defense.weight = 1.0
        config.defense.attack.update(name="pgd", epsilon=0.3, step_size=0.01, steps=40)
        return config

A field that is None is left to the default of what it configures.
"""

import inspect

import ml_collections
from ml_collections import config_dict

from alp_tf import attacks, datasets, defenses, distribution, machine, models, names, optimizers

PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")


def default():
    """Every field there is, with its type: undefended training on the embedded digits, evaluated with PGD.

    What a field means is said in alp_tf.fields, and at length where it is used: by the functions of alp_tf.models, the
    classes of alp_tf.defenses and alp_tf.attacks, and alp_tf.optimizers.

    Example:
      >>> config = default()
      >>> config.defense.update(name="logit_squeezing", weight=0.5, noise=0.5)
      >>> check(config)
      >>> config.defense.name = "logit_squeesing"
      >>> check(config)
      Traceback (most recent call last):
      ValueError: unknown defense 'logit_squeesing'; did you mean 'logit_squeezing'? Known: ...
    """
    config = ml_collections.ConfigDict({"seed": 0, "deterministic": False})
    config.dataset = {
        "name": "digits",
        "augmentation": "none",
        **_unset(str, "data_dir", "archives"),
        **_unset(int, "image_size"),
    }
    config.model = {
        "name": "digits_cnn",
        **_unset(str, "initializer"),
        **_unset(int, "depth", "width"),
        **_unset(float, "dropout", "weight_decay"),
        # Also where a network takes one number of units: `(5,)`, or `--config.model.units=5`.
        **_unset(tuple, "units", "filters"),
        **_unset(bool, "reversible", "stem_pooling"),
    }
    config.defense = {
        "name": "undefended",
        "attack": attack(epsilon=0.2, step_size=0.05, steps=10),
        **_unset(float, "weight", "noise", "label_smoothing", "gamma", "alpha", "floor", "epsilon", "step_size", "xi"),
        **_unset(float, "adversarial_share", "adversarial_weight"),
        **_unset(int, "penalty_delay", "penalty_ramp", "replays", "iterations"),
        **_unset(str, "form", "distance", "reduction", "layer", "direction", "norm"),
        **_unset(bool, "clip_noise", "per_example", "random_epsilon", "stop_gradient", "include_self", "carry"),
        **_unset(tuple, "sources"),
    }
    config.optimizer = {
        "name": "adam",
        "learning_rate": 1e-3,
        "scale_with_batch": False,
        "schedule": "constant",
        "warmup_steps": 0,
        "boundaries": (),
        "factors": (),
        **_unset(float, "decay_rate", "decay_epochs", "momentum", "rho", "epsilon", "clip_norm", "ema"),
        **_unset(int, "base_batch"),
        **_unset(bool, "nesterov"),
    }
    config.train = {"steps": 660, "batch_size": 64, "checkpoint_every": 110, "keep_checkpoints": 2}
    config.train.update(precision="float32", **_unset(str, "start_from"))
    config.distribution = dict(distribution.DEFAULTS)
    config.evaluation = {"examples": 0, "batch_size": 200, "masking_examples": 100}
    config.evaluation.attacks = {"pgd": attack(epsilon=0.2, step_size=0.01, steps=100)}
    return config


def attack(**options):
    """The fields of an attack; `name` and `epsilon` are always needed.

    Args:
      **options: those that differ from PGD's own defaults.
    """
    config = ml_collections.ConfigDict(
        {
            "name": "pgd",
            "epsilon": 0.0,
            **_unset(
                float, "step_size", "decay", "momentum", "rho", "overshoot", "pull", "backward", "p_init", "delta"
            ),
            **_unset(int, "steps", "restarts", "queries", "samples"),
            **_unset(str, "norm", "loss", "target", "keep", "batch_norm", "version"),
            **_unset(bool, "random_start"),
        }
    )
    config.update(options)
    return config


def check(config, overridden=()):
    """Fails on anything that can be found wrong before data are loaded.

    Args:
      config: the experiment's ConfigDict.
      overridden: dotted fields that were given on the command line; one that the chosen part does not use is an
        error, whereas one from the experiment's file is merely not used.

    Raises:
      ValueError: an unknown name or field, or a value outside its range; says the nearest valid name.
    """
    check_fields(config, default())
    datasets.check(config.dataset.name, archives=config.dataset.archives, image_size=config.dataset.image_size)
    names.lookup("augmentation", config.dataset.augmentation, datasets.AUGMENTATIONS)
    _check_used("model", models.builder(config.model.name), config.model, overridden, "config.model")
    _check_optimizer(config.optimizer, overridden)
    defense = names.lookup("defense", config.defense.name, defenses.NAMED)
    _check_used("defense", defense, config.defense, overridden, "config.defense")
    _check_needed("defense", defense, config.defense)
    if "attack" in _parameters(defense):
        _check_attack(config.defense.attack, overridden, "config.defense.attack")
    else:
        _check_no_attack(config.defense.name, _parameters(defense), overridden)
    for name, options in config.evaluation.attacks.items():
        _check_attack(options, overridden, f"config.evaluation.attacks.{name}")
    for name, least in (("steps", 0), ("batch_size", 1), ("checkpoint_every", 1), ("keep_checkpoints", 1)):
        _check_least(f"config.train.{name}", config.train[name], least)
    _check_least("config.evaluation.examples", config.evaluation.examples, 0)
    _check_least("config.evaluation.batch_size", config.evaluation.batch_size, 1)
    _check_least("config.evaluation.masking_examples", config.evaluation.masking_examples, 0)
    names.lookup("precision", config.train.precision, PRECISIONS)
    distribution.check(config.distribution, deterministic=config.deterministic)
    _of_optimizer(optimizers.planned, config, steps_per_epoch=1)


def check_fields(config, known, path="config"):
    """Fails on a field that no experiment has, naming the nearest; attacks under `evaluation` are free to name.

    Raises:
      ValueError: unknown field.
    """
    for name, value in config.items():
        if path == "config.evaluation.attacks":
            check_fields(value, attack(), f"{path}.{name}")
            continue
        names.lookup(f"field of {path}", name, list(known))
        if isinstance(value, ml_collections.ConfigDict):
            check_fields(value, known[name], f"{path}.{name}")


def build_attack(options):
    """The attack that the fields describe.

    Raises:
      ValueError: unknown name, a field the attack needs is missing, or a value outside its range.
    """
    cls = names.lookup("attack", options.name, attacks.NAMED)
    _check_needed("attack", cls, options)
    return cls(**_used(cls, options))


def build_classifier(config, data):
    """The untrained model for that data set."""
    build = models.builder(config.model.name)
    options = _used(build, config.model)
    if "units" in options and isinstance(_parameters(build)["units"].default, int):
        options["units"] = _only("config.model.units", options["units"])
    return models.build(config.model.name, input_shape=data.image_shape, num_classes=data.num_classes, **options)


def build_defense(config, classifier):
    """The defence around the classifier."""
    cls = names.lookup("defense", config.defense.name, defenses.NAMED)
    options = _used(cls, config.defense)
    if "attack" in options:
        options["attack"] = build_attack(config.defense.attack)
    return cls(classifier, seed=config.seed, **options)


def build_optimizer(config, *, steps_per_epoch):
    """The optimizer with its schedule over the whole run.

    Args:
      config: the experiment's ConfigDict.
      steps_per_epoch: batches in the training set, or None where nobody knows; for the schedule that counts in epochs.

    Raises:
      ValueError: a number outside its range, or a schedule whose numbers do not fit together.
    """
    return _of_optimizer(optimizers.build, config, steps_per_epoch=steps_per_epoch)


def _of_optimizer(function, config, *, steps_per_epoch):
    taken = _parameters(names.lookup("defense", config.defense.name, defenses.NAMED))
    # Free training steps several times on each minibatch, and schedules count the optimizer's steps.
    replays = config.defense.replays or taken["replays"].default if "replays" in taken else 1
    return function(
        config.optimizer,
        steps=config.train.steps * replays,
        batch_size=config.train.batch_size,
        steps_per_epoch=steps_per_epoch and steps_per_epoch * replays,
    )


def doubts(config):
    """What about a valid configuration is probably not meant, as sentences."""
    found = []
    ema, steps = config.optimizer.ema, config.train.steps
    if ema and steps and ema**steps > 0.01:
        found.append(
            f"config.optimizer.ema={ema:g} averages over some {1 / (1 - ema):,.0f} steps, and the run has {steps:,}: "
            f"{100 * ema**steps:.0f} % of the averaged weights, which are evaluated and saved, are those of the "
            "first step. Take a smaller one, or more steps"
        )
    if machine.emulates(config.train.precision):
        found.append(
            f"config.train.precision is {config.train.precision!r}, for which this processor has no instructions: a "
            "step takes about ten times as long as in float32. Write --config.train.precision=float32"
        )
    return found


def unused(config):
    """Fields of the experiment's file that the chosen defence does not use, as `name=value` strings."""
    taken = _parameters(names.lookup("defense", config.defense.name, defenses.NAMED))
    return [
        f"{name}={value}"
        for name, value in config.defense.items()
        if name not in (*taken, "name", "attack") and value is not None
    ]


def _used(cls, options):
    """The fields that are set and that the class takes, as keyword arguments."""
    taken = _parameters(cls)
    return {name: value for name, value in options.items() if name in taken and name != "name" and value is not None}


def _parameters(builder):
    """Keyword parameters of a model's function, a defence or an attack, by name."""
    if inspect.isclass(builder) and issubclass(builder, defenses.Defense):
        return builder.options()
    return inspect.signature(builder).parameters


def _check_attack(options, overridden, path):
    _check_used("attack", names.lookup("attack", options.name, attacks.NAMED), options, overridden, path)
    build_attack(options)


def _check_no_attack(name, taken, overridden):
    unused = sorted(field for field in overridden if field.startswith("config.defense.attack."))
    if unused:
        instead = "; write --config.defense.epsilon for its radius" if "epsilon" in taken else ""
        raise ValueError(f"defense {name!r} takes no attack: leave out --{unused[0]}{instead}")


def _check_used(kind, builder, options, overridden, path):
    taken = _parameters(builder)
    for name in options:
        if f"{path}.{name}" in overridden and name != "name" and name not in taken:
            takes = ", ".join(sorted(set(taken) & set(options))) or "no options"
            raise ValueError(f"{kind} {options.name!r} has no {name}: leave out --{path}.{name}; it takes {takes}")


def _check_needed(kind, cls, options):
    given = _used(cls, options)
    needed = [name for name, parameter in _parameters(cls).items() if parameter.default is parameter.empty]
    missing = [name for name in needed if name not in given]
    if missing:
        raise ValueError(f"{kind} {options.name!r} needs {', '.join(missing)}; see {cls.__name__}")


def _check_optimizer(options, overridden):
    taken = optimizers.taken(options)
    # A file's fields are those of the file's optimizer; a command line that chooses another leaves them unused.
    another = bool({"config.optimizer.name", "config.optimizer.schedule"} & set(overridden))
    for name, value in options.items():
        here = not another or f"config.optimizer.{name}" in overridden
        if here and name not in taken and value not in (None, ()):
            raise ValueError(
                f"optimizer {options.name!r} with schedule {options.schedule!r} has no {name}; leave "
                f"config.optimizer.{name} unset"
            )


def _only(path, values):
    """The one number of a tuple of one."""
    if len(values) != 1:
        raise ValueError(f"{path} is {tuple(values)}; this network has one number for all its stages, such as (5,)")
    return values[0]


def _unset(kind, *fields):
    """Fields without a value that take values of that type; None is left to the default of what they configure."""
    return {name: config_dict.placeholder(kind) for name in fields}


def _check_least(path, value, least):
    if value < least:
        raise ValueError(f"{path} is {value}; it must be at least {least}")
