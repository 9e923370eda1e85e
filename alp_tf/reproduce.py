"""Makes tables and figures of the papers: trains what is missing, evaluates, prints, draws.

    python -m alp_tf.reproduce --table=digits
    python -m alp_tf.reproduce --list
    python -m alp_tf.reproduce --table=kannan/1 --data_dir=DIR --dry-run
    python -m alp_tf.reproduce --figure=shafahi/2 --data_dir=DIR --budget=laptop --seeds=3
    python -m alp_tf.reproduce --table=shafahi/1 --table=shafahi/2 --figure=shafahi/5 --data_dir=DIR --jobs=2

The first trains four networks on the embedded digits (undefended, logit squeezing, mixed-minibatch PGD, adversarial
logit pairing) in three minutes on 2 cores, and writes table.md, table.json, figures/table.png and a directory for
each experiment into --workdir.

The others make an exhibit of Kannan et al. 2018 or Shafahi et al. 2019, beside the paper's own figures and what is
left of them under the protocols `strong` and `autoattack`. The budget `paper` is the paper's training, for clusters;
`laptop` takes hours on 2 cores, and the caption lists in what it differs; `smoke` takes seconds and is no result.
Models and measurements are kept in --output, and exhibits share them. Interrupted at any moment, the same command goes
on where it stopped; --dry-run says what it will do and about how long that takes; --so-far writes what is there by
then, also while another process makes the rest. Without a GPU, --jobs=2 is done sooner: two parts at a time, each on
half of the cores, which small networks keep busier. Several exhibits are made one after the other, and each is written
as soon as its last part is there. Data sets come through TFDS: --data_dir is where they are prepared, TFDS' own
directory if not given; what is not there is downloaded.

--publish also writes the JSON and the pictures into experiments/results/, with each measurement in measured/ as soon as
it is made, and goes on from what lies there: a model is trained again only where something of it is still to be
measured. --page makes docs/results.md of it.
"""

import shlex

from absl import flags

from alp_tf import command_line, names

_OF_DIGITS = ("table", "workdir", "seed", "dry_run")


def main(arguments):
    """Makes tables and figures, lists them, or writes the page of results.

    Args:
      arguments: of the command line, without the command's name.
    """
    options = _flags()
    command_line.parse([_underscored(argument) for argument in arguments], options, __doc__)
    asked = [name for name in ("list", "page") if options[name].value]
    exhibits = [("table", name) for name in options.table] + [("figure", name) for name in options.figure]
    seen = [f"--{kind}={name}" for kind, name in exhibits] + [f"--{name}" for name in asked]
    if not seen:
        raise ValueError("which table? Write --table=digits, or --list for all of them")
    if len(seen) > 1 and (asked or ("table", "digits") in exhibits):
        raise ValueError(f"{' and '.join(seen)} cannot be had at once; the papers' tables and figures can")
    if exhibits == [("table", "digits")]:
        _digits(options, shlex.join(["python", "-m", "alp_tf.reproduce", *arguments]))
        return
    if options.workdir is not None:
        raise ValueError("--workdir is for --table=digits; the papers' exhibits share one --output")
    command_line.load_tensorflow()
    if options.list:
        _list()
    elif options.page:
        _page()
    else:
        with command_line.plain_flags():
            _exhibits(options, exhibits)


def _flags():
    found = flags.FlagValues()
    flags.DEFINE_multi_string("table", [], "which table: digits, kannan/1 ... see --list", flag_values=found)
    flags.DEFINE_multi_string("figure", [], "which figure: kannan/1, shafahi/2 ... see --list", flag_values=found)
    flags.DEFINE_boolean("list", False, "list every table and figure", flag_values=found)
    flags.DEFINE_boolean("page", False, "write docs/results.md from the committed JSON", flag_values=found)
    flags.DEFINE_enum(
        "budget", "laptop", ["smoke", "laptop", "paper"], "how much training and evaluation", flag_values=found
    )
    flags.DEFINE_integer("seeds", 1, "how many seeds, from --seed on", lower_bound=1, flag_values=found)
    flags.DEFINE_integer("seed", 0, "first seed of every experiment", flag_values=found)
    flags.DEFINE_integer(
        "copies", None, "how many copies make black-box images; one a seed if not given", flag_values=found
    )
    flags.DEFINE_integer(
        "examples", 0, "test images under the papers' attacks; 0 means all", lower_bound=0, flag_values=found
    )
    flags.DEFINE_integer(
        "strong_examples", 1000, "test images under strong and autoattack", lower_bound=0, flag_values=found
    )
    flags.DEFINE_integer(
        "jobs", 1, "how many parts are made at a time, each on its share of the cores", lower_bound=1, flag_values=found
    )
    flags.DEFINE_string("output", "runs/reproduce", "where models and exhibits are kept", flag_values=found)
    flags.DEFINE_string("workdir", None, "of --table=digits; runs/digits if not given", flag_values=found)
    flags.DEFINE_string("data_dir", None, "directory of prepared TFDS data sets", flag_values=found)
    flags.DEFINE_string("archives", None, "directory of a TFDS data set's original archives", flag_values=found)
    flags.DEFINE_boolean("dry_run", False, "say what would be done, and do nothing", flag_values=found)
    flags.DEFINE_boolean(
        "so_far", False, "write what is measured so far, with the rest left open, and do nothing", flag_values=found
    )
    flags.DEFINE_boolean(
        "publish", False, "also write into experiments/results/ what is to be committed", flag_values=found
    )
    return found


