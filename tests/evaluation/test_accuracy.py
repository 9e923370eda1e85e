"""What is counted, and how sure one can be of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from alp_tf import attacks, datasets, defenses, evaluation
from alp_tf.evaluation import protocols
from alp_tf.threat_model import ThreatModel

PGD = attacks.PGD(epsilon=0.1, step_size=0.02, steps=10)


def test_robust_accuracy_is_counted_example_by_example(digits_classifier):
    data = datasets.load("digits")
    report = evaluation.evaluate(
        digits_classifier,
        data.test_batches(70),
        attacks={"pgd": PGD, "none": attacks.FGSM(epsilon=0.0)},
        batch_size=100,
    )
    images, labels = next(iter(data.test_batches(360)))
    labels = labels.numpy()
    clean = np.argmax(digits_classifier(images), -1) == labels
    stands = clean.copy()
    for index, rows in enumerate(np.array_split(np.flatnonzero(clean), range(100, clean.sum(), 100))):
        seed = tf.random.fold_in(tf.constant([0, 0]), index)
        adversarial = PGD(digits_classifier, images.numpy()[rows], labels[rows], seed=seed)
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


def test_a_protocol_is_the_worst_case_over_its_attacks(digits_classifier, monkeypatch):
    small = {
        "APGD": attacks.APGD(epsilon=0.1, steps=5),
        "FGSM": attacks.FGSM(epsilon=0.1),
        "Square": attacks.Square(epsilon=0.1, queries=30),
    }
    monkeypatch.setitem(protocols.PROTOCOLS, "strong", lambda ball, targets: small)
    attacked = []
    call = attacks.Attack.__call__

    def spy(self, model, images, labels, **options):
        attacked.append((type(self).__name__, len(images)))
        return call(self, model, images, labels, **options)

    monkeypatch.setattr(attacks.Attack, "__call__", spy)
    data = datasets.load("digits").test_batches(360)
    report = evaluation.evaluate(
        digits_classifier, data, protocol="strong", threat_model=ThreatModel(epsilon=0.1), batch_size=360
    )
    after = [item.robust_accuracy for item in report.evaluations]
    assert [item.name for item in report.evaluations][-2:] == ["strong, after Square", "strong"]
    assert after == sorted(after, reverse=True)
    assert after[-1] == after[-2] < after[0]
    # Each attack met exactly those that the ones before had left standing.
    left = [round(360 * share) for share in (report["strong"].clean_accuracy, *after[:2])]
    assert attacked == list(zip(("APGD", "FGSM", "Square"), left, strict=True))
    alone = evaluation.evaluate(digits_classifier, data, attacks=small, batch_size=360)
    assert after[-1] <= min(item.robust_accuracy for item in alone.evaluations)


def test_a_protocol_ends_well_where_nothing_stands_from_the_start(classifier, batch):
    images, labels = batch
    wrong = (np.argmax(classifier(images), -1) + 1) % 5
    report = evaluation.evaluate(
        classifier, (images, wrong), protocol="autoattack", threat_model=ThreatModel(epsilon=0.1)
    )
    assert {item.robust_accuracy for item in report.evaluations} == {0.0}


def test_protocols_hold_what_their_papers_say():
    found = protocols.protocol("autoattack", ThreatModel(epsilon=8 / 255), num_classes=10)
    assert list(found) == ["APGD-CE", *(f"{kind} {k}" for kind in ("APGD-T", "FAB-T") for k in range(2, 11)), "Square"]
    assert found["APGD-T 5"] == attacks.APGD(epsilon=8 / 255, loss="dlr", target=5, steps=100)
    assert found["Square"] == attacks.Square(epsilon=8 / 255, queries=5000)
    assert len(protocols.protocol("autoattack", ThreatModel(epsilon=0.1), num_classes=5)) == 2 + 4 + 4
    strong = protocols.protocol("strong", ThreatModel(epsilon=0.5, norm="l2"), num_classes=10)
    assert {attack.norm for attack in strong.values()} == {"l2"}
    assert {attack.steps for attack in strong.values() if isinstance(attack, attacks.PGD)} == {200}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "either attacks"),
        ({"attacks": {"pgd": PGD}, "protocol": "strong"}, "either attacks"),
        ({"protocol": "strong"}, "threat_model=alp_tf.ThreatModel"),
        ({"protocol": "storng", "threat_model": ThreatModel(epsilon=0.1)}, "did you mean 'strong'"),
    ],
)
def test_what_to_measure_must_be_clear(options, says, classifier, batch):
    with pytest.raises(ValueError, match=says):
        evaluation.evaluate(classifier, batch, **options)


def test_too_few_classes_for_a_protocol_are_told_at_once(batch):
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    data = batch[0], np.zeros(21, int)
    with pytest.raises(ValueError, match="at least 4 classes; the model has 3"):
        evaluation.evaluate(model, data, protocol="autoattack", threat_model=ThreatModel(epsilon=0.1))


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
