"""One experiment from its configuration to its report: train, keep, resume, evaluate."""

import contextlib
import logging
import time

import keras
import numpy as np
import tensorflow as tf

from alp_tf import callbacks, checkpoints, configs, datasets, distribution, evaluation, files, loading, machine
from alp_tf.evaluation import plots
from alp_tf.workdir import WorkDir

_log = logging.getLogger("alp_tf")


def run(config, path, *, name, overridden=(), command=None):
    """Trains and evaluates what the configuration describes; goes on where an earlier run of it stopped.

    Args:
      config: ConfigDict; see configs.default.
      path: work directory.
      name: of the experiment, for tables.
      overridden: dotted fields given on the command line.
      command: what the user typed, for results.json.

    Returns:
      The content of results.json; None for workers other than the chief, who end when it is written.

    Raises:
      ValueError: a configuration that cannot be run, or a directory of another one or in which another process works.
      OSError: files cannot be written, or a worker was lost (distribution.WorkerLost).
    """
    configs.check(config, overridden)
    ignored = configs.unused(config)
    if ignored:
        _log.warning("defense %r does not use %s of the config file", config.defense.name, ", ".join(ignored))
    for doubt in configs.doubts(config):
        _log.warning("%s", doubt)
    workdir = WorkDir(path, default=configs.default())
    finished = workdir.finished(config)
    if finished:
        _log.warning("%s is finished already; its results follow. Another --workdir starts anew", workdir.path)
        return finished
    with distribution.start(config.distribution) as cluster, workdir:
        data, classifier, history = _trained(config, workdir, name, cluster)
        if cluster.chief:
            # Before the evaluation, which may need more memory, or time, than there is: what was trained can be used.
            _save(classifier, data, workdir)
        report = evaluation.evaluate(
            classifier,
            data.test_batches(config.evaluation.batch_size, examples=config.evaluation.examples),
            attacks={label: configs.build_attack(options) for label, options in config.evaluation.attacks.items()},
            batch_size=config.evaluation.batch_size,
            seed=config.seed,
            masking_examples=config.evaluation.masking_examples,
            keep=workdir.evaluation if cluster.chief else None,
            show_progress=cluster.chief,
            team=cluster.team,
        )
        results = None
        if cluster.chief:
            results = _results(config, workdir, name, command, cluster, data, classifier, history, report)
        cluster.wait_for_chief()
        return results


def _results(config, workdir, name, command, cluster, data, classifier, history, report):
    results = {
        "config": name,
        "command": command,
        "seed": config.seed,
        "steps": config.train.steps,
        "train_seconds": round(history.seconds, 1),
        **report.to_dict(),
        "versions": machine.versions(),
        "machine": machine.description(),
    }
    if cluster.replicas > 1:
        results["replicas"] = {"all": cluster.replicas, "backup": cluster.backups, "workers": cluster.workers}
    _draw(config, workdir, data, classifier, history)
    files.write_text(workdir.report_md, _report_markdown(name, config, report, results))
    # Last: where there is a results.json, everything else is there too.
    files.write_json(workdir.results_json, results)
    return results


def train(config, path, *, name):
    """Trains what the configuration describes and leaves its evaluation to others, or to a later `run`.

    Args:
      config, path, name: as of `run`.

    Returns:
      Seconds of training, over all times that it was resumed.

    Raises:
      ValueError, OSError: as of `run`.
    """
    configs.check(config)
    workdir = WorkDir(path, default=configs.default())
    if not workdir.trained(config):
        with distribution.start(config.distribution) as cluster, workdir:
            data, classifier, _ = _trained(config, workdir, name, cluster)
            if cluster.chief:
                _save(classifier, data, workdir)
            cluster.wait_for_chief()
    return callbacks.History.read(workdir.history_jsonl)[-1]["seconds"] if config.train.steps else 0.0


def _trained(config, workdir, name, cluster):
    cluster.batch(config.train.batch_size)
    data = datasets.load(
        config.dataset.name,
        data_dir=config.dataset.data_dir,
        archives=config.dataset.archives,
        image_size=config.dataset.image_size,
    )
    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    with cluster.scope(), _precision(config.train.precision):
        classifier = configs.build_classifier(config, data)
        if config.train.start_from:
            loading.start(classifier, config.train.start_from)
        defense = configs.build_defense(config, classifier)
    # A number of test images that there are not is told before anything is written.
    data.test_batches(config.evaluation.batch_size, examples=config.evaluation.examples)
    if cluster.chief:
        workdir.claim(config)
    history = _train(config, workdir, name, data, defense, cluster)
    if config.train.precision != "float32":
        # Half precision is for speed in training: what is measured and deployed computes as others' models do.
        trained = classifier.get_weights()
        with cluster.scope():
            classifier = configs.build_classifier(config, data)
        classifier.set_weights(trained)
    return data, classifier, history


