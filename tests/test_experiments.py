"""Every experiment's file runs, is at the papers' parameters, and stands in docs/experiments.md.

What is done with each file grows with how little it shares with others:

- all of them are checked, and their defences built, on every budget;
- each of the digits trains, is evaluated and reports, for that takes seconds: with them every defence does;
- a few of the others take a step on real images: together they have every data set, with a training attack and
  without, and every network, those of the paper's budget made small. ImageNet's two networks take most of the time,
  which goes into building their graphs, so only one of them is in every run of the tests, eagerly, without an attack;
- all of the others do with `-m slow`, on the paper's budget, with small networks in place of large ones, pictures
  included; and so do ImageNet's two networks, attacked.
"""

import ast
import pathlib
import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from alp_tf import callbacks, command_line, configs, datasets, defenses, evaluation, experiment
from alp_tf.evaluation import protocols

ROOT = pathlib.Path(__file__).parents[1]
FILES = sorted((ROOT / "experiments").glob("*.py"))
PAGE = (ROOT / "docs/experiments.md").read_text()
WITH_BUDGETS = ("mnist", "svhn", "cifar10", "cifar100")
# Fields that make a network small, of the papers' and of ImageNet's.
SMALL = {
    "revnet-9": {"name": "revnet", "units": (1, 1, 1), "filters": (4, 4, 8, 8)},
    "madry_wide_resnet": {"units": (1,), "width": 1},
    **dict.fromkeys(
        ("inception_v3", "resnet101"), {"name": "revnet", "units": (1,), "filters": (4, 4), "stem_pooling": True}
    ),
}
# Files with their budgets, and networks that stay as they are. Inception's images are attacked in a slow one alone.
STEPS = {
    "mnist_alp:laptop": (),
    "mnist_batch_lsq:laptop": (),
    "svhn_mpgd:laptop": (),
    "svhn_clp:paper": (),
    "cifar10_at_7step:paper": (),
    "cifar10_label_smoothing:laptop": (),
    "cifar100_batch_lsq:laptop": (),
    "imagenet_alp": (),
    "imagenet_plain": ("inception_v3",),
}
SLOW_STEPS = {"imagenet_alp": ("inception_v3",), "imagenet_mixup_resnet101": ("resnet101",)}


def config_of(path, budget=""):
    return command_line.read_config([f"--config={path}{f':{budget}' if budget else ''}"])[0]


def budgets(path):
    return ("laptop", "paper") if path.stem.split("_")[0] in WITH_BUDGETS else ("",)


def named(*starts):
    chosen = [path for path in FILES if path.stem.split("_")[0] in starts]
    return pytest.mark.parametrize("path", chosen, ids=lambda path: path.stem)


def quick(config):
    """The same experiment, a step or two of it."""
    config.train.update(steps=2, batch_size=4, checkpoint_every=2)
    config.evaluation.update(examples=4, batch_size=4, masking_examples=0)
    for attack in (config.defense.attack, *config.evaluation.attacks.values()):
        if attack.steps:
            attack.update(steps=1)
        if attack.restarts:
            attack.update(restarts=1)
    return config


@pytest.fixture
def sources(tmp_path):
    """A trained network's file, in place of those that ensemble training names."""
    path = tmp_path / "source.keras"
    configs.build_classifier(configs.default(), _Digits).save(path)
    return (str(path),)


class _Digits:
    image_shape, num_classes = (8, 8, 1), 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_file_is_valid_and_tells_its_command(path):
    configs.check(config_of(path))
    text = path.read_text()
    assert f"python -m alp_tf.main --config=experiments/{path.name}" in text
    assert "Kannan" in text or "Shafahi" in text or "digits" in text


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_fields_that_the_docstring_changes_are_there(path):
    for dotted, value in re.findall(r"--config\.([\w.]+)=([\w.]+)", path.read_text()):
        config = command_line.read_config(
            [f"--config={path}", f"--config.{dotted}={'x' if value == 'DIR' else value}"]
        )[0]
        configs.check(config, {f"config.{dotted}"})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_defence_is_built_on_every_budget(path, sources):
    for budget in budgets(path):
        config = config_of(path, budget)
        configs.check(config)
        if config.defense.sources:
            config.defense.sources = sources
        defense = configs.build_defense(config, configs.build_classifier(configs.default(), _Digits))
        assert type(defense) is defenses.NAMED[config.defense.name]


@named(*WITH_BUDGETS)
def test_a_budget_that_is_none_is_told_the_nearest(path):
    with pytest.raises(ValueError, match="did you mean 'laptop'"):
        config_of(path, "labtop")


