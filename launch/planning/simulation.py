"""Synchronous steps with backup workers, simulated: of N + b workers, the first N gradients count.

Backup workers are the method of Chen et al. 2016, *Revisiting Distributed Synchronous SGD* (arXiv:1604.00981): a step
lasts as long as the N-th fastest of N + b workers, not as the slowest of N, and the gradients of the rest are thrown
away. Kannan (5.3.2) trained so, with N = 50 and b = 3. Here a late worker looks now and then whether its step is
closed, gives its attack up then, and joins the all-reduce with a weight of zero: the all-reduce is over N + b workers,
and waits until the last of them has looked. A worker that cannot look holds all others up, backups or not.
"""

import dataclasses

import numpy as np

from alp_tf import names

MINIMIZED = ("cost", "time")
# A shorter time counts only if it is shorter by more than that share.
_WORTH_IT = 0.01
_BATCHES = 20


@dataclasses.dataclass(frozen=True)
class Row:
    """What so many backups make of a run.

    Attributes:
      backups: workers beside those that count.
      workers: counted workers and backups.
      mean_seconds, median_seconds, p95_seconds: of a step, all-reduce included.
      standard_error: of mean_seconds, from the simulation.
      images_per_second: counted images.
      hours: of the run; with failures, what they cost included.
      worker_hours: of all workers together.
      discarded: share of the worker time that went into gradients that do not count.
      waiting: share in which workers wait for each other or for the network.
    """

    backups: int
    workers: int
    mean_seconds: float
    standard_error: float
    median_seconds: float
    p95_seconds: float
    images_per_second: float
    hours: float
    worker_hours: float
    discarded: float
    waiting: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failures:
    """What lost workers cost: any one ends the step for all, and the run goes on from its last checkpoint.

    Attributes:
      mean_hours: between two failures of one worker; infinite for none.
      restart_seconds: until all workers train again.
      checkpoint_every: steps between checkpoints, half of which are lost on average.
    """

    mean_hours: float = float("inf")
    restart_seconds: float = 0.0
    checkpoint_every: int = 1

    def stretched(self, hours, workers, step_seconds):
        """Hours of the run with its failures.

        Raises:
          ValueError: failures come faster than the run recovers from them.
        """
        lost = (self.restart_seconds + self.checkpoint_every * step_seconds / 2) / 3600
        share = workers / self.mean_hours * lost
        if share >= 1:
            raise ValueError(
                f"{workers} workers that each fail every {self.mean_hours:g} hours never finish: a failure costs "
                f"{lost:.3g} hours; checkpoint more often (--checkpoint_every) or take fewer workers"
            )
        return hours / (1 - share)


@dataclasses.dataclass(frozen=True)
class Stopping:
    """How soon a late worker joins the all-reduce after its step is closed.

    Attributes:
      poll_seconds: between two looks at whether the step is closed; an iteration of the attack.
      finish_seconds: what it still does when it has seen that.
    """

    poll_seconds: float = 0.0
    finish_seconds: float = 0.0


def step_seconds(seconds, deaf, *, counted, allreduce, stopping, rng):
    """Seconds of each step, and where the workers' time went.

    Args:
      seconds: that each worker needs for its gradient, shape [steps, workers].
      deaf: seconds, from the start of the step, in which it does not look; same shape.
      counted: workers that count, the first to be done in each step.
      allreduce: function from a number of workers to seconds.
      stopping: Stopping.
      rng: numpy Generator.

    Returns:
      (seconds of each step [steps], share of discarded work, share of waiting).
    """
    workers = seconds.shape[1]
    order = np.argsort(seconds, axis=1)
    ordered = np.take_along_axis(seconds, order, axis=1)
    closed, late = ordered[:, counted - 1 : counted], ordered[:, counted:]
    listens = np.maximum(closed, np.take_along_axis(deaf, order, axis=1)[:, counted:])
    # The next look is anywhere within the interval, unless its own gradient is done before.
    looks = listens + stopping.poll_seconds * rng.random(late.shape)
    stopped = np.minimum(late, looks + stopping.finish_seconds)
    lasted = np.concatenate([closed, stopped], axis=1).max(axis=1) + allreduce(workers)
    total = workers * lasted.sum()
    discarded = stopped.sum() / total
    counting = ordered[:, :counted].sum() / total
    return lasted, float(discarded), float(1 - counting - discarded)


def simulate(source, *, counted, backups, allreduce, stopping, images, steps, failures, simulated_steps, seed):
    """A row for each number of backups from 0 on.

    All rows are of the same draws, of which those with fewer backups see fewer workers: differences between rows have
    far less noise than the rows.

    Args:
      source: see stragglers.
      counted: workers whose gradients count.
      backups: the largest number of backups.
      allreduce: function from a number of workers to seconds; see network.
      stopping: Stopping.
      images: images of one worker in a step.
      steps: of the whole run.
      failures: Failures.
      simulated_steps: steps that are drawn.
      seed: of the draws.

    Returns:
      list of Row.
    """
    rng = np.random.default_rng(seed)
    drawn, deaf = source.draw(rng, simulated_steps, counted + backups)
    rows = []
    for number in range(backups + 1):
        workers = counted + number
        seconds, discarded, waiting = step_seconds(
            drawn[:, :workers], deaf[:, :workers], counted=counted, allreduce=allreduce, stopping=stopping, rng=rng
        )
        mean = float(seconds.mean())
        hours = failures.stretched(steps * mean / 3600, workers, mean)
        rows.append(
            Row(
                backups=number,
                workers=workers,
                mean_seconds=mean,
                standard_error=_standard_error(seconds),
                median_seconds=float(np.median(seconds)),
                p95_seconds=float(np.quantile(seconds, 0.95)),
                images_per_second=counted * images / mean,
                hours=hours,
                worker_hours=workers * hours,
                discarded=discarded,
                waiting=waiting,
            )
        )
    return rows


def recommended(rows, minimize="cost"):
    """The row to rent.

    Args:
      rows: list of Row, of 0 backups and more.
      minimize: `cost` for the fewest worker-hours; `time` for the fewest backups that are within 1 % of the shortest
        run.

    Raises:
      ValueError: unknown aim.
    """
    if names.lookup("aim of --minimize", minimize, MINIMIZED) == "cost":
        return min(rows, key=lambda row: row.worker_hours)
    shortest = min(row.hours for row in rows)
    return next(row for row in rows if row.hours <= shortest * (1 + _WORTH_IT))


def _standard_error(seconds):
    # Of means over stretches: steps of a replayed measurement depend on their neighbours.
    if len(seconds) < 2 * _BATCHES:
        return float(seconds.std(ddof=1) / np.sqrt(len(seconds))) if len(seconds) > 1 else 0.0
    means = [part.mean() for part in np.array_split(seconds, _BATCHES)]
    return float(np.std(means, ddof=1) / np.sqrt(_BATCHES))
