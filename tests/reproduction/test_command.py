"""`python -m alp_tf.reproduce`: mistakes, lists, dry runs, and small exhibits made from beginning to end."""

import json
import os
import re
import subprocess
import sys
import time
import types

import keras
import pytest

from alp_tf import command_line, configs, experiment, machine, reproduce, tables
from alp_tf.reproduction import budgets, drawing, kannan, markdown, measuring, results, work
from alp_tf.reproduction.budgets import Model
from alp_tf.reproduction.exhibit import BLACK_BOX, CLEAN, WHITE_BOX, Column, Exhibit, Row
from tests.reproduction.exhibits import EXHIBITS, ROOT, order_of

MISTAKES = {
    "unknown table": (["--table=kanan/1"], "did you mean 'kannan/1'"),
    "unknown figure": (["--figure=shafahi/6"], "did you mean 'shafahi/"),
    "both": (["--table=kannan/1", "--list"], "--table=kannan/1 and --list cannot be had at once"),
    "the digits among others": (["--table=digits", "--table=kannan/1"], "--table=digits and --table=kannan/1 cannot"),
    "a cluster's": (["--table=kannan/3"], "Write --budget=paper"),
    "a laptop's": (["--table=kannan/1-mpgd", "--budget=paper"], "not in the paper. Write --budget=laptop"),
    "too many copies": (["--table=kannan/1", "--copies=2"], "--copies is 2"),
    "a published smoke": (["--table=kannan/1", "--budget=smoke", "--publish"], "a smoke is no result"),
    "the digits' directory": (["--table=kannan/1", "--workdir=x"], "--workdir is for --table=digits"),
    "flags of the papers": (
        ["--table=digits", "--seeds=3", "--so-far"],
        "--table=digits has no --output or --seeds or --so_far",
    ),
    "more jobs than cores": (
        ["--table=kannan/7", "--jobs=1000", "--budget=smoke", "--dry-run"],
        f"there are {machine.cores()} cores: write --jobs={machine.cores()} or fewer",
    ),
    "no data there": (["--table=kannan/1", "--data_dir=nowhere", "--dry-run"], "add --data_dir=DIR"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_say_what_to_type(mistake, tmp_path):
    arguments, says = MISTAKES[mistake]
    with pytest.raises(ValueError, match=re.escape(says)):
        reproduce.main([*arguments, f"--output={tmp_path / 'output'}"])
    assert not (tmp_path / "output").exists()


def test_a_data_set_that_the_first_part_misses_is_asked_for_with_this_commands_flag(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("tensorflow_datasets.core.DatasetBuilder.download_and_prepare", refuse)
    empty, output = tmp_path / "empty", tmp_path / "output"
    empty.mkdir()
    with pytest.raises(ValueError, match="no network.* add --data_dir=DIR"):
        reproduce.main(["--table=kannan/1", "--budget=smoke", f"--data_dir={empty}", f"--output={output}"])


def test_too_few_images_for_a_result_are_told_before_the_work(stub, tmp_path, monkeypatch):
    few = types.SimpleNamespace(train_examples=600, test_examples=300)
    monkeypatch.setattr(measuring, "dataset_of", lambda config: few)
    with pytest.raises(ValueError, match="mnist has only 300 test images here.*Leave out --publish"):
        reproduce.main(["--table=kannan/1", "--publish", f"--output={tmp_path / 'output'}"])
    assert not (tmp_path / "output").exists()


def test_the_list_has_every_exhibit(capsys):
    reproduce.main(["--list"])
    listed = capsys.readouterr().out
    for exhibit in EXHIBITS:
        assert f"--{exhibit.kind}={exhibit.name} " in listed


def test_a_dry_run_of_the_digits_says_what_is_left_and_writes_nothing(tmp_path, capsys):
    arguments = ["--table=digits", "--dry-run", f"--workdir={tmp_path / 'digits'}"]
    reproduce.main(arguments)
    (first, *_, last) = capsys.readouterr().out.strip().splitlines()
    assert first.startswith("undefended: to be trained for ")
    assert last.startswith("ALP: to be trained for ")
    assert not (tmp_path / "digits").exists()
    directory = tmp_path / "digits" / "digits_alp"
    directory.mkdir(parents=True)
    config = tables._config("digits_alp")
    (directory / "config.json").write_text(config.to_json_best_effort())
    (directory / "model.keras").write_text("")
    reproduce.main(arguments)
    assert "ALP: trained, to be evaluated" in capsys.readouterr().out
    (directory / "results.json").write_text('{"config": "digits_alp"}')
    reproduce.main(arguments)
    assert "ALP: done" in capsys.readouterr().out


def test_a_dry_run_writes_nothing_and_needs_no_data(capsys, tmp_path):
    reproduce.main(["--figure=kannan/1", "--seeds=3", "--dry-run", f"--output={tmp_path / 'output'}"])
    printed = capsys.readouterr().out
    assert re.search(r"mnist_lsq-weight=0\.2-seed2 +train \d+ min, PGD-40 \d+ min", printed)
    # 12 rows of 3 seeds, one measurement each, and two protocols on the first seed.
    assert "96 parts (36 models to train), 96 of them to do: about" in printed
    assert not (tmp_path / "output").exists()


def test_several_exhibits_share_their_parts_and_each_is_written_when_it_is_finished(
    stub, tmp_path, monkeypatch, capsys
):
    mnist = types.SimpleNamespace(train_examples=60_000, test_examples=10_000)
    monkeypatch.setattr(measuring, "dataset_of", lambda config: mnist)
    asked = ["--table=kannan/1", "--table=kannan/7", "--table=kannan/1", "--budget=smoke", f"--output={tmp_path}"]
    with pytest.raises(ValueError, match="nothing of table kannan/1 is measured yet: leave out --so-far"):
        reproduce.main([*asked, "--so-far"])
    # 11 of the first; the other has M-PGD's too.
    stub.killed_after = 13
    with pytest.raises(KeyboardInterrupt):
        reproduce.main(asked)
    written = tmp_path / "smoke" / "kannan"
    assert [path.name for path in written.glob("*.md")] == ["table1.md"]
    capsys.readouterr()
    reproduce.main([*asked, "--so-far"])
    assert len(stub.made) == 13
    assert "| Logit squeezing | 86.4 | 90.00 (82.6 to 94.5) | 96.8 | – |" in capsys.readouterr().out
    stub.killed_after = None
    reproduce.main(asked)
    assert len(stub.made) == len(set(stub.made)) == 16
    printed = capsys.readouterr().out
    assert "16 parts (4 models to train), 3 of them to do" in printed
    assert re.findall(r"^# Table (\d)", printed, re.MULTILINE) == ["1", "7"]
    commands = {path.name: json.loads(path.read_text(encoding="utf-8"))["command"] for path in written.glob("*.json")}
    ours = "python -m alp_tf.reproduce --table=kannan/{} --budget=smoke --seeds=1"
    assert commands == {"table1.json": ours.format(1), "table7.json": ours.format(7)}


DIGITS = Exhibit(
    name="digits/1",
    kind="figure",
    title="The digits in small",
    dataset="digits",
    columns=(
        Column(label="White Box", kind=WHITE_BOX, attacks=("PGD-100",)),
        Column(label="Black Box", kind=BLACK_BOX, attacks=("PGD-100",)),
        Column(label="Top 5", kind=WHITE_BOX, attacks=("PGD-100",), top5=True),
        Column(label="Clean", kind=CLEAN),
    ),
    rows=(
        Row(
            label="ALP",
            experiment="digits_alp",
            changes={"defense.noise": 0.1},
            published={"White Box": "around 60"},
            series="ALP",
            x=0.1,
        ),
    ),
    drawing="sweep",
    x_label="sigma",
)


def test_on_the_digits_everything_is_trained_measured_and_drawn(tmp_path):
    sizes = measuring.Sizes(examples=20, strong_examples=10, smoke=True)
    order = order_of(DIGITS, "smoke")
    store = work.Store(tmp_path, "smoke", sizes=sizes)
    assert store.counts(Model("digits_alp", (), 0)) == markdown.OFFICIAL["digits"]
    work.make_all(order.parts(), store, show_progress=False)
    found = results.collect(order, store, command="test")
    for row in found["rows"].values():
        cells = row["columns"]
        assert 0 <= cells["White Box"]["mean"] <= cells["Clean"]["mean"] <= 1
        assert cells["White Box"]["mean"] <= cells["Top 5"]["mean"]
        assert cells["White Box"]["examples"] == 20
        for protocol in row["protocols"].values():
            assert protocol["examples"] == 10
            assert protocol["robust_accuracy"] <= protocol["clean_accuracy"]
    assert [[], "defense.attack.steps", "2", "10"] in found["differences"]
    assert [[], "train.steps", "4", "660"] in found["differences"]
    assert drawing.draw(tmp_path, DIGITS, found) == {"The digits in small": "figure1.png"}
    assert (tmp_path / "figure1.png").stat().st_size > 5000
    # What resumed it is gone, and nothing is left to do.
    assert all(path.is_file() for path in tmp_path.glob("smoke/models/*/measured/*"))
    assert "0 of them to do" in work.plan(order.parts(), store)


@pytest.mark.parametrize("drawing_kind", ["steps", "surface"])
def test_curves_and_surfaces_of_the_digits(drawing_kind, tmp_path):
    exhibit = Exhibit(
        name="digits/2",
        kind="figure",
        title="Digits",
        dataset="digits",
        rows=(Row(label="plain", experiment="digits_undefended"),),
        drawing=drawing_kind,
        strong=False,
    )
    sizes = measuring.Sizes(examples=20, strong_examples=10, smoke=True)
    order, store = order_of(exhibit, "smoke"), work.Store(tmp_path, "smoke", sizes=sizes)
    work.make_all(order.parts(), store, show_progress=False)
    found = results.collect(order, store, command="test")
    (name,) = drawing.draw(tmp_path, exhibit, json.loads(json.dumps(found))).values()
    assert (tmp_path / name).stat().st_size > 5000
    assert "| plain |" in markdown.text(exhibit, found)


def test_a_training_left_to_others_is_the_one_that_main_evaluates(tmp_path):
    config = configs.default()
    config.train.update(steps=3, checkpoint_every=2, batch_size=8)
    config.evaluation.update(examples=10, masking_examples=0)
    config.evaluation.attacks.pgd.steps = 1
    seconds = experiment.train(config, tmp_path, name="run")
    assert seconds > 0
    before = keras.models.load_model(tmp_path / "model.keras").get_weights()
    assert experiment.train(config, tmp_path, name="run") == seconds
    assert not (tmp_path / "results.json").exists()
    experiment.run(config, tmp_path, name="run")
    after = keras.models.load_model(tmp_path / "model.keras").get_weights()
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    config.train.steps = 4
    with pytest.raises(ValueError, match="belongs to another configuration"):
        experiment.train(config, tmp_path, name="run")


def test_the_sources_of_ensemble_training_are_trained_before_it():
    for name, sources in kannan.SOURCES.items():
        assert "sources" in (tables.experiments_directory() / f"{name}.py").read_text(encoding="utf-8")
        models = [Model(each, tuple(changes.items()), 0) for each, changes in sources]
        assert len({budgets.directory_name(model, "paper") for model in models}) == 2


@pytest.mark.slow
def test_parts_in_processes_of_their_own_find_the_same_and_start_quietly(tmp_path, capfd):
    sizes, found = measuring.Sizes(examples=20, strong_examples=10, smoke=True), []
    for jobs in (0, 1, 2):
        order, store = order_of(DIGITS, "smoke"), work.Store(tmp_path / str(jobs), "smoke", sizes=sizes)
        work.make_all(order.parts(), store, jobs=jobs, start=command_line.load_tensorflow, show_progress=False)
        rows = results.collect(order, store, command="test")["rows"]
        found.append({label: row["columns"] for label, row in rows.items()})
    assert found[0] == found[1] == found[2]
    assert not re.findall("cuda|oneDNN|absl::InitializeLog", capfd.readouterr().err)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["kannan/1", "kannan/2", "kannan/4"])
def test_a_smoke_ends_within_two_minutes(table, data_dir, tmp_path):
    arguments = [f"--table={table}", "--budget=smoke", f"--data_dir={data_dir}", f"--output={tmp_path}"]
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "alp_tf.reproduce", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert table != "kannan/1" or time.perf_counter() - began < 120
    assert "Smoke, not a result" in (tmp_path / "smoke" / "kannan" / f"table{table[-1]}.md").read_text(encoding="utf-8")
