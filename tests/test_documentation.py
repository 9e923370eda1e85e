"""Every page: links lead somewhere, commands and code are real, and pages made from code are not stale."""

import doctest
import importlib
import importlib.util
import pathlib
import re
import shlex

import numpy as np
import pytest

from alp_tf import command_line, configs, evaluate, export, fields, reproduce
from alp_tf.reproduction import parts
from tests.conftest import small_classifier

ROOT = pathlib.Path(__file__).parents[1]
# Where a checkout holds what it did not come with; an environment has any name, its pages lie in site-packages.
IGNORED = {"runs", "models", "build", ".git", ".venv", "venv", "site-packages", ".pytest_cache"}
PAGES = sorted(page for page in ROOT.rglob("*.md") if not IGNORED & {*page.relative_to(ROOT).parts})
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
MODULES = sorted(path for path in (ROOT / "alp_tf").rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))


def loaded(path):
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def without_code(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    """What GitHub makes of a page's headings."""
    found = []
    for heading in re.findall(r"^#+ (.+)$", without_code(page.read_text(encoding="utf-8")), re.MULTILINE):
        shown = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", shown).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return found


@each_page
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page):
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(((?!https?:)[^)\s]+)\)", without_code(text)):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name} links to {target}"
        assert not anchor or anchor in anchors(file), f"{page.name} links to {target}; there are {anchors(file)}"


@each_page
def test_files_that_are_named_are_there(page):
    text = page.read_text(encoding="utf-8")
    for path in re.findall(r"`((?:alp_tf|docs|experiments|launch|tests)/[\w./-]+\.\w+)[`:]", text):
        assert (ROOT / path).exists() or "NAME" in path, f"{page.name} names {path}"


def commands_in(text):
    """The arguments of every `python -m alp_tf.COMMAND` of a page, in blocks and in sentences."""
    for name, arguments in re.findall(r"python -m alp_tf\.(\w+)((?: +[^\s`|&]+)*)", text):
        yield name, [argument for argument in shlex.split(arguments, comments=True) if "..." not in argument]


@each_page
def test_commands_have_these_flags_fields_and_files(page):
    text = page.read_text(encoding="utf-8")
    for name, arguments in commands_in(text):
        if name == "main":
            check_main(arguments)
        else:
            options = {"evaluate": evaluate, "export": export, "reproduce": reproduce}[name]._flags()
            rest = options(["alp_tf", *map(reproduce._underscored, arguments)])[1:]
            assert len(rest) <= (name == "evaluate"), arguments
            if name == "reproduce":
                assert {"digits", *parts.TABLES}.issuperset(options.table)
                assert {*parts.FIGURES}.issuperset(options.figure)


def check_main(arguments):
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name == "--config":
            file = ROOT / value.split(":")[0]
            assert file.exists() or "NAME" in value or "/" not in value, value
        elif name.startswith("--config."):
            command_line._check_field(configs.default(), name.removeprefix("--config."))
        else:
            assert name == "--workdir", argument


def test_the_page_of_configurations_is_made_of_the_fields():
    page = loaded(ROOT / "docs" / "configuration.py")
    assert page.PAGE.read_text(encoding="utf-8") == page.text(), "run python docs/configuration.py"


def test_every_field_of_a_configuration_is_described_and_no_other():
    page, config = loaded(ROOT / "docs" / "configuration.py"), configs.default()
    known = {
        f"{group}.{name}" if group else name
        for group, options in page.groups(config).items()
        for name in page.names_in(group, options)
    }
    # What is said of a group that this version does not have waits for it.
    described = {name for name in fields.MEANINGS if name.rpartition(".")[0] in {"", "attack", *config}}
    assert described == known


def test_a_field_that_is_not_described_is_named(monkeypatch):
    monkeypatch.setattr(
        fields, "MEANINGS", {key: value for key, value in fields.MEANINGS.items() if "nesterov" not in key}
    )
    with pytest.raises(ValueError, match=r"describe optimizer\.nesterov in alp_tf/fields\.py"):
        loaded(ROOT / "docs" / "configuration.py").text()


def test_the_index_lists_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert set(re.findall(r"\]\((\w+\.md)\)", index)) == pages


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_of_docstrings_print_what_they_say(path, tmp_path, monkeypatch):
    module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"))
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.attempted
    assert not result.failed


def test_the_code_of_the_faq_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = small_classifier((8, 8, 1), 10)
    rng = np.random.default_rng(0)
    images = rng.uniform(size=(12, 8, 8, 1)).astype(np.float32)
    labels = np.argmax(model(images), -1)
    # The tests for masked gradients take most of the time, and have tests of their own.
    text = (ROOT / "docs" / "faq.md").read_text(encoding="utf-8").replace("masking_examples=5", "masking_examples=0")
    known = {"model": model, "images": images, "labels": labels, "classes": 10}
    for number, code in enumerate(re.findall(r"^```python\n(.+?)^```", text, re.MULTILINE | re.DOTALL)):
        exec(compile(code, f"docs/faq.md, block {number + 1}", "exec"), known)
    assert number
