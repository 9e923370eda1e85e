"""The progress bar of every long wait, with the time left."""

import sys

import tqdm

_row = 0


def take_row(number):
    """Bars of this process go below those of another, by that many rows, where that is a terminal.

    Args:
      number: 1 for the row under the other's.
    """
    global _row
    _row = number


def bar(total, label, unit, *, initial=0, shown=True):
    """A tqdm bar on the error stream; where that is no terminal, a line about every half minute.

    Args:
      total: units in all.
      label: in front of the bar.
      unit: what is counted.
      initial: units done already.
      shown: False for no bar at all.
    """
    terminal = sys.stderr.isatty()
    return tqdm.tqdm(
        total=total,
        desc=label,
        unit=unit,
        initial=initial,
        disable=not shown,
        dynamic_ncols=terminal,
        position=_row if terminal and _row else None,
        leave=not (terminal and _row),
        ascii=None if terminal else True,
        mininterval=0.1 if terminal else 30,
    )
