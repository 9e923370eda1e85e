"""Free adversarial training: the backward pass that trains the weights also moves the images."""

import keras
import tensorflow as tf

from alp_tf import threat_model
from alp_tf.defenses import base


@keras.saving.register_keras_serializable("alp_tf")
class FreeAdversarialTraining(base.Defense):
    """Cross-entropy on adversarial examples at no cost of an attack (Shafahi et al. 2019, Algorithm 1).

    *Adversarial Training for Free!*, arXiv 1904.12843. Each minibatch is trained on `replays` times in a row. Each
    replay takes one backward pass, whose gradient by the weights makes an optimizer step and whose gradient by the
    images an L-inf step of the perturbation. The perturbation of row i then goes on with row i of the next minibatch.

    The optimizer's step count advances `replays` times a minibatch: learning rate schedules and `penalty_delay` count
    those. Loss and accuracies are means over the replays. The perturbation is saved with the defence; a checkpoint has
    to take it along, from `state`.

    Attributes:
      epsilon: radius of the L-inf ball, in pixel units.
      step_size: of one replay, in the same units; None is epsilon, as in the paper.
      replays: how often each minibatch is trained on; m in the paper, where 8 was best on CIFAR-10 and 4 on ImageNet.
      carry: hand the perturbation on from minibatch to minibatch. False starts each minibatch from a uniformly random
        perturbation, drawn anew (the start of Wong et al. 2020, *Fast is better than free*).
    """

    trains_on = ("adversarial",)

    def __init__(self, classifier, *, epsilon, step_size=None, replays=8, carry=True, **kwargs):
        super().__init__(classifier, **kwargs)
        self._threat_model = threat_model.ThreatModel(epsilon=epsilon)
        self.epsilon = self._threat_model.epsilon
        if step_size is not None:
            threat_model.check_radius("step_size", step_size, "linf")
        self.step_size = step_size
        if not (isinstance(replays, int) and replays >= 1):
            raise ValueError(f"replays is {replays!r}; it must be a whole number of at least 1")
        self.replays = replays
        self.carry = carry
        self._carried = _Carried()

    @property
    def state(self):
        """See Defense."""
        return {"perturbation": self._carried} if self.carry else {}

    def save_own_variables(self, store):
        """The perturbation, for Keras' saving."""
        store["perturbation"] = self._carried.value.numpy()

    def load_own_variables(self, store):
        """Inverse of save_own_variables."""
        self._carried.value.assign(store["perturbation"])

    def train_step(self, data):
        """The replays of one minibatch."""
        images, labels, sample_weight, classes = self._unpacked(data)
        noise_seed, start_seed = self._step_seeds()
        if self.noise:
            images = self._noisy(images, noise_seed)
        targets = self.targets(labels, classes, start_seed)
        perturbation = self._start(images, start_seed)
        for _ in range(self.replays):
            adversarial = self._threat_model.project(images + perturbation, images)
            found = self.descend({"adversarial": adversarial}, targets, sample_weight)
            size = self.epsilon if self.step_size is None else self.step_size
            step = size * self._threat_model.ascent_direction(found.gradient)
            perturbation = tf.clip_by_value(perturbation + step, -self.epsilon, self.epsilon)
            logs = self._report(images, base.likeliest(targets), sample_weight, found)
        self._keep(perturbation)
        return logs

    def _start(self, images, seed):
        if not self.carry:
            return tf.random.stateless_uniform(tf.shape(images), seed, -self.epsilon, self.epsilon)
        carried = tf.reshape(self._carried.value, tf.concat([[-1], tf.shape(images)[1:]], 0))
        replicas = tf.distribute.get_replica_context()
        if replicas is not None and replicas.num_replicas_in_sync > 1:
            # Replica k has the rows after those of replicas 0 to k - 1.
            rows = replicas.all_gather(tf.shape(images)[:1], 0)
            carried = carried[tf.reduce_sum(rows[: replicas.replica_id_in_sync_group]) :]
        # Rows that no minibatch had yet start from zero.
        missing = tf.maximum(tf.shape(images)[0] - tf.shape(carried)[0], 0)
        carried = tf.pad(carried, [[0, missing]] + [[0, 0]] * (images.shape.rank - 1))
        return tf.ensure_shape(carried[: tf.shape(images)[0]], images.shape)

    def _keep(self, perturbation):
        if not self.carry:
            return
        replicas = tf.distribute.get_replica_context()
        if replicas is not None and replicas.num_replicas_in_sync > 1:
            perturbation = replicas.all_gather(perturbation, 0)
        pixels = tf.reshape(perturbation, [-1])
        # A last minibatch of fewer rows leaves the others as they are.
        self._carried.value.assign(tf.concat([pixels, self._carried.value[tf.size(pixels) :]], 0))


class _Carried:
    """A flat float32 variable of any length, for how many rows a minibatch has is known only when it comes.

    Keras' own variables have one shape for good; this one looks like a Keras object where checkpoints look at it.
    """

    def __init__(self):
        aggregation = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.value = tf.Variable(tf.zeros([0]), shape=[None], trainable=False, aggregation=aggregation)
        self.variables = [self]
