"""AutoAttack as one attack: the worst case over its parts, eagerly and in a graph."""

import numpy as np
import pytest
import tensorflow as tf

from alp_tf import attacks, datasets
from alp_tf.attacks import wrappers
from tests.conftest import small_classifier

SMALL = {"steps": 5, "queries": 12}
STANDARD = ["APGD-CE", *(f"{kind} {rank}" for kind in ("APGD-T", "FAB-T") for rank in range(2, 11)), "Square"]


@pytest.fixture(scope="module")
def digits():
    images, labels = next(iter(datasets.load("digits").test_batches(60)))
    return images.numpy(), labels.numpy()


@pytest.fixture
def few_parts(monkeypatch):
    """One part of each kind: to trace all of them takes a minute."""
    parts, few = attacks.AutoAttack.parts, ("APGD-CE", "APGD-DLR", "FAB", "APGD-T 2", "FAB-T 2", "Square")
    monkeypatch.setattr(
        attacks.AutoAttack, "parts", lambda *args: {name: part for name, part in parts(*args).items() if name in few}
    )


def right(model, images, labels):
    return np.argmax(model(images), -1) == labels


def test_the_parts_are_the_papers():
    options = {"epsilon": 8 / 255, "norm": "l2", "bounds": (-1.0, 1.0)}
    parts = {
        version: attacks.AutoAttack(**options, version=version).parts(10) for version in ("standard", "plus", "rand")
    }
    assert list(parts["standard"]) == STANDARD
    assert list(parts["plus"]) == ["APGD-CE", "APGD-DLR", "FAB", "Square", *STANDARD[1:-1]]
    assert list(parts["rand"]) == ["APGD-CE", "APGD-DLR"]
    assert parts["standard"]["APGD-CE"] == attacks.APGD(**options, steps=100)
    assert parts["standard"]["FAB-T 10"] == attacks.FAB(**options, steps=100, target=10)
    assert parts["plus"]["APGD-DLR"] == attacks.APGD(**options, loss="dlr", restarts=5)
    assert parts["plus"]["FAB"] == attacks.FAB(**options, target=None, restarts=5)
    assert parts["rand"]["APGD-DLR"] == attacks.APGD(**options, loss="dlr")
    assert parts["plus"]["Square"] == attacks.Square(**options, queries=5000)
    assert list(attacks.AutoAttack(epsilon=0.1).parts(4)) == [name for name in STANDARD if name[-1] not in "567890"]


@pytest.mark.parametrize("version", ["standard", "plus"])
def test_it_is_the_worst_case_over_its_parts(version, request):
    if version == "plus":
        # Its parts for one target class each are those of the standard version.
        request.getfixturevalue("few_parts")
    model, images = small_classifier(), np.random.default_rng(3).uniform(size=(60, 6, 6, 1)).astype(np.float32)
    labels = np.argmax(model(images), -1)
    labels[:5] = (labels[:5] + 1) % 5
    attack = attacks.AutoAttack(epsilon=0.06, version=version, **SMALL)
    seed = tf.constant([3, 4])
    adversarial = attack(model, images, labels, seed=seed).numpy()
    assert np.abs(adversarial.astype(np.float64) - images).max() <= 0.06
    stands = right(model, images, labels)
    assert stands.sum() == 55
    np.testing.assert_array_equal(adversarial[~stands], images[~stands])
    expected = images.copy()
    for index, part in enumerate(attack.parts(5).values()):
        alone = right(model, part(model, images, labels, seed=0), labels)
        rows = np.flatnonzero(stands)
        found = part(model, images[rows], labels[rows], seed=tf.random.fold_in(seed, index)).numpy()
        fooled = ~right(model, found, labels[rows])
        expected[rows[fooled]] = found[fooled]
        stands[rows[fooled]] = False
        # A part by itself has other random starts: one image of luck.
        assert right(model, adversarial, labels).mean() <= alone.mean() + 0.02
    robust = right(model, adversarial, labels)
    np.testing.assert_array_equal(robust, stands)
    np.testing.assert_array_equal(adversarial[~robust], expected[~robust])
    assert 0.05 < robust.mean() < 0.8


def test_inside_a_graph_it_gives_what_the_eager_call_gives(few_parts, digits, digits_classifier):
    images, labels = digits
    attack = attacks.AutoAttack(epsilon=0.08, **SMALL)
    signature = [tf.TensorSpec([None, 8, 8, 1]), tf.TensorSpec([None], tf.int64)]
    inside = tf.function(lambda x, y: attack(digits_classifier, x, y, seed=2), signature, autograph=False)
    eager = attack(digits_classifier, images, labels, seed=2)
    np.testing.assert_allclose(inside(images, labels), eager, atol=1e-5)
    assert inside(images[:4], labels[:4]).shape == (4, 8, 8, 1)
    assert 0.05 < right(digits_classifier, eager, labels).mean() < 0.8
    # None of these stands: nothing is attacked, in either mode.
    wrong = (np.argmax(digits_classifier(images), -1) + 1) % 10
    np.testing.assert_array_equal(inside(images, wrong), images)
    np.testing.assert_array_equal(attack(digits_classifier, images, wrong), images)


def test_where_nothing_stands_the_model_is_asked_once(batch):
    model, images = small_classifier(), batch[0]
    wrong = (np.argmax(model(images), -1) + 1) % 5
    counted = wrappers.PassCounter.of(model)
    np.testing.assert_array_equal(attacks.AutoAttack(epsilon=0.1)(counted, images, wrong), images)
    assert wrappers.passes(counted) == (len(images), 0)


def test_a_part_meets_only_what_stands(few_parts, digits, digits_classifier, monkeypatch):
    images, labels = digits
    met, call = [], attacks.Attack.__call__

    def spy(self, model, images, labels, **options):
        found = call(self, model, images, labels, **options)
        met.append((len(labels), int(np.sum(right(model, found, labels)))))
        return found

    monkeypatch.setattr(attacks.Attack, "__call__", spy)
    attacks.AutoAttack(epsilon=0.08, **SMALL)(digits_classifier, images, labels, seed=1)
    (*parts, whole) = met
    assert [given for given, _ in parts[1:]] == [left for _, left in parts[:-1] if left]
    assert whole == (60, parts[-1][1])


def test_the_version_for_random_models_attacks_the_expectation(batch):
    model, images = small_classifier(), batch[0]
    labels = np.argmax(model(images), -1)
    attack = attacks.AutoAttack(epsilon=0.05, version="rand", steps=4)
    counted = wrappers.PassCounter.of(model)
    adversarial = attack(counted, images, labels, seed=0)
    assert wrappers.passes(counted)[1] >= 20 * 5 * len(images)
    # A model without randomness is its own expectation, over any number of draws that the caller chose.
    by_hand = attack(wrappers.EOT(model, samples=2), images, labels, seed=0)
    np.testing.assert_array_equal(right(model, adversarial, labels), right(model, by_hand, labels))
    assert right(model, adversarial, labels).mean() < 1


@pytest.mark.parametrize(("version", "classes", "needed"), [("standard", 3, 4), ("plus", 2, 4), ("rand", 2, 3)])
def test_too_few_classes_are_told_with_what_to_do(version, classes, needed, batch):
    model = small_classifier(classes=classes)
    with pytest.raises(ValueError, match=f"at least {needed} classes; the model has {classes}.*loss='cross_entropy'"):
        attacks.AutoAttack(epsilon=0.1, version=version)(model, batch[0], batch[1] % classes)