def pgd(options):
    attack = configs.build_attack(options)
    assert (attack.norm, attack.random_start) == ("linf", True)
    return attack.epsilon, attack.step_size, attack.steps


@named("mnist")
def test_mnist_is_evaluated_and_on_the_paper_budget_trained_at_kannans_parameters(path):
    paper, laptop = config_of(path, "paper"), config_of(path)
    for config in (paper, laptop):
        assert pgd(config.evaluation.attacks.pgd) == (0.3, 0.01, 40)
        assert config.model.name == "lenet"
    assert pgd(paper.defense.attack) == (0.3, 0.01, 40)
    assert (paper.optimizer.name, paper.optimizer.learning_rate, paper.train.steps) == ("adam", 1e-4, 100_000)


@named("svhn")
def test_svhn_is_evaluated_and_on_the_paper_budget_trained_at_kannans_parameters(path):
    paper, laptop = config_of(path, "paper"), config_of(path)
    for attack in (paper.evaluation.attacks.pgd, laptop.evaluation.attacks.pgd, paper.defense.attack):
        assert pgd(attack) == (12 / 255, 3 / 255, 10)
    assert paper.model.name == "revnet-9"
    # Digits that are mirrored are other signs.
    assert paper.dataset.augmentation == laptop.dataset.augmentation == "none"


@named("cifar10", "cifar100")
def test_cifar_is_evaluated_and_on_the_paper_budget_trained_at_shafahis_parameters(path):
    paper, laptop = config_of(path, "paper"), config_of(path)
    published = set(protocols.paper(paper.dataset.name).values())
    for config in (paper, laptop):
        measured = {configs.build_attack(options) for options in config.evaluation.attacks.values()}
        assert measured <= published
        # Section 5.1.2 measured two models further, with restarts.
        assert len(measured) == len(published) - 2 * (
            "add_restarts" not in path.read_text() and "cifar10_" in path.stem
        )
    with_attack = "attack" in defenses.NAMED[paper.defense.name].options()
    assert paper.model.name == "madry_wide_resnet"
    assert (paper.train.batch_size, paper.train.steps) == (128, 80_000 if with_attack else 160_000)
    if with_attack:
        steps = int(re.search(r"_at_(\d)step", path.stem)[1]) if "_at_" in path.stem else 7
        assert pgd(paper.defense.attack) == (8 / 255, 2 / 255, steps)
    else:
        noise = 0 if "plain" in path.stem else 20 / 255
        assert paper.defense.noise == laptop.defense.noise == noise


@named("imagenet")
def test_imagenet_is_evaluated_and_trained_at_kannans_parameters(path):
    config = config_of(path)
    for attack in (*config.evaluation.attacks.values(), config.defense.attack):
        built = configs.build_attack(attack)
        assert built.epsilon == 16 / 255
        assert built.target in ("random", "least_likely")
        assert attack.name == "step_ll" or (built.step_size, built.steps) == (2 / 255, 10)
    assert config.train.batch_size == 50 * 32
    optimizer = configs.build_optimizer(config, steps_per_epoch=800)
    # 0.045 for each of 50 workers, falling every two epochs of 800 steps.
    rates = [float(optimizer._learning_rate(step)) for step in (0, 1_599, 1_600, 3_200)]
    assert rates == pytest.approx([2.25, 2.25, 2.25 * 0.94, 2.25 * 0.94**2])
    assert (optimizer.momentum, optimizer.rho, optimizer.epsilon, optimizer.ema_momentum) == (0.9, 0.9, 1.0, 0.9999)


def rows_of_the_page():
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = re.findall(r"`(\w+\.py)`", line)
        if line.startswith("|") and names:
            yield names, cells


def test_the_page_lists_every_file_and_no_other():
    listed = {name for names, _ in rows_of_the_page() for name in names}
    assert listed == {path.name for path in FILES}


@pytest.mark.parametrize(
    ("name", "cells"),
    [(names[0], cells) for names, cells in rows_of_the_page() if len(cells) > 3],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_the_pages_figures_and_coefficients_are_the_files(name, cells):
    path = ROOT / "experiments" / name
    text = ast.get_docstring(ast.parse(path.read_text()))
    for figure in re.findall(r"\d+(?:\.\d+)?", re.sub(r"Table \d+", "", " ".join(cells[3:]))):
        assert re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d.]*\d)", text), figure
    for where in re.findall(r"(?:Table|Figure)s? (\d+)", cells[0]):
        assert re.search(rf"\b{where}\b", text), where
    defense = config_of(path).defense
    coefficient = re.match(r"(beta'?|lambda) = ([\d.]+)", cells[1])
    if coefficient and coefficient[1] == "lambda":
        assert defense.label_smoothing == float(coefficient[2])
    elif coefficient:
        assert defense.weight == float(coefficient[2])


