"""Exhibits promise what the papers print, share what they have in common, and say how they were made."""

import ast
import dataclasses
import itertools
import re

import numpy as np
import pytest
from scipy import stats

from alp_tf import configs, files, machine, tables
from alp_tf.evaluation import protocols
from alp_tf.reproduction import budgets, estimate, intervals, markdown, measuring, parts, work
from alp_tf.reproduction.budgets import Model
from alp_tf.reproduction.exhibit import CLEAN, Row, Scaled, Trained
from alp_tf.threat_model import ThreatModel
from tests.attacks.passes import most
from tests.reproduction.exhibits import EXHIBITS, EXPERIMENTS, MODELS, each_exhibit, order_of, rows_of_the_page


def numbers(text):
    return re.findall(r"\d+(?:\.\d+)?", re.sub(r"Tables? \d+", "", text))


@each_exhibit
def test_published_figures_are_those_of_the_page_of_experiments(exhibit):
    for row in exhibit.rows:
        # That row is the same model in Tables 1 to 3, and on the page once.
        number = "1" if row.experiment == "cifar10_at_7step" else exhibit.name.split("/")[1]
        in_any_table = exhibit.kind == "figure" or exhibit.name == "shafahi/defenses"
        text = " ".join(
            cells
            for paper, where, _, file, cells in rows_of_the_page()
            if paper == exhibit.paper
            and file == row.experiment
            and (number in re.findall(r"\d+", where.split("(")[0]) or in_any_table)
        )
        if exhibit.name == "shafahi/5.1.2":
            text = EXPERIMENTS.partition("Section 5.1.2")[2]
        assert set(row.published) <= {column.label for column in exhibit.columns}
        for column, figure in row.published.items():
            assert figure in text, (row.label, column)


def test_every_figure_of_the_page_of_experiments_is_published_in_an_exhibit():
    for paper, where, label, file, cells in rows_of_the_page():
        published = {
            number
            for exhibit in EXHIBITS
            if exhibit.paper == paper
            for row in exhibit.rows
            if row.experiment == file
            for figure in row.published.values()
            for number in numbers(figure)
        }
        # Kannan's 72 % clean on ImageNet stands in the text, and no table has a column for it.
        left = set(numbers(cells)) - published - {"72"}
        assert not left, (where, label)


@each_exhibit
def test_columns_name_attacks_of_the_data_set_and_labels_are_unique(exhibit):
    for column in exhibit.columns:
        assert set(column.attacks) <= set(measuring.attacks_of(exhibit.dataset))
        assert bool(column.attacks) == (column.kind != CLEAN)
    labels = [row.label for row in exhibit.rows]
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize(("experiment_name", "changes"), MODELS, ids=str)
def test_every_model_is_configured_on_every_budget(experiment_name, changes):
    module = tables.experiments_directory() / f"{experiment_name}.py"
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))
    (exhibit, *_) = (each for each in EXHIBITS if experiment_name in {row.experiment for row in each.rows})
    for budget in exhibit.budgets:
        config = budgets.configuration(Model(experiment_name, changes, 3), budget)
        configs.check(config, {f"config.{field}" for field, _ in changes})
        assert (config.seed, config.evaluation.examples, config.dataset.name) == (3, 0, exhibit.dataset)
        if budget == "smoke":
            assert config.train.steps * config.train.batch_size <= 32
    # The points of the papers' curves are those that the experiment's file lists; our own sweep has others.
    for field, value in changes:
        if not isinstance(value, Scaled) and "MNIST" in docstring and field == "defense.weight":
            assert re.search(rf"(?<![\d.]){value:g}(?![\d.]*\d)", docstring), (field, value)


def test_an_exhibit_without_a_laptop_budget_is_one_whose_files_have_none():
    for exhibit in EXHIBITS:
        for row in exhibit.rows:
            text = (tables.experiments_directory() / f"{row.experiment}.py").read_text(encoding="utf-8")
            assert ("budget=" in text) == ("laptop" in exhibit.budgets), row.experiment


