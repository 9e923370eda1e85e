"""Who the workers are, by TensorFlow's cluster resolvers, and whether they are there, before TensorFlow waits for them.

TensorFlow's own start-up waits long for a worker that never comes and does not say which; so each worker first opens
its port and knocks at all the others'.
"""

import dataclasses
import json
import os
import socket
import time
import types

import tensorflow as tf
from tensorflow.python.distribute.cluster_resolver.slurm_cluster_resolver import expand_hostlist

_JOBS = ("chief", "worker")
# On SLURM; up to twice as many, by the job's number.
_FIRST_PORT = 20_000


class WorkerLost(OSError):
    """Another worker is not there, or not any more; the same command goes on from the last checkpoint."""

    # EX_TEMPFAIL of sysexits.h: a launcher may try again.
    exit_status = 75


@dataclasses.dataclass(frozen=True)
class Peers:
    """The workers of a job, and which of them this process is.

    Attributes:
      cluster: {job: list of "host:port"}, of the jobs "chief" and "worker".
      job, task: of this process.
    """

    cluster: dict
    job: str
    task: int

    @property
    def tasks(self):
        """[(job, task, address)], the chief first."""
        return [(job, task, address) for job in _JOBS for task, address in enumerate(self.cluster.get(job, ()))]

    @property
    def index(self):
        """Of this process among the tasks; 0 is the chief."""
        return [task[:2] for task in self.tasks].index((self.job, self.task))

    @property
    def leader(self):
        """The chief, as TensorFlow names tasks."""
        job, task, _ = self.tasks[0]
        return f"/job:{job}/replica:0/task:{task}"

    def resolver(self):
        """For tf.distribute.MultiWorkerMirroredStrategy."""
        return tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec(self.cluster),
            task_type=self.job,
            task_id=self.task,
            num_accelerators={"GPU": len(tf.config.list_physical_devices("GPU"))},
            rpc_layer="grpc",
        )


def find(resolver, *, workers=0, timeout=60):
    """The workers as the resolver knows them.

    Args:
      resolver: one of options.RESOLVERS.
      workers: how many there must be; 0 for any number.
      timeout: seconds in which Kubernetes must have started all of them.

    Raises:
      ValueError: the environment describes no cluster with this process in it; says what is wrong.
      WorkerLost: Kubernetes has not started all workers in time.
    """
    if resolver == "kubernetes":
        return _from_kubernetes(workers, timeout)
    peers = _from_slurm() if resolver == "slurm" else _from_tf_config()
    if workers not in (0, len(peers.tasks)):
        raise ValueError(
            f"config.distribution.workers is {workers}, but {resolver} lists {len(peers.tasks)} workers: start as "
            "many, or leave the field at 0"
        )
    return peers


def meet(peers, timeout):
    """Returns when every worker's port has answered.

    Args:
      peers: Peers.
      timeout: seconds.

    Raises:
      ValueError: this worker's port is in use.
      WorkerLost: a worker did not appear; says which.
    """
    until = time.monotonic() + timeout
    job, task, address = peers.tasks[peers.index]
    name = f"{job} {task} ({address})"
    with _listening(name, address):
        missing = [task for number, task in enumerate(peers.tasks) if number != peers.index]
        while True:
            missing = [task for task in missing if not _answers(task[2])]
            if not missing:
                return
            if time.monotonic() > until:
                absent = ", ".join(f"{job} {task} ({address})" for job, task, address in missing)
                raise WorkerLost(
                    f"{name} waited {timeout} s for {absent}: start the missing worker, correct its address, or raise "
                    "config.distribution.timeout_seconds"
                )
            time.sleep(0.1)


def _from_tf_config():
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise ValueError(
            "config.distribution.strategy is multi_worker, but TF_CONFIG is not set. On one machine write "
            "`python -m launch.local --workers=2 -- --config=...`; elsewhere set TF_CONFIG for each worker, or "
            "--config.distribution.resolver=slurm or kubernetes"
        )
    example = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
    try:
        content = json.loads(text)
        cluster, job, task = content["cluster"], content["task"]["type"], content["task"]["index"]
        cluster = {name: [str(address) for address in addresses] for name, addresses in cluster.items()}
        task = int(task)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"TF_CONFIG cannot be read ({error!r}); it must look like {example}") from error
    return _checked(Peers(cluster, job, task), "TF_CONFIG")


