"""How long a part will take: from what was finished in the same output directory, else from measured speeds.

A unit is one image's way forward and backward for the gradient of the image, a step of an attack.
"""

import json
import statistics

from alp_tf import callbacks, defenses, machine
from alp_tf.reproduction import measuring

# Units a second on 2 cores without a GPU: docs/benchmarks.md for LeNet, the same way for the others.
_SPEEDS = {"lenet": 2490.0, "wrn-10-1": 2100.0, "digits_cnn": 20_000.0}
# Units of a pass forward alone; and of an image in a training step, whose gradient is of the weights too (0.206 seconds
# for a step of ALP, 0.093 for one of squeezing on MNIST, where 2,300 units a second were measured).
_FORWARD, _TRAINING = 0.35, 1.7
# How much faster mixed_bfloat16 trains with matrix units (1,989 seconds for 18,000 of these steps, on one core), and
# how much where it has to be emulated. Vector instructions alone, AVX-512's, were faster on one processor and slower on
# another.
_MATRIX_UNITS, _EMULATED = 2.5, 0.1
# Passes of an image that withstands everything (docs/attacks.md): forward, backward.
PROTOCOL_PASSES = {"strong": (15_254, 10_202), "autoattack": (7_846, 1_910)}
# Images that fall are left alone. How many stand to the end is what is to be found out; assumed are these shares.
_STANDING_ADVERSARIAL, _STANDING_CHEAP = 0.85, 0.3
_MASKING_UNITS = 3_000 * 100
_START, _SMOKE = 10.0, 4.0


def seconds(part, store):
    """Seconds of a part from its beginning, or None where nobody knows.

    Args:
      part: parts.Part.
      store: work.Store, where finished runs tell.
    """
    if store.sizes.smoke:
        return _SMOKE
    config = store.config(part.model)
    before = _before(part, config, store)
    if before is not None:
        return before
    speed = _SPEEDS.get(config.model.name)
    if speed is None:
        return None
    if part.kind == "train":
        return _START + _training_units(config) / (_faster(config.train.precision) * speed)
    return _START + store.images(part) * _units(part, config, store.sizes) / speed


def remaining(part, store):
    """As `seconds`, less what an interrupted training has done."""
    found = seconds(part, store)
    rows = callbacks.History.read(store.directory(part.model) / "history.jsonl") if part.kind == "train" else []
    if found is None or not rows:
        return found
    return found * max(1 - rows[-1]["step"] / store.config(part.model).train.steps, 0.0)


def _before(part, config, store):
    """What models of the same experiment and length a step, or image, took."""
    found = []
    for directory in store.path.glob(f"{part.model.experiment}-*"):
        if part.kind == "train":
            rows = callbacks.History.read(directory / "history.jsonl")
            found += [rows[-1]["seconds"] / rows[-1]["step"] * config.train.steps] if rows else []
        else:
            for path in directory.glob(f"measured/{store.slug(part)}.json"):
                kept = json.loads(path.read_text(encoding="utf-8"))
                found.append(kept["seconds"] / kept["images"] * store.images(part))
    return statistics.median(found) if found else None


def _training_units(config):
    defense = defenses.NAMED[config.defense.name]
    attack = (config.defense.attack.steps or 1) if "attack" in defense.options() else 0
    return config.train.steps * config.train.batch_size * (attack + _TRAINING * len(defense.trains_on))


def _faster(precision):
    """How many times as fast as in float32 layers of that precision train."""
    if machine.emulates(precision):
        return _EMULATED
    return _MATRIX_UNITS if precision == "mixed_bfloat16" and "amx_bf16" in machine.instructions() else 1.0


def _units(part, config, sizes):
    """Of one image of a measurement."""
    if part.kind == "surface":
        return 625 * _FORWARD
    standing = _STANDING_CHEAP
    if "attack" in defenses.NAMED[config.defense.name].options():
        standing = _STANDING_ADVERSARIAL
    if part.kind == "steps":
        # Whoever has fallen waits for the rest of its batch.
        return 200.0
    if part.kind == "protocol":
        forward, backward = PROTOCOL_PASSES[part.name]
        units = backward + max(forward - backward, 0) * _FORWARD
        masking = _MASKING_UNITS / max(sizes.strong_examples, 1) if part.name == measuring.WITH_MASKING else 0
        return standing * units + masking
    attack = measuring.attacks_of(config.dataset.name)[part.name]
    restarts = 1 + (getattr(attack, "restarts", 1) - 1) * standing
    return getattr(attack, "steps", 1) * restarts


def length(value):
    """`2 h 10 min`, `3 min` or `20 s`; `unknown` for None."""
    if value is None:
        return "unknown"
    if value < 60:
        return f"{value:.0f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
