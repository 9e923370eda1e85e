"""The configuration of a model on a budget, and in what it differs from the paper's.

- `paper`: the paper's full training, for clusters.
- `laptop`: hours on 2 cores.
- `smoke`: seconds. It shows that everything runs; what it measures is no result.
"""

import dataclasses
import functools
import hashlib
import importlib.util
import inspect

from alp_tf import configs, defenses, tables
from alp_tf.reproduction.exhibit import Scaled, Trained
from alp_tf.workdir import flat

BUDGETS = ("smoke", "laptop", "paper")
# What says nothing about the training: where data lie, how often a run is kept, and what main.py would evaluate.
_NOT_TRAINING = ("seed", "deterministic", "dataset.data_dir", "dataset.archives", "evaluation.")
_NOT_TRAINING += ("train.checkpoint_every", "train.keep_checkpoints", "defense.sources")
# File systems take 255 bytes, and a file that is being written has some more.
_LONGEST_NAME = 230
_SMOKE = {"train.steps": 4, "train.batch_size": 8, "train.checkpoint_every": 2}


@dataclasses.dataclass(frozen=True)
class Model:
    """A model to be trained.

    Attributes:
      experiment: name of the file in experiments/.
      changes: tuple of (dotted field, value, Scaled or Trained).
      seed: of the training.
    """

    experiment: str
    changes: tuple
    seed: int


def start_of(model):
    """The Model whose weights a model's training starts from, or None."""
    for _, value in model.changes:
        if isinstance(value, Trained):
            return Model(value.experiment, value.changes, model.seed)
    return None


def configuration(model, budget):
    """The configuration of a model, without the place of the one that it starts from.

    Args:
      model: Model.
      budget: one of `BUDGETS`.

    Returns:
      ConfigDict.
    """
    config = _file_config(model.experiment, budget)
    for field, value in model.changes:
        group, name = _group(config, field)
        if isinstance(value, Scaled):
            group[name] = type(group[name])(group[name] * value.factor)
        elif not isinstance(value, Trained):
            group[name] = value
    config.seed = model.seed
    # Who trains it again has the same weights, and may go on measuring them.
    config.deterministic = True
    # All test images, for what main.py would evaluate too.
    config.evaluation.examples = 0
    return _small(config) if budget == "smoke" else config


def directory_name(model, budget):
    """The name of a model's work directory; the same for models that are trained alike, however they are written.

    Such as `mnist_lsq-weight=0.2-seed0`. Of a name too long for a file's, the end is a digest of the whole.

    Args:
      model: Model.
      budget: one of `BUDGETS`.
    """
    model = simplified(model, budget)
    parts = [model.experiment]
    for field, value in model.changes:
        name = field.rpartition(".")[2]
        if isinstance(value, Scaled):
            # Not the product: smoke shrinks it, and the factors would meet in one directory.
            parts.append(f"{name}x{value.factor:g}")
        elif not isinstance(value, Trained):
            parts.append(f"{name}={value:g}" if isinstance(value, int | float) else f"{name}={value}")
    start = start_of(model)
    # That name ends with the seed, which is of both.
    name = "-".join([*parts, f"from-{directory_name(start, budget)}" if start else f"seed{model.seed}"])
    return for_file(name, end=f"-seed{model.seed}")


def for_file(name, end=""):
    """The same name, or, of one too long for a file's, its beginning and a digest of the whole.

    Args:
      name: without a suffix.
      end: what a shortened name ends with.
    """
    if len(name) <= _LONGEST_NAME:
        return name
    end = f"-{hashlib.sha256(name.encode()).hexdigest()[:12]}{end}"
    return name[: _LONGEST_NAME - len(end)].rstrip("-") + end


def simplified(model, budget):
    """The same Model without the changes that change nothing, and with the others in order.

    Args:
      model: Model.
      budget: one of `BUDGETS`.
    """
    own, start = _file_fields(model.experiment, budget), start_of(model)
    plain = start and Trained(start.experiment, simplified(start, budget).changes)
    changes = [
        (field, plain if isinstance(value, Trained) else value)
        for field, value in sorted(model.changes, key=lambda change: change[0])
        if (value.factor != 1 if isinstance(value, Scaled) else own[field] != value)
    ]
    return dataclasses.replace(model, changes=tuple(changes))


def differences(model, budget):
    """In what the training on a budget differs from the paper's.

    Args:
      model: Model.
      budget: one of `BUDGETS`.

    Returns:
      {dotted field: (value on the budget, the paper's)}.
    """
    ours, papers = (flat(configuration(model, each)) for each in (budget, "paper"))
    taken = defenses.NAMED[ours["defense.name"]].options()
    return {
        field: (ours.get(field), papers.get(field))
        for field in sorted({*ours, *papers})
        if ours.get(field) != papers.get(field)
        and not field.startswith(_NOT_TRAINING)
        and ("attack" in taken or not field.startswith("defense.attack."))
    }


def _file_config(name, budget):
    path = tables.experiments_directory() / f"{name}.py"
    specification = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    if "budget" not in inspect.signature(module.get_config).parameters:
        return module.get_config()
    return module.get_config("paper" if budget == "paper" else "laptop")


@functools.cache
def _file_fields(name, budget):
    return flat(_file_config(name, budget))


def _group(config, field):
    """(the group that holds a dotted field, the field's own name)."""
    *groups, name = field.split(".")
    for each in groups:
        config = config[each]
    return config, name


def _small(config):
    for field, value in _SMOKE.items():
        group, name = _group(config, field)
        group[name] = value
    if config.dataset.name == "imagenet2012":
        # Of photographs, the networks alone take a minute to build.
        config.dataset.image_size = 32
        config.model = configs.default().model
        config.model.name = "wrn-10-1"
    if config.defense.attack.steps:
        config.defense.attack.steps = 2
    return config
