"""Plans a distributed training before machines are rented: how many backup workers, how long, at what cost.

    python -m launch.plan --workers=50 --backups=8
    python -m launch.plan --workers=50 --backups=8 --trace=trace.jsonl --figure=plan.png --output=plan.json
    python -m launch.plan --check=clusters.json

A step ends when the first N of N + b workers have their gradient, and then their gradients are summed over the
network. Simulated for b = 0 to --backups, with what the run costs at each; the fewest worker-hours are recommended.
How long a worker takes is --step_seconds and an exponential tail, unless there is a measurement, --trace:

- a trace, JSON lines {"step": 0, "worker": 0, "seconds": 0.213} or CSV with the header step,worker,seconds: seconds
  that each worker needed for its own gradient, without waiting for others. It is replayed, or with --distribution
  fitted; a fit takes all workers for alike;
- or the history.jsonl of a work directory, which shows periods, not steps, and so hides stragglers.

The defaults of time and network are examples, not measurements. The gradients are those of Inception-v3 and the images
and steps those of experiments/imagenet_alp.py. --check predicts small clusters that were measured, from what each of
their workers takes undisturbed, and prints both; launch/planning/measured.py has the format.
"""

import dataclasses
import functools
import math

from absl import flags

from alp_tf import command_line, files, markdown_table, names
from launch.planning import measured, network, simulation, stragglers, table

DISTRIBUTIONS = ("exponential", "lognormal")
_FITS = {"exponential": stragglers.fit_exponential, "lognormal": stragglers.fit_lognormal}


def main(arguments):
    """Prints a table and a recommendation.

    Args:
      arguments: of the command line, without the command's name.
    """
    options = _flags()
    command_line.parse(arguments, options, __doc__)
    if options.check is not None:
        print(check(options.check, simulated_steps=options.simulated_steps, seed=options.seed))
        return
    _check_numbers(options)
    source, notes = _source(options)
    rows = simulation.simulate(
        source,
        counted=options.workers,
        backups=options.backups,
        allreduce=_allreduce(options),
        stopping=simulation.Stopping(options.poll_seconds, options.finish_seconds),
        images=options.batch_per_worker,
        steps=options.steps,
        failures=simulation.Failures(
            mean_hours=options.failure_hours or math.inf,
            restart_seconds=options.restart_seconds,
            checkpoint_every=options.checkpoint_every,
        ),
        simulated_steps=options.simulated_steps,
        seed=options.seed,
    )
    chosen = simulation.recommended(rows, options.minimize)
    if options.backups and not (options.poll_seconds or options.finish_seconds):
        notes.append(
            "late workers are taken to stop at once. Those of alp_tf end the iteration of their attack first, or the "
            "gradient of the weights if they are at that: give these as --poll_seconds and --finish_seconds"
        )
    if chosen.backups == options.backups > 0:
        notes.append("the recommended number is the largest that was looked at; try a larger --backups")
    first = rows[0]
    print(table.markdown(rows, chosen))
    print(
        f"\nRecommended for the {'fewest worker-hours' if options.minimize == 'cost' else 'shortest run'}: "
        f"{chosen.backups} backups; steps of {chosen.mean_seconds:.4g} s on average (+- "
        f"{1.96 * chosen.standard_error:.1g}) instead of {first.mean_seconds:.4g} s, "
        f"{chosen.hours:,.1f} hours instead of {first.hours:,.1f}, "
        f"{chosen.worker_hours:,.0f} worker-hours instead of {first.worker_hours:,.0f}."
    )
    for note in notes:
        print(f"Note: {note}.")
    if options.figure:
        table.draw(options.figure, rows, chosen)
        print(f"Figure: {options.figure}")
    if options.output:
        files.write_json(options.output, _content(options, source, rows, chosen))
        print(f"Written to {options.output}")


def check(path, *, simulated_steps, seed):
    """Predicted beside measured step times of small clusters, as a Markdown table.

    Args:
      path: JSON file; see measured.read_clusters.
      simulated_steps: steps that are drawn for each.
      seed: of the draws.
    """
    head = ["workers", "backups", "median, predicted", "measured", "ratio", "p95, predicted", "measured", "ratio"]
    rows = []
    for cluster in measured.read_clusters(path):
        (*_, row) = simulation.simulate(
            stragglers.Replay(cluster["worker_seconds"]),
            counted=cluster["workers"],
            backups=cluster["backups"],
            allreduce=functools.partial(_constant, cluster.get("allreduce_seconds", 0.0)),
            stopping=simulation.Stopping(cluster.get("poll_seconds", 0.0), cluster.get("finish_seconds", 0.0)),
            images=1,
            steps=1,
            failures=simulation.Failures(),
            simulated_steps=simulated_steps,
            seed=seed,
        )
        cells = [str(cluster["workers"]), str(cluster["backups"])]
        for name in ("median_seconds", "p95_seconds"):
            predicted, found = getattr(row, name), cluster[name]
            cells += [f"{predicted:.4g}", f"{found:.4g}", f"{predicted / found:.2f}"]
        rows.append(cells)
    return markdown_table.joined(head, rows, texts=0)


