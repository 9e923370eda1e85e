"""Does the model only hide its gradients? Tests that every honest evaluation should pass.

After Athalye et al. 2018 (section 3.1), Carlini et al. 2019 (section 4) and Shafahi et al. 2019 (section 4). Each test
measures one thing on the images that are classified correctly, and says pass, warn or fail. A failed test does not
say how robust the model is: it says that gradient attacks cannot tell.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from alp_tf import attacks
from alp_tf.attacks import base, classifier, losses
from alp_tf.evaluation import inputs
from alp_tf.evaluation.report import Finding

# What a stronger attack must find to speak against a weaker one: so many points of all images, for one or two always
# fall to luck, and so large a share of those that the weaker attack left standing.
_WARN, _FAIL = (4.0, 0.1), (10.0, 0.25)
_TOO_FEW = 10


def diagnose(run, threat_model, *, examples=100):
    """Runs the tests.

    Args:
      run: run.Run.
      threat_model: the one whose robust accuracy is in question.
      examples: how many correctly classified images to test on.

    Returns:
      Tuple of Finding.
    """
    if examples < _TOO_FEW:
        says = f"masking_examples is {examples}; at least {_TOO_FEW} are needed"
        return (Finding(test="masked gradients", status="skipped", number=None, says=says),)
    chosen = np.flatnonzero(run.clean)[:examples]
    nothing = _nothing_to_test("masked gradients", len(chosen), threat_model)
    return nothing or _Tests(run, threat_model, chosen).findings()


def compare_with_black_boxes(transfer, target):
    """Whether images made on other models fool this one more often than images made on itself.

    Args:
      transfer: black_box.Transfer that has the target among its sources, and others.
      target: name of the model in question.

    Returns:
      Finding.
    """
    test = "black boxes find what the white box misses"
    white = transfer.row(target, source=target).robust_accuracy
    black = transfer.worst(target)
    if black is None:
        return Finding(test=test, status="skipped", number=None, says="no source but the model itself")
    points = 100 * (white - black.robust_accuracy)
    return _judged(
        test,
        points,
        f"{100 * black.robust_accuracy:.1f} % stand against black boxes, {100 * white:.1f} % against the white box",
        "Gradients of this model are worth less than those of others: report the black box beside every number",
        warn=_WARN[0],
        fail=_FAIL[0],
    )


def compare_with_square(evaluations, threat_model):
    """Whether Square took what a protocol's attacks with gradients, which ran before it, had left standing.

    The test of that kind in `diagnose` has a hundred images and a fifth of the queries, and has found nothing on
    models of which this takes a tenth. After Croce and Hein 2020, whose AutoAttack warns of the same.

    Args:
      evaluations: of a protocol, in the order in which its attacks ran.
      threat_model: the protocol's.

    Returns:
      Tuple of the Finding; empty for a protocol that does not run Square after others.
    """
    test = "Square (no gradients) takes what the protocol's gradient attacks left"
    places = [place for place, item in enumerate(evaluations) if item.attack.startswith("Square(")]
    if not places or not places[0]:
        return ()
    before, after = evaluations[places[0] - 1 : places[0] + 1]
    right = round(before.clean_accuracy * before.examples)
    standing, left = (round(item.robust_accuracy * item.examples) for item in (before, after))
    advice = (
        "The gradient attacks overstate the robustness, and so may the whole protocol: add Square with more queries "
        "and restarts, or an attack written for this defence"
    )
    nothing = _nothing_to_test(test, right, threat_model)
    return nothing or (_taken(test, standing, standing - left, after.examples, advice),)


def _nothing_to_test(test, right, threat_model):
    """A tuple of one skipped Finding, or an empty one where tests make sense."""
    if right < _TOO_FEW:
        says = f"only {right} images are classified correctly; {_TOO_FEW} are needed"
        return (Finding(test=test, status="skipped", number=None, says=says, advice="Train the model"),)
    if threat_model.epsilon == 0:
        return (Finding(test=test, status="skipped", number=None, says="epsilon is 0: there is nothing to attack"),)
    return ()


class _Tests:
    def __init__(self, run, threat_model, chosen):
        self._run, self._chosen, self._threat_model = run, chosen, threat_model
        self._start = np.zeros_like(run.clean)
        self._start[chosen] = True
        self._ball = {"epsilon": threat_model.epsilon, "norm": threat_model.norm, "bounds": threat_model.bounds}
        low, high = threat_model.bounds
        self._width = high - low

    def findings(self):
        """Every test, in the order in which the table shows them."""
        ball = self._ball
        pgd = attacks.PGD(**ball, step_size=ball["epsilon"] / 10, steps=40, keep="best")
        single = self._stands("FGSM", attacks.FGSM(**ball))
        iterative = self._stands("PGD-40", pgd)
        noise = self._stands("random noise", attacks.RandomNoise(**ball, samples=100))
        # What follows is asked only of images that PGD-40 leaves standing: how many more fall?
        longer = self._stands("PGD-400", dataclasses.replace(pgd, steps=400), iterative)
        again = self._stands("PGD-40, 10 restarts", dataclasses.replace(pgd, restarts=10), iterative)
        white_box = self._stands("APGD-DLR" if self._classes > 2 else "APGD-margin", self._apgd(), longer & again)
        square = self._stands("Square", attacks.Square(**ball, queries=1000), longer & again & white_box)
        return (
            self._found_more(
                "a single step (FGSM) beats PGD-40",
                iterative,
                ~single,
                "The gradients mislead beyond one step: attack with protocol='strong' and with black boxes",
            ),
            self._found_more(
                "random noise finds what PGD-40 misses",
                iterative,
                ~noise,
                "Gradients point nowhere: trust Square and other attacks without gradients",
            ),
            self._found_more(
                "PGD-400 finds what PGD-40 misses",
                iterative,
                ~longer,
                "Not converged: give hundreds of steps, or report APGD",
            ),
            self._found_more(
                "ten restarts find what one misses",
                iterative,
                ~again,
                "The loss is rugged: report many restarts (protocol='strong'), and look at the loss surface",
            ),
            self._found_more(
                "another loss (DLR) finds what cross-entropy misses",
                longer & again,
                ~white_box,
                "Cross-entropy saturates: report loss='dlr' or 'margin', or protocol='autoattack'",
            ),
            self._found_more(
                "Square (no gradients) finds what white-box attacks miss",
                longer & again & white_box,
                ~square,
                "Gradient attacks overstate the robustness: report Square with 5,000 queries and more",
            ),
            self._unbounded(),
            self._vanishing(),
            self._not_linear(),
        )

    @property
    def _classes(self):
        return self._run.logits.shape[-1]

    def _apgd(self):
        return attacks.APGD(**self._ball, loss="dlr" if self._classes > 2 else "margin_50")

    def _stands(self, name, attack, standing=None):
        label = f"checking gradients: {name}"
        key = f"masking {name}, {attack!r}, {len(self._chosen)} images"
        return self._run.attack(key, attack, self._start if standing is None else standing, label=label).stands

    def _found_more(self, test, left, fallen, advice):
        """Of the images that one attack left standing, those that another felled."""
        return _taken(test, int(left.sum()), int((left & fallen).sum()), len(self._chosen), advice)

    def _unbounded(self):
        """With every image allowed, a working attack fools any classifier on every image."""
        size = self._run.images[0].size
        everything = self._width if self._threat_model.norm == "linf" else self._width * float(np.sqrt(size))
        ball = {**self._ball, "epsilon": everything}
        attack = attacks.PGD(**ball, step_size=everything / 10, steps=40, keep="best")
        left = self._stands("unbounded epsilon", attack)
        points = 100 * left[self._chosen].mean()
        return _judged(
            "unbounded epsilon leaves images standing",
            points,
            f"{points:.1f} % stand with epsilon {everything:.3g}",
            "The attack itself fails: its loss or gradients are broken on this model",
            warn=1.0,
            fail=10.0,
        )

    def _vanishing(self):
        _, _, gradients = self._at_images(losses.CrossEntropy())
        largest = np.abs(gradients).reshape(len(gradients), -1).max(-1)
        points = 100 * float(np.mean(~np.isfinite(largest) | (largest == 0)))
        return _judged(
            "the gradient is zero or not finite",
            points,
            f"{points:.1f} % of the images",
            "No gradient attack can start: look for rounding, saturated softmax or huge logits; use Square or SPSA",
            warn=5.0,
            fail=25.0,
        )

    def _not_linear(self):
        """How far the margin is from its tangent plane, a tenth of epsilon along the gradient from random points."""
        # Not from the images themselves: adversarial training often leaves a kink right there, and no attack starts
        # there either.
        radius = self._threat_model.epsilon / 10
        images = self._threat_model.random_start(self._run.images[self._chosen], base.as_seed(self._run.seed)).numpy()
        values, _, gradients = self._at_images(_lead, images)
        step = radius * self._threat_model.ascent_direction(tf.constant(gradients)).numpy()
        predicted = (gradients * step).reshape(len(step), -1).sum(-1)
        moved, _, _ = self._at_images(_lead, images + step)
        actual = moved - values
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = np.abs(actual - predicted) / np.maximum(np.abs(actual), np.abs(predicted))
        # No change at all, where a gradient should have promised one, is no sign of a flat loss but of a hidden one.
        number = float(np.median(np.where(np.isfinite(apart), apart, 1.0)))
        return _judged(
            "the loss is far from locally linear",
            number,
            f"its change at epsilon / 10 is off by {100 * number:.0f} % (median)",
            "Gradients hold only in a tiny neighbourhood: use many small steps and restarts, and black boxes",
            warn=0.6,
            fail=0.9,
        )

    def _at_images(self, loss, images=None):
        rows = self._chosen
        images = self._run.images[rows] if images is None else images
        return _measure(self._run.model, loss, images, self._run.labels[rows])


def _lead(logits, labels):
    """How far the best wrong class is ahead of the true one, float32 [batch]."""
    chosen, best_other = losses.split_logits(logits, labels)
    return best_other - chosen


def _measure(model, loss, images, labels, batch_size=100):
    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec([None, *images.shape[1:]], tf.float32), tf.TensorSpec([None], tf.int32)],
    )
    def measure(images, labels):
        logits_of = classifier.differentiable_logits(model)
        return base.input_gradient(logits_of, lambda logits: loss(logits, labels), images)

    traced = measure.get_concrete_function()
    chunks = inputs.chunks(np.arange(len(labels)), batch_size)
    parts = [traced(tf.constant(images[rows], tf.float32), tf.constant(labels[rows])) for rows in chunks]
    return [np.concatenate(values) for values in zip(*parts, strict=True)]


def _taken(test, standing, count, examples, advice):
    if not standing:
        # A test that could not have found anything must not count as passed.
        says = f"the attacks before it left none of {examples:,} images standing"
        return Finding(test=test, status="skipped", number=None, says=says)
    points, share = 100 * count / examples, count / standing
    beyond = [points >= least and share >= part for least, part in (_FAIL, _WARN)]
    says = f"{count} of the {standing} left standing, {points:.1f} points of {examples:,} images"
    return _finding(test, "fail" if beyond[0] else "warn" if beyond[1] else "pass", points, says, advice)


def _judged(test, number, says, advice, *, warn, fail):
    return _finding(test, "fail" if number >= fail else "warn" if number >= warn else "pass", number, says, advice)


def _finding(test, status, number, says, advice):
    advice = "" if status == "pass" else advice
    return Finding(test=test, status=status, number=round(number, 4), says=says, advice=advice)