def _underscored(argument):
    """`--dry-run` is what people write; absl's flags have underscores."""
    name, equals, value = argument.partition("=")
    return f"--{name[2:].replace('-', '_')}{equals}{value}" if name.startswith("--") else argument


def _digits(options, command):
    foreign = [name for name in options if options[name].present and name not in _OF_DIGITS]
    if foreign:
        raise ValueError(
            f"--table=digits has no {' or '.join(f'--{name}' for name in sorted(foreign))}; it takes "
            f"{', '.join(f'--{name}' for name in _OF_DIGITS if name != 'table')}"
        )
    command_line.load_tensorflow()

    from alp_tf import tables

    workdir = options.workdir or "runs/digits"
    if options.dry_run:
        print(tables.plan(tables.TABLES["digits"], workdir, seed=options.seed))
        return
    text = tables.make(tables.TABLES["digits"], workdir, command=command, seed=options.seed)
    print(f"\n{text}\n\nWritten to {workdir}/table.md, with figures/table.png")


def _list():
    from alp_tf.reproduction import page, parts

    print("--table=digits            the embedded digits, in three minutes")
    for kind, registry in (("table", parts.TABLES), ("figure", parts.FIGURES)):
        for name, exhibit in registry.items():
            print(f"{f'--{kind}={name}':<25} {exhibit.title} ({exhibit.dataset}; {page.state(exhibit)})")


def _page():
    from alp_tf import files, tables
    from alp_tf.reproduction import page

    path = tables.experiments_directory().parent / "docs" / "results.md"
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent} is not there: --page is for a checkout of the repository")
    files.write_text(path, page.text())
    print(f"written: {path}")


def _command(options, exhibit):
    """What makes the same results anywhere: the command without the places of this machine."""
    given = [name for name in ("seed", "copies", "examples", "strong_examples", "jobs") if options[name].present]
    chosen = [f"--{name}={options[name].value}" for name in ("budget", "seeds", *given)]
    return shlex.join(["python", "-m", "alp_tf.reproduce", f"--{exhibit.kind}={exhibit.name}", *chosen])


def _exhibits(options, asked):
    from alp_tf.reproduction import markdown, measuring, page, parts, processes, shelf, work

    seeds = tuple(range(options.seed, options.seed + options.seeds))
    orders = []
    for kind, name in dict.fromkeys(asked):
        names.lookup(kind, name, [*parts.TABLES, "digits"] if kind == "table" else [*parts.FIGURES])
        orders.append(parts.order(kind, name, budget=options.budget, seeds=seeds, copies=options.copies or len(seeds)))
    processes.check(options.jobs)
    smoke = options.budget == "smoke"
    if smoke and options.publish:
        raise ValueError("a smoke is no result: leave out --publish, or take --budget=laptop")
    sizes = measuring.Sizes(
        examples=8 if smoke else options.examples,
        strong_examples=4 if smoke else options.strong_examples,
        smoke=smoke,
    )
    # Nothing is downloaded only to be counted.
    counts = markdown.OFFICIAL if options.dry_run and options.data_dir is None else None
    places = {"data_dir": options.data_dir, "archives": options.archives}
    if options.publish:
        places["shelf"] = shelf.Shelf(page.results_directory() / "measured" / options.budget)
    store = work.Store(options.output, options.budget, sizes=sizes, counts=counts, **places)
    for order in orders:
        exhibit = order.exhibit
        print(f"{exhibit.kind} {exhibit.name}, {exhibit.title}, budget {options.budget}, {len(seeds)} seed(s)")
    # Exhibits share parts.
    wanted = list(dict.fromkeys(part for order in orders for part in order.parts()))
    print(work.plan(wanted, store), flush=True)
    if options.dry_run:
        return
    if options.publish:
        for order in orders:
            page.check_size(order.exhibit.dataset, store.counts(order.parts()[0].model)[1])
    if options.so_far:
        for order in orders:
            print(f"\n{_write(order, store, options)}")
        return
    written = {}

    def write_finished(unmade):
        for index, order in enumerate(orders):
            if index not in written and not set(unmade).intersection(order.parts()):
                written[index] = _write(order, store, options)

    jobs = 0 if smoke and options.jobs == 1 else options.jobs
    work.make_all(wanted, store, jobs=jobs, start=command_line.load_tensorflow, after=write_finished)
    for _, said in sorted(written.items()):
        print(f"\n{said}")


def _write(order, store, options):
    """Writes an exhibit; returns what is to be shown of it."""
    from alp_tf import files
    from alp_tf.reproduction import drawing, markdown, page, results

    exhibit = order.exhibit
    found = results.collect(order, store, command=_command(options, exhibit))
    if not found["rows"]:
        raise ValueError(f"nothing of {exhibit.kind} {exhibit.name} is measured yet: leave out --so-far")
    directory = store.path.parent / exhibit.paper
    directory.mkdir(parents=True, exist_ok=True)
    pictures = drawing.draw(directory, exhibit, found)
    text = f"# {markdown.heading(exhibit)}\n\n{markdown.text(exhibit, found, pictures)}\n"
    files.write_text(directory / f"{exhibit.stem}.md", text)
    files.write_json(directory / f"{exhibit.stem}.json", found)
    said = f"{text}\nWritten to {directory}/{exhibit.stem}.md and .json"
    if options.publish:
        said += f"\nPublished: {page.publish(exhibit, found)}; --page makes docs/results.md of it"
    return said


if __name__ == "__main__":
    command_line.run(main)
