"""Parts are made once, resumed, shared and estimated; what is published makes the page."""

import json
import os
import re
import time
from concurrent import futures

import pytest

from alp_tf.reproduction import drawing, markdown, measuring, page, parts, processes, results, work
from tests.reproduction.exhibits import EXHIBITS, ROOT, order_of
from tests.reproduction.stub import made, store_in


@pytest.mark.parametrize("killed_after", [0, 1, 4, 10])
def test_killed_between_any_two_parts_it_makes_only_the_rest(stub, tmp_path, killed_after):
    order = order_of(parts.TABLES["kannan/1"])
    stub.killed_after = killed_after
    with pytest.raises(KeyboardInterrupt):
        made(order, tmp_path)
    stub.killed_after = None
    found = made(order, tmp_path)
    assert len(stub.made) == len(set(stub.made)) == len(order.parts())
    assert found["rows"]["ALP"]["columns"]["White Box"]["mean"] == 0.9


def test_what_is_measured_so_far_is_shown_with_the_rest_open(stub, tmp_path, committed):
    order = order_of(parts.TABLES["kannan/1"])
    # Two trainings, the attack, the black box and AutoAttack of the first row.
    stub.killed_after = 5
    with pytest.raises(KeyboardInterrupt):
        made(order, tmp_path)
    found = results.collect(order, store_in(tmp_path), command="test")
    text = markdown.text(order.exhibit, found)
    paper_beside_ours = "| M-PGD | 93.2 | 90.00 (82.6 to 94.5) | 96.0 | 90.00 (82.6 to 94.5) | 98.5 | 98.00 |"
    assert f"{paper_beside_ours} – | 60.00 (50.0 to 70.0) | ✓" in text
    assert "| ALP | 96.4 | – | 97.5 | – | 98.8 | – | – | – | – |" in text
    assert "3 of 8 measurements are" in text
    assert page.state(order.exhibit) == "not measured here"
    page.publish(order.exhibit, found)
    assert page.state(order.exhibit) == "measured in part"
    stub.killed_after = None
    page.publish(order.exhibit, made(order, tmp_path))
    assert page.state(order.exhibit) == "measured"
    assert "measurements are" not in page.text()


def test_a_figure_shows_the_points_that_are_there(stub, tmp_path):
    exhibit = parts.FIGURES["kannan/1"]
    order = order_of(exhibit)
    stub.killed_after = 18
    with pytest.raises(KeyboardInterrupt):
        made(order, tmp_path)
    found = results.collect(order, store_in(tmp_path), command="test")
    # Both levels, two points whole, and one without its protocols.
    assert [len(row["protocols"]) for row in found["rows"].values()] == [2, 2, 2, 2, 0]
    drawing.draw(tmp_path, exhibit, found)
    assert (tmp_path / "figure1.png").stat().st_size > 5000
    assert "clean logit pairing, weight 0.2" in markdown.text(exhibit, found)


@pytest.mark.parametrize("name", ["shafahi/5", "shafahi/surface"])
def test_what_is_drawn_of_one_model_is_left_out_until_it_is_measured(stub, tmp_path, name):
    order = order_of(parts.FIGURES[name])
    assert results.collect(order, store_in(tmp_path), command="test")["rows"] == {}


def test_exhibits_share_models_and_measurements_and_changed_ones_are_made_again(stub, tmp_path):
    made(order_of(parts.TABLES["kannan/1"]), tmp_path)
    before = len(stub.made)
    made(order_of(parts.TABLES["kannan/7"]), tmp_path)
    assert all(name.startswith("mnist_lsq") for name in stub.made[before:])
    before = len(stub.made)
    # More images under the strong protocols: these two of both rows, and nothing else.
    made(order_of(parts.TABLES["kannan/1"]), tmp_path, measuring.Sizes(examples=100, strong_examples=60))
    assert len(stub.made[before:]) == 4
    assert all("protocol" in name for name in stub.made[before:])


