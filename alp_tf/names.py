"""Names: looked up in a registry with the nearest valid one in the error, called as `module:function`, and counted."""

import difflib
import importlib
import os
import sys


def lookup(kind, name, registry):
    """The entry of that name.

    Args:
      kind: what is looked up, for the error: "defense", "field of config.train" ...
      name: what the user typed.
      registry: mapping (or collection) of valid names.

    Raises:
      ValueError: no such name; says the nearest one and lists all.
    """
    if name in registry:
        return registry[name] if hasattr(registry, "keys") else name
    near = difflib.get_close_matches(str(name), registry, n=1, cutoff=0.4)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise ValueError(f"unknown {kind} {name!r}{hint} Known: {', '.join(sorted(registry))}")


def called(place, allowed):
    """What the function returns that `module:function` names.

    Args:
      place: str; the module is looked for as by `python -m`, also in the current directory.
      allowed: what could have been typed instead, for the error.

    Raises:
      ValueError: no such module or function; says which functions the module has.
    """
    module_name, _, function_name = place.partition(":")
    # As with `python -m`: modules of the current directory count.
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ValueError(f"{place}: there is no module {error.name!r} here; {allowed} is needed") from error
    if not hasattr(module, function_name):
        there = ", ".join(name for name in vars(module) if callable(getattr(module, name)) and name[0] != "_")
        raise ValueError(f"{module_name} has no {function_name!r}; it has {there or 'no function'}")
    return getattr(module, function_name)()


def counted(number, one, several=None):
    """A number with its noun, such as `1 attack` or `2 copies`.

    Args:
      number: int.
      one: the noun of one.
      several: the noun of any other number; None for `one` with an s.
    """
    return f"{number} {one if number == 1 else several or one + 's'}"
