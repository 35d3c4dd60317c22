"""Every touch of the private parts of Ray Serve, seen in Ray 2.60.

At an upgrade, tests/e2e/test_serving.py shows what changed.
"""

from ray.serve._private import replica

_LISTEN = "add_port_to_grpc_server"


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
