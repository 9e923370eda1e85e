"""Models that hide their gradients are caught, honest ones are not."""

import dataclasses
import os

import keras
import numpy as np
import pytest
import tensorflow as tf

from alp_tf import attacks, datasets, defenses, evaluation, models
from alp_tf.evaluation import black_box, masking, protocols
from alp_tf.evaluation.report import Evaluation, Finding, Report
from alp_tf.threat_model import ThreatModel

BALL = ThreatModel(epsilon=0.1)


def findings(model, data, ball=BALL, examples=60, **options):
    fgsm = {"fgsm": attacks.FGSM(epsilon=ball.epsilon, norm=ball.norm)}
    report = evaluation.evaluate(
        model, data, attacks=fgsm, threat_model=ball, masking_examples=examples, show_progress=False, **options
    )
    return report, {item.test: item for item in report.masking}


@tf.custom_gradient
def shattered(images):
    return images, lambda upstream: -upstream


def digits(examples=100):
    images, labels = next(iter(datasets.load("digits").test_batches(examples)))
    return images.numpy(), labels.numpy()


@pytest.fixture(scope="module")
def adversarially_trained():
    keras.utils.set_random_seed(0)
    data = datasets.load("digits")
    classifier = models.build("digits_cnn", input_shape=data.image_shape, num_classes=10)
    attack = attacks.PGD(epsilon=0.1, step_size=0.025, steps=7)
    defense = defenses.AdversarialTraining(classifier, attack=attack, seed=0)
    defense.compile("adam")
    defense.fit(data.train_batches(64, seed=0), steps_per_epoch=220, epochs=1, verbose=0)
    return classifier


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_an_adversarially_trained_model_has_nothing_against_it(norm, adversarially_trained, tmp_path, monkeypatch):
    ball = BALL if norm == "linf" else ThreatModel(epsilon=0.5, norm="l2")
    report, found = findings(adversarially_trained, digits(), ball, keep=tmp_path)
    assert [item.status for item in found.values()] == ["pass"] * 9
    assert report.doubts == ()
    assert "none of 9 tests found any" in str(report)
    assert "in doubt" not in str(report)
    # The verdict is resumed as well: nothing is attacked again.
    monkeypatch.setattr(attacks.Attack, "__call__", None)
    assert findings(adversarially_trained, digits(), ball, keep=tmp_path)[0].masking == report.masking


def test_huge_logits_are_caught(digits_classifier):
    """Softmax saturates: cross-entropy has no gradient, though the decisions are those of the honest model."""
    report, found = findings(lambda images: 1000 * digits_classifier(images), digits(), examples=25)
    assert found["the gradient is zero or not finite"].status == "fail"
    assert found["another loss (DLR) finds what cross-entropy misses"].status == "fail"
    assert report["fgsm"].robust_accuracy > 0.5
    for item in found.values():
        assert item.says
        assert bool(item.advice) == (item.status != "pass")
    # Printed beside the number it puts in doubt.
    (row,) = (line for line in str(report).splitlines() if line.startswith("| fgsm"))
    assert "% ✗ in doubt" in row


def test_a_quantising_layer_is_caught(digits_classifier):
    def quantised(images):
        return digits_classifier(tf.round(images * 15) / 15)

    report, found = findings(quantised, digits())
    assert found["the gradient is zero or not finite"].status == "fail"
    assert found["the loss is far from locally linear"].status == "fail"
    assert found["Square (no gradients) finds what white-box attacks miss"].status == "fail"
    assert found["unbounded epsilon leaves images standing"].status == "fail"
    assert report["fgsm"].robust_accuracy > 0.9


def test_misleading_gradients_are_caught(digits_classifier):
    """Forward the model, backward something else: one of the ways in which defences shatter gradients."""
    _, found = findings(lambda images: digits_classifier(shattered(images)), digits(), examples=25)
    assert found["Square (no gradients) finds what white-box attacks miss"].status == "fail"
    assert found["unbounded epsilon leaves images standing"].status == "fail"


