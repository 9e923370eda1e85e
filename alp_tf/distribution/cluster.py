"""The strategy of a run, and what a worker does for it: its share of the data, waiting for the chief, losses."""

import contextlib
import itertools
import os
import re
import threading

import tensorflow as tf
from tensorflow.python.eager import context

from alp_tf.attacks import fast_gradients
from alp_tf.distribution import keras_fit, memory, options, peers, preemption, quorum, store, team
from alp_tf.distribution.counted import Counted

# What TensorFlow raises when a worker is gone, depending on what it was just waiting for.
_LOSSES = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
)
_TASK = re.compile(r"/job:(\w+)(?:/replica:\d+)?/task:(\d+)(?!/device)")
# Of the first one lost; the path of the message may name others, who only passed it on.
_REPORTED = re.compile(r"reported from /job:(\w+)(?:/replica:0)?/task:(\d+)")
_COLLECTIVE = ("collective", "coordination", "connection", "heartbeat")


@contextlib.contextmanager
def start(fields):
    """A context that yields the Cluster which `config.distribution` describes; the first thing to do with TensorFlow.

    Args:
      fields: mapping, see options.DEFAULTS.

    Raises:
      ValueError: devices or workers that are not there, or an environment that describes no cluster.
      WorkerLost: another worker does not come, or goes; raised also for what the block meets then.
    """
    options.check(fields)
    cluster = _STARTS[fields["strategy"]](fields)
    try:
        yield cluster
    except tf.errors.OpError as error:
        if cluster.workers == 1 or not _is_loss(error):
            raise
        raise cluster.lost(error) from error
    finally:
        cluster.end()


class Cluster:
    """The workers of a run, seen from one of them.

    Attributes:
      strategy: tf.distribute.Strategy.
      name, chief_name: of this worker and of the chief, for messages.
      workers, index: how many processes there are, and which this is.
      replicas, local: how many replicas there are in all, and in this process.
      backups: how many of them need not count in a step.
      quorum: quorum.Quorum after `prepare`, if there are backups.
      team: team.Team of the workers, for what they share outside of training; None if there is but one.
    """

    def __init__(self, strategy, fields, *, tasks=(("worker", 0),), index=0):
        names = [f"{job} {task}" for job, task in tasks]
        self.strategy = strategy
        self.name, self.chief_name = names[index], names[0]
        self.workers = workers = len(names)
        self.index = index
        self.replicas = strategy.num_replicas_in_sync
        self.local = self.replicas // workers
        self.backups = fields["backup_replicas"]
        self.timeout = fields["timeout_seconds"]
        self.quorum = None
        self._store = store.Store(timeout=self.timeout)
        self._tasks = [f"/job:{job}/replica:0/task:{task}" for job, task in tasks]
        self.team = team.Team(self._store, tasks=self._tasks, index=index) if workers > 1 else None
        self._notice = preemption.Notice(workers=workers, index=index)
        self._names = names
        self._calls = itertools.count()

    @property
    def chief(self):
        """Whether this worker writes files and shows progress."""
        return self.index == 0

    def scope(self):
        """The context in which model, defence and optimizer are made."""
        return contextlib.nullcontext() if self.replicas == 1 and self.workers == 1 else self.strategy.scope()

    def batch(self, batch_size):
        """Images a step reads, so that `batch_size` of them count.

        Raises:
          ValueError: a batch that the replicas cannot share evenly.
        """
        return options.split(batch_size, self.replicas, self.backups) * self.replicas

    def dataset(self, data, batch_size, *, seed, start_step=0, augmentation="none"):
        """Training batches for `fit`: this worker's rows of each joined batch, a batch for each of its replicas.

        Args:
          data: datasets.Source.
          batch_size: images that count in a step.
          seed, start_step, augmentation: see Source.train_batches.
        """
        joined = self.batch(batch_size)
        if self.replicas == 1:
            return data.train_batches(joined, seed=seed, start_step=start_step, augmentation=augmentation)
        each = joined // self.replicas
        first = self.index * self.local * each

        def local(_):
            rows = data.train_batches(
                joined,
                seed=seed,
                start_step=start_step,
                augmentation=augmentation,
                rows=(first, first + self.local * each),
            )
            return rows if self.local == 1 else rows.rebatch(each)

        return self.strategy.distribute_datasets_from_function(local)

    def prepare(self, defense, *, image_shape=None):
        """Makes the compiled defence fit for `fit` on all replicas, with backups if there are any.

        Args:
          defense: defenses.Defense around a built classifier, made and compiled in `scope`.
          image_shape: (height, width, channels), with which attacks in training take the fast gradients where they can.
        """
        if self.replicas == 1:
            return
        keras_fit.adapt(defense, self.strategy, notice=self._notice if self.workers > 1 else None)
        if image_shape:
            fast_gradients.try_out(defense.classifier, image_shape)
        if self.backups:
            desk = quorum.SharedDesk(self._store, chief=self.chief) if self.workers > 1 else quorum.LocalDesk()
            self._end_quorum()
            self.quorum = quorum.Quorum(
                desk, needed=self.replicas - self.backups, local=self.local, replicas=self.replicas
            )
            defense.quorum = self.quorum

    def from_chief(self, number):
        """The chief's number for all workers, who wait for it as long as the chief lives.

        Args:
          number: function that the chief alone calls, and that returns an int.
        """
        if self.workers == 1:
            return number()
        key = f"alp_tf/from_chief/{next(self._calls)}"
        if self.chief:
            found = number()
            self._store.insert(key, str(found))
            return found
        return int(self._store.wait(key, self._tasks[0]))

    def wait_for_chief(self):
        """The last thing to do: returns when the chief has called it, and for the chief when all others know."""
        self.from_chief(lambda: 0)
        if self.workers == 1:
            return
        # With the chief ends the service through which the others hear of it.
        if self.chief:
            for index in range(1, self.workers):
                self._store.read(f"alp_tf/over/{index}", self.timeout, missing=None)
        else:
            self._store.insert(f"alp_tf/over/{self.index}", "1")

    def callbacks(self, tensorboard_dir, *, start_step):
        """What the chief's `fit` has to call: with backups, what draws the share of steps in which each counted.

        Args:
          tensorboard_dir: directory of event files.
          start_step: steps done before this fit.
        """
        return [Counted(self.quorum, tensorboard_dir, start_step=start_step)] if self.quorum else []

    @contextlib.contextmanager
    def ending_together(self, *, start_step):
        """A context for one `fit`, which SIGTERM ends after the same step on all workers; yields a callback for it.

        Args:
          start_step: steps done before this fit.

        Raises:
          preemption.Preempted: at the end of the context, when the chief has left `fit` as well.
        """
        ending = preemption.EndTogether(self._notice, start_step=start_step)
        with self._notice.listening():
            yield ending
        if not self._notice.told:
            return
        # The chief leaves `fit` when the step is kept.
        self.wait_for_chief()
        who = " and ".join(self._names[index] for index in self._notice.told) if self.workers > 1 else "this run"
        raise preemption.Preempted(
            f"{who} was told to end (SIGTERM). Step {ending.step} was the last, and is kept: the same command goes on "
            "from there",
            itself=self._notice.itself,
        )

    def lost(self, error):
        """The WorkerLost to raise for an error of TensorFlow; the process ends soon even if TensorFlow hangs."""
        # TensorFlow's threads may wait for the lost worker while the process ends.
        timer = threading.Timer(3, os._exit, [peers.WorkerLost.exit_status])
        timer.daemon = True
        timer.start()
        message = error.message or type(error).__name__
        named = _REPORTED.findall(message) or _TASK.findall(message)
        tasks = {f"{job} {task}" for job, task in named} - {self.name}
        if not tasks and not self.chief and "CoordinationService" in message:
            # It lives in the chief, to whom all send their heartbeats.
            tasks = {self.chief_name}
        who = f"{' and '.join(sorted(tasks))}, which ended, stopped or was cut off" if tasks else "another worker"
        said = message.rpartition("}}")[2].strip().splitlines()[0][:200]
        return peers.WorkerLost(
            f"{self.name} lost {who}: {said}. After {self.timeout} s without an answer a worker is given up. Run the "
            "same command again: it goes on from the last checkpoint; launch.local --restarts does so by itself"
        )

    def end(self):
        """Ends what watches the steps."""
        self._end_quorum()

    def _end_quorum(self):
        if self.quorum is not None:
            self.quorum.end()
            self.quorum = None


