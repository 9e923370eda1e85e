"""Clean and robust accuracy of a classifier, with the confidence interval that the number of examples allows."""

import dataclasses
import math
import time

import numpy as np
import tensorflow as tf

from alp_tf import progress
from alp_tf.attacks import Attack, base, classifier
from alp_tf.evaluation import protocols
from alp_tf.threat_model import ThreatModel

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
      seconds: time the attack took.
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


def evaluate(
    model,
    data,
    *,
    attacks=None,
    protocol=None,
    threat_model=None,
    examples=None,
    batch_size=200,
    seed=0,
    show_progress=True,
):
    """Measures the accuracy of a model on images as they are and under attack.

    Args:
      model: keras.Model that returns logits; a defence or the classifier it wraps.
      data: tf.data.Dataset of batches (float32 images in [0, 1], integer labels), or a pair of arrays.
      attacks: {name: attack}; each is measured by itself, on all images.
      protocol: instead of attacks, `strong` or `autoattack`: its attacks run in turn, each on the images that still
        stand, and the last row of the report is the share that stands against all of them.
      threat_model: of the protocol, such as `ThreatModel(epsilon=8/255)`.
      examples: stop after so many; None or 0 for all.
      batch_size: images attacked at a time.
      seed: fixes the random starts.
      show_progress: show a bar with the time left.

    Returns:
      Report with one Evaluation for each attack, and one more for a protocol as a whole.

    Raises:
      ValueError: no data, images or labels outside their range, or something that is no attack; both or neither of
        attacks and protocol; a protocol without its threat model.
    """
    if (attacks is None) == (protocol is None):
        raise ValueError("give either attacks={name: attack} or protocol='strong' (or 'autoattack')")
    if protocol is not None and not isinstance(threat_model, ThreatModel):
        raise ValueError(
            f"protocol={protocol!r} needs a threat model: write threat_model=alp_tf.ThreatModel(epsilon=8/255)"
        )
    classifier.warn_unless_logits(model)
    images, labels = _arrays(data, batch_size, examples)
    classes = classifier.number_of_classes(model, (None, *images.shape[1:]))
    classifier.check_label_range(labels, classes)
    if attacks is None:
        attacks = protocols.protocol(protocol, threat_model, num_classes=classes)
    for name, attack in attacks.items():
        if not isinstance(attack, Attack):
            raise ValueError(
                f"attacks[{name!r}] is {attack!r}; write for example alp_tf.attacks.PGD(epsilon=8/255, ...)"
            )
        attack.threat_model.check_images(images)
    run = _Run(model, images, labels, batch_size, seed, show_progress)
    if protocol is None:
        return Report(
            tuple(run.row(name, attack, *run.withstands(name, attack, run.clean)) for name, attack in attacks.items())
        )
    standing, total, rows = run.clean, 0.0, []
    for name, attack in attacks.items():
        standing, seconds = run.withstands(name, attack, standing)
        total += seconds
        rows.append(run.row(f"{protocol}, after {name}", attack, standing, seconds))
    return Report((*rows, dataclasses.replace(rows[-1], name=protocol, attack=f"protocol {protocol}", seconds=total)))


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


class _Run:
    """The images of one evaluation, in memory, and which of them are classified correctly as they are."""

    def __init__(self, model, images, labels, batch_size, seed, show_progress):
        self._model, self._images, self._labels = model, images, labels
        self._batch_size, self._seed, self._show_progress = batch_size, seed, show_progress
        self._predict = _predictor(model, images.shape)
        everything = np.arange(len(labels))
        self.clean = np.concatenate([self._right(images[rows], rows) for rows in self._chunks(everything)])

    def withstands(self, name, attack, standing):
        """Which of the images that stand still do after the attack (bool [examples]), and the seconds it took.

        An image that is wrong as it is is never attacked and never stands: it is itself inside the ball.
        """
        after, began = standing.copy(), time.perf_counter()
        attacked = np.flatnonzero(standing)
        with progress.bar(len(attacked), name, "image", shown=self._show_progress) as bar:
            for index, rows in enumerate(self._chunks(attacked)):
                seed = tf.random.fold_in(base.as_seed(self._seed), index)
                adversarial = attack(self._model, self._images[rows], self._labels[rows], seed=seed)
                after[rows] = self._right(adversarial, rows)
                bar.update(len(rows))
        return after, round(time.perf_counter() - began, 3)

    def row(self, name, attack, standing, seconds):
        """What results.json and the table hold of an attack."""
        return Evaluation(
            name=name,
            threat_model=str(attack.threat_model),
            attack=repr(attack),
            examples=len(self._labels),
            clean_accuracy=float(self.clean.mean()),
            robust_accuracy=float(standing.mean()),
            ci95=tuple(round(bound, 6) for bound in wilson_interval(int(standing.sum()), len(standing))),
            seconds=seconds,
            seed=self._seed,
        )

    def _right(self, images, rows):
        return self._predict(images) == self._labels[rows]

    def _chunks(self, rows):
        return [rows[first : first + self._batch_size] for first in range(0, len(rows), self._batch_size)]


def _arrays(data, batch_size, examples):
    if isinstance(data, tuple):
        limit = examples or None
        images, labels = (np.asarray(part)[:limit] for part in data)
    else:
        taken = list(data.unbatch().batch(batch_size).take(-(-examples // batch_size) if examples else -1))
        images, labels = (
            (np.concatenate(parts)[: examples or None] for parts in zip(*taken, strict=True)) if taken else ((), ())
        )
    if len(images) == 0:
        raise ValueError("there are no images to evaluate: the data set is empty")
    return images, classifier.class_labels(labels).numpy()


def _predictor(model, shape):
    logits_of = classifier.logits_function(model)

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, *shape[1:]], tf.float32)])
    def predict(images):
        return tf.argmax(logits_of(images), -1, tf.int32)

    return lambda images: predict(tf.cast(images, tf.float32)).numpy()
