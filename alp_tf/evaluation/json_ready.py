"""Frozen dataclasses hold tuples, JSON holds lists: from one to the other, at any depth."""


def lists(value):
    """The same dictionaries, with a list for every tuple."""
    if isinstance(value, dict):
        return {name: lists(item) for name, item in value.items()}
    return [lists(item) for item in value] if isinstance(value, tuple | list) else value


def tuples(value):
    """Inverse of lists."""
    if isinstance(value, dict):
        return {name: tuples(item) for name, item in value.items()}
    return tuple(tuples(item) for item in value) if isinstance(value, tuple | list) else value
