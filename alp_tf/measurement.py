"""The evaluation of one model, from a protocol to a report with pictures on disk; goes on where it stopped."""

import dataclasses
import pathlib
import shutil
import time

import numpy as np

from alp_tf import attacks, datasets, evaluation, files, machine
from alp_tf.evaluation import (
    black_box,
    curves,
    curves_figure,
    gallery,
    heat_map,
    html,
    inputs,
    masking,
    pictures,
    protocols,
    surface,
    surface_figure,
)

# Pictures show, they do not measure: so many images are enough for the eye.
_PICTURED = 200


@dataclasses.dataclass(frozen=True, kw_only=True)
class Question:
    """What is to be measured.

    Attributes:
      name: of the model, for titles.
      dataset: name of the data set.
      image_size: of the data set, where it can be chosen, see datasets.load.
      protocol: a name of evaluation.protocols, or `paper`.
      threat_model: of the protocol, of the tests for masked gradients, the black box and the pictures.
      attacks: {name: attack} of the protocol `paper`, else None.
      examples: test images; 0 means all.
      batch_size, seed, masking_examples: see evaluation.evaluate.
      with_pictures: whether curves, loss surface and the other figures are made.
    """

    name: str
    dataset: str
    protocol: str
    threat_model: object
    attacks: dict | None = None
    image_size: int | None = None
    examples: int = 1000
    batch_size: int = 200
    seed: int = 0
    masking_examples: int = 100
    with_pictures: bool = True


def run(question, model, path, *, sources=None, data_dir=None, archives=None, command=None, show_progress=True):
    """Evaluates a model and writes results.json, verdicts.npz, report.md, report.html and figures/.

    Args:
      question: Question.
      model: keras.Model or callable that returns logits.
      path: directory for all of it.
      sources: {name: model} for black-box attacks, or None.
      data_dir, archives: where the data set is, see datasets.load.
      command: what the user typed, for results.json.
      show_progress: whether bars are shown.

    Returns:
      The report as Markdown.

    Raises:
      ValueError: see evaluation.evaluate; also a directory that holds another evaluation.
    """
    path = pathlib.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    model = protocols.prepared(model, question.protocol)
    data = datasets.load(question.dataset, data_dir=data_dir, archives=archives, image_size=question.image_size)
    count = min(question.examples, data.test_examples) if question.examples else 0
    batches = data.test_batches(question.batch_size, examples=count)
    images, labels = inputs.arrays(batches)
    chosen = {"attacks": question.attacks} if question.attacks else {"protocol": question.protocol}
    report = evaluation.evaluate(
        model,
        (images, labels),
        **chosen,
        threat_model=question.threat_model,
        batch_size=question.batch_size,
        seed=question.seed,
        masking_examples=question.masking_examples,
        keep=path / "evaluation",
        show_progress=show_progress,
    )
    with files.replaced(path / "verdicts.npz") as temporary:
        np.savez_compressed(temporary, **report.verdicts)
    common = {"seed": question.seed, "show_progress": show_progress}
    drawn = _draw(question, model, data, (images, labels), path, common) if question.with_pictures else []
    transfer = _black_box(question, model, sources, (images, labels), path, common) if sources else None
    if transfer is not None:
        heat_map.heat_map(path / "figures" / "transfer.png", transfer)
        finding = masking.compare_with_black_boxes(transfer, question.name)
        report = dataclasses.replace(report, masking=(*report.masking, finding))
    results = {
        "model": question.name,
        "dataset": question.dataset,
        "protocol": question.protocol,
        "command": command,
        "seed": question.seed,
        "examples": len(labels),
        **report.to_dict(),
        "black_box": None if transfer is None else transfer.to_dict(),
        "versions": machine.versions(),
        "machine": machine.description(),
    }
    text = _markdown(question, report, transfer, drawn, results)
    files.write_text(path / "report.md", text)
    files.write_text(path / "report.html", html.single_file(text, path))
    files.write_json(path / "results.json", results)
    return text


def _black_box(question, model, sources, data, path, common):
    ball = dataclasses.asdict(question.threat_model)
    steps = {"step_size": question.threat_model.epsilon / 10, "steps": 40}
    return black_box.transfer(
        sources={question.name: model, **sources},
        targets={question.name: model, **sources},
        data=data,
        attacks={
            "PGD": attacks.PGD(**ball, **steps),
            "iter-LL": attacks.IterLL(**ball, **steps),
            "momentum": attacks.MIM(**ball, **steps),
        },
        batch_size=question.batch_size,
        keep=path / "evaluation" / "black_box",
        **common,
    )


