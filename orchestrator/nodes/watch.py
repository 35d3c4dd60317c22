"""Asks a cluster again and again which nodes it has, on a thread of its own: a head that is gone answers nobody."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import ray
from ray.util import placement_group_table

from orchestrator.cluster.ray_internals import draining_nodes
from orchestrator.errors import ClusterLostError
from orchestrator.nodes.cluster_view import ClusterView, nodes_of
from orchestrator.text import duration

logger = logging.getLogger(__name__)

#: Seconds between two questions.
POLL_SECONDS = 2.0
#: A head that took no connection for so long is gone. Ray itself ends its processes after 60 s.
HEAD_SECONDS = 30.0
_CONNECT_SECONDS = 3.0


class ClusterWatch:
    """Knows the nodes of the cluster that the driver has joined.

    Args:
        head: `host:port` of the head's control store.
        look: Returns the nodes, and where it is asked to how many requests have no place; blocks while the head does
            not answer.
        answers: Returns whether the head takes connections.
        on_lost: Receives the error that the driver ends with, once the head is gone; called on the watch's thread.
        clock: Returns seconds from any start.
    """

    def __init__(
        self,
        head: str,
        *,
        look: Callable[[bool], ClusterView],
        answers: Callable[[str], bool],
        on_lost: Callable[[ClusterLostError], None] = lambda error: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.head = head
        self._look = look
        self._answers = answers
        self._on_lost = on_lost
        self._is_said = False
        self._clock = clock
        #: Whether views say how many trials have no place: that takes the cluster some time.
        self.asks_for_places = False
        self._view: ClusterView | None = None
        self._answered_at = clock()
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="cluster-watch", daemon=True)

    @property
    def view(self) -> ClusterView | None:
        """The nodes as the last answer has them; None before the first."""
        return self._view

    @property
    def loss(self) -> ClusterLostError | None:
        """What the driver ends with where the head has been silent for too long; None while it answers."""
        silent = self._clock() - self._answered_at
        if silent <= HEAD_SECONDS:
            return None
        return ClusterLostError(
            f"the cluster's head at {self.head} has not answered for {duration(silent)}", address=self.head
        )

    def start(self) -> None:
        """Begins to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Asks no more; a question that is under way has no effect."""
        self._has_ended.set()

    def ask(self) -> None:
        """Asks once."""
        if not self._answers(self.head):
            if (loss := self.loss) is not None and not self._is_said and not self._has_ended.is_set():
                self._is_said = True
                self._on_lost(loss)
            return
        self._answered_at = self._clock()
        try:
            view = self._look(self.asks_for_places)
        except Exception as exc:  # noqa: BLE001 - Ray raises many kinds where the head leaves in the middle
            logger.warning('head=%s decision=ask-again reason="%s"', self.head, exc)
            return
        if not self._has_ended.is_set():
            self._view = view

    def _go_on(self) -> None:
        while not self._has_ended.is_set():
            self.ask()
            self._has_ended.wait(POLL_SECONDS)


@contextmanager
def watched_cluster(
    address: str | None, *, on_lost: Callable[[ClusterLostError], None]
) -> Iterator[ClusterWatch | None]:
    """Yields a watch over the cluster that the driver has joined; None for a Ray of this machine alone.

    Args:
        address: As the user gave it.
        on_lost: As for `ClusterWatch`.
    """
    if address is None:
        yield None
        return
    head = ray.get_runtime_context().gcs_address
    watch = ClusterWatch(head, look=current_view, answers=takes_connections, on_lost=on_lost)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()


def current_view(with_places: bool) -> ClusterView:
    """Returns the nodes of the cluster that this process has joined.

    Args:
        with_places: Whether to ask for requests that have no place.
    """
    groups = placement_group_table().values() if with_places else ()
    return ClusterView(
        nodes=nodes_of(ray.nodes(), draining=draining_nodes()),
        free=ray.available_resources(),
        num_without_place=sum(group["state"] == "PENDING" for group in groups),
    )


def takes_connections(address: str) -> bool:
    """Returns whether a program listens at an address.

    Args:
        address: `host:port`.
    """
    host, _, port = address.rpartition(":")
    with suppress(OSError, ValueError), closing(socket.create_connection((host, int(port)), _CONNECT_SECONDS)):
        return True
    return False
