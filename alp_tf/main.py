"""Trains a robust classifier and says how robust it is.

    python -m alp_tf.main --config=experiments/digits_alp.py
    python -m alp_tf.main --config=experiments/mnist_alp.py --config.dataset.data_dir=DIR --workdir=runs/mnist_alp

Any field of the experiment can be given: --config.train.steps=2000 --config.defense.attack.epsilon=8/255
--config.deterministic=True; docs/configuration.md has them all. `experiments/mnist_alp.py:paper` is the paper's budget.
The work directory receives config.json, checkpoints/, tensorboard/, history.jsonl, model.keras, results.json,
report.md and figures/. The same command, run again, goes on where it stopped.
"""

import pathlib
import shlex

from absl import flags

from alp_tf import command_line


def main(arguments):
    """Trains and evaluates one experiment.

    Args:
      arguments: of the command line, without the command's name.
    """
    flag_values = flags.FlagValues()
    flags.DEFINE_string("config", None, "experiment file with get_config()", flag_values=flag_values)
    flags.DEFINE_string(
        "workdir", None, "where everything is kept; runs/NAME of the experiment if not given", flag_values=flag_values
    )
    help_text, rest = __doc__, arguments
    if any(argument.startswith(("-h", "--h")) for argument in arguments):
        there = ", ".join(path.stem for path in command_line.config_files("experiments"))
        help_text += f"\nExperiments here: {there or 'none; cd into a checkout'}"
    else:
        config, name, overridden, rest = command_line.read_config(arguments)
    command_line.parse(rest, flag_values, help_text)

    # TensorFlow loads only now: a mistyped flag is told at once.
    from alp_tf import evaluation, experiment

    workdir = pathlib.Path(flag_values.workdir or f"runs/{name}")
    command = shlex.join(["python", "-m", "alp_tf.main", *arguments])
    results = experiment.run(config, workdir, name=name, overridden=overridden, command=command)
    if results is None:
        # Another worker is the chief and says so.
        return
    print(f"\n{evaluation.Report.from_dict(results)}\n\nReport: {workdir / 'report.md'}")


if __name__ == "__main__":
    command_line.run(main)