def test_models_that_are_trained_alike_share_a_directory():
    def directories(exhibit):
        order = order_of(exhibit)
        return {row.label: budgets.directory_name(order.model(row, 0), "laptop") for row in exhibit.rows}

    squeezed = directories(parts.TABLES["kannan/7"])["Logit squeezing"]
    assert squeezed == "mnist_lsq-seed0"
    assert directories(parts.FIGURES["kannan/1"])["logit squeezing, weight 0.5"] == squeezed
    assert directories(parts.FIGURES["shafahi/1"])["per example, beta 0.5"] == squeezed
    once = "weight 0.5, sigma 0.5, learning rate 0.008, once as long"
    assert directories(parts.TABLES["kannan/7-sweep"])[once] == squeezed
    assert directories(parts.TABLES["kannan/1"])["M-PGD"] == directories(parts.TABLES["kannan/7"])["M-PGD"]
    middles = [
        directories(parts.FIGURES[name])[label]
        for name, label in (
            ("shafahi/2", "batch-wise, beta 10"),
            ("shafahi/3", "batch-wise, sigma 0.5"),
            ("shafahi/4", "batch-wise, length 1"),
        )
    ]
    assert set(middles) == {"mnist_batch_lsq-seed0"}
    for exhibit in EXHIBITS:
        names = directories(exhibit).values()
        assert len(set(names)) == len(names)


def test_models_that_are_trained_alike_are_one_model_however_they_are_written():
    models = {part.model for exhibit in EXHIBITS for part in order_of(exhibit).parts()}
    names = {budgets.directory_name(model, "laptop") for model in models}
    assert len(models) == len(names) > 20


def test_a_model_that_starts_from_another_is_trained_after_it(tmp_path):
    # The weight is the file's own: written or not, it is the same model.
    start = Trained("mnist_alp", (("train.steps", 30), ("defense.weight", 1.0)))
    exhibit = dataclasses.replace(
        parts.TABLES["kannan/1-training"],
        rows=(
            Row(label="after", experiment="mnist_alp", changes={"train.start_from": start, "train.steps": 5}),
            Row(label="before", experiment="mnist_alp", changes={"train.steps": 30}),
        ),
    )
    trained = [part.model for part in order_of(exhibit, seeds=(3,)).parts() if part.kind == "train"]
    names = ["mnist_alp-steps=30-seed3", "mnist_alp-steps=5-from-mnist_alp-steps=30-seed3"]
    assert [budgets.directory_name(model, "laptop") for model in trained] == names
    store = work.Store(tmp_path, "laptop", sizes=measuring.Sizes())
    starts = [store.config(model).train.start_from for model in trained]
    assert starts == [None, str(store.directory(trained[0]) / "model.keras")]
    assert "train.start_from" not in budgets.differences(trained[1], "laptop")


def test_a_model_at_the_end_of_a_long_chain_has_a_directory_of_its_own_with_a_name_that_files_can_have(tmp_path):
    def chained(weight, rate, seed):
        changes = (("defense.weight", weight),)
        for steps in range(1001, 1030):
            changes = (("train.start_from", Trained("mnist_alp", changes)), ("train.steps", steps))
        return Model("mnist_alp", (*changes, ("optimizer.learning_rate", rate)), seed)

    models = [chained(*each) for each in itertools.product((0.25, 0.75), (1e-3, 2e-3), (0, 12))]
    names = [budgets.directory_name(model, "laptop") for model in models]
    assert len(set(names)) == 8
    for model, name in zip(models, names, strict=True):
        assert re.fullmatch(rf"mnist_alp-learning_rate=.*-seed{model.seed}", name)
        assert len(f"{name}.json.tmp") <= 255
    # As are the files of what such models' images do to others.
    store = work.Store(tmp_path, "laptop", sizes=measuring.Sizes())
    attacked = [
        parts.Part(kind="black box", model=models[0], name="PGD-10 random target", source=model) for model in models
    ]
    slugs = {store.slug(part) for part in attacked}
    assert len(slugs) == 8
    for slug in slugs:
        files.write_json(tmp_path / f"{slug}.json", {})


def test_a_table_trains_each_model_once_and_what_it_needs_first():
    wanted = order_of(parts.TABLES["kannan/1"], seeds=(0, 1, 2), copies=2).parts()
    assert len(set(wanted)) == len(wanted)
    trained = [(part.model.experiment, part.model.seed) for part in wanted if part.kind == "train"]
    # Copies are of M-PGD for both rows.
    assert sorted(trained) == [
        *(("mnist_alp", seed) for seed in (0, 1, 2)),
        *(("mnist_mpgd", seed) for seed in (0, 1, 2, 1000, 1001)),
    ]
    for exhibit in EXHIBITS:
        there = set()
        for part in order_of(exhibit, seeds=(0, 1)).parts():
            if part.kind == "train":
                assert there.issuperset(parts.needed_first(part.model))
                there.add(part.model)
            assert there.issuperset({part.model, part.source} - {None})
    strong = [part.model.seed for part in wanted if part.kind == "protocol"]
    assert set(strong) == {0}
    assert len(strong) == 4


