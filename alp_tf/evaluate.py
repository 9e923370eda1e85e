"""Says how robust a classifier really is.

    python -m alp_tf.evaluate runs/mnist_alp --protocol=autoattack
    python -m alp_tf.evaluate model.keras --dataset=mnist --protocol=strong --examples=200
    python -m alp_tf.evaluate my_package.my_module:build_model --dataset=digits --epsilon=0.2

MODEL is a work directory of alp_tf.main, a .keras file, a SavedModel's directory, or module:function returning any
Keras model; it takes pixels in [0, 1] and returns logits. The output directory receives results.json, verdicts.npz
(which image stands against what), report.md with figures/, and report.html, a single file to send around. Interrupted
at any moment, the same command goes on after the last finished batch.

Protocols: `paper` is what the model's paper evaluated with, `strong` is PGD with three losses and two kinds of
target, 200 steps and 10 restarts, then APGD and Square; `autoattack` is Croce and Hein's; `autoattack_plus` has more
restarts, `autoattack_rand` is for randomised models. Every report says whether the model masks its gradients.
"""

import json
import pathlib
import shlex
import shutil

from absl import flags

from alp_tf import command_line, names


def main(arguments):
    """Evaluates one model.

    Args:
      arguments: of the command line, without the command's name.
    """
    options = _flags()
    places, others = _split(arguments, options)
    command_line.parse(others, options, __doc__)
    if len(places) != 1:
        seen = f"{len(places)} models were given ({', '.join(places)})" if places else "no model was given"
        raise ValueError(f"{seen}; write python -m alp_tf.evaluate MODEL, see --help")
    (place,) = places
    command_line.load_tensorflow()

    from alp_tf import datasets, loading, measurement
    from alp_tf.evaluation import inputs, protocols

    loading.check(place)
    config = _config_of(place)
    dataset = options.dataset or (config.dataset.name if config else None)
    if dataset is None:
        raise ValueError(f"{place} does not say on what data; write --dataset={'|'.join(sorted(datasets.NAMED))}")
    # A work directory's own data set lies where it lay, and has the size it was trained in; another one has its own.
    known = config.dataset if config and dataset == config.dataset.name else {}
    data_dir, archives, image_size = (
        options[name].value or known.get(name) for name in ("data_dir", "archives", "image_size")
    )
    with command_line.plain_flags():
        datasets.check(dataset, archives=archives, image_size=image_size)
    names.lookup("protocol", options.protocol, [*protocols.PROTOCOLS, "paper"])
    for name, least in (("examples", 0), ("batch_size", 1), ("masking_examples", 0)):
        if getattr(options, name) < least:
            raise ValueError(f"--{name} is {getattr(options, name)}; it must be at least {least}")
    attacks = _paper_attacks(config, dataset) if options.protocol == "paper" else None
    threat_model = _threat_model(options, dataset, attacks)
    model = loading.classifier(place)
    name = _name(place)
    sources = {_name(source): loading.classifier(source) for source in options.sources}
    if len({name, *sources}) <= len(options.sources):
        raise ValueError(f"--sources={','.join(options.sources)}: each needs a name of its own, other than {name!r}")
    with command_line.plain_flags():
        # It is kept for the measurement: what is wrong with it is told before anything is written.
        data = datasets.load(dataset, data_dir=data_dir, archives=archives, image_size=image_size)
    for where, each in ((place, model), *zip(options.sources, sources.values(), strict=True)):
        # Now, for sources are asked only after hours of white-box attacks.
        inputs.classes(each, data.image_shape, name=where, data=f"--dataset={dataset}")
    output = pathlib.Path(options.output or f"runs/evaluate/{name}-{options.protocol}")
    if not options.resume:
        shutil.rmtree(output / "evaluation", ignore_errors=True)
    text = measurement.run(
        measurement.Question(
            name=name,
            dataset=dataset,
            protocol=options.protocol,
            threat_model=threat_model,
            attacks=attacks,
            image_size=image_size,
            examples=options.examples,
            batch_size=options.batch_size,
            seed=options.seed,
            masking_examples=options.masking_examples,
            with_pictures=options.pictures,
        ),
        model,
        output,
        sources=sources,
        data_dir=data_dir,
        archives=archives,
        command=shlex.join(["python", "-m", "alp_tf.evaluate", *arguments]),
    )
    print(f"\n{text.split('Robust accuracy counts')[0].strip()}\n\nReport: {output}/report.html and report.md")


