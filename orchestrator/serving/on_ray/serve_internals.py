"""Every touch of the private parts of Ray Serve, and of Ray's for it, seen in Ray 2.60.

At an upgrade, tests/e2e/test_serving.py and tests/cluster/test_served.py show what changed.
"""

import ray
from ray._private.state import available_resources_per_node, state
from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_put
from ray.serve import context
from ray.serve._private import replica
from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE

_LISTEN = "add_port_to_grpc_server"
#: The first of the cluster's keys that say which job may serve; each of the others is named after the job before.
_FIRST_CLAIM = "convfleet:serving-job"


def close_replica() -> None:
    """Keeps the replica in this process from listening for calls of other replicas.

    It would listen on all interfaces, with nothing but Ray's token in plain text before its unpickling
    (findings/ray-serve-replicas-listen-beyond-loopback.sh). The proxy calls it as an actor, over loopback.

    Raises:
        RuntimeError: If this Ray Serve starts listening in another way.
    """
    if not hasattr(replica, _LISTEN):
        raise RuntimeError("Ray Serve has changed: its replicas cannot be kept from listening on all interfaces")
    # The port of a server that has none.
    setattr(replica, _LISTEN, lambda server, address: 0)


def has_controller() -> bool:
    """Returns whether Ray Serve runs on the cluster that this process has joined."""
    try:
        ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)
    except ValueError:
        return False
    return True


def look_anew() -> None:
    """Makes this process look for Ray Serve by its name at the next call: the one that it knows may be gone."""
    context._disconnect()


def listens_at() -> tuple[str, int]:
    """Returns the host and the port of the Ray Serve that this process has joined."""
    options = context._get_global_client().http_config
    return options.host, options.port


def claim_serving() -> bool:
    """Returns whether this process is the one that may serve on the cluster, until it ends.

    Of several that ask at once, one is: a claim is a key that one writer creates, and the next one's key is named after
    the job that had it, once that job is dead.
    """
    own, key = ray.get_runtime_context().get_job_id(), _FIRST_CLAIM
    while _internal_kv_put(key.encode(), own.encode(), overwrite=False):
        holder = (_internal_kv_get(key.encode()) or b"").decode()
        if holder == own:
            return True
        if any(row["JobID"] == holder and not row["IsDead"] for row in state.job_table()):
            return False
        key = f"{_FIRST_CLAIM}:after:{holder}"
    return True


def free_cpus() -> list[float]:
    """Returns the CPUs of each node that nothing has taken."""
    return [found.get("CPU", 0.0) for found in available_resources_per_node().values()]
