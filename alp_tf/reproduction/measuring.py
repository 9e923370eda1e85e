"""What is measured on a trained model, as JSON-ready dictionaries; a measurement goes on where it was interrupted."""

import dataclasses

import numpy as np

from alp_tf import attacks, datasets, evaluation, loading
from alp_tf.evaluation import black_box, curves, inputs, protocols, surface

# Images whose surroundings are drawn.
_DRAWN = 3
_STEPS = (1, 2, 5, 10, 20, 50, 100, 200)
_BATCH = 200
_MASKING = 100
# Along with which protocol a model is tested for masked gradients: the one that is done sooner with a robust one.
WITH_MASKING = "autoattack"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured.

    Attributes:
      examples: test images under the paper's attacks; 0 means all.
      strong_examples: test images under the protocols `strong` and `autoattack`.
      smoke: whether attacks and protocols are cut down until they are no measurement any more.
    """

    examples: int = 0
    strong_examples: int = 1000
    smoke: bool = False

    def images(self, part, test_examples):
        """On how many images a part is measured, of so many that there are."""
        wanted = self.strong_examples if part.kind in ("protocol", "steps") else self.examples
        wanted = _DRAWN if part.kind == "surface" else wanted
        return min(wanted or test_examples, test_examples)


def attacks_of(dataset):
    """{name: attack} of the papers on a data set, by which columns name them."""
    found = protocols.paper(dataset)
    if dataset == "imagenet2012":
        step = found["PGD-10 least likely"]
        found["iter-LL"] = attacks.IterLL(epsilon=step.epsilon, step_size=step.step_size, steps=step.steps)
    return found


def asked(part, dataset, sizes, images):
    """What decides a measurement besides the models, as text; a file that was made of anything else is made again."""
    if part.kind in ("attack", "black box"):
        what = repr(_cut(attacks_of(dataset)[part.name], sizes))
    elif part.kind == "protocol":
        what = f"{part.name} within {protocols.THREAT_MODELS[dataset]}"
    else:
        what = f"{part.kind} within {protocols.THREAT_MODELS[dataset]}"
    return f"{what}, {images} images{', smoke' if sizes.smoke else ''}"


def measure(part, config, model_path, source_path, sizes, keep):
    """Makes one measurement.

    Args:
      part: parts.Part of any kind but `train`.
      config: the model's ConfigDict, which says where the data are.
      model_path, source_path: work directories of the model and, for a black box, of its source.
      sizes: Sizes.
      keep: directory for what makes it resume.

    Returns:
      JSON-ready dictionary.
    """
    data = dataset_of(config)
    model, seed = loading.classifier(str(model_path)), part.model.seed
    count = sizes.images(part, data.test_examples)
    images, labels = inputs.arrays(data.test_batches(_BATCH, examples=count))
    ball = protocols.THREAT_MODELS[data.name]
    common = {"batch_size": _BATCH, "seed": seed}
    if part.kind == "attack":
        attack = _cut(attacks_of(data.name)[part.name], sizes)
        report = evaluation.evaluate(
            model, (images, labels), attacks={part.name: attack}, masking_examples=0, keep=keep, **common
        )
        return report.to_dict()["evaluations"][0]
    if part.kind == "black box":
        attack = _cut(attacks_of(data.name)[part.name], sizes)
        source = loading.classifier(str(source_path))
        found = black_box.transfer(
            {"source": source}, {"model": model}, (images, labels), {part.name: attack}, keep=keep, **common
        )
        row = dataclasses.asdict(found.row("model", attack=part.name, source="source"))
        return {**row, "ci95": list(row["ci95"]), "examples": found.examples, "top5_accuracy": row["robust_top5"]}
    if part.kind == "protocol":
        return _protocol(part.name, model, (images, labels), ball, sizes, keep, common)
    if part.kind == "steps":
        counts = (1, 2) if sizes.smoke else _STEPS
        found = curves.accuracy_curves(
            model,
            (images, labels),
            ball,
            examples=count,
            steps=1,
            radii=(),
            step_counts=counts,
            restart_counts=(1,),
            loss="margin",
            **common,
        )
        kept = found.to_dict()
        return {name: kept[name] for name in ("by_steps", "clean_accuracy", "examples", "threat_model", "seconds")}
    return _surface(model, data, ball, sizes, seed)


def dataset_of(config):
    """The data set of a configuration."""
    return datasets.load(
        config.dataset.name,
        data_dir=config.dataset.data_dir,
        archives=config.dataset.archives,
        image_size=config.dataset.image_size,
    )


def _protocol(name, model, data, ball, sizes, keep, common):
    chosen = {"protocol": name}
    if sizes.smoke:
        # The first attack and the last; the others differ from them in their loss or target.
        parts = protocols.protocol(name, ball, num_classes=int(model.output_shape[-1]))
        chosen = {"attacks": {part: _cut(parts[part], sizes) for part in (next(iter(parts)), [*parts][-1])}}
    masking_examples = (1 if sizes.smoke else _MASKING) if name == WITH_MASKING else 0
    report = evaluation.evaluate(
        model, data, **chosen, threat_model=ball, masking_examples=masking_examples, keep=keep, **common
    )
    kept = report.to_dict()
    # A protocol's last row is the protocol as a whole.
    return {**kept["evaluations"][-1], "parts": kept["evaluations"][:-1], "masking": kept["masking"]}


def _surface(model, data, ball, sizes, seed):
    images, labels = inputs.arrays(data.test_batches(_BATCH, examples=min(100, data.test_examples)))
    right = np.flatnonzero(inputs.logits_of(model, images.shape[1:])(images).argmax(-1) == labels)
    # Where nothing is right, as after a smoke of training, there is still a surface.
    chosen = right[:_DRAWN] if len(right) >= _DRAWN else np.arange(_DRAWN)
    found = surface.loss_surface(
        model, images[chosen], labels[chosen], ball, points=5 if sizes.smoke else 25, seed=seed
    )
    centre = len(found.offsets) // 2
    rise = found.cross_entropy.max((1, 2)) - found.cross_entropy[:, centre, centre]
    return {
        "epsilon": found.epsilon,
        "norm": found.norm,
        "direction": found.direction,
        "offsets": found.offsets.tolist(),
        "cross_entropy": np.round(found.cross_entropy.astype(float), 4).tolist(),
        "margin": np.round(found.margin.astype(float), 4).tolist(),
        "labels": found.labels.tolist(),
        "class_names": [data.class_names[label] for label in found.labels],
        "images": chosen.tolist(),
        "largest_rise": np.round(rise.astype(float), 4).tolist(),
    }


def _cut(attack, sizes):
    """The attack; of a smoke, with as little to do as shows that it runs."""
    if not sizes.smoke:
        return attack
    least = {"steps": 2, "restarts": 1, "queries": 5}
    return dataclasses.replace(
        attack, **{name: min(value, getattr(attack, name)) for name, value in least.items() if hasattr(attack, name)}
    )
