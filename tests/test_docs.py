"""What the pages in docs/ say is what the code does: every attack, option, default, protocol and test."""

import ast
import dataclasses
import importlib.util
import pathlib
import re

import numpy as np
import pytest

from alp_tf import attacks, configs, recipes
from alp_tf.evaluation import masking, protocols
from alp_tf.evaluation.run import Run
from alp_tf.threat_model import ThreatModel
from tests.attacks.passes import most

ROOT = pathlib.Path(__file__).parents[1]
PAGES = ROOT / "docs"
PAGE = (PAGES / "attacks.md").read_text(encoding="utf-8")


def table(header):
    """{name in the first column: cells} of the Markdown table with that first header cell."""
    lines = iter(PAGE.splitlines())
    next(line for line in lines if line.startswith(f"| {header} |"))
    next(lines)
    rows = {}
    for line in lines:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        rows[cells[0].strip("| `")] = cells
    return rows


def listed(cell):
    """Names in backticks, with `APGD-T 2` ... `APGD-T 10` written out."""

    def written_out(match):
        kind, first, last = match[1], int(match[2]), int(match[3])
        return ", ".join(f"`{kind} {rank}`" for rank in range(first, last + 1))

    return re.findall(r"`([^`]+)`", re.sub(r"`([^`]+) (\d+)` \.\.\. `\1 (\d+)`", written_out, cell))


def test_every_attack_has_its_row():
    rows = table("name")
    assert set(rows) == set(attacks.NAMED)
    for name, cells in rows.items():
        assert cells[1] == f"`{attacks.NAMED[name].__name__}`"


@pytest.mark.parametrize("name", attacks.NAMED)
def test_options_and_defaults_are_those_of_the_class(name):
    written = [option for cell in table("name")[name][3:5] for option in listed(cell)]
    assert len(written) == len(set(written))
    defaults = {}
    for option in written:
        field, _, value = option.partition("=")
        defaults[field] = ast.literal_eval(value) if value else dataclasses.MISSING
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
