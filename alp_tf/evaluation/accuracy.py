"""Clean and robust accuracy of a classifier, with the confidence interval that the number of examples allows."""

import dataclasses
import math
import time

import numpy as np
import tensorflow as tf

from alp_tf import progress
from alp_tf.attacks import Attack, classifier

_Z95 = 1.959963984540054


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation:
    """One attack on one model, in the form in which results.json holds it.

    Attributes:
      name: what the attack is called in the table.
      threat_model: such as `linf 0.3`.
      attack: the attack's repr, which is its configuration.
      examples: how many images were attacked.
      clean_accuracy: share classified correctly as they are.
      robust_accuracy: share classified correctly both as they are and after the attack.
      ci95: Wilson's 95 % interval of the robust accuracy.
      seconds: time the attack took, without compilation of its graph where there was more than one batch.
      seed: fixes the attack's random starts.
    """

    name: str
    threat_model: str
    attack: str
    examples: int
    clean_accuracy: float
    robust_accuracy: float
    ci95: tuple
    seconds: float
    seed: int


@dataclasses.dataclass(frozen=True)
class Report:
    """The evaluations of one model; `print(report)` is a Markdown table."""

    evaluations: tuple

    def to_list(self):
        """The evaluations as JSON-ready dictionaries."""
        return [{**dataclasses.asdict(item), "ci95": list(item.ci95)} for item in self.evaluations]

    @classmethod
    def from_list(cls, dictionaries):
        """Inverse of to_list."""
        return cls(tuple(Evaluation(**{**item, "ci95": tuple(item["ci95"])}) for item in dictionaries))

    def __getitem__(self, name):
        return next(item for item in self.evaluations if item.name == name)

    def __str__(self):
        rows = [
            f"| {item.name} | {item.threat_model} | {item.examples:,} | {percent(item.clean_accuracy)} "
            f"| {percent(item.robust_accuracy)} | {percent(item.ci95[0])} to {percent(item.ci95[1])} "
            f"| {item.seconds:.1f} |"
            for item in self.evaluations
        ]
        head = "| attack | threat model | images | clean accuracy | robust accuracy | 95 % interval | seconds |"
        return "\n".join([head, "|---|---|---:|---:|---:|---:|---:|", *rows])


def evaluate(model, data, *, attacks, examples=None, batch_size=None, seed=0, show_progress=True):
    """Measures the accuracy of a model on images as they are and under each attack.

    Args:
      model: keras.Model that returns logits; a defence or the classifier it wraps.
      data: tf.data.Dataset of batches (float32 images in [0, 1], integer labels), or a pair of arrays.
      attacks: {name: attack}.
      examples: stop after so many; None or 0 for all.
      batch_size: images attacked at a time; None keeps the data set's own batches (200 for arrays).
      seed: fixes the random starts; a batch's depend on the seed and its position alone.
      show_progress: show a bar with the time left.

    Returns:
      Report with one Evaluation for each attack.

    Raises:
      ValueError: no data, images or labels outside their range, or something that is no attack.
    """
    for name, attack in attacks.items():
        if not isinstance(attack, Attack):
            raise ValueError(
                f"attacks[{name!r}] is {attack!r}; write for example alp_tf.attacks.PGD(epsilon=8/255, ...)"
            )
    classifier.warn_unless_logits(model)
    batches = list(_batches(data, batch_size, examples))
    if not batches:
        raise ValueError("there are no images to evaluate: the data set is empty")
    predict = _predictor(model, batches[0][0].shape)
    clean = np.concatenate([predict(images) == labels for images, labels in batches])
    return Report(
        tuple(
            _attacked(name, attack, model, predict, batches, clean, seed, show_progress)
            for name, attack in attacks.items()
        )
    )


def wilson_interval(successes, trials):
    """Wilson's 95 % interval of a share: honest also near 0 and 1, where the normal approximation is not.

    Args:
      successes: how many of the trials succeeded.
      trials: at least 1.

    Returns:
      (low, high).
    """
    share, spread = successes / trials, _Z95**2 / trials
    centre = (share + spread / 2) / (1 + spread)
    half = _Z95 * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def percent(share):
    """`97.31 %`: two digits, as far as 10,000 images carry."""
    return f"{100 * share:.2f} %"


def _attacked(name, attack, model, predict, batches, clean, seed, show_progress):
    robust, started, timed_images = [], None, 0
    began = time.perf_counter()
    with progress.bar(len(clean), name, "image", shown=show_progress) as bar:
        for index, (images, labels) in enumerate(batches):
            adversarial = attack(model, images, labels, seed=_batch_seed(seed, index))
            robust.append(predict(adversarial) == labels)
            bar.update(len(labels))
            if started is None:
                started = time.perf_counter()
            else:
                timed_images += len(labels)
    now = time.perf_counter()
    seconds = (now - started) * len(clean) / timed_images if timed_images else now - began
    # An example that is wrong as it stands is not robust, whatever the attack makes of it: the image itself is
    # inside the ball.
    stands = clean & np.concatenate(robust)
    return Evaluation(
        name=name,
        threat_model=str(attack.threat_model),
        attack=repr(attack),
        examples=len(clean),
        clean_accuracy=float(clean.mean()),
        robust_accuracy=float(stands.mean()),
        ci95=tuple(round(bound, 6) for bound in wilson_interval(int(stands.sum()), len(stands))),
        seconds=round(seconds, 3),
        seed=seed,
    )


def _batches(data, batch_size, examples):
    if isinstance(data, tuple):
        images, labels = (np.asarray(part) for part in data)
        if len(images) == 0:
            return
        data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(batch_size or 200)
    elif batch_size:
        data = data.unbatch().batch(batch_size)
    left = examples or math.inf
    for images, labels in data:
        if left <= 0:
            return
        count = int(min(left, len(images)))
        left -= count
        if count:
            yield images[:count], classifier.class_labels(labels[:count]).numpy()


def _predictor(model, shape):
    logits_of = classifier.logits_function(model)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, *shape[1:]], tf.float32)])
    def predict(images):
        return tf.argmax(logits_of(images), -1, tf.int32)

    return lambda images: predict(tf.cast(images, tf.float32)).numpy()


def _batch_seed(seed, index):
    return tf.random.fold_in(tf.constant([seed & 0x7FFFFFFF, seed >> 31], tf.int32), index)
