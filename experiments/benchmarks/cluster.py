"""What the benchmarks of several workers share: starting processes of one script, and what one of them measured."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[2]
# Not installed with the package.
sys.path.append(str(ROOT))

from launch import local  # noqa: E402


def measured(script, workers, options, *, cores=None, meanwhile=None, timeout=3600):
    """What the chief has written, after all have ended, with all workers' own seconds if they took them.

    Args:
      script: path, run with `--worker=FILE` for the JSON that is written, see training.steps; TF_CONFIG says which
        worker it is.
      workers: how many.
      options: for each worker, or for all, the further arguments.
      cores: for each worker the set of cores it may use.
      meanwhile: function of the processes, called again and again once the chief has made FILE.begun.
      timeout: seconds.

    Raises:
      RuntimeError: a worker failed; says what it wrote.
    """
    with tempfile.TemporaryDirectory() as directory:
        found = pathlib.Path(directory) / "found.json"
        addresses = local.free_addresses(workers)
        processes, logs = [], []
        for worker in range(workers):
            log = open(pathlib.Path(directory) / f"{worker}.log", "w+", encoding="utf-8")  # noqa: SIM115
            environment = {**os.environ, "TF_CONFIG": local.tf_config(addresses, worker), "PYTHONPATH": str(ROOT)}
            process = subprocess.Popen(
                [sys.executable, str(script), f"--worker={found}", *options], env=environment, stdout=log, stderr=log
            )
            if cores:
                os.sched_setaffinity(process.pid, cores[worker])
            processes.append(process)
            logs.append(log)
        until = time.monotonic() + timeout
        try:
            while any(process.poll() is None for process in processes):
                if meanwhile and pathlib.Path(f"{found}.begun").exists():
                    meanwhile(processes)
                failed = [worker for worker, process in enumerate(processes) if process.poll()]
                if failed or time.monotonic() > until:
                    logs[failed[0] if failed else 0].seek(0)
                    said = logs[failed[0] if failed else 0].read()[-3000:]
                    raise RuntimeError(f"worker {failed or 'unknown'} did not finish:\n{said}")
                time.sleep(0.05)
        finally:
            for process in processes:
                process.kill()
                process.wait()
            for log in logs:
                log.close()
        result = json.loads(found.read_text(encoding="utf-8"))
        if "own" in result:
            others = [pathlib.Path(f"{found}.{worker}") for worker in range(1, workers)]
            result["own"] = [result["own"], *(json.loads(file.read_text(encoding="utf-8"))["own"] for file in others)]
        return result
