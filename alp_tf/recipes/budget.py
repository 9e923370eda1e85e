"""The budgets that a recipe with more than one has."""

from alp_tf import names

NAMED = ("laptop", "paper")


def check(budget):
    """Raises ValueError unless `budget` is one of `NAMED`; says the nearest."""
    names.lookup("budget", budget, NAMED)
