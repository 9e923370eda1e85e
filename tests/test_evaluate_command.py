"""`python -m alp_tf.evaluate`, from any kind of model to a report that can be sent around."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from alp_tf import evaluate, evaluation, models
from alp_tf.evaluation import inputs, protocols

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def saved(digits_classifier, tmp_path):
    path = tmp_path / "model.keras"
    digits_classifier.save(path)
    return str(path)


@pytest.fixture
def quick(monkeypatch):
    """A protocol of seconds in the place of `strong`."""
    from alp_tf import attacks

    def small(threat_model, num_classes):
        return {
            "PGD": attacks.PGD(epsilon=threat_model.epsilon, step_size=0.05, steps=5, restarts=2),
            "Square": attacks.Square(epsilon=threat_model.epsilon, queries=20),
        }

    monkeypatch.setitem(protocols.PROTOCOLS, "strong", small)


def test_everything_is_written(saved, quick, tmp_path, capsys):
    output = tmp_path / "out"
    arguments = [saved, "--dataset=digits", "--protocol=strong", "--epsilon", "51/255", f"--output={output}"]
    copy = pathlib.Path(shutil.copy(saved, tmp_path / "copy.keras"))
    arguments += ["--examples=40", f"--sources={copy}", "--masking_examples=20"]
    evaluate.main(arguments)
    results = json.loads((output / "results.json").read_text())
    report = evaluation.Report.from_dict(results)
    assert report["strong"].examples == results["examples"] == 40
    assert report["strong"].threat_model == "linf 0.2"
    assert [item.test for item in report.masking][9:] == [
        "Square (no gradients) takes what the protocol's gradient attacks left",
        "black boxes find what the white box misses",
    ]
    assert results["black_box"]["targets"] == results["black_box"]["sources"] == ["model", "copy"]
    assert results["command"].startswith("python -m alp_tf.evaluate ")
    verdicts = np.load(output / "verdicts.npz")
    assert verdicts["strong"].mean() == pytest.approx(report["strong"].robust_accuracy)
    text = (output / "report.md").read_text()
    figures = {path.name for path in (output / "figures").glob("*.png")}
    assert figures == {"curves.png", "loss_surface.png", "classes.png", "logits.png", "gallery.png", "transfer.png"}
    assert all(f"(figures/{name})" in text for name in figures)
    page = (output / "report.html").read_text()
    assert page.count("data:image/png;base64,") == len(figures)
    assert "figures/" not in page
    assert "| strong | linf 0.2 | 40 |" in capsys.readouterr().out

    # The same command again has nothing left to do, and says the same.
    before = (output / "results.json").read_text()
    evaluate.main(arguments)
    assert json.loads((output / "results.json").read_text()) == json.loads(before)
    with pytest.raises(ValueError, match="holds another evaluation: its images differ"):
        evaluate.main([argument.replace("=40", "=39") for argument in arguments])


def test_pictures_of_another_evaluation_are_not_kept(digits_classifier, quick, tmp_path):
    """Another model in the same place, which has no weights that can be seen, then another epsilon."""
    place, output, drawn = tmp_path / "saved", tmp_path / "out", []
    other = keras.models.clone_model(digits_classifier)
    other.set_weights([0.7 * weight for weight in digits_classifier.get_weights()])
    for model, epsilon in ((digits_classifier, 0.1), (other, 0.1), (other, 0.3)):
        shutil.rmtree(place, ignore_errors=True)
        model.export(place, verbose=False)
        evaluate.main(
            [str(place), "--dataset=digits", "--protocol=strong", f"--epsilon={epsilon}", f"--output={output}"]
            + ["--examples=20", "--masking_examples=0", "--noresume"]
        )
        drawn.append([(output / "figures" / name).read_bytes() for name in ("logits.png", "curves.png")])
    assert drawn[0][0] != drawn[1][0]
    assert drawn[1][1] != drawn[2][1]


def test_an_epsilon_of_zero_has_nothing_to_draw_but_is_no_error(saved, quick, tmp_path):
    evaluate.main(
        [saved, "--dataset=digits", "--protocol=strong", "--epsilon=0", f"--output={tmp_path}", "--examples=20"]
        + ["--seed=-1"]
    )
    assert not (tmp_path / "figures" / "curves.png").exists()
    (item,) = {item["robust_accuracy"] for item in json.loads((tmp_path / "results.json").read_text())["evaluations"]}
    assert item > 0.8


def test_names_of_models_are_those_of_their_files(tmp_path):
    for name in ("alp_eps0.1", "alp_eps0.3"):
        (tmp_path / name).mkdir()
        assert evaluate._name(str(tmp_path / name)) == name
    assert evaluate._name("package.module:build") == "package.module.build"


def test_the_papers_protocol_of_a_data_set(saved, tmp_path):
    evaluate.main(
        [saved, "--dataset=digits", "--protocol=paper", f"--output={tmp_path}", "--examples=20", "--nopictures"]
        + ["--masking_examples=0"]
    )
    (item,) = json.loads((tmp_path / "results.json").read_text())["evaluations"]
    assert (item["name"], item["threat_model"], item["examples"]) == ("PGD-100", "linf 0.2", 20)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no model was given"),
        (["a.keras", "b.keras"], "2 models were given"),
        (["nothing.keras", "--dataset=digits"], "nothing.keras does not exist"),
        (["runs/nothing"], "runs/nothing does not exist. Write a work directory"),
        (["MODEL"], "does not say on what data; write --dataset=.*digits"),
        (["MODEL", "--dataset=digit"], "did you mean 'digits'"),
        (["MODEL", "--dataset=digits", "--protocol=autoatack"], "did you mean 'autoattack'"),
        (["MODEL", "--dataset=digits", "--epsilon=8"], "8/255"),
        (["MODEL", "--dataset=digits", "--epsilon=8/x"], "must be a number or a fraction"),
        (["MODEL", "--dataset=digits", "--norm=l2"], "no usual epsilon is known for digits in l2"),
        (["MODEL", "--dataset=digits", "--examples=-1"], "must be at least 0"),
        (["MODEL", "--dataset=digits", "--protocol=paper", "--epsilon=0.1"], "leave out --epsilon"),
        (["MODEL", "--dataset=digits", "--protocol=paper", "--norm=l2"], "leave out --epsilon and --norm"),
        (["MODEL", "--dataset=mnist", "--sources=nobody.keras"], "nobody.keras does not exist"),
        (["MODEL", "--dataset=mnist", "--data_dir=nowhere"], "^--data_dir is 'nowhere'.* add --data_dir=DIR"),
        (["MODEL", "--dataset=digits", "--image_size=64"], "leave out --image_size"),
        (["MODEL", "--dataset=digits", "--sources=MODEL"], "each needs a name of its own, other than 'model'"),
    ],
)
def test_bad_arguments_get_one_line(arguments, says, saved):
    with pytest.raises(ValueError, match=says):
        evaluate.main([argument.replace("MODEL", saved) for argument in arguments])


@pytest.mark.parametrize("as_source", [False, True])
@pytest.mark.parametrize(("kind", "says"), [("keras", r": it takes \(28, 28, 1\)"), ("saved_model", "")])
def test_a_model_for_other_images_is_told_before_anything_is_written(kind, says, as_source, saved, tmp_path):
    other = models.build("lenet", input_shape=(28, 28, 1), num_classes=10)
    path = str(tmp_path / ("other.keras" if kind == "keras" else "other"))
    if kind == "keras":
        other.save(path)
    else:
        other.export(path, verbose=False)
    output = tmp_path / "out"
    arguments = [saved, f"--sources={path}"] if as_source else [path]
    with pytest.raises(
        ValueError, match=rf"{re.escape(path)} does not take --dataset=digits's images of shape \(8, 8, 1\){says}"
    ):
        evaluate.main([*arguments, "--dataset=digits", f"--output={output}"])
    assert not output.exists()


def test_a_model_that_may_take_anything_is_not_judged_by_its_shape(digits_classifier):
    assert inputs.classes(lambda images: digits_classifier(images), (8, 8, 1)) == 10
    anything = keras.Sequential([keras.Input((None, None, 1)), keras.layers.GlobalAveragePooling2D()])
    assert inputs.classes(anything, (28, 28, 1)) == 1


def test_killed_and_run_again_it_ends_with_the_same_result(saved, tmp_path):
    arguments = [saved, "--dataset=digits", "--protocol=paper", "--batch_size=9"]
    arguments += ["--examples=90", "--masking_examples=0", "--nopictures"]
    command = [sys.executable, "-m", "alp_tf.evaluate", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def verdicts(output):
        evaluate.main([*arguments, f"--output={output}"])
        return dict(np.load(output / "verdicts.npz"))

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    with open(tmp_path / "log", "w") as log:
        process = subprocess.Popen([*command, f"--output={killed}"], env=environment, cwd=tmp_path, stderr=log)
        while not list((killed / "evaluation").glob("*.npz")):
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (killed / "results.json").exists()
    resumed, once = verdicts(killed), verdicts(whole)
    assert resumed.keys() == once.keys()
    for name, verdict in once.items():
        np.testing.assert_array_equal(resumed[name], verdict)


def test_versions_of_an_exported_model_are_told_apart(tmp_path):
    (tmp_path / "digits" / "2").mkdir(parents=True)
    assert evaluate._name(str(tmp_path / "digits" / "2")) == "digits-2"
    assert evaluate._name(str(tmp_path / "digits")) == "digits"
