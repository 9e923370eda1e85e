"""The fields of `config.distribution`, and what can be found wrong with them before anything starts."""

from alp_tf import names

STRATEGIES = ("none", "mirrored", "multi_worker")
RESOLVERS = ("tf_config", "slurm", "kubernetes")

DEFAULTS = {
    # none: one device; mirrored: several of this machine; multi_worker: of several processes or machines.
    "strategy": "none",
    # Where a worker learns who the others are.
    "resolver": "tf_config",
    # How many workers there must be; 0 takes the resolver's word for it.
    "workers": 0,
    # Replicas of mirrored; 0 is one for each GPU, or one. Without GPUs the CPU is split into so many logical devices.
    "devices": 0,
    # Of all replicas so many may come too late in each step (Kannan 5.3.2).
    "backup_replicas": 0,
    # After how long a worker that does not answer is taken for lost.
    "timeout_seconds": 60,
}


def check(options, *, deterministic=False):
    """Fails on what does not fit together.

    Args:
      options: mapping with the fields of DEFAULTS.
      deterministic: whether the run must be repeatable bit by bit.

    Raises:
      ValueError: an unknown name, or a number outside its range.
    """
    names.lookup("strategy", options["strategy"], STRATEGIES)
    names.lookup("resolver", options["resolver"], RESOLVERS)
    for field in ("workers", "devices", "backup_replicas"):
        if options[field] < 0:
            raise ValueError(f"config.distribution.{field} is {options[field]}; it must be at least 0")
    for field, strategy in (("workers", "multi_worker"), ("devices", "mirrored")):
        if options[field] and options["strategy"] != strategy:
            raise ValueError(
                f"config.distribution.{field} is {options[field]}, but strategy is {options['strategy']!r}: write "
                f"--config.distribution.strategy={strategy}, or leave {field} out"
            )
    if options["resolver"] == "kubernetes" and options["strategy"] == "multi_worker" and not options["workers"]:
        raise ValueError(
            "config.distribution.resolver is kubernetes, whose list of pods does not say when it is whole: write "
            "--config.distribution.workers=N"
        )
    if options["timeout_seconds"] < 5:
        raise ValueError(
            f"config.distribution.timeout_seconds is {options['timeout_seconds']}; it must be at least 5: a worker "
            "that is only busy must not be taken for lost"
        )
    if not options["backup_replicas"]:
        return
    if options["strategy"] == "none":
        raise ValueError(
            "config.distribution.backup_replicas needs several replicas: write --config.distribution.strategy="
            "multi_worker (or mirrored)"
        )
    if deterministic:
        raise ValueError(
            "config.deterministic=True cannot be kept with backup replicas, for who comes too late is chance: write "
            "--config.distribution.backup_replicas=0"
        )


def split(batch_size, replicas, backups):
    """How many images each replica has in a step.

    Args:
      batch_size: images that count in a step.
      replicas: how many there are.
      backups: how many of them do not count.

    Raises:
      ValueError: a batch that cannot be shared out evenly, or nobody left to count.
    """
    if backups >= replicas:
        raise ValueError(
            f"config.distribution.backup_replicas is {backups} of {replicas} replicas; at least one must count"
        )
    counted = replicas - backups
    if batch_size % counted:
        lower = batch_size // counted * counted
        nearest = f"{lower} or {lower + counted}" if lower else f"{counted}"
        raise ValueError(
            f"config.train.batch_size is {batch_size}, which {counted} replicas cannot share evenly; write "
            f"--config.train.batch_size={nearest}"
        )
    return batch_size // counted
