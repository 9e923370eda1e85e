"""Hands a trained classifier on to TensorFlow Serving.

    python -m alp_tf.export --workdir=runs/mnist_alp --output=models/mnist_alp
    python -m alp_tf.export --model=model.keras --labels=labels.txt --output=models/mine

--output is the directory of the model; every export adds a version, models/mnist_alp/1 at first, and leaves the older
ones as they are. A version is a SavedModel that needs none of this package: `serving_default` takes float pixels in
[0, 1], `serving_bytes` JPEG or PNG files, `classify` tf.Example; warm-up requests and a model card with the robust
accuracies of results.json are in its assets.extra/. See docs/serving.md.
"""

import json
import logging
import pathlib

from absl import flags

from alp_tf import command_line

_log = logging.getLogger("alp_tf")


def main(arguments):
    """Exports one model.

    Args:
      arguments: of the command line, without the command's name.
    """
    options = _flags()
    command_line.parse(arguments, options, __doc__)
    if bool(options.workdir) == bool(options.model):
        raise ValueError("give one of --workdir=DIR, of alp_tf.main, and --model=FILE.keras; see --help")
    if not options.output:
        raise ValueError("no directory was given; write --output=models/NAME")
    sizes = [_whole("--warm_up", size) for size in options.warm_up]
    fraction = command_line.number("--central_fraction", options.central_fraction or "1")
    names = _labels(options.labels) if options.labels else None
    results = _results([*(_finished(options.workdir) if options.workdir else ()), *options.results])
    command_line.load_tensorflow()

    from alp_tf import loading, serving
    from alp_tf.serving import versions

    versions.check(options.output)
    model = loading.classifier(options.workdir or options.model)
    data = _dataset(options.workdir) if options.workdir else {}
    version = serving.export(
        model,
        options.output,
        class_names=names or data.get("class_names"),
        resize=options.resize,
        central_fraction=fraction if options.central_fraction else data.get("central_fraction", 1.0),
        guard=options.guard,
        warm_up_batch_sizes=sizes,
        results=results,
    )
    print(f"{version} is ready to be served; {version / 'assets.extra' / 'model_card.md'} says how robust it is")


def _flags():
    found = flags.FlagValues()
    flags.DEFINE_string("workdir", None, "work directory of alp_tf.main, finished", flag_values=found)
    flags.DEFINE_string(
        "model",
        None,
        "instead of --workdir: a .keras file, or module:function returning a Keras model",
        flag_values=found,
    )
    flags.DEFINE_string("output", None, "directory of the model, above its versions", flag_values=found)
    flags.DEFINE_string("labels", None, "file with one class name a line; --workdir knows its own", flag_values=found)
    flags.DEFINE_list(
        "results",
        [],
        "results.json of alp_tf.evaluate, separated by commas, for the model card; a work directory's own is in it",
        flag_values=found,
    )
    flags.DEFINE_boolean(
        "resize", None, "cut and resize image files; --noresize refuses other sizes than the model's", flag_values=found
    )
    flags.DEFINE_string(
        "central_fraction",
        None,
        "side of the square cut from image files; --workdir knows its own",
        flag_values=found,
    )
    flags.DEFINE_boolean("guard", False, "refuse pixels outside [0, 1] inside the graph", flag_values=found)
    flags.DEFINE_list("warm_up", ["1", "8", "32"], "batch sizes of the warm-up requests", flag_values=found)
    return found


def _finished(workdir):
    """The results.json of a work directory that has been through."""
    from alp_tf.workdir import WorkDir

    place = WorkDir(workdir)
    if not place.config_json.exists():
        if place.path.is_file():
            raise ValueError(f"{workdir} is a file; write --model={workdir}")
        seen = "holds no config.json" if place.path.is_dir() else "does not exist"
        raise ValueError(f"{workdir} {seen}; --workdir is a work directory of alp_tf.main")
    missing = [path.name for path in (place.model_keras, place.results_json) if not path.exists()]
    if missing:
        raise ValueError(
            f"{workdir} has no {' and no '.join(missing)}: its training or evaluation is not finished. Run the same "
            "alp_tf.main command again, which goes on where it stopped"
        )
    return [place.results_json]


def _results(paths):
    found = []
    for path in paths:
        try:
            found.append(json.loads(pathlib.Path(path).read_text(encoding="utf-8")))
        except ValueError as error:
            raise ValueError(f"{path} is not readable ({error}); evaluate the model again") from error
    return found


def _labels(path):
    names = pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    if not all(name.strip() for name in names) or not names:
        raise ValueError(f"{path} must have one class name on every line, and no empty line")
    return [name.strip() for name in names]


def _whole(flag, text):
    if not text.strip().isdecimal() or int(text) < 1:
        raise ValueError(f"{flag} has {text!r}; it takes whole numbers from 1, separated by commas")
    return int(text)


def _dataset(workdir):
    """What a work directory says of its data set: its classes' names, and how its image files are cut."""
    from alp_tf.workdir import WorkDir

    path = WorkDir(workdir).dataset_json
    if not path.exists():
        _log.warning(
            "%s is not there: the classes stay without names, and image files are cut at --central_fraction=1; "
            "--labels=FILE gives names",
            path,
        )
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not readable ({error}); give --model={workdir}/model.keras instead") from error


if __name__ == "__main__":
    command_line.run(main)