def test_a_single_step_that_beats_many_is_caught(digits_classifier):
    """Gradients that are right at the image itself and lead astray elsewhere."""
    images, labels = digits()

    @tf.custom_gradient
    def astray(x):
        at_an_image = tf.reduce_any(tf.reduce_all(tf.abs(x[:, None] - images[None]) < 1e-6, [2, 3, 4]), 1)
        return x, lambda upstream: tf.where(at_an_image[:, None, None, None], upstream, -upstream)

    ball = ThreatModel(epsilon=0.2)
    _, found = findings(lambda x: digits_classifier(astray(x)), (images, labels), ball, examples=25)
    assert found["a single step (FGSM) beats PGD-40"].status == "fail"


def test_too_few_right_images_are_no_ground_for_a_verdict(classifier, batch):
    images, _ = batch
    labels = np.argmax(classifier(images), -1)
    labels[3:] = (labels[3:] + 1) % 5
    _, found = findings(classifier, (images, labels))
    assert [item.status for item in found.values()] == ["skipped"]
    assert "only 3 images" in next(iter(found.values())).says


def test_a_test_that_had_nothing_left_to_look_at_is_none(digits_classifier):
    """Its threat model lets PGD-40 fell every image, so nothing can be found that it missed."""
    report, found = findings(digits_classifier, digits(), ThreatModel(epsilon=0.5), examples=25)
    skipped = [name for name, item in found.items() if item.status == "skipped"]
    assert skipped == list(found)[:6]
    assert found[skipped[0]].says == "the attacks before it left none of 25 images standing"
    assert "none of 3 tests" in str(report)


def test_a_verdict_on_other_images_or_another_threat_model_is_made_anew(adversarially_trained, tmp_path):
    options = {"attacks": {"fgsm": attacks.FGSM(epsilon=0.1)}, "show_progress": False, "keep": tmp_path}

    def numbers(**more):
        report = evaluation.evaluate(adversarially_trained, digits(), **options, **more)
        return [finding.says for finding in report.masking]

    assert "of 30 images" in numbers(masking_examples=30)[0]
    assert "of 20 images" in numbers(masking_examples=20)[0]
    assert numbers(masking_examples=20) != numbers(masking_examples=20, threat_model=ThreatModel(epsilon=0.25))
    assert "masking_examples is 5" in numbers(masking_examples=5)[0]


def test_black_boxes_that_beat_the_white_box_are_told_of(digits_classifier, adversarially_trained):
    def hidden(images):
        return 1000 * digits_classifier(images)

    images, labels = digits(60)
    pgd = {"pgd": attacks.PGD(epsilon=0.2, step_size=0.02, steps=20)}
    models = {"hidden": hidden, "open": digits_classifier, "robust": adversarially_trained}
    found = black_box.transfer(models, models, (images, labels), pgd, show_progress=False)
    assert masking.compare_with_black_boxes(found, "hidden").status == "fail"
    assert masking.compare_with_black_boxes(found, "open").status == "pass"
    assert masking.compare_with_black_boxes(found, "robust").status == "pass"
    alone = black_box.transfer({"it": hidden}, {"it": hidden}, (images, labels), pgd, show_progress=False)
    assert masking.compare_with_black_boxes(alone, "it").status == "skipped"


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        (0.911, 0.885, "pass"),
        (0.835, 0.718, "warn"),
        (0.20, 0.14, "warn"),
        (0.60, 0.30, "fail"),
        (0.003, 0.0, "pass"),
        (0.0, 0.0, "skipped"),
    ],
)
def test_square_that_takes_what_the_rest_of_a_protocol_left_is_told_of(before, after, status):
    rows = [item(share, attack, 1000) for share, attack in ((before, "FAB()"), (after, "Square()"), (after, "all"))]
    (found,) = masking.compare_with_square(rows, BALL)
    taken = round(1000 * (before - after))
    assert found.status == status
    says = f"{taken} of the {1000 * before:.0f} left standing, {taken / 10:.1f} points of 1,000 images"
    assert found.says == (says if before else "the attacks before it left none of 1,000 images standing")
    # There is nothing to compare with where Square was not run, or alone.
    assert masking.compare_with_square([rows[0], rows[2]], BALL) == masking.compare_with_square(rows[1:], BALL) == ()
    (found,) = masking.compare_with_square(rows, ThreatModel(epsilon=0.0))
    assert (found.status, found.says) == ("skipped", "epsilon is 0: there is nothing to attack")


