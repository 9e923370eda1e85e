"""Looking a name up in a registry, with the nearest valid name in the error."""

import difflib


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