def _draw(question, model, data, arrays, path, common):
    """Draws every figure that is not there yet; returns (title, file in figures/, caption) of each."""
    figures, ball = path / "figures", question.threat_model
    images, labels = (part[:_PICTURED] for part in arrays)
    step = {"step_size": ball.epsilon / 10, "steps": 40, "keep": "best"}
    attack = attacks.PGD(**dataclasses.asdict(ball), **step)
    adversarial = attack(model, images, labels, seed=question.seed).numpy()
    logits_of = inputs.logits_of(model, images.shape[1:])
    clean_logits, logits = logits_of(images), logits_of(adversarial)
    by_logits = (labels, clean_logits, logits)
    shown = np.flatnonzero(clean_logits.argmax(-1) == labels)[:3]

    def draw_curves(file):
        measured = curves.accuracy_curves(model, (images, labels), ball, batch_size=question.batch_size, **common)
        curves_figure.draw(file, measured)

    def draw_surface(file):
        found = surface.loss_surface(model, images[shown], labels[shown], ball, **common)
        surface_figure.draw(file, found, titles=[data.class_names[label] for label in labels[shown]])

    about = f"PGD of 40 steps on the first {len(labels)} test images, {ball}."
    wanted = [
        (
            "Robust accuracy by budget",
            "curves.png",
            draw_curves if ball.epsilon else None,
            "More of anything the adversary may do must cost accuracy, and no epsilon may leave any once every image "
            "is allowed. Where a curve still falls at its end, the number in the table is not the last word.",
        ),
        (
            "Loss around three images",
            "loss_surface.png",
            draw_surface if len(shown) and ball.epsilon else None,
            "Along the sign of the gradient and along a random direction, up to epsilon either way. A loss that is "
            "honest to gradients rises smoothly along the first; ridges and plateaus hide the way up.",
        ),
        (
            "Accuracy by class",
            "classes.png",
            lambda file: pictures.class_bars(file, *by_logits, data.class_names),
            about,
        ),
        ("Logits", "logits.png", lambda file: pictures.logit_histograms(file, *by_logits), about),
        (
            "The most misled images",
            "gallery.png",
            lambda file: gallery.gallery(file, images, adversarial, *by_logits, data.class_names),
            about,
        ),
    ]
    wanted = [(title, name, draw, caption) for title, name, draw, caption in wanted if draw is not None]
    # Pictures of another evaluation in the same place would tell its story.
    identity = path / "evaluation" / "identity.json"
    # Of a model that is no Keras model it says nothing; but it was written when this evaluation began.
    made_for = f"{identity.read_text(encoding='utf-8')}{ball}, {identity.stat().st_mtime_ns}"
    mark = figures / "made_for.txt"
    if not mark.exists() or mark.read_text(encoding="utf-8") != made_for:
        shutil.rmtree(figures, ignore_errors=True)
        figures.mkdir(parents=True)
        files.write_text(mark, made_for)
    for _, name, draw, _ in wanted:
        if not (figures / name).exists():
            draw(figures / name)
    return [(title, name, caption) for title, name, _, caption in wanted]


def _markdown(question, report, transfer, drawn, results):
    attacked = "\n".join(f"- {item.name}: `{item.attack}`" for item in report.evaluations)
    versions = ", ".join(f"{package} {version}" for package, version in results["versions"].items())
    parts = [
        f"# {question.name}, {question.dataset}, protocol {question.protocol}",
        str(report),
        "Robust accuracy counts an image only if it is classified correctly both as it is and after the attack. It is "
        "an upper bound: a stronger attack may find more.",
        "" if transfer is None else f"## Black box\n\n{transfer}\n\n![Transfer](figures/transfer.png)",
        *(f"## {title}\n\n![{title}](figures/{file})\n\n{caption}" for title, file, caption in drawn),
        f"## How it was measured\n\n{attacked}",
        f"{results['examples']:,} test images, seed {question.seed}; {results['machine']}; {versions}; "
        f"{time.strftime('%Y-%m-%d')}. Command: `{results['command']}`",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
