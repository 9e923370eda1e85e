"""What is counted, and how sure one can be of it."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from alp_tf import attacks, datasets, defenses
from alp_tf import evaluation as rooms
from alp_tf.evaluation import accuracy, protocols
from alp_tf.threat_model import ThreatModel

PGD = attacks.PGD(epsilon=0.1, step_size=0.02, steps=10)
# The tests for masked gradients have tests of their own.
evaluate = functools.partial(rooms.evaluate, masking_examples=0, show_progress=False)


def test_robust_accuracy_is_counted_example_by_example(digits_classifier):
    data = datasets.load("digits")
    report = evaluate(
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
    report = evaluate(digits_classifier, data.test_batches(50), attacks={"pgd": PGD}, examples=70)
    assert rooms.Report.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    assert report["pgd"].examples == 70
    assert report["pgd"].attack == repr(PGD)
    assert "| pgd | linf 0.1 | 70 |" in str(report)


def test_the_seed_fixes_the_result(digits_classifier):
    batches = datasets.load("digits").test_batches(90)
    results = [
        evaluate(digits_classifier, batches, attacks={"pgd": PGD}, seed=seed)["pgd"].robust_accuracy for seed in (1, 1)
    ]
    assert results[0] == results[1]


def test_arrays_and_defences_are_taken_as_well(classifier, batch):
    images, labels = batch
    by_array = evaluate(classifier, batch, attacks={"pgd": PGD}, batch_size=21)
    by_dataset = evaluate(
        defenses.Undefended(classifier), tf.data.Dataset.from_tensor_slices(batch).batch(21), attacks={"pgd": PGD}
    )
    assert by_array["pgd"].robust_accuracy == by_dataset["pgd"].robust_accuracy
    assert by_array["pgd"].clean_accuracy == pytest.approx(np.mean(np.argmax(classifier(images), -1) == labels))


def test_wilson_intervals_are_the_textbooks():
    assert rooms.wilson_interval(90, 100) == pytest.approx((0.82563, 0.94477), abs=1e-5)
    assert rooms.wilson_interval(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert rooms.wilson_interval(10, 10) == pytest.approx((0.72247, 1.0), abs=1e-5)


def test_a_protocol_is_the_worst_case_over_its_attacks(digits_classifier, monkeypatch):
    small = {
        # Short, so that it leaves something to the others on every machine.
        "APGD": attacks.APGD(epsilon=0.1, steps=1),
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
    report = evaluate(digits_classifier, data, protocol="strong", threat_model=ThreatModel(epsilon=0.1), batch_size=360)
    after = [item.robust_accuracy for item in report.evaluations]
    assert [item.name for item in report.evaluations][-2:] == ["strong, after Square", "strong"]
    assert after == sorted(after, reverse=True)
    assert after[-1] == after[-2] < after[0]
    # Each attack met exactly those that the ones before had left standing.
    left = [round(360 * share) for share in (report["strong"].clean_accuracy, *after[:2])]
    assert attacked == list(zip(("APGD", "FGSM", "Square"), left, strict=True))
    alone = evaluate(digits_classifier, data, attacks=small, batch_size=360)
    assert after[-1] <= min(item.robust_accuracy for item in alone.evaluations)


def test_a_protocol_ends_well_where_nothing_stands_from_the_start(classifier, batch):
    images, labels = batch
    wrong = (np.argmax(classifier(images), -1) + 1) % 5
    with pytest.warns(UserWarning, match="none of the 21"):
        report = evaluate(classifier, (images, wrong), protocol="autoattack", threat_model=ThreatModel(epsilon=0.1))
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
        evaluate(classifier, batch, **options)


def test_too_few_classes_for_a_protocol_are_told_at_once(batch):
    model = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    data = batch[0], np.zeros(21, int)
    with pytest.raises(ValueError, match="at least 4 classes; the model has 3"):
        evaluate(model, data, protocol="autoattack", threat_model=ThreatModel(epsilon=0.1))


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
        evaluate(classifier, data, attacks=given)


def dense(*last):
    return keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), *last])


def test_probabilities_are_refused(batch):
    with pytest.raises(ValueError, match="must return logits.*Remove the softmax"):
        evaluate(dense(keras.layers.Dense(5, "softmax")), batch, attacks={"pgd": PGD})
    # Also where no layer shows it.
    with pytest.raises(ValueError, match="must return logits"):
        evaluate(lambda images: tf.nn.softmax(tf.reshape(images, [-1, 36])[:, :5]), batch, attacks={"pgd": PGD})


def test_nan_logits_are_refused_before_any_attack(classifier, batch):
    images, labels = batch

    def broken(x):
        return tf.where(x[:, 0, 0] > images[4, 0, 0], float("nan"), classifier(x))

    with pytest.raises(ValueError, match=r"NaN or infinite logits for \d+ of 21 images, the first is number"):
        evaluate(broken, batch, attacks={"pgd": PGD})


def test_logits_that_an_attack_makes_nan_are_no_success_of_the_model(batch):
    images = np.zeros_like(batch[0])

    def overflows(x):
        logits = 3 * tf.one_hot(tf.zeros(tf.shape(x)[0], tf.int32), 5)
        return tf.where(tf.reduce_max(x, [1, 2]) > 0, float("nan"), logits)

    report = evaluate(
        overflows, (images, np.zeros(21, int)), attacks={"noise": attacks.RandomNoise(epsilon=0.1, samples=3)}
    )
    assert report["noise"].clean_accuracy == 1.0
    assert report["noise"].robust_accuracy == 0.0


def test_a_randomised_model_needs_eot(classifier, batch):
    def noisy(images):
        return classifier(images) + tf.random.normal([tf.shape(images)[0], 5])

    with pytest.raises(ValueError, match=r"randomised.*EOT\(model, samples=20\)"):
        evaluate(noisy, batch, attacks={"pgd": PGD})
    images = batch[0]
    labels = np.argmax(classifier(images), -1)

    def barely(images):
        return 5 * classifier(images) + 0.02 * tf.random.normal([tf.shape(images)[0], 5])

    report = evaluate(attacks.EOT(barely, samples=10), (images, labels), attacks={"fgsm": attacks.FGSM(epsilon=0.2)})
    assert report["fgsm"].clean_accuracy > 0.8
    assert report["fgsm"].robust_accuracy < report["fgsm"].clean_accuracy
    # Ten draws for the gradient, ten for the verdict.
    count = round(21 * report["fgsm"].clean_accuracy)
    assert report["fgsm"].backward_passes == pytest.approx(10 * count / 21)
    assert report["fgsm"].forward_passes == pytest.approx(20 * count / 21)


def test_a_randomised_model_of_probabilities_is_refused_as_well(batch):
    model = dense(keras.layers.Dense(5, "softmax"))
    options = {"protocol": "autoattack_rand", "threat_model": ThreatModel(epsilon=0.1)}
    with pytest.raises(ValueError, match="must return logits"):
        evaluate(model, batch, **options)


def test_top_5_and_targets_are_only_told_where_every_image_met_the_whole_attack(digits_classifier):
    images, labels = next(iter(datasets.load("digits").test_batches(40)))
    given = {
        name: attacks.PGD(epsilon=0.2, step_size=0.05, steps=3, restarts=restarts, target="random")
        for name, restarts in (("one", 1), ("several", 2))
    }
    report = evaluate(digits_classifier, (images, labels), attacks=given)
    assert None not in (report["one"].top5_accuracy, report["one"].targeted_success)
    assert (report["several"].top5_accuracy, report["several"].targeted_success) == (None, None)
    with pytest.raises(KeyError, match="no evaluation 'on'; there are one, several"):
        report["on"]


def test_radii_of_different_norms_are_not_compared():
    far = attacks.FGSM(epsilon=1.5, norm="l2")
    given = {"linf": attacks.FGSM(epsilon=0.1), "wider": attacks.FGSM(epsilon=0.2), "l2": far}
    assert accuracy.widest(given) == ThreatModel(epsilon=0.2)


def test_a_model_that_is_never_right_is_told_of(classifier, batch):
    images, _ = batch
    wrong = (np.argmax(classifier(images), -1) + 1) % 5
    with pytest.warns(UserWarning, match="none of the 21 images is classified correctly"):
        report = rooms.evaluate(classifier, (images, wrong), attacks={"pgd": PGD}, show_progress=False)
    assert report["pgd"].robust_accuracy == 0
    assert report.masking == ()


def test_top_5_and_targeted_success_are_counted(digits_classifier):
    data = datasets.load("digits")
    images, labels = next(iter(data.test_batches(360)))
    labels = labels.numpy()
    attack = attacks.PGD(epsilon=0.3, step_size=0.03, steps=20, target="least_likely")
    report = evaluate(digits_classifier, (images, labels), attacks={"pgd": attack}, batch_size=360, seed=4)
    logits = digits_classifier(images).numpy()
    right = logits.argmax(-1) == labels
    five = np.argsort(-logits, -1)[:, :5] == labels[:, None]
    seed = tf.random.fold_in(tf.constant([4, 0]), 0)
    stands, top5, hits = 0, 0, 0
    for rows in (np.flatnonzero(right), np.flatnonzero(~right)):
        attacked = digits_classifier(attack(digits_classifier, images.numpy()[rows], labels[rows], seed=seed)).numpy()
        five_still = (np.argsort(-attacked, -1)[:, :5] == labels[rows, None]).any(-1)
        top5 += (five_still & five.any(-1)[rows]).sum()
        without_label = np.where(np.arange(10) == labels[rows, None], np.inf, logits[rows])
        hits += (attacked.argmax(-1) == without_label.argmin(-1)).sum()
        if right[rows].all():
            stands = (attacked.argmax(-1) == labels[rows]).sum()
    assert report["pgd"].robust_accuracy == pytest.approx(stands / 360)
    assert report["pgd"].top5_accuracy == pytest.approx(top5 / 360)
    assert report["pgd"].targeted_success == pytest.approx(hits / 360)
    assert stands < top5 < 360
    assert hits > 100
    assert "| top-5 | targeted success |" in str(report)


@pytest.mark.parametrize("protocol", ["strong", "autoattack"])
def test_a_protocol_costs_what_its_standing_images_need(protocol, digits_classifier, monkeypatch):
    few = {"strong": attacks.PGD(epsilon=0.12, step_size=0.01, steps=100, restarts=4, keep="best")}
    few["autoattack"] = attacks.APGD(epsilon=0.12, steps=100, restarts=4)
    monkeypatch.setitem(protocols.PROTOCOLS, protocol, lambda ball, targets: {"attack": few[protocol]})
    standing = []
    call = attacks.Attack.__call__

    def spy(self, model, images, labels, **options):
        standing.append(len(images))
        return call(self, model, images, labels, **options)

    monkeypatch.setattr(attacks.Attack, "__call__", spy)
    data = datasets.load("digits").test_batches(360)
    ball = ThreatModel(epsilon=0.12)
    report = evaluate(digits_classifier, data, protocol=protocol, threat_model=ball, batch_size=360)
    assert len(standing) == 4
    assert standing == sorted(standing, reverse=True)
    needed = 100 * sum(standing) / 360
    assert needed <= report[protocol].backward_passes <= 1.05 * needed
    assert needed <= report[protocol].forward_passes <= 1.05 * needed
    assert f"{report[protocol].forward_passes:,.0f} forward" in str(report)


class _Killed(Exception):
    pass


@pytest.mark.parametrize("after", [1, 4, 7])
def test_an_interrupted_evaluation_goes_on_after_the_last_batch(after, digits_classifier, tmp_path, monkeypatch):
    data = datasets.load("digits").test_batches(360)
    ball = ThreatModel(epsilon=0.1)
    parts = {
        "PGD": attacks.PGD(epsilon=0.1, step_size=0.02, steps=5, restarts=2),
        "Square": attacks.Square(epsilon=0.1, queries=20),
    }
    monkeypatch.setitem(protocols.PROTOCOLS, "strong", lambda ball, targets: parts)
    options = {"protocol": "strong", "threat_model": ball, "batch_size": 80, "seed": 3}
    whole = evaluate(digits_classifier, data, **options)
    call, calls = attacks.Attack.__call__, []

    def dies(self, *arguments, **named):
        if len(calls) == after:
            raise _Killed
        calls.append(self)
        return call(self, *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(attacks.Attack, "__call__", dies)
        with pytest.raises(_Killed):
            evaluate(digits_classifier, data, **options, keep=tmp_path)
    done = len(calls)

    def counts(self, *arguments, **named):
        calls.append(self)
        return call(self, *arguments, **named)

    monkeypatch.setattr(attacks.Attack, "__call__", counts)
    resumed = evaluate(digits_classifier, data, **options, keep=tmp_path)
    assert without_seconds(resumed) == without_seconds(whole)
    for name, verdict in whole.verdicts.items():
        np.testing.assert_array_equal(resumed.verdicts[name], verdict)
    evaluate(digits_classifier, data, **options, keep=tmp_path)
    # Nothing is done twice, and what is finished is not done again.
    total = len(calls)
    calls.clear()
    evaluate(digits_classifier, data, **options)
    assert total == len(calls) > done
    with pytest.raises(ValueError, match="another evaluation: its seed differ"):
        evaluate(digits_classifier, data, **{**options, "seed": 4}, keep=tmp_path)
    with pytest.raises(ValueError, match="its model differ"):
        evaluate(keras.models.clone_model(digits_classifier), data, **options, keep=tmp_path)
    # Of a function nothing but its logits can be known.
    evaluate(lambda images: digits_classifier(images), data, **options, keep=tmp_path / "function")
    with pytest.raises(ValueError, match="its model differ"):
        evaluate(lambda images: digits_classifier(1 - images), data, **options, keep=tmp_path / "function")


def without_seconds(report):
    items = report.to_dict()["evaluations"]
    return [{key: value for key, value in item.items() if key != "seconds"} for item in items]


def test_a_damaged_file_costs_its_own_attack_only(classifier, batch, tmp_path):
    first = evaluate(classifier, batch, attacks={"pgd": PGD}, keep=tmp_path)
    for file in tmp_path.glob("*.npz"):
        file.write_bytes(file.read_bytes()[:100])
    assert without_seconds(evaluate(classifier, batch, attacks={"pgd": PGD}, keep=tmp_path)) == without_seconds(first)
