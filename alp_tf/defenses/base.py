"""The `keras.Model` whose `train_step` every defence shares.

A defence wraps a classifier and trains it; the classifier itself stays the plain Keras model it was, and is what you
save, export or attack afterwards. One step: perhaps add Gaussian noise; craft the adversarial batch, if the defence
wants one; one forward pass over all the examples it trains on; cross-entropy plus the defence's penalties; one
backward pass. A new defence is a small class that says which examples it trains on and which penalties it adds:

    class MyDefense(Defense):
        trains_on = ("clean", "adversarial")
        penalty_names = ("my_penalty",)

        def penalties(self, logits):
            return {"my_penalty": self.weight * f(logits["clean"], logits["adversarial"])}
"""

import dataclasses
import random

import keras
import tensorflow as tf

from alp_tf import objectives, replicas, threat_model
from alp_tf.attacks import classifier as contract
from alp_tf.defenses import checks, clipping, wrapper


class Defense(wrapper.Wrapper):
    """Trains a classifier; calling it returns the classifier's logits.

    Works with `compile` (an optimizer and metrics; the loss is the defence's own), `fit`, `evaluate`, `predict`,
    callbacks and `save`. `fit` takes float32 images in [0, 1] and integer labels. Compiled metrics see the clean
    logits, or the adversarial ones where a defence never computes the clean ones; `clean_accuracy` and
    `adversarial_accuracy` say which they are. Validation measures the plain cross-entropy and the clean accuracy,
    and the adversarial accuracy if there is an `evaluation_attack`.

    Attributes:
      classifier: any keras.Model from float32 images to logits [batch, classes].
      noise: standard deviation of Gaussian noise added to every training image, in pixel units (Kannan 4.2.2;
        Shafahi 3.2 writes sigma = 20 for 20/255). It comes before the attack, which then starts from the noisy image.
      clip_noise: clip noisy images back to [0, 1]. The papers do not say; Mosbach's code does.
      label_smoothing: lambda of Shafahi equation 8, on every cross-entropy of the training loss.
      penalty_delay, penalty_ramp: in optimizer steps. The penalties are multiplied by (step - delay) / ramp, clipped to
        [0, 1]: none at first, then more and more. Without a ramp they are there in full once the delay is over.
      evaluation_attack: attack whose accuracy `evaluate` and validation report, or None.
      seed: fixes noise and attacks, together with the optimizer's step count: a resumed run repeats them exactly.
      quorum: who counts in a step of several replicas, see alp_tf.replicas; None, as at first, for all. No option.

    Raises:
      ValueError: an option outside its range.
    """

    trains_on = ("clean",)
    penalty_names = ()
    quorum = None

    def __init__(
        self,
        classifier,
        *,
        noise=0.0,
        clip_noise=True,
        label_smoothing=0.0,
        penalty_delay=0,
        penalty_ramp=0,
        evaluation_attack=None,
        seed=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        # XLA, which Keras chooses where there is one GPU, leaves out checks of the data, and lacks operations that
        # attacks and defences need.
        self.supports_jit = False
        if not isinstance(classifier, keras.Model):
            raise ValueError(
                f"classifier is a {type(classifier).__name__}; a keras.Model that returns logits is needed"
            )
        threat_model.check_radius("noise", noise, "linf")
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing is {label_smoothing!r}; it must lie in [0, 1]")
        if self.attacks_images and noise and not clip_noise:
            raise ValueError("clip_noise=False leaves images outside [0, 1], where no attack can start; write True")
        contract.warn_unless_logits(classifier)
        self.classifier = classifier
        self.noise = float(noise)
        self.clip_noise = clip_noise
        self.label_smoothing = float(label_smoothing)
        self.penalty_delay = checks.checked_steps("penalty_delay", penalty_delay)
        self.penalty_ramp = checks.checked_steps("penalty_ramp", penalty_ramp)
        self.evaluation_attack = evaluation_attack
        self.seed = random.randrange(2**31) if seed is None else int(seed)
        seen = {"clean", *self.trains_on} | ({"adversarial"} if evaluation_attack is not None else set())
        names = ["cross_entropy", *self.penalty_names, *(f"{name}_accuracy" for name in sorted(seen, reverse=True))]
        self._means = {name: keras.metrics.Mean(name) for name in names}

    @property
    def attacks_images(self):
        """Whether images of a step are attacked, which noise must not have brought out of their bounds."""
        return "adversarial" in self.trains_on

    @property
    def state(self):
        """What of a training run neither the classifier nor the optimizer holds, for checkpoints.Checkpoints.

        Returns:
          {name: an object with `variables`, each with its tf.Variable in `value`}; nothing, for most defences.
        """
        return {}

    def call(self, inputs, training=None):
        """The classifier's logits."""
        return self.classifier(inputs, training=training)

    def examples(self, images, labels, seed):
        """What this defence trains on, made before the gradient is taped.

        Args:
          images: float32 in [0, 1], noise included.
          labels: int32 [batch].
          seed: int32 [2], of this step and replica.

        Returns:
          {name: images like the ones given} for each name in `trains_on`.
        """
        found = {"clean": images}
        if "adversarial" in self.trains_on:
            found["adversarial"] = self.attack(self.classifier, images, labels, seed=seed)
        return found

    def targets(self, labels, classes, seed):
        """What the logits are compared with.

        Args:
          labels: int32 [batch].
          classes: how many there are.
          seed: the one that `examples` got.

        Returns:
          The labels; or probabilities, float32 [batch, classes]. Accuracies then count the likeliest class as right.
        """
        return labels

    def forward(self, images):
        """The one forward pass of a training step.

        Args:
          images: all the examples of the step, float32 [examples * batch, height, width, channels].

        Returns:
          A tuple of the logits and of whatever else `penalties` wants; row i of each belongs to image i.
        """
        return (self.classifier(images, training=True),)

    def classification_loss(self, cross_entropies):
        """The classification term: the mean over all rows, clean and adversarial (Kannan equation 2).

        Args:
          cross_entropies: for each name in `trains_on` the weighted cross-entropies, shape [batch].
        """
        return tf.reduce_mean(tf.concat(list(cross_entropies.values()), 0))

    def penalties(self, logits):
        """The weighted terms that this defence adds to the classification loss.

        Args:
          logits: for each name in `trains_on` the logits, float32 [batch, classes]. What else `forward` returned comes
            after them, in the same form.

        Returns:
          A scalar for each name in `penalty_names`.
        """
        return {}

    def train_step(self, data):
        """One step of the defence; see the module's docstring."""
        images, labels, sample_weight, classes = self._unpacked(data)
        noise_seed, attack_seed = self._step_seeds()
        if self.noise:
            images = self._noisy(images, noise_seed)
        with replicas.ending_early(self.quorum):
            examples = self.examples(images, labels, attack_seed)
        targets = self.targets(labels, classes, attack_seed)
        examples, targets, sample_weight, images = replicas.cut_short(
            self.quorum, [examples, targets, sample_weight, images]
        )
        found = self.descend(examples, targets, sample_weight)
        return self._report(images, likeliest(targets), sample_weight, found)

    def descend(self, examples, targets, sample_weight):
        """One forward pass, one backward pass and one step of the optimizer.

        Args:
          examples: {name: images} for each name in `trains_on`.
          targets: as the method of that name returns them.
          sample_weight: float32 [batch] or None.

        Returns:
          Descent.
        """
        with replicas.counting(self.quorum) as step:
            return self._descend(step, examples, targets, sample_weight)

    def _descend(self, step, examples, targets, sample_weight):
        joined = tf.concat([examples[name] for name in self.trains_on], 0)
        with tf.GradientTape() as tape:
            tape.watch(joined)
            with replicas.held_back(self.classifier.non_trainable_variables) as updates:
                outputs = self.forward(joined)
            # Now: a penalty may wait for the other replicas, whose passes through these layers replace the losses.
            added = [*updates.losses, *self.classifier.losses]
            logits, *others = (self._by_example(tf.cast(output, tf.float32)) for output in outputs)
            cross_entropies = self._cross_entropies(targets, logits, sample_weight)
            terms = {"cross_entropy": self.classification_loss(cross_entropies)}
            terms.update(self._scheduled(self.penalties(logits, *others)))
            loss = tf.add_n([*terms.values(), *(tf.cast(term, tf.float32) for term in added)])
            # The optimizer sums over replicas.
            scaled = self.optimizer.scale_loss(step.share(loss))
        weights = self.trainable_weights
        gradients, slope = tape.gradient(scaled, (weights, joined))
        gradients = step.only_counted(gradients)
        gradients = clipping.clipped_over_replicas(self.optimizer, gradients)
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        updates.apply(step)
        return Descent(loss, terms, logits, slope, step.weight)

    def test_step(self, data):
        """Plain cross-entropy and accuracy on the images as they come; no noise, no smoothing."""
        images, labels, sample_weight, _ = self._unpacked(data)
        logits = {"clean": tf.cast(self.classifier(images, training=False), tf.float32)}
        losses = objectives.cross_entropy(labels, logits["clean"])
        # Of an epoch's last batch a replica may have no rows.
        rows = tf.cast(tf.shape(losses)[0], tf.float32)
        loss = tf.math.divide_no_nan(tf.reduce_sum(losses if sample_weight is None else losses * sample_weight), rows)
        if self.evaluation_attack is not None:
            adversarial = self.evaluation_attack(self.classifier, images, labels, seed=self.seed)
            logits["adversarial"] = tf.cast(self.classifier(adversarial, training=False), tf.float32)
        return self._report(images, labels, sample_weight, Descent(loss, {"cross_entropy": loss}, logits))

    def _unpacked(self, data):
        images, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if labels is None:
            raise ValueError("fit and evaluate need labels: pass (images, labels)")
        threat_model.check_floating(images)
        classes = contract.number_of_classes(self.classifier, images.shape)
        self._build(images.shape[1:])
        return *checks.checked_batch(images, contract.class_labels(labels), sample_weight, classes), classes

    def _step_seeds(self):
        step = tf.cast(self.optimizer.iterations, tf.int32)
        seed = tf.stack([tf.constant(self.seed % 2**31, tf.int32), step])
        replica = tf.distribute.get_replica_context()
        if replica is not None and replica.num_replicas_in_sync > 1:
            seed = tf.random.fold_in(seed, replica.replica_id_in_sync_group)
        return tf.unstack(tf.random.split(seed, 2))

    def _noisy(self, images, seed):
        images = images + self.noise * tf.random.stateless_normal(tf.shape(images), seed)
        return tf.clip_by_value(images, 0.0, 1.0) if self.clip_noise else images

    def _by_example(self, rows):
        return dict(zip(self.trains_on, tf.split(rows, len(self.trains_on)), strict=True))

    def _scheduled(self, penalties):
        if not self.penalty_delay and not self.penalty_ramp:
            return penalties
        late = tf.cast(self.optimizer.iterations, tf.float32) - self.penalty_delay
        if self.penalty_ramp:
            share = tf.clip_by_value(late / self.penalty_ramp, 0.0, 1.0)
        else:
            share = tf.cast(late >= 0, tf.float32)
        return {name: share * value for name, value in penalties.items()}

    def _cross_entropies(self, targets, logits, sample_weight):
        values = {
            name: objectives.cross_entropy(targets, rows, smoothing=self.label_smoothing)
            for name, rows in logits.items()
        }
        if sample_weight is None:
            return values
        return {name: losses * sample_weight for name, losses in values.items()}

    def _report(self, images, labels, sample_weight, found):
        rows = tf.cast(tf.shape(labels)[0], tf.float32)
        loss, terms = found.loss, found.terms
        if found.counted is not None:
            counts = found.counted > 0
            rows *= found.counted
            each = tf.ones_like(labels, tf.float32) if sample_weight is None else sample_weight
            sample_weight = found.counted * each
            # Also a loss that is no number weighs nothing.
            loss, terms = tf.nest.map_structure(lambda value: tf.where(counts, value, 0.0), (loss, terms))
        self._loss_tracker.update_state(loss, sample_weight=rows)
        for name, value in terms.items():
            self._means[name].update_state(value, sample_weight=rows)
        for name, values in found.logits.items():
            correct = tf.argmax(values, -1, tf.int32) == labels
            self._means[f"{name}_accuracy"].update_state(correct, sample_weight=sample_weight)
        measured = {*found.terms, *(f"{name}_accuracy" for name in found.logits)}
        first = next(iter(found.logits.values()))
        logs = self.compute_metrics(images, labels, first, sample_weight=sample_weight)
        return {name: value for name, value in logs.items() if name not in self._means or name in measured}


@dataclasses.dataclass(frozen=True)
class Descent:
    """What one optimizer step came to.

    Attributes:
      loss: float32 scalar.
      terms: its parts by name.
      logits: by name, float32 [batch, classes].
      gradient: of the loss by all examples, float32 [examples * batch, height, width, channels]; what nobody uses of it
        is not computed.
      counted: float32 scalar, 1 if this replica counts in the step and 0 if not; None where all do.
    """

    loss: tf.Tensor
    terms: dict
    logits: dict
    gradient: tf.Tensor | None = None
    counted: tf.Tensor | None = None


def likeliest(targets):
    """The class that counts as right, int32 [batch], where `targets` may be probabilities [batch, classes]."""
    return targets if targets.shape.rank == 1 else tf.argmax(targets, -1, tf.int32)
