"""What the parts of a training step ask about the other replicas of a `tf.distribute` strategy.

A quorum says which replicas count in a step; without one all do. It is any object with

    closed                  bool tf.Variable on the host: the step has all the replicas that it needs
    claim(replica, after)   float32 scalar tensor, 1 if this replica counts and 0 if not, asked once a step and replica

`alp_tf.distribution` has the one for backup replicas.
"""

import contextlib
import threading

import keras
import tensorflow as tf

_THREAD = threading.local()


def number():
    """How many replicas step together; 1 outside of a strategy."""
    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def total(*parts):
    """Sums of tensors over all replicas, as a list; gradients flow back to all of them."""
    if number() == 1:
        return list(parts)
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, list(parts))


def joined(*parts):
    """Sums over the replicas that count in this step, as a list; see `total`.

    Within `counting` this is where the step decides who counts, if it has not done so yet.
    """
    step = getattr(_THREAD, "step", None)
    if step is not None:
        weight, _ = step.counted(after=parts)
        parts = [tf.where(weight > 0, part, 0.0) for part in parts]
    return total(*parts)


@contextlib.contextmanager
def ending_early(quorum):
    """A context in which `while_loop` ends as soon as the step is closed.

    Args:
      quorum: see the module, or None.
    """
    before = getattr(_THREAD, "closed", None)
    _THREAD.closed = None if quorum is None else quorum.closed
    try:
        yield
    finally:
        _THREAD.closed = before


def while_loop(cond, body, loop_vars, **options):
    """tf.while_loop, which gives up where this replica would come too late to count (see `ending_early`)."""
    closed = getattr(_THREAD, "closed", None)
    if closed is None:
        return tf.while_loop(cond, body, loop_vars, **options)
    # Read anew before every iteration: the variable is set from outside of the graph.
    return tf.while_loop(lambda *state: cond(*state) & ~closed.read_value(), body, loop_vars, **options)


def cut_short(quorum, parts):
    """The parts, down to two rows where the step is closed already: a gradient that cannot count need not be right.

    Args:
      quorum: see the module, or None.
      parts: list of tensors of as many rows, dictionaries of them, or None.

    Returns:
      The same with fewer rows, or with all of them. Two and not one, for some defences pair images.
    """
    if quorum is None:
        return parts
    present = [part for part in tf.nest.flatten(parts) if part is not None]
    # Looked at only when the attack is over.
    with tf.control_dependencies(present):
        closed = quorum.closed.read_value()
    rows = tf.where(closed, 2, tf.shape(present[0])[0])
    return tf.nest.map_structure(lambda part: None if part is None else part[:rows], parts)


@contextlib.contextmanager
def counting(quorum):
    """A context of one optimizer step, that yields its Counting.

    Args:
      quorum: see the module, or None.
    """
    before = getattr(_THREAD, "step", None)
    step = Counting(quorum)
    _THREAD.step = None if quorum is None else step
    try:
        yield step
    finally:
        _THREAD.step = before


class Counting:
    """Which replicas count in one step, found out when it is first asked for.

    Attributes:
      quorum: see the module; None counts all replicas.
      weight: float32 scalar, 1 if this replica counts and 0 if not; None before it was asked for, or without quorum.
    """

    def __init__(self, quorum):
        self.quorum = quorum
        self.weight = None
        self._count = float(number())

    def counted(self, after):
        """(weight, how many count); without a quorum (1, the number of replicas).

        Args:
          after: tensors that this replica must have first, or None where there is none.
        """
        if self.quorum is None:
            return 1.0, self._count
        if self.weight is None:
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group
            self.weight = self.quorum.claim(replica, [tensor for tensor in after if tensor is not None])
            who = total(self.weight * tf.one_hot(replica, number()))[0]
            self._count = tf.reduce_sum(who)
            self.quorum.record(who)
        return self.weight, self._count

    def share(self, loss):
        """The loss divided so that the sum of the replicas' gradients is that of the joined batch of all that count."""
        if self.weight is None:
            return loss / number()
        return loss * self.weight / self._count

    def only_counted(self, gradients):
        """Gradients of a loss that went through `share`, zero where this replica does not count."""
        if self.quorum is None:
            return gradients
        shared = self.weight is not None
        weight, count = self.counted(after=gradients)
        scale = 1.0 if shared else number() / count
        # Whatever a replica that does not count has come to, even NaN, must not reach the others.
        return [
            None if gradient is None else tf.where(weight > 0, tf.convert_to_tensor(gradient) * scale, 0.0)
            for gradient in gradients
        ]


@contextlib.contextmanager
def held_back(variables):
    """A context that holds back what a forward pass writes into Keras variables; yields an Updates.

    On one replica nothing is held back.

    Args:
      variables: keras.Variables, such as moving averages.
    """
    if number() == 1 or not variables:
        yield Updates(None, ())
        return
    with keras.StatelessScope(collect_losses=True) as scope:
        yield Updates(scope, variables)


class Updates:
    """What `held_back` holds back.

    Attributes:
      losses: what layers added to the loss meanwhile; Keras gives their regularisers' terms outside of the context.
    """

    def __init__(self, scope, variables):
        self._scope = scope
        self._variables = variables
        self.losses = () if scope is None else scope.losses

    def apply(self, step):
        """Writes it, moving averages and other floats as their mean over the replicas that count.

        Args:
          step: Counting.
        """
        written = [(variable, self._scope.get_current_value(variable)) for variable in self._variables]
        written = [(variable, value) for variable, value in written if value is not None]
        if not written:
            return
        floats = [(variable, value) for variable, value in written if value.dtype.is_floating]
        for variable, value in written:
            if not value.dtype.is_floating:
                variable.assign(value)
        if floats:
            weight, count = step.counted(after=[value for _, value in floats])
            kept = [tf.where(weight > 0, value, 0.0) for _, value in floats]
            for (variable, _), value in zip(floats, total(*kept), strict=True):
                variable.assign(value / count)