def _is_loss(error):
    return isinstance(error, _LOSSES) or any(word in str(error).lower() for word in _COLLECTIVE)


def _none(fields):
    return Cluster(tf.distribute.get_strategy(), fields)


def _mirrored(fields):
    gpus, wanted = tf.config.list_physical_devices("GPU"), fields["devices"]
    if gpus:
        if wanted > len(gpus):
            raise ValueError(f"config.distribution.devices is {wanted}, but there are {len(gpus)} GPUs here")
        names = [f"GPU:{number}" for number in range(wanted or len(gpus))]
    else:
        names = [f"CPU:{number}" for number in range(wanted or 1)]
        _split_cpu(len(names))
    return Cluster(tf.distribute.MirroredStrategy(names), fields)


def _split_cpu(count):
    cpu = tf.config.list_physical_devices("CPU")[0]
    there = tf.config.get_logical_device_configuration(cpu)
    if len(there or [None]) == count:
        return
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError as error:
        raise ValueError(
            f"the CPU cannot be split into {count} devices any more, for TensorFlow is in use: start the cluster first"
        ) from error


def _multi_worker(fields):
    timeout = fields["timeout_seconds"]
    found = peers.find(fields["resolver"], workers=fields["workers"], timeout=timeout)
    peers.meet(found, timeout)
    memory.keep_freed()
    milliseconds = 1000 * timeout
    jobs = context.coordination_config_pb2.CoordinatedJob
    # As the strategy would do it, but for the times.
    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader=found.leader,
        cluster_register_timeout_in_ms=milliseconds,
        heartbeat_timeout_in_ms=milliseconds,
        coordinated_jobs=[jobs(name=job, num_tasks=len(tasks)) for job, tasks in found.cluster.items()],
    )
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy(found.resolver())
    except tf.errors.OpError as error:
        said = error.message.strip().splitlines()[0]
        raise peers.WorkerLost(f"worker {found.index} could not join the others: {said}") from error
    except RuntimeError as error:
        raise ValueError(f"the cluster must be started before TensorFlow is used ({error})") from error
    return Cluster(strategy, fields, tasks=[task[:2] for task in found.tasks], index=found.index)


_STARTS = {"none": _none, "mirrored": _mirrored, "multi_worker": _multi_worker}
