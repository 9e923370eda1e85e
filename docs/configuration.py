"""Writes docs/configuration.md from the fields of alp_tf/configs.py and what alp_tf/fields.py says of them.

python docs/configuration.py
"""

import inspect
import pathlib

import ml_collections

from alp_tf import attacks, configs, datasets, defenses, fields, models, optimizers
from alp_tf.attacks import losses

PAGE = pathlib.Path(__file__).with_name("configuration.md")
_INTRODUCTION = """# Configuration: every field

An experiment is a file with a `get_config()` that starts from `configs.default()` and changes what differs
([experiments.md](experiments.md) lists those that are there); every field can also be given on the command line:

```sh
python -m alp_tf.main --config=experiments/digits_alp.py --config.train.steps=330 --config.defense.attack.epsilon=8/255
```

A misspelled field or name is an error that says the nearest, before any work. `8/255` is understood as a number;
tuples are written `--config.optimizer.boundaries="(200,300)"`, and a tuple of one is also `--config.model.units=5`.

Where the default is *unset*, the field is left to the part that takes it: then the column says with which value, and
who these parts are. A part does not look at the other fields; on the command line, a field that the chosen part does
not take is an error.

This page is made of `alp_tf/configs.py` and `alp_tf/fields.py` by `python docs/configuration.py`."""

# What else is to be said of a group of fields.
_NOTES = {
    "defense": "The fields of `config.defense.attack`, for the defences that take an attack, are those of "
    "[an attack](#attacks); by default it is {training_attack}.",
    "attack": "`config.defense.attack` is one attack, `config.evaluation.attacks` any number of them, by names of your "
    "own: `--config.evaluation.attacks.pgd.steps=200`. By default that is `pgd`, {evaluation_attack}.",
}
_HEADINGS = {"": "`config`", "attack": "Attacks"}
_CHOICES = {
    "dataset.name": datasets.NAMED,
    "dataset.augmentation": datasets.AUGMENTATIONS,
    "model.name": models.NAMED,
    "defense.name": defenses.NAMED,
    "attack.name": attacks.NAMED,
    "attack.loss": losses.NAMED,
    "optimizer.name": optimizers.NAMED,
    "optimizer.schedule": optimizers.SCHEDULES,
}


def text():
    """The page.

    Raises:
      ValueError: a field that alp_tf/fields.py does not describe.
    """
    config = configs.default()
    named = {"training_attack": config.defense.attack, "evaluation_attack": config.evaluation.attacks.pgd}
    named = {name: f"`{configs.build_attack(options)}`" for name, options in named.items()}
    sections = [_INTRODUCTION]
    for group, options in groups(config).items():
        lines = [f"## {_HEADINGS.get(group, f'`config.{group}`')}"]
        if group in _NOTES:
            lines += ["", _NOTES[group].format(**named)]
        lines += ["", "| field | type | unit | default | meaning |", "|---|---|---|---|---|"]
        lines += [_row(group, name, options) for name in names_in(group, options)]
        sections.append("\n".join(lines))
    return "\n\n".join(sections) + "\n"


def groups(config):
    """{group: ConfigDict} in the order of alp_tf/fields.py; attacks, wherever they are, are the group `attack`."""
    found = {"": config, "attack": configs.attack()}
    found.update({name: value for name, value in config.items() if isinstance(value, ml_collections.ConfigDict)})
    order = list(dict.fromkeys(field.rpartition(".")[0] for field in fields.MEANINGS))
    return {group: found[group] for group in sorted(found, key=lambda group: (order + [group]).index(group))}


def names_in(group, options):
    """The fields of a group, without the groups in it, in the order of alp_tf/fields.py.

    Raises:
      ValueError: one that is not described there.
    """
    names = {name for name, value in options.items() if not isinstance(value, ml_collections.ConfigDict)}
    described = [field.rpartition(".")[2] for field in fields.MEANINGS if field.rpartition(".")[0] == group]
    missing = sorted(names - set(described))
    if missing:
        raise ValueError(f"describe {', '.join(_dotted(group, name) for name in missing)} in alp_tf/fields.py")
    return [name for name in described if name in names]


def _dotted(group, name):
    return f"{group}.{name}" if group else name


def _row(group, name, options):
    unit, meaning = fields.MEANINGS[_dotted(group, name)]
    choices = _CHOICES.get(_dotted(group, name))
    if choices:
        meaning = f"One of {', '.join(f'`{choice}`' for choice in choices)}. {meaning}"
    kind = options.get_type(name).__name__
    return f"| `{name}` | {kind} | {unit} | {_default(group, name, options[name])} | {meaning} |"


def _default(group, name, value):
    # An attack's epsilon has a type and no default.
    if value is not None and (group, name) != ("attack", "epsilon"):
        return f"`{value}`"
    takers = {}
    for part, parameters in _parts(group).items():
        if name in parameters:
            takers.setdefault(_written(parameters[name].default), []).append(part)
    takers = sorted(takers.items(), key=lambda item: -len(item[1]))
    everybody = sum(len(parts) for _, parts in takers) == len(_parts(group))
    cells = [f"{default} ({', '.join(f'`{part}`' for part in parts)})" for default, parts in takers]
    if everybody and takers:
        # Where all take it, who has the usual default goes without saying.
        cells[0] = takers[0][0]
    return "; ".join(cells) or "unset"


def _written(default):
    if default is inspect.Parameter.empty:
        return "needed"
    return "unset" if default is None else f"`{default}`"


def _parts(group):
    """{name of a part that this group configures: {its option: inspect.Parameter}}."""
    if group == "defense":
        return {name: cls.options() for name, cls in defenses.NAMED.items()}
    registries = {"dataset": datasets.NAMED, "model": models.NAMED, "attack": attacks.NAMED}
    found = {name: inspect.signature(part).parameters for name, part in registries.get(group, {}).items()}
    if group == "optimizer":
        for name, cls in optimizers.NAMED.items():
            taken = optimizers.taken({"name": name, "schedule": "constant"})
            own = inspect.signature(cls).parameters
            found[name] = {option: own[option] for option in own if option in taken}
        for name, schedule in optimizers.SCHEDULES.items():
            own = inspect.signature(schedule).parameters.values()
            keywords = [parameter for parameter in own if parameter.kind is parameter.KEYWORD_ONLY]
            # None is how a schedule sees that a field was not given, which it then refuses.
            found[f"schedule {name}"] = {item.name: item.replace(default=item.empty) for item in keywords}
    return found


if __name__ == "__main__":
    PAGE.write_text(text(), encoding="utf-8")
    print(f"written: {PAGE}")
