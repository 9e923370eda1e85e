"""Transfer attacks: who attacks whom, and what is counted of it."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from alp_tf import attacks, datasets, defenses, evaluation
from alp_tf.attacks import losses
from alp_tf.evaluation import black_box
from alp_tf.evaluation.heat_map import heat_map
from tests.conftest import small_classifier
from tests.evaluation.figures import assert_picture

BALL = {"epsilon": 0.3, "step_size": 0.1, "steps": 4}
PGD = attacks.PGD(**BALL)
ITER_LL = attacks.BIM(**BALL, target="least_likely")


@pytest.fixture
def seven_classes():
    """Three like classifiers of seven classes, 30 images, and labels with which they mostly agree."""
    rng = np.random.default_rng(0)
    models = {name: small_classifier(classes=7) for name in ("a", "b", "c")}
    shared = [rng.normal(scale=0.4, size=weights.shape) for weights in models["a"].get_weights()]
    for model, noise in zip(models.values(), (0.0, 0.05, 0.1), strict=True):
        model.set_weights([weights + noise * rng.normal(size=weights.shape) for weights in shared])
    images = rng.uniform(size=(30, 6, 6, 1)).astype(np.float32)
    labels = np.argmax(models["a"](images), -1)
    labels[:3] = (labels[:3] + 1) % 7
    return models, images, labels


def batches(images, labels, size, seed):
    for index, first in enumerate(range(0, len(images), size)):
        rows = slice(first, first + size)
        yield images[rows], labels[rows], tf.random.fold_in(tf.constant([seed, 0]), index)


def test_a_model_attacked_by_itself_is_the_white_box(digits_classifier):
    data = datasets.load("digits").test_batches(90)
    bim = attacks.BIM(epsilon=0.1, step_size=0.02, steps=5)
    found = black_box.transfer({"it": digits_classifier}, {"it": digits_classifier}, data, {"bim": bim}, batch_size=120)
    measured = evaluation.evaluate(digits_classifier, data, attacks={"bim": bim}, masking_examples=0)["bim"]
    row = found.row("it", attack="bim", source="it")
    assert row.white_box
    assert (row.clean_accuracy, row.robust_accuracy) == (measured.clean_accuracy, measured.robust_accuracy)
    assert row.ci95 == measured.ci95
    assert row.robust_accuracy < row.clean_accuracy
    assert found.worst("it") is None
    assert "no other source" in str(found)


def test_counts_are_those_of_each_image(seven_classes):
    models, images, labels = seven_classes
    given = {"pgd": PGD, "iter_ll": ITER_LL}
    sources = {name: models[name] for name in ("a", "b")}
    found = black_box.transfer(sources, models, (images, labels), given, batch_size=13, seed=5)
    clean = {name: np.argmax(model(images), -1) == labels for name, model in models.items()}
    stands = {}
    for kind, attack in given.items():
        for source in sources:
            parts = [attack(models[source], x, y, seed=s).numpy() for x, y, s in batches(images, labels, 13, 5)]
            for target in models:
                logits = models[target](np.concatenate(parts)).numpy()
                right = np.argmax(logits, -1) == labels
                stands[kind, source, target] = right & clean[target]
                row = found.row(target, attack=kind, source=source)
                assert row.robust_accuracy == pytest.approx(stands[kind, source, target].mean())
                assert row.clean_accuracy == pytest.approx(clean[target].mean())
                assert row.white_box == (source == target)
                among = [(np.argsort(-z)[:, :5] == labels[:, None]).any(1) for z in (models[target](images), logits)]
                assert row.clean_top5 == pytest.approx(among[0].mean())
                assert row.robust_top5 == pytest.approx((among[0] & among[1]).mean())
    for target in models:
        others = [name for name in sources if name != target]
        worst = np.logical_and.reduce([stands[kind, source, target] for kind in given for source in others])
        assert found.worst(target).robust_accuracy == pytest.approx(worst.mean())
        assert found.worst(target).ci95 == pytest.approx(evaluation.wilson_interval(worst.sum(), 30), abs=1e-6)
        by_attack = [found.row(target, attack=kind).robust_accuracy for kind in given]
        single = [found.row(target, attack=kind, source=source).robust_accuracy for kind in given for source in others]
        assert found.worst(target).robust_accuracy <= min(by_attack) <= min(single)
    assert found.matrix("pgd")[0, 1] == found.row("b", attack="pgd", source="a").robust_accuracy
    assert (found.matrix() <= np.minimum(found.matrix("pgd"), found.matrix("iter_ll"))).all()
    # There was something to count: the attacks work, differ, and transfer, but not to everything.
    assert 0 < found.worst("c").robust_accuracy < min(found.matrix("pgd")[:, 2]) < found.worst("c").clean_accuracy


@pytest.mark.parametrize("target", ["least_likely", "random", "runner_up"])
def test_targeted_success_counts_the_class_the_source_aimed_at(target, seven_classes):
    models, images, labels = seven_classes
    attack = attacks.PGD(**BALL, target=target)
    source, victim = models["a"], models["b"]
    found = black_box.transfer({"a": source}, {"b": victim}, (images, labels), {"t": attack, "u": PGD}, batch_size=30)
    seed = tf.random.fold_in(tf.constant([0, 0]), 0)
    aims = losses.target_classes(target, source(images), labels.astype(np.int32), tf.random.split(seed, 2)[0])
    hits = np.argmax(victim(attack(source, images, labels, seed=seed)), -1) == aims.numpy()
    row = found.row("b", attack="t", source="a")
    assert hits.any() or target == "least_likely"
    assert row.targeted_success == pytest.approx(hits.mean())
    assert row.targeted_success_ci95 == pytest.approx(evaluation.wilson_interval(hits.sum(), 30), abs=1e-6)
    assert found.row("b", attack="u", source="a").targeted_success is None
    assert "Targeted success, t (linf 0.3)" in str(found)
    assert "Targeted success, u" not in str(found)


def test_a_wrapped_model_is_still_the_same_model(classifier, batch):
    found = black_box.transfer(
        {"bare": classifier, "other": small_classifier()},
        {"wrapped": defenses.Undefended(classifier)},
        batch,
        {"pgd": PGD},
    )
    assert found.row("wrapped", attack="pgd", source="bare").white_box
    expected = found.row("wrapped", attack="pgd", source="other").robust_accuracy
    assert found.worst("wrapped").robust_accuracy == expected


def test_results_survive_json_and_print_as_tables(classifier, batch):
    found = black_box.transfer(
        {"x|y": small_classifier(), "z": classifier}, {"z": classifier}, batch, {"pgd": PGD}, examples=20
    )
    assert black_box.Transfer.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    assert found.examples == 20
    assert found.worst("z").clean_top5 is None
    assert "top 5" not in str(found)
    widths = {}
    for number, line in enumerate(str(found).split("\n")):
        if line.startswith("|"):
            block = next((n for n in (number - 1,) if n in widths), number)
            widths[number] = line.replace("\\|", "").count("|")
            assert widths[number] == widths[block]
    assert "x\\|y" in str(found)
    with pytest.raises(KeyError, match="'nobody'"):
        found.worst("nobody")


def test_the_seed_fixes_the_result_and_data_may_be_batches(classifier, batch):
    sources, targets = {"s": small_classifier()}, {"t": classifier}
    dataset = tf.data.Dataset.from_tensor_slices(batch).batch(4)
    found = [black_box.transfer(sources, targets, data, {"p": PGD}, batch_size=8).rows for data in (batch, dataset)]
    assert found[0] == found[1]


def test_the_heat_map_is_a_picture(seven_classes, tmp_path):
    models, images, labels = seven_classes
    found = black_box.transfer(models, {"a": models["a"]}, (images, labels), {"pgd": PGD, "iter_ll": ITER_LL})
    heat_map(tmp_path / "new" / "worst.png", found)
    heat_map(tmp_path / "new" / "pgd.png", found, attack="pgd")
    assert_picture(tmp_path / "new" / "worst.png")
    assert_picture(tmp_path / "new" / "pgd.png")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"sources": {}}, "sources is empty"),
        ({"targets": {}}, "targets is empty"),
        ({"attacks": {}}, "attacks is empty"),
        ({"attacks": {"pgd": "pgd"}}, r"attacks\['pgd'\] is 'pgd'"),
        ({"data": (np.zeros((0, 6, 6, 1), np.float32), np.zeros(0, int))}, "empty"),
        ({"data": (np.zeros((2, 6, 6, 1), np.float32), np.zeros(3, int))}, "2 images but 3 labels"),
        ({"data": (np.zeros((2, 6, 6, 1), np.float32), np.array([0, 9]))}, "labels span 0 to 9"),
        ({"targets": {"t": lambda: small_classifier(classes=7)}}, r"sources\['s'\] 5, targets\['t'\] 7"),
        ({"targets": {"t": lambda: small_classifier((8, 8, 1))}}, r"targets\['t'\] .*\(6, 6, 1\).*\(8, 8, 1\)"),
        ({"targets": {"t": lambda: small_classifier((6, 6, 3))}}, r"targets\['t'\] .*\(6, 6, 1\).*\(6, 6, 3\)"),
    ],
)
def test_what_cannot_be_measured_is_told_at_once(changed, says, classifier, batch):
    given = {"sources": {"s": classifier}, "targets": {"t": classifier}, "data": batch, "attacks": {"pgd": PGD}}
    given.update(changed)
    given["targets"] = {
        name: model if isinstance(model, keras.Model) else model() for name, model in given["targets"].items()
    }
    with pytest.raises(ValueError, match=says):
        black_box.transfer(**given)


def test_logits_that_are_not_finite_are_no_classification(batch):
    def broken(images):
        # Right on every clean image, NaN where a pixel was moved to the bounds.
        logits = tf.one_hot(tf.zeros(tf.shape(images)[0], tf.int32), 5)
        return logits / tf.cast(tf.reduce_max(images, [1, 2, 3]) < 1, tf.float32)[:, None]

    images = 0.5 + batch[0] / 4
    found = black_box.transfer(
        {"s": small_classifier()},
        {"t": broken},
        (images, np.zeros(21, int)),
        {"p": attacks.FGSM(epsilon=1.0)},
    )
    assert (found.worst("t").clean_accuracy, found.worst("t").robust_accuracy) == (1.0, 0.0)


def test_interrupted_transfer_goes_on_after_the_last_batch(seven_classes, tmp_path, monkeypatch):
    models, images, labels = seven_classes
    options = {"attacks": {"pgd": PGD, "iter_ll": ITER_LL}, "batch_size": 13, "seed": 5}
    whole = black_box.transfer(models, models, (images, labels), **options)
    call, calls = attacks.Attack.__call__, []

    def dies_at_the_eighth(self, *arguments, **named):
        calls.append(self)
        if len(calls) == 8:
            raise KeyboardInterrupt
        return call(self, *arguments, **named)

    monkeypatch.setattr(attacks.Attack, "__call__", dies_at_the_eighth)
    with pytest.raises(KeyboardInterrupt):
        black_box.transfer(models, models, (images, labels), **options, keep=tmp_path)
    resumed = black_box.transfer(models, models, (images, labels), **options, keep=tmp_path)
    assert resumed.rows == whole.rows
    # 2 attacks on 3 sources in 3 batches, one of which was begun twice.
    assert len(calls) == 18 + 1
    with pytest.raises(ValueError, match="another evaluation: its model differ"):
        black_box.transfer({**models, "a": models["b"]}, models, (images, labels), **options, keep=tmp_path)