def test_some_at_a_time_are_started_after_what_they_read(stub, tmp_path, monkeypatch):
    seen, under_way, order = [], [], order_of(parts.TABLES["kannan/7"], seeds=(0, 1), copies=2)
    wait = futures.wait

    def one(store, part, row, cores):
        seen.append((part, cores))
        time.sleep(0.002 * (row + 1))
        store.make(part)
        seen.append((part, None))

    def counted(running, **options):
        # What was started, however soon it ended.
        under_way.append(len(running))
        return wait(running, **options)

    monkeypatch.setattr(processes, "_make", one)
    monkeypatch.setattr(futures, "ProcessPoolExecutor", lambda *_, **__: futures.ThreadPoolExecutor(1))
    monkeypatch.setattr(futures, "wait", counted)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4}, raising=False)
    made(order, tmp_path, jobs=2)
    assert len(stub.made) == len(set(stub.made)) == len(order.parts())
    running, finished = {}, set()
    for part, cores in seen:
        if cores is None:
            finished.add(part)
            del running[part]
            continue
        assert finished.issuperset(parts.before(part))
        running[part] = cores
        assert sorted(sum(running.values(), [])) == sorted(set().union(*running.values()))
        assert len(running) <= 2
        assert len(cores) in (2, 3)
    # Towards the end one may have nothing beside it but what waits for it.
    assert under_way.count(2) > len(under_way) / 2


def test_a_mistake_in_one_leaves_the_others_finished_and_says_whose_process_ended(stub, tmp_path, monkeypatch):
    order = order_of(parts.TABLES["kannan/1"])

    def one(store, part, row, cores):
        if row:
            time.sleep(0.05)
            store.make(part)
        else:
            raise futures.process.BrokenProcessPool

    monkeypatch.setattr(processes, "_make", one)
    monkeypatch.setattr(futures, "ProcessPoolExecutor", lambda *_, **__: futures.ThreadPoolExecutor(1))
    with pytest.raises(ValueError, match="the process of mnist_mpgd-seed0: train ended suddenly.*goes on where"):
        made(order, tmp_path, jobs=2)
    time.sleep(0.1)
    assert stub.made == ["mnist_mpgd-seed1000"]


def test_a_measurement_under_way_is_not_made_by_another(stub, tmp_path, monkeypatch):
    part = next(part for part in order_of(parts.TABLES["kannan/1"]).parts() if part.name == "strong")
    store = store_in(tmp_path)
    store.make(parts.training(part.model))
    measured, refused = stub.measure, []

    def meanwhile(*arguments):
        with pytest.raises(ValueError, match=f"mnist_mpgd-seed0: strong is being measured by process {os.getpid()}"):
            store.make(part)
        refused.append(part)
        return measured(*arguments)

    monkeypatch.setattr(measuring, "measure", meanwhile)
    store.make(part)
    # Who was waiting to start finds it made.
    store.make(part)
    assert refused == [part]
    assert store.done(part)["robust_accuracy"] == pytest.approx(0.6)


def test_what_was_trained_before_a_field_was_known_counts(stub, tmp_path):
    part = parts.training(order_of(parts.TABLES["kannan/1"]).parts()[0].model)
    store = store_in(tmp_path)
    store.make(part)
    path = store.directory(part.model) / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    del config["optimizer"]["name"]
    path.write_text(json.dumps(config), encoding="utf-8")
    assert store.done(part)
    config["train"]["steps"] += 1
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ValueError, match="another configuration.*Give another --output"):
        store.done(part)