@contextlib.contextmanager
def _precision(policy):
    """Layers made within compute so; their weights are float32 all the same."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _save(classifier, data, workdir):
    described = {"class_names": list(data.class_names), "central_fraction": data.central_fraction}
    files.write_json(workdir.dataset_json, described)
    with files.replaced(workdir.model_keras) as temporary:
        classifier.save(temporary)


def _train(config, workdir, name, data, defense, cluster):
    """The history of the training; None for workers other than the chief."""
    steps_per_epoch = data.train_examples and data.train_examples // config.train.batch_size
    with cluster.scope():
        defense.compile(optimizer=configs.build_optimizer(config, steps_per_epoch=steps_per_epoch))
        defense.optimizer.build(defense.trainable_variables)
    cluster.prepare(defense, image_shape=data.image_shape)
    kept = checkpoints.Checkpoints(
        workdir.checkpoints,
        keep=config.train.keep_checkpoints,
        classifier=defense.classifier,
        optimizer=defense.optimizer,
        **defense.state,
    )
    total, period = config.train.steps, config.train.checkpoint_every
    step = _restored(kept, cluster)
    history = callbacks.History(workdir.history_jsonl, up_to_step=step) if cluster.chief else None
    if step and cluster.chief:
        _log.warning("resuming %s at step %d of %d", workdir.path, step, total)
    while step < total:
        # Whole periods in one fit; what is left of one, at either end, in one of its own.
        steps = min(period - step % period, total - step)
        periods = (total - step) // period if steps == period else 1
        called = [callbacks.StopIfDiverged(start_step=step)]
        if cluster.chief:
            called += [
                callbacks.Progress(total=total, start_step=step, label=name),
                callbacks.KeepPeriod(
                    history=history, checkpoints=kept, tensorboard_dir=workdir.tensorboard, start_step=step
                ),
                *cluster.callbacks(workdir.tensorboard, start_step=step),
            ]
        with cluster.ending_together(start_step=step) as ending:
            defense.fit(
                cluster.dataset(
                    data,
                    config.train.batch_size,
                    seed=config.seed,
                    start_step=step,
                    augmentation=config.dataset.augmentation,
                ),
                steps_per_epoch=steps,
                epochs=periods,
                shuffle=False,
                verbose=0,
                callbacks=[*called, ending],
            )
        step += periods * steps
        if step < total and config.optimizer.ema:
            # Keras ends every fit with the averaged weights in place of the trained ones, which the checkpoint kept.
            step = _restored(kept, cluster)
    if total:
        # No fit has done so where the run is resumed after its last step.
        defense.optimizer.finalize_variable_values(defense.trainable_weights)
    return history


def _restored(kept, cluster):
    """The step of the newest good checkpoint, which the chief looks for and all workers restore."""
    step = cluster.from_chief(kept.restore)
    if step and not cluster.chief:
        kept.read(step)
    return step


def _draw(config, workdir, data, classifier, history):
    if history.rows:
        plots.training_curves(workdir.figures / "training_curves.png", history.rows)
    images, labels = next(iter(data.test_batches(10)))
    for label, options in config.evaluation.attacks.items():
        attack = configs.build_attack(options)
        adversarial = attack(classifier, images, labels, seed=config.seed)
        largest = attack.epsilon if attack.norm == "linf" else float(tf.reduce_max(tf.abs(adversarial - images)))
        plots.adversarial_strip(
            workdir.figures / f"adversarial_{label}.png",
            images.numpy(),
            adversarial.numpy(),
            labels.numpy(),
            np.argmax(classifier(images), -1),
            np.argmax(classifier(adversarial), -1),
            data.class_names,
            max(largest, 1e-6),
        )


def _report_markdown(name, config, report, results):
    attacks = "\n".join(f"- {item.name}: `{item.attack}`" for item in report.evaluations)
    strips = "\n".join(
        f"![Clean and adversarial images under {label}](figures/adversarial_{label}.png)"
        for label in config.evaluation.attacks
    )
    versions = ", ".join(f"{package} {version}" for package, version in results["versions"].items())
    return f"""# {name}

{report}

Robust accuracy counts an image only if it is classified correctly both as it is and after the attack. It is an upper
bound: a stronger attack may find more.

{attacks}

Trained for {results["steps"]:,} steps of {config.train.batch_size} images in {results["train_seconds"]:.0f} s
({results["machine"]}); seed {results["seed"]}; {versions}; {time.strftime("%Y-%m-%d")}.
Command: `{results["command"]}`

{strips}

![Training accuracy and loss by step](figures/training_curves.png)
"""