def _flags():
    values = flags.FlagValues()
    whole = functools.partial(flags.DEFINE_integer, flag_values=values)
    real = functools.partial(flags.DEFINE_float, flag_values=values)
    text = functools.partial(flags.DEFINE_string, flag_values=values)
    whole("workers", 50, "workers whose gradients count in a step")
    whole("backups", 8, "the largest number of backup workers to look at")
    text("trace", None, "measured seconds, see above")
    text("distribution", None, "exponential or lognormal: the tail, or what is fitted to the trace")
    real("step_seconds", 5.0, "seconds of an undisturbed worker for one gradient, attack included")
    real("tail_seconds", 0.4, "mean of an exponential tail on top, or median of a lognormal one; 0 for none")
    real("sigma", 1.0, "standard deviation of the logarithm of a lognormal tail")
    real("stall_probability", 0.0, "that a worker stalls in a step, and cannot be told to stop, beside the tail")
    real("stall_seconds", 0.0, "mean length of a stall")
    real("poll_seconds", 0.0, "between two looks of a late worker at whether its step is closed: an attack iteration")
    real("finish_seconds", 0.0, "what a late worker still does after it looked")
    real("parameters", 23_817_352.0, "trained parameters, of 4 bytes each, to be summed")
    real("bandwidth_gbit", 10.0, "Gbit/s of a machine's connection")
    real("latency_us", 50.0, "microseconds of a message")
    whole("per_machine", 1, "workers of one machine, which share its connection")
    real("local_bandwidth_gbit", 100.0, "Gbit/s between workers of one machine")
    real("local_latency_us", 10.0, "microseconds of a message inside a machine")
    whole("batch_per_worker", 32, "images of one worker in a step")
    whole("steps", 80_000, "steps of the whole run")
    real("failure_hours", 0.0, "mean time between failures of one worker; 0 for none")
    real("restart_seconds", 300.0, "from a failure until all workers train again")
    whole("checkpoint_every", 800, "steps between checkpoints")
    text("minimize", "cost", "cost: worker-hours; time: the fewest backups within 1 % of the shortest run")
    whole("simulated_steps", 20_000, "steps that are drawn")
    whole("seed", 0, "of the draws")
    text("figure", None, "PNG to write")
    text("output", None, "JSON to write")
    text("check", None, "JSON of measured small clusters to compare with; nothing else is done then")
    return values


_LEAST = {
    1: ("workers", "per_machine", "batch_per_worker", "steps", "checkpoint_every", "simulated_steps"),
    0: (
        *("backups", "tail_seconds", "sigma", "stall_probability", "stall_seconds", "poll_seconds", "finish_seconds"),
        *("parameters", "latency_us", "local_latency_us", "failure_hours", "restart_seconds"),
    ),
}
_ABOVE_ZERO = ("step_seconds", "bandwidth_gbit", "local_bandwidth_gbit")


def _check_numbers(options):
    for least, name in ((least, name) for least, group in _LEAST.items() for name in group):
        if not math.isfinite(options[name].value) or options[name].value < least:
            raise ValueError(f"--{name} is {options[name].value}; it must be at least {least}")
    for name in _ABOVE_ZERO:
        if not 0 < options[name].value < math.inf:
            raise ValueError(f"--{name} is {options[name].value}; it must be above 0")
    if options.stall_probability > 1:
        raise ValueError(f"--stall_probability is {options.stall_probability}; it must be between 0 and 1")
    if options.distribution is not None:
        names.lookup("distribution", options.distribution, DISTRIBUTIONS)
    names.lookup("aim of --minimize", options.minimize, simulation.MINIMIZED)
    if options["sigma"].present and options.distribution != "lognormal":
        raise ValueError("--sigma is of a lognormal tail; add --distribution=lognormal, or leave it out")
    if bool(options.stall_probability) != bool(options.stall_seconds):
        raise ValueError("--stall_probability and --stall_seconds belong together; give both or neither")
    for name in ("step_seconds", "tail_seconds", "sigma"):
        if options.trace and options[name].present:
            raise ValueError(f"--{name} and --trace say the same thing; leave one out")


def _source(options):
    """(what draws the workers' seconds, notes for the user)."""
    notes = []
    if options.trace:
        series, is_history = measured.read_trace(options.trace)
        if is_history:
            notes.append(
                f"{options.trace} is a history, whose periods hide stragglers: the table shows less use of backups "
                "than there is"
            )
        if options.distribution:
            together = [second for one in series for second in one]
            if len(together) < 10:
                raise ValueError(f"{options.trace} has {len(together)} step times; a fit needs at least 10")
            source = _FITS[options.distribution](together)
            notes.append(f"fitted {source}")
        else:
            source = stragglers.Replay(series)
            steps = sum(map(len, series))
            notes.append(f"replayed {steps:,} step times of {len(series)} workers")
            if len(series) < options.workers + options.backups:
                notes.append("each simulated worker is one of the measured ones, drawn with repetition")
    elif options.distribution == "lognormal":
        source = stragglers.Lognormal(options.step_seconds, options.tail_seconds, options.sigma)
    else:
        source = stragglers.Exponential(options.step_seconds, options.tail_seconds)
    if options.stall_probability:
        source = stragglers.Stalled(source, options.stall_probability, options.stall_seconds)
    return source, notes


def _allreduce(options):
    ring = {
        "size": 4 * options.parameters,
        "bandwidth": options.bandwidth_gbit * 1e9 / 8,
        "latency": options.latency_us * 1e-6,
    }
    if options.per_machine == 1:
        return network.Ring(**ring)
    return network.Hierarchical(
        **ring,
        per_machine=options.per_machine,
        local_bandwidth=options.local_bandwidth_gbit * 1e9 / 8,
        local_latency=options.local_latency_us * 1e-6,
    )


def _constant(seconds, workers):
    return seconds


def _content(options, source, rows, chosen):
    given = {name: options[name].value for name in options if name not in ("figure", "output", "check")}
    return {
        "recommended_backups": chosen.backups,
        "rows": [dataclasses.asdict(row) for row in rows],
        "options": given,
        "step_times": "replayed" if "Replay" in repr(source) else repr(source),
    }


if __name__ == "__main__":
    command_line.run(main)
