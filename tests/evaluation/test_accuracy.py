"""What is counted, and how sure one can be of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from alp_tf import attacks, datasets, evaluation

PGD = attacks.PGD(epsilon=0.1, step_size=0.02, steps=10)


def test_robust_accuracy_is_counted_example_by_example(digits_classifier):
    data = datasets.load("digits")
    report = evaluation.evaluate(
        digits_classifier, data.test_batches(100), attacks={"pgd": PGD, "none": attacks.FGSM(epsilon=0.0)}
    )
    images, labels = next(iter(data.test_batches(360)))
    labels = labels.numpy()
    clean = np.argmax(digits_classifier(images), -1) == labels
    stands = clean.copy()
    for index in range(4):
        rows = slice(100 * index, 100 * index + 100)
        seed = tf.random.fold_in(tf.constant([0, 0]), index)
        adversarial = PGD(digits_classifier, images[rows], labels[rows], seed=seed)
        stands[rows] &= np.argmax(digits_classifier(adversarial), -1) == labels[rows]
    assert report["pgd"].examples == 360
    assert report["pgd"].clean_accuracy == pytest.approx(clean.mean())
    assert report["pgd"].robust_accuracy == pytest.approx(stands.mean())
    assert report["none"].robust_accuracy == report["none"].clean_accuracy
    low, high = report["pgd"].ci95
    assert low < report["pgd"].robust_accuracy < high


def test_reports_survive_json_and_print_as_a_table(digits_classifier):
    data = datasets.load("digits")
    report = evaluation.evaluate(digits_classifier, data.test_batches(50), attacks={"pgd": PGD}, examples=70)
    assert evaluation.Report.from_list(report.to_list()) == report
    assert report["pgd"].examples == 70
    assert report["pgd"].attack == repr(PGD)
    assert "| pgd | linf 0.1 | 70 |" in str(report)


def test_the_seed_fixes_the_result(digits_classifier):
    batches = datasets.load("digits").test_batches(90)
    results = [
        evaluation.evaluate(digits_classifier, batches, attacks={"pgd": PGD}, seed=seed)["pgd"].robust_accuracy
        for seed in (1, 1)
    ]
    assert results[0] == results[1]


def test_arrays_and_defences_are_taken_as_well(classifier, batch):
    from alp_tf import defenses

    images, labels = batch
    by_array = evaluation.evaluate(classifier, batch, attacks={"pgd": PGD}, batch_size=21)
    by_dataset = evaluation.evaluate(
        defenses.Undefended(classifier), tf.data.Dataset.from_tensor_slices(batch).batch(21), attacks={"pgd": PGD}
    )
    assert by_array["pgd"].robust_accuracy == by_dataset["pgd"].robust_accuracy
    assert by_array["pgd"].clean_accuracy == pytest.approx(np.mean(np.argmax(classifier(images), -1) == labels))


def test_wilson_intervals_are_the_textbooks():
    assert evaluation.wilson_interval(90, 100) == pytest.approx((0.82563, 0.94477), abs=1e-5)
    assert evaluation.wilson_interval(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert evaluation.wilson_interval(10, 10) == pytest.approx((0.72247, 1.0), abs=1e-5)


@pytest.mark.parametrize(
    ("data", "given", "says"),
    [
        ((np.zeros((0, 6, 6, 1), np.float32), np.zeros(0, int)), {"pgd": PGD}, "empty"),
        ((np.zeros((2, 6, 6, 1), np.uint8), np.zeros(2, int)), {"pgd": PGD}, "uint8"),
        ((np.zeros((2, 6, 6, 1), np.float32), np.array([0, 9])), {"pgd": PGD}, "labels span 0 to 9"),
        ((np.zeros((2, 6, 6, 1), np.float32), np.zeros(2, int)), {"pgd": "pgd"}, "attacks.PGD"),
    ],
)
def test_bad_input_is_refused(data, given, says, classifier):
    with pytest.raises(ValueError, match=says):
        evaluation.evaluate(classifier, data, attacks=given)


def test_a_softmax_is_warned_about(batch):
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(5, "softmax")])
    with pytest.warns(UserWarning, match="must return logits"):
        evaluation.evaluate(model, batch, attacks={"pgd": PGD})