def test_captions_list_what_differs_in_training_and_nothing_else():
    assert budgets.differences(Model("mnist_alp", (), 0), "laptop") == {
        "dataset.augmentation": ("shift_by_1", "none"),
        "defense.attack.step_size": (0.1, 0.01),
        "defense.attack.steps": (4, 40),
        "model.initializer": ("glorot", None),
        "optimizer.learning_rate": (3e-3, 1e-4),
        "optimizer.schedule": ("cosine", "constant"),
        "optimizer.warmup_steps": (500, 0),
        "train.batch_size": (64, 50),
        "train.steps": (12_000, 100_000),
    }
    assert budgets.differences(Model("mnist_alp", (), 0), "paper") == {}
    # No attack in the training, and the weight of a sweep is the same on both.
    squeezing = budgets.differences(Model("mnist_lsq", (("defense.weight", 0.7),), 0), "laptop")
    assert set(squeezing) == {
        "defense.penalty_ramp",
        "model.initializer",
        "optimizer.learning_rate",
        "optimizer.schedule",
        "optimizer.warmup_steps",
        "train.steps",
    } | ({"train.batch_size"} if "train.batch_size" in squeezing else set())
    longer = budgets.differences(Model("mnist_lsq", (("train.steps", Scaled(4)),), 0), "laptop")
    assert longer["train.steps"] == (4 * 4_680, 400_000)


@pytest.mark.parametrize(
    ("statuses", "says"),
    [
        (["pass", "pass", "skipped"], "✓ none of 2 tests"),
        (["pass", "warn", "skipped"], "? 1 of 2 tests warn"),
        (["fail", "warn", "pass"], "✗ 1 of 3 tests fail"),
        (["skipped", "skipped"], "not looked for"),
    ],
)
def test_the_verdict_counts_the_tests_that_were_made(statuses, says):
    masking = [{"status": status} for status in statuses]
    found = {"strong": {"masking": []}, "autoattack": {"masking": masking}}
    assert markdown.verdict({"protocols": found}) == says


@pytest.mark.parametrize("shares", [(0.9, 0.92, 0.95), (0.5, 0.5), (0.0, 0.4, 0.1, 0.2), (0.999, 1.0)])
def test_intervals_over_seeds_are_students(shares):
    mean, found = intervals.over_seeds(shares)
    assert mean == pytest.approx(np.mean(shares))
    if np.ptp(shares):
        low, high = stats.t.interval(0.95, len(shares) - 1, np.mean(shares), stats.sem(shares))
        assert found == pytest.approx((max(low, 0), min(high, 1)))
    else:
        assert found == pytest.approx((mean, mean))
    assert intervals.summary(shares, 100)["interval"] == f"Student's t over {len(shares)} seeds"


@pytest.mark.parametrize(("right", "count"), [(0, 10), (932, 1000), (10_000, 10_000)])
def test_the_interval_of_one_seed_is_wilsons_over_its_images(right, count):
    found = intervals.summary([right / count], count)
    expected = stats.binomtest(right, count).proportion_ci(method="wilson")
    assert found["ci95"] == pytest.approx([expected.low, expected.high], abs=1e-6)


def test_the_estimate_of_a_training_in_bfloat16_is_that_of_this_processor(tmp_path, monkeypatch):
    table = parts.order("table", "kannan/1-training", budget="laptop", seeds=(0,), copies=1)
    store = work.Store(tmp_path, "laptop", sizes=measuring.Sizes())
    half = next(part for part in table.parts() if ("train.precision", "mixed_bfloat16") in part.model.changes)
    found = []
    for known in ({"avx2", "amx_bf16", "avx512_bf16"}, {"avx2", "avx512_bf16"}, set(), {"avx2"}):
        monkeypatch.setattr(machine, "instructions", lambda known=known: frozenset(known))
        monkeypatch.setattr(machine, "accelerated", lambda: False)
        found.append(estimate.seconds(half, store))
    assert found == sorted(found)
    # Vector instructions alone promise no more than an unknown processor.
    assert found[1] == found[2]
    assert len(set(found)) == 3


def test_estimates_count_the_passes_that_the_protocols_take():
    for name, passes in estimate.PROTOCOL_PASSES.items():
        attacks = protocols.protocol(name, ThreatModel(epsilon=0.3), num_classes=10).values()
        assert tuple(map(sum, zip(*(most(attack, 10) for attack in attacks), strict=True))) == passes
