"""Runs an experiment as several workers on this machine, and again from its last checkpoint if one of them is lost.

    python -m launch.local --workers=2 -- --config=experiments/digits_alp.py --config.deterministic=True
    python -m launch.local --workers=5 --restarts=3 -- --config=... --config.distribution.backup_replicas=1

What comes after `--` is given to `python -m alp_tf.main` in every worker, with --config.distribution.strategy=
multi_worker unless it says otherwise. The workers meet on ports of this machine that are free. Every line that a worker
writes comes with its number; worker 0 is the chief and shows the progress. Ctrl-C, or SIGTERM, ends all of them after
the step that they are at, which is kept; a second one ends them at once.
"""

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from absl import flags

from alp_tf import command_line

# Exit status of a worker that has lost another (distribution.WorkerLost), of one that was told to end
# (distribution.Preempted), and of one whose user made a mistake.
_LOST, _TOLD, _MISTAKE = 75, 143, 2
# Seconds for which a worker that failed by itself may be waited for, once one has ended that lost it.
_CAUSE = 3
# Seconds for the end of a step and its checkpoint.
_GRACE = 20


def main(arguments):
    """Runs the job until it is done, or out of restarts.

    Args:
      arguments: of the command line, without the command's name.
    """
    split = arguments.index("--") if "--" in arguments else len(arguments)
    own, given = arguments[:split], arguments[split + 1 :]
    flag_values = flags.FlagValues()
    flags.DEFINE_integer("workers", 2, "how many processes", lower_bound=1, flag_values=flag_values)
    flags.DEFINE_integer("restarts", 0, "how often a job may be begun again", lower_bound=0, flag_values=flag_values)
    flags.DEFINE_string(
        "cores",
        None,
        "cores of each worker, such as 0,1/2,3 for two workers; all for all if not given",
        flag_values=flag_values,
    )
    command_line.parse(own, flag_values, __doc__)
    if not given:
        raise ValueError(
            "nothing to run; write the experiment after --, such as `-- --config=experiments/digits_alp.py`"
        )
    cores = _cores(flag_values.cores, flag_values.workers)
    if not any(argument.lstrip("-").startswith("config.distribution.strategy") for argument in given):
        given = [*given, "--config.distribution.strategy=multi_worker"]
    # Which would leave the workers behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    command = [sys.executable, "-u", "-m", "alp_tf.main", *given]
    sys.exit(run(command, workers=flag_values.workers, restarts=flag_values.restarts, cores=cores))


def run(command, *, workers, restarts=0, cores=None):
    """The exit status of the job.

    Args:
      command: of each worker; TF_CONFIG says which it is.
      workers: how many.
      restarts: how often the job is begun again after a worker was lost.
      cores: for each worker the set of cores it may use; None for all.
    """
    for attempt in range(restarts + 1):
        job = _Job([], [])
        try:
            job.start(command, workers, cores)
            failed = job.wait()
        except KeyboardInterrupt:
            _say("interrupted; the same command goes on from the last checkpoint")
            job.ask_to_end()
            return 130
        finally:
            job.end()
        if failed is None:
            return 0
        worker, status = failed
        _say(f"worker {worker} {_ended(status)}")
        if status == _MISTAKE:
            return _MISTAKE
        if attempt < restarts:
            _say(f"restart {attempt + 1} of {restarts}, from the last checkpoint")
    _say(f"no restarts left of {restarts}; the same command goes on from the last checkpoint, see --restarts")
    return 1


@dataclasses.dataclass
class _Job:
    """The processes of one attempt, and the threads that print what they write."""

    processes: list
    printers: list

    def start(self, command, workers, cores):
        """Starts all workers."""
        addresses = free_addresses(workers)
        for worker in range(workers):
            process = subprocess.Popen(
                command,
                env={**os.environ, "TF_CONFIG": tf_config(addresses, worker)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                # Out of reach of the terminal's Ctrl-C, which this process passes on.
                start_new_session=True,
            )
            self.processes.append(process)
            if cores:
                os.sched_setaffinity(process.pid, cores[worker])
            printer = threading.Thread(target=_print_lines, args=(worker, process.stdout), daemon=True)
            printer.start()
            self.printers.append(printer)

    def wait(self):
        """None when all workers have ended well, or (worker, exit status) of the one that failed first."""
        while True:
            statuses = [process.poll() for process in self.processes]
            failed = [(worker, status) for worker, status in enumerate(statuses) if status]
            if failed:
                return self._cause(failed)
            if all(status == 0 for status in statuses):
                return None
            time.sleep(0.1)

    def _cause(self, failed):
        """Rather a worker that failed by itself than one that lost it."""
        until = time.monotonic() + _CAUSE
        while all(status == _LOST for _, status in failed) and time.monotonic() < until:
            time.sleep(0.1)
            failed = [(worker, process.poll()) for worker, process in enumerate(self.processes) if process.poll()]
        return min(failed, key=lambda each: each[1] == _LOST)

    def ask_to_end(self):
        """Sends SIGTERM to all, and returns when they have ended, or after a while; at once when interrupted again."""
        running = [process for process in self.processes if process.poll() is None]
        for process in running:
            process.send_signal(signal.SIGTERM)
            # A stopped process hears nothing else.
            process.send_signal(signal.SIGCONT)
        until = time.monotonic() + _GRACE
        with contextlib.suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
            for process in running:
                process.wait(max(until - time.monotonic(), 0))

    def end(self):
        """Kills what is still running: all that a worker can keep without the others is kept already."""
        for process in self.processes:
            # The whole group: a worker's own children end with it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for printer in self.printers:
            printer.join(timeout=2)


def _print_lines(worker, stream):
    # A progress bar ends its lines with a carriage return; each is one for a log.
    for line in stream:
        for part in line.decode(errors="replace").rstrip("\n").split("\r"):
            if part.strip():
                print(f"[{worker}] {part}", flush=True)


def tf_config(addresses, worker):
    """The environment variable TF_CONFIG of one of several workers: their addresses, and which of them it is."""
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": worker}})


def free_addresses(workers):
    """An address on this machine, that nobody has at the moment, for each of so many workers."""
    return [f"localhost:{port}" for port in free_ports(workers)]


def free_ports(count):
    """So many ports of this machine that nobody has at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _cores(text, workers):
    if text is None:
        return None
    try:
        found = [{int(core) for core in part.split(",")} for part in text.split("/")]
    except ValueError:
        found = []
    if len(found) != workers or not set().union(*found) <= os.sched_getaffinity(0):
        raise ValueError(
            f"--cores is {text!r}; write the cores of {workers} workers, divided by slashes, out of "
            f"{','.join(map(str, sorted(os.sched_getaffinity(0))))}"
        )
    return found


def _ended(status):
    if status == _TOLD:
        return "was told to end (SIGTERM)"
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return "ended because of another worker" if status == _LOST else f"failed with exit status {status}"


def _say(text):
    print(f"[launch] {text}", flush=True)


if __name__ == "__main__":
    command_line.run(main)
