"""Every touch of the private parts of Ray Serve, seen in Ray 2.60.

At an upgrade, tests/e2e/test_serving.py shows what changed.
"""

import ray
from ray._private.state import state
from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_put
from ray.serve._private import replica
from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE

_LISTEN = "add_port_to_grpc_server"
#: Where the cluster keeps which job has started the server.
_JOB = b"convfleet:serving-job"


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


def remember_job() -> None:
    """Lets the cluster know that this process has started the server."""
    _internal_kv_put(_JOB, ray.get_runtime_context().get_job_id().encode())


def is_command_alive() -> bool:
    """Returns whether the process that started the server still runs."""
    job = (_internal_kv_get(_JOB) or b"").decode()
    return any(row["JobID"] == job and not row["IsDead"] for row in state.job_table())
