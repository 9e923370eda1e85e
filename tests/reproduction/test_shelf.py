"""What was measured before is gone on from, also where the models are gone; never for other weights."""

import pathlib

import keras
import numpy as np
import pytest

from alp_tf.reproduction import budgets, parts, shelf, work
from tests.reproduction.exhibits import EXHIBITS, ROOT, order_of
from tests.reproduction.stub import made, store_in


@pytest.fixture
def order():
    return order_of(parts.TABLES["kannan/1"])


@pytest.fixture
def kept(tmp_path):
    return shelf.Shelf(tmp_path / "shelf")


def test_what_is_on_the_shelf_is_not_made_again(stub, tmp_path, order, kept):
    first = made(order, tmp_path / "first", shelf=kept)
    before = len(stub.made)
    second = made(order, tmp_path / "second", shelf=kept)
    assert len(stub.made) == before
    assert second["rows"] == first["rows"]
    assert "11 of them to do" in work.plan(order.parts(), store_in(tmp_path / "third"))
    assert "0 of them to do" in work.plan(order.parts(), store_in(tmp_path / "third", shelf=kept))


def test_what_was_made_without_a_shelf_is_put_on_it(stub, tmp_path, order, kept):
    first = made(order, tmp_path / "first")
    before = len(stub.made)
    made(order, tmp_path / "first", shelf=kept)
    assert made(order, tmp_path / "second", shelf=kept)["rows"] == first["rows"]
    assert len(stub.made) == before


def test_only_models_of_which_something_is_missing_are_trained_again(stub, tmp_path, order, kept):
    # Of ALP there is all but the last protocol.
    stub.killed_after = len(order.parts()) - 1
    with pytest.raises(KeyboardInterrupt):
        made(order, tmp_path / "first", shelf=kept)
    stub.killed_after, stub.made = None, []
    found = made(order, tmp_path / "second", shelf=kept)
    assert stub.made == ["mnist_alp-seed0", "mnist_alp-seed0 protocol strong"]
    assert found["rows"]["ALP"]["train_seconds"] == [60.0]


def test_of_a_model_with_other_weights_all_is_measured_again(stub, tmp_path, kept):
    # Each of its rows has copies of its own.
    order = order_of(parts.TABLES["kannan/2"])
    stub.killed_after = len(order.parts()) - 1
    with pytest.raises(KeyboardInterrupt):
        made(order, tmp_path / "first", shelf=kept)
    stub.killed_after, stub.made, stub.weights = None, [], 1.0
    with pytest.warns(UserWarning, match=r"svhn_alp-seed0, trained again, has other weights than that of which 3"):
        made(order, tmp_path / "second", shelf=kept)
    assert {name for name in stub.made if name.startswith("svhn_mpgd")} == set()
    assert [name for name in stub.made if "seed0 " in name and "strong" not in name] == [
        "svhn_alp-seed0 attack PGD-10",
        "svhn_alp-seed0 black box PGD-10",
        "svhn_alp-seed0 protocol autoattack",
    ]


def test_another_configuration_is_another_model(stub, tmp_path, order, kept):
    made(order, tmp_path, shelf=kept)
    store = store_in(tmp_path, shelf=kept)
    model = order.parts()[0].model
    config, name = store.config(model), store.directory(model).name
    nowhere = tmp_path / "nowhere.keras"
    assert kept.found(name, config, nowhere)
    config.dataset.data_dir = "elsewhere"
    assert kept.found(name, config, nowhere)
    config.train.steps += 1
    assert kept.found(name, config, nowhere) is None
    assert kept.found("mnist_unknown", config, nowhere) is None


def test_the_digest_is_of_the_weights_alone(tmp_path):
    def saved(name, value, units=2):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units)])
        model.set_weights([np.full(each.shape, value, each.dtype) for each in model.get_weights()])
        model.save(tmp_path / name)
        return shelf.digest(tmp_path / name)

    one = saved("one.keras", 1.0)
    assert saved("again.keras", 1.0) == one
    assert saved("other.keras", 1.5) != one
    assert saved("wider.keras", 1.0, units=3) != one


def test_what_is_committed_is_of_models_that_the_exhibits_have():
    orders = [order_of(exhibit, seeds=(0, 1, 2), copies=3) for exhibit in EXHIBITS if "laptop" in exhibit.budgets]
    models = {budgets.directory_name(part.model, "laptop"): part.model for each in orders for part in each.parts()}
    store, nowhere = store_in("nowhere"), pathlib.Path("nowhere")
    for path in (ROOT / "experiments" / "results" / "measured" / "laptop").glob("*.json"):
        config = store.config(models[path.stem])
        assert shelf.Shelf(path.parent).found(path.stem, config, nowhere), f"{path.name}: its configuration has changed"
