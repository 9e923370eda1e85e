"""Every experiment's file runs, and is at the papers' parameters."""

import pathlib

import pytest
from absl import flags

from alp_tf import command_line, configs, experiment

FILES = sorted((pathlib.Path(__file__).parents[1] / "experiments").glob("*.py"))


def config_of(path, argument=""):
    return command_line.read_config([f"--config={path}{argument}"])[0]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_file_is_valid_and_tells_its_command(path):
    configs.check(config_of(path))
    text = path.read_text()
    assert f"python -m alp_tf.main --config=experiments/{path.name}" in text
    assert "Kannan" in text or "Shafahi" in text or "digits" in text


@pytest.mark.parametrize("path", [path for path in FILES if path.stem.startswith("mnist")], ids=lambda path: path.stem)
def test_mnist_is_evaluated_and_on_the_paper_budget_trained_at_kannans_parameters(path):
    paper, laptop = config_of(path, ":paper"), config_of(path)
    for config in (paper, laptop):
        attack = configs.build_attack(config.evaluation.attacks.pgd)
        assert (attack.epsilon, attack.step_size, attack.steps, attack.norm) == (0.3, 0.01, 40, "linf")
        assert attack.random_start
        assert config.model.name == "lenet"
    trained_with = configs.build_attack(paper.defense.attack)
    assert (trained_with.epsilon, trained_with.step_size, trained_with.steps) == (0.3, 0.01, 40)
    assert (paper.optimizer.name, paper.optimizer.learning_rate, paper.train.steps) == ("adam", 1e-4, 100_000)
    with pytest.raises(flags.Error, match="did you mean 'laptop'"):
        config_of(path, ":labtop")


@pytest.mark.parametrize("path", [path for path in FILES if path.stem.startswith("digits")], ids=lambda path: path.stem)
def test_digits_train_evaluate_and_report(path, tmp_path):
    config = config_of(path)
    config.train.update(steps=5, checkpoint_every=2, batch_size=16)
    config.evaluation.examples = 20
    config.evaluation.attacks.pgd.update(steps=2, restarts=1)
    results = experiment.run(config, tmp_path / "run", name=path.stem, command="test")
    assert results["config"] == path.stem
    (measured,) = results["evaluations"]
    assert 0 <= measured["robust_accuracy"] <= measured["clean_accuracy"] <= 1
    assert measured["examples"] == 20
    report = (tmp_path / "run" / "report.md").read_text()
    for figure in ("figures/adversarial_pgd.png", "figures/training_curves.png"):
        assert figure in report
        assert (tmp_path / "run" / figure).stat().st_size > 5000
    assert len((tmp_path / "run" / "history.jsonl").read_text().splitlines()) == 3
    assert list((tmp_path / "run" / "tensorboard").glob("events*"))


@pytest.mark.parametrize("path", [path for path in FILES if path.stem.startswith("mnist")], ids=lambda path: path.stem)
def test_mnist_takes_a_step_on_the_real_data(path, tmp_path, data_dir):
    config = config_of(path)
    config.dataset.data_dir = data_dir
    config.train.update(steps=2, batch_size=16)
    config.evaluation.examples = 10
    config.evaluation.attacks.pgd.steps = 2
    results = experiment.run(config, tmp_path / "run", name=path.stem, command="test")
    assert results["evaluations"][0]["examples"] == 10


def test_training_that_diverges_says_so_and_keeps_the_last_good_checkpoint(tmp_path):
    config = configs.default()
    config.defense.update(name="logit_squeezing", weight=1e38, form="squared")
    config.train.update(steps=6, checkpoint_every=2)
    with pytest.raises(ValueError, match="training diverged.*learning_rate"):
        experiment.run(config, tmp_path / "run", name="diverging")
    assert not (tmp_path / "run" / "results.json").exists()
    assert not list((tmp_path / "run" / "checkpoints").glob("*.index"))