def first_rows_with_figures():
    found = {}
    for names, cells in rows_of_the_page():
        figures = [re.match(r"\d+(?:\.\d+)?(?= |$)", cell) for cell in cells[3:]]
        if any(figures):
            found.setdefault(names[0], [figure and figure[0] for figure in figures])
    return found.items()


@pytest.mark.parametrize(("name", "figures"), first_rows_with_figures(), ids=lambda value: str(value)[:40])
def test_each_figure_is_that_of_its_column(name, figures):
    text = " ".join(ast.get_docstring(ast.parse((ROOT / "experiments" / name).read_text())).split())
    shafahi = ("clean", "PGD-20", "PGD-50", "PGD-200", "CW-20", "CW-50", "CW-200")
    for column, figure in zip(
        shafahi if len(figures) == 7 else ("white box", "black box", "clean"), figures, strict=True
    ):
        if figure:
            assert (f"{column} {figure}" if len(figures) == 7 else f"{figure} % {column}") in text, (column, figure)


def test_every_defence_can_be_tried_on_the_digits():
    assert {config_of(path).defense.name for path in FILES if path.stem.startswith("digits")} == set(defenses.NAMED)


@named("digits")
def test_digits_train_evaluate_and_report(path, tmp_path, sources, request):
    pictures = path.stem == "digits_alp"
    if not pictures:
        request.getfixturevalue("no_pictures")
    config = config_of(path)
    config.train.update(steps=5, checkpoint_every=2, batch_size=16)
    # The tests for masked gradients take longer than all the rest, and are the same for each file.
    config.evaluation.update(examples=20, masking_examples=20 if path.stem == "digits_alp" else 0)
    config.evaluation.attacks.pgd.update(steps=2, restarts=1)
    if config.defense.sources:
        config.defense.sources = sources
    results = experiment.run(config, tmp_path / "run", name=path.stem, command="test")
    assert results["config"] == path.stem
    (measured,) = results["evaluations"]
    assert 0 <= measured["robust_accuracy"] <= measured["clean_accuracy"] <= 1
    assert measured["examples"] == 20
    report = (tmp_path / "run" / "report.md").read_text()
    for figure in ("figures/adversarial_pgd.png", "figures/training_curves.png"):
        assert figure in report
        assert not pictures or (tmp_path / "run" / figure).stat().st_size > 5000
    assert len((tmp_path / "run" / "history.jsonl").read_text().splitlines()) == 3
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))


@pytest.fixture
def no_pictures(monkeypatch):
    """They are the same for each experiment, and take half of the time that is not training's."""
    monkeypatch.setattr(experiment, "_draw", lambda *_: None)


def take_a_step(path, budget, workdir, data_dir, as_they_are=(), evaluated_with=None):
    """One step of the row's own defence on real images, and its evaluation."""
    config = quick(config_of(path, budget))
    config.dataset.data_dir = data_dir
    if config.model.name not in as_they_are:
        config.model.update(SMALL.get(config.model.name, {}))
    # One attack is enough to see that the rest fits together.
    first = next(iter(config.evaluation.attacks))
    config.evaluation.attacks = evaluated_with or {first: config.evaluation.attacks[first]}
    if config.dataset.name == "imagenet2012":
        config.train.update(steps=1, batch_size=2)
        config.evaluation.update(examples=2, batch_size=2)
    if config.defense.sources:
        config.defense.sources = [
            str(untrained(config, workdir.with_name(f"source{number}.keras")))
            for number, _ in enumerate(config.defense.sources)
        ]
    results = experiment.run(config, workdir, name=path.stem, command="test")
    assert results["evaluations"][0]["examples"] == config.evaluation.examples
    (last,) = callbacks.History.read(workdir / "history.jsonl")
    assert last["step"] == config.train.steps
    assert np.isfinite(
        [last["loss"], *(last[name] for name in defenses.NAMED[config.defense.name].penalty_names)]
    ).all()


def untrained(config, path):
    """The file of a network for the same images and classes."""
    data = datasets.load(config.dataset.name, data_dir=config.dataset.data_dir, image_size=config.dataset.image_size)
    configs.build_classifier(config, data).save(path)
    return path


