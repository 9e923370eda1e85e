"""Parts made in processes of their own: one after the other, or some at a time, each on its share of the cores.

TensorFlow gives back only some of a model's memory, some hundred megabytes for one that was trained and attacked with
all of the strong protocols. Over days of work each part therefore has a process of its own.

Small networks cannot keep many cores busy together, so that two parts at a time, each on half of the cores, are done
sooner than one after the other on all of them.
"""

import concurrent.futures.process
import multiprocessing
import os

from alp_tf import machine, progress
from alp_tf.reproduction import parts


def check(jobs):
    """That many parts can be made at a time.

    Raises:
      ValueError: more than there are cores.
    """
    cores = machine.cores()
    if jobs > cores:
        raise ValueError(f"--jobs is {jobs}, and there are {cores} cores: write --jobs={cores} or fewer")


def make(wanted, store, jobs, *, describe, made, start=None):
    """Makes parts. After a mistake none is started any more, and those under way are finished.

    Args:
      wanted: list of parts.Part, each after those that it needs.
      store: work.Store.
      jobs: how many are made at a time, see `check`.
      describe: function of a text that says what is being made.
      made: function of each part, called when it is.
      start: function that each process calls first, such as one that loads TensorFlow quietly.

    Raises:
      ValueError, OSError: see work.make_all; also a process that ended suddenly.
    """
    shares = _shares(jobs)
    waiting, running = list(wanted), {}
    while waiting or running:
        unmade = {*waiting, *(part for part, *_ in running.values())}
        ready = [part for part in waiting if unmade.isdisjoint(parts.before(part))]
        for part in ready[: len(shares)]:
            waiting.remove(part)
            share = shares.pop(0)
            process = concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), start)
            running[process.submit(_make, store, part, *share)] = part, share, process
        describe(", ".join(store.said(part) for part, *_ in running.values()))
        finished, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
        for future in finished:
            part, share, process = running.pop(future)
            shares.append(share)
            try:
                future.result()
            except concurrent.futures.process.BrokenProcessPool as error:
                raise ValueError(
                    f"the process of {store.said(part)} ended suddenly; where memory was short, free some. The same "
                    "command goes on where it stopped"
                ) from error
            finally:
                process.shutdown()
            made(part)


def _shares(jobs):
    """(row of its progress bar, its cores, or None for all of them) of each job."""
    if jobs == 1 or not hasattr(os, "sched_setaffinity"):
        return [(row, None) for row in range(jobs)]
    return [(row, machine.core_numbers()[row::jobs]) for row in range(jobs)]


def _make(store, part, row, cores):
    if cores is not None:
        # Before TensorFlow counts its threads by it.
        os.sched_setaffinity(0, cores)
    progress.take_row(row + 1)
    store.make(part)
