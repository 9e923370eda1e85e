"""The progress bar of every long wait, with the time left."""

import sys

import tqdm


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
        ascii=None if terminal else True,
        mininterval=0.1 if terminal else 30,
    )
