"""What the pages in docs/ say is what the code does: every attack, option, default, protocol and test."""

import ast
import dataclasses
import importlib
import importlib.util
import pathlib
import re
import sys

import numpy as np
import pytest

from alp_tf import attacks, configs, defenses, experiment, recipes
from alp_tf.evaluation import masking, protocols
from alp_tf.evaluation.run import Run
from alp_tf.threat_model import ThreatModel
from tests.attacks.passes import most
from tests.conftest import small_classifier

ROOT = pathlib.Path(__file__).parents[1]
PAGES = ROOT / "docs"
PAGE = (PAGES / "attacks.md").read_text(encoding="utf-8")
DEFENSES = (PAGES / "defenses.md").read_text(encoding="utf-8")


def table(header, page=PAGE):
    """{name in the first column: cells} of the Markdown table with that first header cell."""
    lines = iter(page.splitlines())
    next(line for line in lines if line.startswith(f"| {header} |"))
    next(lines)
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        rows[cells[0].strip("| `").partition("=")[0]] = cells
    return rows


def listed(cell):
    """Names in backticks, with `APGD-T 2` ... `APGD-T 10` written out."""

    def written_out(match):
        kind, first, last = match[1], int(match[2]), int(match[3])
        return ", ".join(f"`{kind} {rank}`" for rank in range(first, last + 1))

    return re.findall(r"`([^`]+)`", re.sub(r"`([^`]+) (\d+)` \.\.\. `\1 (\d+)`", written_out, cell))


def defaults_in(cells):
    """{option: default} of those in backticks, with MISSING for a needed one."""
    written = [option for cell in cells for option in listed(cell)]
    assert len(written) == len(set(written))
    defaults = {}
    for option in written:
        field, _, value = option.partition("=")
        defaults[field] = ast.literal_eval(value) if value else dataclasses.MISSING
    return defaults


def test_every_attack_has_its_row():
    rows = table("name")
    assert set(rows) == set(attacks.NAMED)
    for name, cells in rows.items():
        assert cells[1] == f"`{attacks.NAMED[name].__name__}`"


@pytest.mark.parametrize("name", attacks.NAMED)
def test_options_and_defaults_are_those_of_the_class(name):
    defaults = defaults_in(table("name")[name][3:5])
    fields = dataclasses.fields(attacks.NAMED[name])
    assert defaults == {
        field.name: field.default for field in fields if field.name not in ("epsilon", "norm", "bounds")
    }


def test_every_attack_takes_the_norms_of_its_row():
    for name, cells in table("name").items():
        needed = {"step_size": 0.01, "steps": 1} if "`step_size`" in cells[4] else {}
        for norm in cells[2].split(", "):
            assert attacks.NAMED[name](epsilon=0.1, norm=norm.lower().replace("-", ""), **needed).norm


def test_protocols_run_what_the_page_lists_and_take_as_many_passes():
    rows = table("protocol")
    assert set(rows) == set(protocols.PROTOCOLS)
    for name, cells in rows.items():
        parts = protocols.protocol(name, ThreatModel(epsilon=8 / 255), num_classes=10)
        assert listed(cells[1]) == list(parts)
        draws = protocols.EOT_SAMPLES.get(name, 1)
        assert draws == 1 or f"samples={draws}" in cells[4]
        totals = [draws * sum(way) for way in zip(*(most(part, 10) for part in parts.values()), strict=True)]
        assert [f"{total:,}" for total in totals] == cells[2:4]


def test_the_papers_attacks_are_those_of_the_page():
    rows = table("data set")
    assert set(rows) == set(protocols.PAPER) == set(protocols.THREAT_MODELS)
    for dataset, cells in rows.items():
        found = protocols.paper(dataset)
        assert cells[1] == str(protocols.THREAT_MODELS[dataset])
        assert listed(cells[2]) == list(found)
        assert all(
            attack.threat_model == protocols.THREAT_MODELS[dataset]
            for name, attack in found.items()
            if "L2" not in name
        )


@pytest.mark.parametrize(("dataset", "config"), [("digits", recipes.digits()), ("mnist", recipes.mnist("laptop"))])
def test_experiments_evaluate_with_the_papers_first_attack(dataset, config):
    first, *_ = protocols.paper(dataset).values()
    assert configs.build_attack(config.evaluation.attacks.pgd) == first


def test_an_unknown_data_set_is_told_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'cifar10'"):
        protocols.paper("cifar-10")


