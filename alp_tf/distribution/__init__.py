"""Training on several devices and machines: strategies by name, the multi-worker fit of Keras, backup replicas.

    with distribution.start(config.distribution) as cluster:
        with cluster.scope():
            defense = ...
            defense.compile(optimizer=...)
        cluster.prepare(defense)
        defense.fit(cluster.dataset(data, batch_size, seed=0), steps_per_epoch=100)

Every worker runs the same program; `cluster.chief` says who writes files.
"""

from alp_tf.distribution.cluster import Cluster, start
from alp_tf.distribution.options import DEFAULTS, RESOLVERS, STRATEGIES, check
from alp_tf.distribution.peers import WorkerLost
from alp_tf.distribution.preemption import Preempted

__all__ = ["Cluster", "DEFAULTS", "Preempted", "RESOLVERS", "STRATEGIES", "WorkerLost", "check", "start"]
