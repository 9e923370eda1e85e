"""One model, its images, and what each attack does to them; kept on disk after every batch if asked to."""

import dataclasses
import time

import numpy as np
import tensorflow as tf

from alp_tf import progress
from alp_tf.attacks import base, classifier, wrappers
from alp_tf.evaluation import inputs, kept


@dataclasses.dataclass
class Outcome:
    """What one attack did.

    Attributes:
      stands: bool [examples], of those that stood before; the others are False.
      top5: bool [examples], whether the class is still among the five largest logits.
      hit: bool [examples], whether the image was turned into the attack's target.
      seconds, forward, backward: what it took; passes are images that went through the model.
    """

    stands: np.ndarray
    top5: np.ndarray
    hit: np.ndarray
    seconds: float = 0.0
    forward: int = 0
    backward: int = 0


_COSTS = ("seconds", "forward", "backward")


class Alone:
    """One process that has nobody to share its batches with; also what the workers of a cluster have to offer.

    Attributes:
      number, index: how many workers there are, and which this is; all of them make the same calls.
    """

    number, index = 1, 0

    def everyones(self, arrays):
        """What each worker has brought, {name: array}, in their order."""
        return [arrays]

    def chiefs(self, arrays):
        """What worker 0 has brought."""
        return arrays


class Run:
    """The images of one evaluation, in memory, and which of them are classified correctly as they are.

    Attributes:
      images, labels: float32 [examples, height, width, channels] and int32 [examples].
      logits: of the images as they are, float32 [examples, classes].
      clean: bool [examples], whether each is classified correctly as it is.
      clean_top5: the same for the five largest logits.
    """

    def __init__(self, model, images, labels, *, batch_size, seed, show_progress, keep=None, team=None):
        """Classifies the images.

        Args:
          model: keras.Model, wrapper or callable.
          images, labels: as in the attributes.
          batch_size: images attacked at a time.
          seed: int.
          show_progress: whether bars are shown.
          keep: kept.Kept, or None; of several workers that of the first counts.
          team: workers who share the batches of each attack, see Alone; None for this process alone.

        Raises:
          ValueError: logits that are not finite, probabilities instead of logits, or a randomised model.
        """
        self.model = wrappers.PassCounter.of(model)
        self.images, self.labels, self.seed = images, labels.astype(np.int32), seed
        self._batch_size, self._show_progress = batch_size, show_progress
        self._predict = inputs.logits_of(self.model, images.shape[1:])
        self._kept = keep or kept.Kept(None)
        self._team = team or Alone()
        everything = np.arange(len(labels))
        logits = np.concatenate([self._predict(images[rows]) for rows in self._chunks(everything)])
        randomised = isinstance(model, wrappers.EOT)
        if randomised:
            inside = classifier.innermost(model)
            _check_logits(inputs.logits_of(inside, images.shape[1:])(images[:batch_size]))
        else:
            _check_logits(logits)
            _check_deterministic(self._predict, images[:batch_size])
        self.logits = self._kept.same("model", logits, randomised=randomised)
        clean = {"1": self.logits.argmax(-1) == labels, "5": _among_five(self.logits, labels)}
        # One opinion on who is to be attacked: the devices of workers may differ in the last bit.
        clean = self._team.chiefs(clean)
        self.clean, self.clean_top5 = clean["1"], clean["5"]

    def attack(self, name, attack, standing, *, label=None):
        """Attacks the images that stand, run by run; those that fall take no part in the next run.

        Args:
          name: unique within the evaluation; an attack that is on disk by that name is not run again.
          attack: Attack; its restarts count as runs.
          standing: bool [examples].
          label: of the progress bar, if not the name.

        Returns:
          Outcome.
        """
        total = Outcome(standing.copy(), self.clean_top5.copy(), np.zeros_like(standing))
        runs, label = attack.runs(), label or name
        for index, single in enumerate(runs):
            shown = f"{label}, run {index + 1} of {len(runs)}" if len(runs) > 1 else label
            self._one_run(f"{name} #{index}", index, single, shown, total)
        return total

    def _one_run(self, key, index, attack, label, total):
        rows = np.flatnonzero(total.stands)
        chunks = self._chunks(rows)
        done = self._team.chiefs(self._kept.load(key) or {})
        if done and np.array_equal(done["rows"], rows):
            total.stands, total.top5, total.hit = done["stands"], done["top5"], done["hit"]
            total.seconds, total.forward, total.backward = (done[field].item() for field in _COSTS)
            first = int(done["batches"])
        else:
            first = 0
        if first == len(chunks):
            return
        with progress.bar(
            len(rows), label, "image", shown=self._show_progress, initial=first * self._batch_size
        ) as bar:
            # A batch for each worker at a time.
            for batch in range(first, len(chunks), self._team.number):
                began = time.perf_counter()
                shared = chunks[batch : batch + self._team.number]
                found = self._one_batch_each(attack, index, batch, shared, total)
                for chunk, part in zip(shared, found, strict=False):
                    total.stands[chunk], total.top5[chunk], total.hit[chunk] = part["stands"], part["top5"], part["hit"]
                    total.forward += part["passes"][0].item()
                    total.backward += part["passes"][1].item()
                total.seconds += time.perf_counter() - began
                self._kept.save(key, {**vars(total), "rows": rows, "batches": batch + len(shared)})
                bar.update(sum(map(len, shared)))

    def _one_batch_each(self, attack, index, first, chunks, total):
        """What came of the batches from number `first` on, of which each worker attacks one."""
        own = self._team.index
        if own >= len(chunks):
            return self._team.everyones({})
        before = wrappers.passes(self.model)
        # Of the batch and not of the worker: it does not matter how many there are.
        seed = tf.random.fold_in(base.as_seed(self.seed), first + own)
        # The first run is the attack without restarts, image for image.
        seed = tf.random.fold_in(seed, index) if index else seed
        self._one_batch(attack, chunks[own], seed, total)
        passes = np.subtract(wrappers.passes(self.model), before)
        each = {name: getattr(total, name)[chunks[own]] for name in ("stands", "top5", "hit")}
        return self._team.everyones({**each, "passes": passes})

    def _one_batch(self, attack, rows, seed, total):
        labels = self.labels[rows]
        logits = self._predict(attack(self.model, self.images[rows], labels, seed=seed))
        # Logits that an attack has driven to NaN are no classification.
        finite = np.isfinite(logits).all(-1)
        total.stands[rows] = (logits.argmax(-1) == labels) & finite
        total.top5[rows] &= _among_five(logits, labels) & finite
        aims = base.aims(attack, self.model, self.images[rows], labels, seed, logits=self.logits[rows])
        if aims is not None:
            total.hit[rows] |= logits.argmax(-1) == aims.numpy()

    def _chunks(self, rows):
        return inputs.chunks(rows, self._batch_size)