def test_seeds_give_means_and_the_strong_protocols_are_of_the_first(stub, tmp_path):
    order = order_of(parts.TABLES["kannan/1"], seeds=(0, 1, 2), copies=1)
    found = made(order, tmp_path)
    cell = found["rows"]["ALP"]["columns"]["White Box"]
    assert cell["shares"] == pytest.approx([0.9, 0.89, 0.88])
    assert cell["mean"] == pytest.approx(0.89)
    assert found["rows"]["ALP"]["protocols"]["strong"]["robust_accuracy"] == pytest.approx(0.6)
    assert json.loads(json.dumps(found)) == found
    text = markdown.text(order.exhibit, found)
    assert "| ALP | 96.4 | 89.00 (86.5 to 91.5) | 97.5 |" in text
    assert "| 60.00 (50.0 to 70.0) | 60.00 (50.0 to 70.0) | ✓ none of 1 tests |" in text
    assert "`train.steps` 12000 (paper's budget: 100000)" in text
    assert "Student's t over 3 seeds" in text
    assert "1 copy of each model" in text


def test_the_estimate_learns_from_what_is_finished(stub, tmp_path):
    order = order_of(parts.TABLES["kannan/1"])
    store = store_in(tmp_path)
    before = work.plan(order.parts(), store)
    assert "11 parts (3 models to train), 11 of them to do" in before
    stub.killed_after = 1
    with pytest.raises(KeyboardInterrupt):
        made(order, tmp_path)
    after = work.plan(order.parts(), store)
    assert "mnist_mpgd-seed0     train (done)" in after
    # A minute, as the seed before.
    assert "mnist_mpgd-seed1000  train 1 min" in after


@pytest.mark.parametrize("name", ["table kannan/1", "figure kannan/1", "figure shafahi/4"])
def test_what_is_published_makes_the_page_and_deleting_it_is_seen(stub, tmp_path, committed, name):
    kind, _, key = name.partition(" ")
    exhibit = (parts.TABLES if kind == "table" else parts.FIGURES)[key]
    empty = page.text()
    path = page.publish(exhibit, made(order_of(exhibit), tmp_path))
    full = page.text()
    assert full != empty
    assert f"`{page.command_for(exhibit)}` would" in empty
    assert f"`{page.command_for(exhibit)}` would" not in full
    for picture in re.findall(r"\(\.\./experiments/results/(.+?\.png)\)", full):
        assert (committed / picture).stat().st_size > 5000
    assert ("png)" in full) == (kind == "figure")
    path.unlink()
    assert page.text() == empty


def test_the_discussion_has_measured_numbers_alone(stub, tmp_path, committed):
    (committed / "discussion.md").write_text("ALP keeps {table kannan/1 | ALP | strong}.", encoding="utf-8")
    with pytest.raises(ValueError, match=r"\{table kannan/1 \| ALP \| strong\}, which no committed JSON holds"):
        page.text()
    page.publish(parts.TABLES["kannan/1"], made(order_of(parts.TABLES["kannan/1"]), tmp_path))
    assert "ALP keeps 60.0 %." in page.text()


def test_a_smoke_and_a_slice_are_not_published(stub, tmp_path, committed):
    exhibit = parts.TABLES["kannan/1"]
    smoke = made(order_of(exhibit, "smoke"), tmp_path)
    assert "Smoke, not a result" in markdown.text(exhibit, smoke)
    with pytest.raises(ValueError, match="a smoke is no result"):
        page.publish(exhibit, smoke)
    slice_of_it = {**smoke, "result": True, "dataset": {**smoke["dataset"], "test_examples": 300}}
    with pytest.raises(ValueError, match="only 300 test images here, which is a slice"):
        page.publish(exhibit, slice_of_it)
    assert not list(committed.iterdir())


def test_the_page_is_made_of_the_committed_json():
    path = ROOT / "docs" / "results.md"
    assert path.read_text(encoding="utf-8") == page.text(), "run python -m alp_tf.reproduce --page"
    known = {f"{exhibit.paper}/{exhibit.stem}.json" for exhibit in EXHIBITS}
    there = {
        f"{paper}/{file.name}"
        for paper in ("kannan", "shafahi")
        for file in (ROOT / "experiments" / "results" / paper).glob("*.json")
    }
    assert there <= known
    for file in there:
        found = json.loads((ROOT / "experiments" / "results" / file).read_text(encoding="utf-8"))
        assert found["result"]
        assert found["command"].startswith("python -m alp_tf.reproduce --")