def _flags():
    found = flags.FlagValues()
    flags.DEFINE_string("protocol", "autoattack", "what to attack with", flag_values=found)
    flags.DEFINE_string("dataset", None, "data set; a work directory knows its own", flag_values=found)
    flags.DEFINE_string("data_dir", None, "directory of prepared TFDS data sets, or a folder", flag_values=found)
    flags.DEFINE_string("archives", None, "directory of a TFDS data set's original archives", flag_values=found)
    flags.DEFINE_integer("image_size", None, "side of the images, where it can be chosen", flag_values=found)
    flags.DEFINE_integer("examples", 1000, "test images, from the first; 0 means all", flag_values=found)
    flags.DEFINE_string(
        "epsilon", None, "radius, such as 8/255; the data set's usual one if not given", flag_values=found
    )
    flags.DEFINE_enum("norm", "linf", ["linf", "l2"], "norm of the threat model", flag_values=found)
    flags.DEFINE_list("sources", [], "models, separated by commas, to attack from as black boxes", flag_values=found)
    flags.DEFINE_string("output", None, "directory for everything; runs/evaluate/... if not given", flag_values=found)
    flags.DEFINE_boolean(
        "resume", True, "go on where the same evaluation stopped; --noresume starts anew", flag_values=found
    )
    flags.DEFINE_boolean("pictures", True, "draw curves, loss surface, classes, logits, gallery", flag_values=found)
    flags.DEFINE_integer("masking_examples", 100, "images for the tests for masked gradients", flag_values=found)
    flags.DEFINE_integer("batch_size", 200, "images attacked at a time", flag_values=found)
    flags.DEFINE_integer("seed", 0, "fixes every random choice", flag_values=found)
    return found


def _split(arguments, options):
    """The models, and the flags with their values; absl also takes `--name value`."""
    places, others, rest = [], [], iter(arguments)
    for argument in rest:
        if not argument.startswith("-"):
            places.append(argument)
            continue
        others.append(argument)
        name = argument.lstrip("-")
        if name in options and not options[name].boolean:
            others.append(next(rest, ""))
    return places, others


def _name(place):
    path = pathlib.Path(place)
    if not path.exists():
        return place.replace(":", ".")
    if not path.is_dir():
        return path.stem
    path = path.resolve()
    # Of an exported model's versions, which are called 1, 2 and so on.
    return f"{path.parent.name}-{path.name}" if path.name.isdigit() else path.name


def _config_of(place):
    """The configuration of a work directory, or None."""
    from ml_collections import ConfigDict

    from alp_tf.workdir import WorkDir

    path = WorkDir(place).config_json
    return ConfigDict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def _paper_attacks(config, dataset):
    from alp_tf import configs
    from alp_tf.evaluation import protocols

    if config is not None:
        return {name: configs.build_attack(options) for name, options in config.evaluation.attacks.items()}
    return protocols.paper(dataset)


def _threat_model(options, dataset, attacks):
    from alp_tf.evaluation import accuracy, protocols
    from alp_tf.threat_model import ThreatModel

    if attacks is not None:
        if options.epsilon is not None or options["norm"].present:
            raise ValueError(
                "protocol 'paper' has its own threat model; leave out --epsilon and --norm, or take --protocol=strong"
            )
        return accuracy.widest(attacks)
    if options.epsilon is not None:
        return ThreatModel(epsilon=command_line.number("--epsilon", options.epsilon), norm=options.norm)
    if options.norm != "linf" or dataset not in protocols.THREAT_MODELS:
        raise ValueError(
            f"no usual epsilon is known for {dataset} in {options.norm}; write --epsilon=8/255, for example"
        )
    return protocols.THREAT_MODELS[dataset]


if __name__ == "__main__":
    command_line.run(main)