@pytest.mark.parametrize("name", STEPS)
def test_a_step_on_real_images(name, tmp_path, data_dir, no_pictures):
    stem, _, budget = name.partition(":")
    # To trace a network as deep as Inception once more, for an attack, takes as long as the rest.
    noise = {"noise": configs.attack(name="random_noise", epsilon=16 / 255, samples=1)} if STEPS[name] else None
    # Nor to trace it at all: eagerly, a step of it takes half the time. The slow test below traces it.
    tf.config.run_functions_eagerly(bool(STEPS[name]))
    try:
        take_a_step(ROOT / "experiments" / f"{stem}.py", budget, tmp_path / "run", data_dir, STEPS[name], noise)
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.mark.slow
@pytest.mark.parametrize("stem", SLOW_STEPS)
def test_a_step_of_a_large_network_on_real_images(stem, tmp_path, data_dir):
    take_a_step(ROOT / "experiments" / f"{stem}.py", "", tmp_path / "run", data_dir, SLOW_STEPS[stem])


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [path for path in FILES if not path.stem.startswith("digits")], ids=lambda path: path.stem
)
def test_every_other_experiment_takes_a_step_on_real_images(path, tmp_path, data_dir):
    take_a_step(path, budgets(path)[-1], tmp_path / "run", data_dir)


def test_the_steps_on_real_images_leave_out_no_data_set_and_no_network():
    def parts(path, budget):
        config = config_of(path, budget)
        return {config.dataset.name, config.model.name}

    files = [(path, budget) for path in FILES for budget in budgets(path) if not path.stem.startswith("digits")]
    taken = [
        (ROOT / "experiments" / f"{name.split(':')[0]}.py", name.partition(":")[2]) for name in (*STEPS, *SLOW_STEPS)
    ]
    assert set().union(*(parts(*one) for one in files)) == set().union(*(parts(*one) for one in taken))


def averaging(steps, every):
    config = configs.default()
    config.optimizer.update(name="sgd", learning_rate=0.1, momentum=0.9, ema=0.8)
    config.train.update(steps=steps, checkpoint_every=every, keep_checkpoints=steps, batch_size=16)
    config.evaluation.update(examples=10, masking_examples=0)
    config.evaluation.attacks.pgd.steps = 1
    return config


def test_averaged_weights_are_saved_and_trained_on_are_the_others(tmp_path, interrupted, no_pictures):
    steps = 5
    # Two fits, of two periods and of a rest; Keras ends each with the averages in place.
    experiment.run(averaging(steps, 2), tmp_path / "averaged", name="averaged")
    with interrupted():
        experiment.run(averaging(steps, 2), tmp_path / "resumed", name="resumed")
    experiment.run(averaging(steps, 2), tmp_path / "resumed", name="resumed")
    plain = averaging(steps, 1)
    plain.optimizer.ema = None
    experiment.run(plain, tmp_path / "plain", name="plain")
    mean = None
    for step in range(1, steps + 1):
        kept = tf.train.load_checkpoint(str(tmp_path / "plain" / "checkpoints" / f"step-{step}"))
        keys = sorted(key for key in kept.get_variable_to_shape_map() if key.startswith("classifier/"))
        weights = [kept.get_tensor(key) for key in keys]
        mean = weights if mean is None else [0.8 * a + 0.2 * b for a, b in zip(mean, weights, strict=True)]
    for run in ("averaged", "resumed"):
        found = keras.models.load_model(tmp_path / run / "model.keras").get_weights()
        for value, expected in zip(found, mean, strict=True):
            assert value == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_a_run_that_ends_after_the_averages_are_in_place_is_evaluated_on_the_same_ones(tmp_path, monkeypatch):
    seen = []

    def interrupted(classifier, *args, **options):
        seen.append(classifier.get_weights())
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "evaluate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            experiment.run(averaging(4, 2), tmp_path / "run", name="interrupted")
    experiment.run(averaging(4, 2), tmp_path / "run", name="interrupted")
    found = keras.models.load_model(tmp_path / "run" / "model.keras").get_weights()
    assert all((a == b).all() for a, b in zip(found, seen[0], strict=True))
    rows = callbacks.History(tmp_path / "run" / "history.jsonl", up_to_step=4).rows
    assert [row["step"] for row in rows] == [2, 4]


def test_training_that_diverges_says_so_and_keeps_the_last_good_checkpoint(tmp_path):
    config = configs.default()
    config.defense.update(name="logit_squeezing", weight=1e38, form="squared")
    config.train.update(steps=6, checkpoint_every=2)
    with pytest.raises(ValueError, match="training diverged.*learning_rate"):
        experiment.run(config, tmp_path / "run", name="diverging")
    assert not (tmp_path / "run" / "results.json").exists()
    assert not list((tmp_path / "run" / "checkpoints").glob("*.index"))