def _among_five(logits, labels):
    return (logits > np.take_along_axis(logits, labels[:, None], 1)).sum(-1) < 5


def _check_logits(logits):
    wrong = ~np.isfinite(logits).all(-1)
    if wrong.any():
        raise ValueError(
            f"the model returns NaN or infinite logits for {wrong.sum()} of {len(logits)} images, the first is number "
            f"{np.flatnonzero(wrong)[0]}; nothing can be measured. Look for a division by zero, an overflow in "
            "float16, or weights that diverged in training"
        )
    likely = logits.min() >= 0 and np.abs(logits.sum(-1) - 1).max() < 1e-3
    if likely and logits.shape[-1] > 1:
        raise ValueError(
            "the model returns probabilities (each row is positive and sums to 1) but must return logits: attacks "
            "would see saturated gradients and overstate its robustness. Remove the softmax, for example "
            "Dense(classes) instead of Dense(classes, activation='softmax'), or pass the model up to the layer before"
        )


def _check_deterministic(predict, images):
    first, second = predict(images), predict(images)
    largest = np.abs(first - second).max()
    if largest > 1e-3 * max(np.abs(first).max(), 1e-6):
        raise ValueError(
            f"the model is randomised: the same images gave logits that differ by up to {largest:.3g}. One draw of the "
            "gradient says little about it: evaluate alp_tf.attacks.EOT(model, samples=20) instead, with "
            "protocol='autoattack_rand'"
        )