def test_the_page_on_evaluation_lists_the_tests_for_masked_gradients(digits_classifier):
    page = (PAGES / "evaluation.md").read_text(encoding="utf-8")
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(20, 8, 8, 1)).astype(np.float32)
    labels = np.argmax(digits_classifier(images), -1)
    run = Run(digits_classifier, images, labels, batch_size=20, seed=0, show_progress=False)
    found = [item.test for item in masking.diagnose(run, ThreatModel(epsilon=0.1), examples=12)]
    table = page.split("| test | warns |")[1]
    assert [line.split("|")[1].strip() for line in table.splitlines()[2 : 2 + len(found)]] == found


def test_the_page_of_benchmarks_is_made_of_the_committed_results():
    path = ROOT / "experiments" / "benchmarks" / "page.py"
    specification = importlib.util.spec_from_file_location("page", path)
    page = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(page)
    assert page.PAGE.read_text(encoding="utf-8") == page.text()
    assert len(list(page.RESULTS.glob("*.json"))) == page.text().count("## ")


def options_of(defense):
    """{option: default} of what a defence has beyond every defence's options, or with another default."""
    common = defenses.Defense.options()
    return {
        name: dataclasses.MISSING if parameter.default is parameter.empty else parameter.default
        for name, parameter in defense.options().items()
        if defense is defenses.Defense or name not in common or parameter.default != common[name].default
    }


def test_every_defence_has_its_row():
    rows = table("name", DEFENSES)
    missing, unknown = set(defenses.NAMED) - set(rows), set(rows) - set(defenses.NAMED)
    assert not missing, f"docs/defenses.md has no row for {', '.join(sorted(missing))}"
    assert not unknown, f"docs/defenses.md has rows for {', '.join(sorted(unknown))}, which defenses.NAMED has not"


@pytest.mark.parametrize("name", defenses.NAMED)
def test_a_defence_is_what_its_row_says(name):
    _, cls, trains_on, loss, options, paper = table("name", DEFENSES)[name]
    assert cls == f"`{defenses.NAMED[name].__name__}`"
    assert tuple(trains_on.split(", ")) == defenses.NAMED[name].trains_on
    assert defaults_in([options]) == options_of(defenses.NAMED[name])
    assert "CE(" in loss
    assert paper


def test_options_of_every_defence_are_those_of_the_page():
    assert defaults_in([cells[0] for cells in table("option", DEFENSES).values()]) == options_of(defenses.Defense)


def written(page, names, directory, monkeypatch):
    """The modules that a page's files become, in their order; they are forgotten with the test."""
    files = dict(re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)```", page, re.MULTILINE | re.DOTALL))
    assert list(files) == names
    assert sum(len(content.splitlines()) for content in files.values()) < 60
    for name, content in files.items():
        (directory / name).write_text(content, encoding="utf-8")
    monkeypatch.syspath_prepend(directory)
    stems = [pathlib.Path(name).stem for name in names]
    # Undone with the patch: set first, so that there is something to take away.
    for stem in stems:
        monkeypatch.setitem(sys.modules, stem, None)
        del sys.modules[stem]
    modules = [importlib.import_module(stem) for stem in stems]
    tests = [test for name, test in vars(modules[1]).items() if name.startswith("test_")]
    assert tests
    for test in tests:
        test()
    return modules


def test_the_attack_that_the_page_adds_is_tested_and_configured(tmp_path, monkeypatch):
    monkeypatch.setattr(attacks, "NAMED", dict(attacks.NAMED))
    attack, _, config = written(PAGE, ["r_fgsm.py", "test_r_fgsm.py", "digits_r_fgsm.py"], tmp_path, monkeypatch)
    config = config.get_config()
    configs.check(config)
    expected = attack.RFGSM(epsilon=0.2, step_size=0.1)
    assert configs.build_attack(config.evaluation.attacks.r_fgsm) == expected
    assert configs.build_defense(config, small_classifier((8, 8, 1), 10)).attack == expected


def test_the_defence_that_the_page_adds_is_tested_and_trained_in_under_60_lines(tmp_path, monkeypatch):
    monkeypatch.setattr(defenses, "NAMED", dict(defenses.NAMED))
    names = ["confidence.py", "test_confidence.py", "digits_confidence.py"]
    *_, module = written(DEFENSES, names, tmp_path, monkeypatch)
    config = module.get_config()
    config.train.update(steps=2, checkpoint_every=2)
    config.evaluation.update(examples=20, masking_examples=0)
    config.evaluation.attacks.pgd.steps = 2
    results = experiment.run(config, tmp_path / "run", name="digits_confidence")
    assert results["steps"] == 2
    assert '"negative_entropy": -' in (tmp_path / "run" / "history.jsonl").read_text()
