"""Every way to name a classifier, and what is said where there is none."""

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from alp_tf import attacks, defenses, loading
from tests.conftest import small_classifier


def same_logits(model, classifier, batch):
    images = tf.constant(batch[0])
    np.testing.assert_allclose(model(images), classifier(images), atol=1e-6)


def test_keras_files_and_work_directories(classifier, batch, tmp_path):
    classifier.save(tmp_path / "model.keras")
    same_logits(loading.classifier(str(tmp_path / "model.keras")), classifier, batch)
    same_logits(loading.classifier(str(tmp_path)), classifier, batch)


def test_a_damaged_file_is_called_damaged(classifier, tmp_path):
    path = tmp_path / "model.keras"
    classifier.save(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="model.keras is damaged, or no file of Keras"):
        loading.classifier(str(path))


def test_a_saved_defence_gives_its_classifier(classifier, batch, tmp_path):
    defense = defenses.AdversarialTraining(classifier, attack=attacks.FGSM(epsilon=0.1))
    defense(batch[0])
    defense.save(tmp_path / "defence.keras")
    same_logits(loading.classifier(str(tmp_path / "defence.keras")), classifier, batch)


def test_a_saved_model_can_be_attacked(classifier, batch, tmp_path):
    classifier.export(tmp_path / "saved", verbose=False)
    model = loading.classifier(str(tmp_path / "saved"))
    same_logits(model, classifier, batch)
    attack = attacks.PGD(epsilon=0.1, step_size=0.03, steps=3)
    np.testing.assert_allclose(attack(model, *batch, seed=0), attack(classifier, *batch, seed=0), atol=1e-5)


def test_a_saved_model_whose_logits_are_not_to_be_told_is_refused(classifier, tmp_path):
    two = keras.Model(classifier.inputs, {"a": classifier.outputs[0], "b": 2 * classifier.outputs[0]})
    two.export(tmp_path / "saved", verbose=False)
    with pytest.raises(ValueError, match="returns a, b; one must be called logits"):
        loading.classifier(str(tmp_path / "saved"))


def test_a_function_of_a_module(batch, tmp_path, monkeypatch):
    (tmp_path / "someones_models.py").write_text(
        "from tests.conftest import small_classifier\n\ndef build():\n    return small_classifier()\n\n"
        "def number():\n    return 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert isinstance(loading.classifier("someones_models:build"), type(small_classifier()))
    with pytest.raises(ValueError, match="has no 'bild'; it has small_classifier, build, number"):
        loading.classifier("someones_models:bild")
    with pytest.raises(ValueError, match="returned int; a Keras model"):
        loading.classifier("someones_models:number")
    with pytest.raises(ValueError, match="there is no module 'nobodys_models'"):
        loading.classifier("nobodys_models:build")


def test_what_is_no_model_is_told(tmp_path):
    with pytest.raises(ValueError, match="does not exist. Write a work directory.*module:function"):
        loading.classifier(str(tmp_path / "nothing.keras"))
    with pytest.raises(ValueError, match="is neither a work directory"):
        loading.classifier(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="its training is not finished"):
        loading.classifier(str(tmp_path))


def test_a_new_classifier_starts_from_the_weights_of_a_trained_one(classifier, batch, tmp_path, caplog):
    classifier.save(tmp_path / "model.keras")
    fresh = small_classifier()
    loading.start(fresh, str(tmp_path))
    same_logits(fresh, classifier, batch)
    assert not caplog.records
    other = small_classifier(classes=3)
    before = other.get_weights()
    loading.start(other, str(tmp_path / "model.keras"))
    assert "the last layer starts anew" in caplog.text
    for value, expected in zip(other.get_weights(), [*classifier.get_weights()[:-2], *before[-2:]], strict=True):
        np.testing.assert_array_equal(value, expected)


def test_a_classifier_does_not_start_from_another_architecture(classifier, tmp_path):
    classifier.save(tmp_path / "model.keras")
    before = (wider := small_classifier(shape=(8, 8, 1))).get_weights()
    with pytest.raises(
        ValueError, match=r"hidden/kernel \(288, 16\) where this network has \S*hidden/kernel \(512, 16\)"
    ):
        loading.start(wider, str(tmp_path))
    assert all((a == b).all() for a, b in zip(before, wider.get_weights(), strict=True))
    shallower = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten(), keras.layers.Dense(5)])
    with pytest.raises(ValueError, match="of another architecture"):
        loading.start(shallower, str(tmp_path))
    classifier.export(tmp_path / "saved", verbose=False)
    with pytest.raises(ValueError, match="has no layers to take weights from. Write a work directory"):
        loading.start(small_classifier(), str(tmp_path / "saved"))
