"""Trains and evaluates every row of a table, and prints and draws it.

    python -m alp_tf.reproduce --table=digits

trains four networks on the embedded digits (undefended, logit squeezing, mixed-minibatch PGD, adversarial logit
pairing) in under three minutes on 2 cores. The work directory receives table.md, table.json, figures/table.png and a
directory for each experiment. Run again, it goes on where it stopped.
"""

import shlex

from absl import flags

from alp_tf import command_line, names


def main(arguments):
    """Makes one table.

    Args:
      arguments: of the command line, without the command's name.
    """
    flag_values = flags.FlagValues()
    flags.DEFINE_string("table", None, "which table: digits", flag_values=flag_values)
    flags.DEFINE_string("workdir", None, "where everything is kept; runs/TABLE if not given", flag_values=flag_values)
    flags.DEFINE_integer("seed", 0, "seed of every experiment", flag_values=flag_values)
    command_line.parse(arguments, flag_values, __doc__)
    if flag_values.table is None:
        raise ValueError("which table? Write --table=digits")
    command_line.load_tensorflow()

    from alp_tf import tables

    table = names.lookup("table", flag_values.table, tables.TABLES)
    workdir = flag_values.workdir or f"runs/{flag_values.table}"
    command = shlex.join(["python", "-m", "alp_tf.reproduce", *arguments])
    text = tables.make(table, workdir, command=command, seed=flag_values.seed)
    print(f"\n{text}\n\nWritten to {workdir}/table.md, with figures/table.png")


if __name__ == "__main__":
    command_line.run(main)