def _from_slurm():
    job_id = os.environ.get("SLURM_JOB_ID", "")
    # Ports of its own for each job, so that two jobs can share a node.
    first_port = _FIRST_PORT + int(job_id) % _FIRST_PORT if job_id.isdecimal() else _FIRST_PORT
    try:
        # SLURM itself gives each task its GPUs; that there are enough is not for TensorFlow to check.
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=first_port, gpus_per_node=1024, gpus_per_task=1, auto_set_gpu=False
        )
        spec = resolver.cluster_spec().as_dict()
        job, task = resolver.get_task_info()
        nodes = expand_hostlist(os.environ["SLURM_STEP_NODELIST"])
    except (RuntimeError, ValueError, KeyError) as error:
        raise ValueError(
            f"config.distribution.resolver is slurm, but this is no step of a SLURM job ({error}); start it with srun"
        ) from error
    # TensorFlow sorts n10 before n2, but SLURM counts tasks in the order of its list.
    addresses = sorted(spec[job], key=lambda address: nodes.index(address.rpartition(":")[0]))
    node, on_node = os.environ.get("SLURM_NODEID"), os.environ.get("SLURM_LOCALID")
    if node and on_node and addresses[task] != f"{nodes[int(node)]}:{first_port + int(on_node)}":
        raise ValueError(
            f"this is task {task} of the SLURM step, number {on_node} on {nodes[int(node)]}, which is not where the "
            "resolver looks for it: it counts the tasks node by node; start them with srun --distribution=block"
        )
    return _checked(Peers({job: addresses}, job, task), "SLURM")


def _from_kubernetes(workers, timeout):
    selector, own = os.environ.get("ALP_TF_POD_SELECTOR"), os.environ.get("POD_NAME") or os.environ.get("HOSTNAME")
    if not selector or not own:
        raise ValueError(
            "config.distribution.resolver is kubernetes, but ALP_TF_POD_SELECTOR is not set: give the label that the "
            "workers' pods share, such as job-name=alp, and the pod's own name as POD_NAME"
        )
    pods = _Pods(selector)
    until = time.monotonic() + timeout
    while True:
        try:
            spec = pods.resolver().cluster_spec().as_dict()
            fault = f"{len(spec.get('worker', ()))} of {workers} pods are there"
            if len(spec.get("worker", ())) >= max(workers, 1):
                break
        except RuntimeError as error:
            fault = str(error)
        if time.monotonic() > until:
            raise WorkerLost(f"{own} waited {timeout} s for the pods of {selector}: {fault}")
        time.sleep(1)
    if own not in pods.names:
        raise ValueError(f"pod {own!r} is not among those of {selector}: {', '.join(pods.names)}; set POD_NAME")
    return _checked(Peers(spec, "worker", pods.names.index(own)), "Kubernetes")


class _Pods:
    """What the Kubernetes resolver asks of a client: pods, each with an address that the others reach it by."""

    def __init__(self, selector):
        try:
            from kubernetes import client, config
        except ImportError as error:
            raise ValueError("the Kubernetes resolver needs the client: pip install kubernetes") from error
        config.load_incluster_config()
        self._client = client.CoreV1Api()
        self._selector = selector
        self.names = []

    def resolver(self):
        return tf.distribute.cluster_resolver.KubernetesClusterResolver(
            {"worker": [self._selector]}, override_client=self
        )

    def list_pod_for_all_namespaces(self, label_selector):
        # TensorFlow takes the address of the machine, at which a pod without the host's network does not answer; and
        # a job's own namespace is all that its account may usually list.
        with open("/var/run/secrets/kubernetes.io/serviceaccount/namespace", encoding="utf-8") as file:
            namespace = file.read().strip()
        found = self._client.list_namespaced_pod(namespace, label_selector=label_selector).items
        # The pods of attempts that are over are still listed.
        found = [pod for pod in found if pod.status.phase not in ("Failed", "Succeeded")]
        self.names = sorted(pod.metadata.name for pod in found)
        items = [
            types.SimpleNamespace(
                metadata=pod.metadata,
                status=types.SimpleNamespace(phase=pod.status.phase, host_ip=pod.status.pod_ip),
            )
            for pod in found
        ]
        return types.SimpleNamespace(items=items)


def _checked(peers, source):
    unknown = sorted(set(peers.cluster) - set(_JOBS))
    if unknown or not peers.tasks:
        raise ValueError(
            f"{source} lists the jobs {', '.join(peers.cluster) or 'none'}; there must be workers, and perhaps a chief"
        )
    if peers.job not in peers.cluster:
        raise ValueError(f"{source} says that this is a {peers.job!r}, but its cluster has {', '.join(peers.cluster)}")
    count = len(peers.cluster[peers.job])
    if not 0 <= peers.task < count:
        raise ValueError(
            f"{source} says that this is {peers.job} {peers.task}, but its cluster has {count} of them: the index must "
            f"be in 0 ... {count - 1}"
        )
    addresses = [address for _, _, address in peers.tasks]
    twice = sorted({address for address in addresses if addresses.count(address) > 1})
    if twice:
        raise ValueError(f"{source} gives {', '.join(twice)} to several workers; each needs an address of its own")
    for job, task, address in peers.tasks:
        if not address.rpartition(":")[2].isdigit() or not address.rpartition(":")[0]:
            raise ValueError(f"{source} gives {job} {task} the address {address!r}; it must be host:port")
    return peers


def _listening(name, address):
    port = int(address.rpartition(":")[2])
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind(("", port))
        server.listen(128)
    except OSError as error:
        server.close()
        raise ValueError(
            f"{name} cannot open its port: {error.strerror}. Another program, perhaps an earlier run of this one, has "
            "it: end that, or give the worker another port"
        ) from error
    return server


def _answers(address):
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=2).close()
    except OSError:
        return False
    return True