def test_square_says_nothing_of_a_model_that_is_hardly_ever_right():
    rows = [
        dataclasses.replace(item(share, attack, 1000), clean_accuracy=0.009)
        for share, attack in ((0.009, "FAB()"), (0.0, "Square()"))
    ]
    (found,) = masking.compare_with_square(rows, BALL)
    assert (found.status, found.says) == ("skipped", "only 9 images are classified correctly; 10 are needed")


def test_a_protocol_adds_what_its_square_found(digits_classifier, monkeypatch):
    ball = {"epsilon": BALL.epsilon}
    short = {"PGD": attacks.PGD(**ball, step_size=0.02, steps=10), "Square": attacks.Square(**ball, queries=500)}
    monkeypatch.setitem(protocols.PROTOCOLS, "strong", lambda threat_model, num_classes: short)
    options = {"protocol": "strong", "threat_model": BALL, "show_progress": False}
    for model, status in ((lambda images: digits_classifier(shattered(images)), "fail"), (digits_classifier, "pass")):
        report = evaluation.evaluate(model, digits(50), masking_examples=12, **options)
        assert len(report.masking) == 10
        assert report.masking[-1].status == status
    assert evaluation.evaluate(digits_classifier, digits(50), masking_examples=0, **options).masking == ()


def item(robust, attack="PGD()", examples=10):
    return Evaluation(
        name="pgd",
        threat_model="linf 0.1",
        attack=attack,
        examples=examples,
        clean_accuracy=1.0,
        robust_accuracy=robust,
        ci95=(0.0, 1.0),
        seconds=1.0,
        seed=0,
    )


def test_a_failed_test_is_printed_beside_the_number_and_a_passed_one_is_not():
    failed = Finding(test="noise", status="fail", number=50.0, says="5 of 10", advice="Trust Square")
    warned = Finding(test="steps", status="warn", number=5.0, says="1 of 10", advice="More steps")
    passed = Finding(test="epsilon", status="pass", number=0.0, says="0 of 10")
    text = str(Report((item(0.5),), (passed, warned, failed)))
    assert "| 50.00 % ✗ in doubt, 1 of 3 tests for masked gradients failed |" in text
    assert "| ✗ fail | noise | 5 of 10 | Trust Square |" in text
    assert [finding.test for finding in Report((), (passed, warned, failed)).doubts] == ["noise", "steps"]
    assert "in doubt" not in str(Report((item(0.5),), (passed, warned)))
    assert "1 of 2 tests ask for a closer look" in str(Report((item(0.5),), (passed, warned)))
    # Nothing is left to doubt.
    assert "in doubt" not in str(Report((item(0.0),), (failed,)))
    # A test that was skipped found nothing, for it was not made.
    skipped = Finding(test="square", status="skipped", number=None, says="too few images")
    assert "✗ in doubt, 1 of 2 tests" in str(Report((item(0.5),), (passed, failed, skipped)))
    assert "1 of 2 tests failed" in Report((), (passed, failed, skipped)).verdict()
    assert "none of 1 tests found any" in Report((), (passed, skipped)).verdict()
    assert "nothing to test on" in Report((), (skipped,)).verdict()


@pytest.mark.slow
def test_a_trained_lenet_of_your_own(data_dir):
    """Minutes a model: name work directories of LeNets in ALP_TF_HONEST and ALP_TF_MASKED, separated by commas."""
    data = datasets.load("mnist", data_dir=data_dir).test_batches(150, examples=150)
    for variable, caught in (("ALP_TF_HONEST", False), ("ALP_TF_MASKED", True)):
        for path in filter(None, os.environ.get(variable, "").split(",")):
            model = keras.models.load_model(f"{path}/model.keras")
            report, _ = findings(model, data, ThreatModel(epsilon=0.3))
            assert bool(report.doubts) == caught, f"{path}\n{report}"
