"""Waits until a cluster is there that has room for a trial."""

import time
from collections.abc import Callable

import ray

from orchestrator.cluster.connection import node_resources, ray_session
from orchestrator.cluster.ray_internals import head_address
from orchestrator.cluster.resources import concurrent_trials
from orchestrator.errors import ResourceError, StudyFailedError
from orchestrator.nodes.watch import POLL_SECONDS, takes_connections
from orchestrator.study.sections import Resources

#: A head that listens, and lets nobody in for so long, never will: the token is another, for example.
_REFUSED_SECONDS = 60.0


def wait_for_cluster(
    address: str,
    *,
    resources: Resources,
    notify: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns once a cluster answers and its nodes have room for a trial.

    Args:
        address: `host:port`, or `auto`.
        resources: The study's section.
        notify: Receives messages for the user.
        clock: Returns seconds from any start.
        sleep: Waits so many seconds.

    Raises:
        StudyFailedError: The head listens and refuses this driver.
    """
    said, listens_since = "", None
    while True:
        head = head_address(address)
        if head is None or not takes_connections(head):
            listens_since, waits_for = None, f"waiting for a cluster at {head or address}"
        else:
            listens_since = clock() if listens_since is None else listens_since
            try:
                if _has_room(address, resources=resources):
                    return
            except StudyFailedError:
                if clock() - listens_since > _REFUSED_SECONDS:
                    raise
                waits_for = f"waiting for the cluster at {head} to let this driver in"
            else:
                waits_for = f"waiting for nodes of the cluster at {head}: a trial asks for {resources.request_in_words}"
        if waits_for != said:
            notify(waits_for)
            said = waits_for
        sleep(POLL_SECONDS)


def _has_room(address: str, *, resources: Resources) -> bool:
    with ray_session(resources, address=address):
        # A node that has just started is known a moment later.
        for _ in range(3):
            if _fits(resources):
                return True
            time.sleep(POLL_SECONDS)
    return False


def _fits(resources: Resources) -> bool:
    try:
        return ray.is_initialized() and concurrent_trials(resources, nodes=node_resources()) > 0
    except ResourceError:
        return False
