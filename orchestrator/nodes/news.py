"""What a user should know of a cluster's nodes, in sentences, from one view to the next; no Ray."""

from collections.abc import Callable, Iterator

from orchestrator.nodes.cluster_view import ClusterNode, ClusterView
from orchestrator.text import duration

#: Trials that wait for so long have no worker that is just starting.
PATIENCE_SECONDS = 15.0
#: Seconds after which a sentence on trials that still wait is said again.
AGAIN_SECONDS = 300.0


class ClusterNews:
    """Compares views of a cluster, and says what changed.

    Args:
        request: What a trial asks for, in words.
        view: The nodes as the study began.
        slots: Returns how many trials run at once on some nodes.
    """

    def __init__(self, *, request: str, view: ClusterView, slots: Callable[[ClusterView], int]) -> None:
        self._request = request
        self._slots = slots
        self._num_slots = slots(view)
        self._known = {node.node_id: node for node in view.nodes}
        #: When the trials that wait began to, in seconds from any start; None: none waits.
        self._waiting_since: float | None = None
        #: When it was said last that trials wait; None: it was not since they began to.
        self._said_at: float | None = None

    def of_nodes(self, view: ClusterView) -> Iterator[str]:
        """Yields what became of nodes since the last view.

        Args:
            view: The nodes now.
        """
        now = {node.node_id: node for node in view.nodes}
        for node_id, node in now.items():
            before = self._known.get(node_id)
            if before is None:
                yield f"node {node.label} joined the cluster with {node.resources.in_words}"
            if node.leaves_at is not None and (before is None or before.leaves_at is None):
                yield f"node {node.label} is about to leave the cluster: its trials move once they have reported"
        for node_id, node in self._known.items():
            if node_id not in now:
                yield _gone(node)
        self._known = now
        num_before, self._num_slots = self._num_slots, self._slots(view)
        if num_before != self._num_slots:
            yield "1 trial at a time now" if self._num_slots == 1 else f"{self._num_slots} trials at a time now"

    def of_waiting(self, num_waiting: int, *, view: ClusterView, now: float) -> Iterator[str]:
        """Yields that trials wait for others of the cluster, once they have for a while, and when they do no longer.

        Args:
            num_waiting: How many trials could begin or go on, and have no place.
            view: The nodes now.
            now: Seconds from any start.
        """
        if not num_waiting:
            if self._said_at is not None and self._waiting_since is not None:
                yield f"the cluster has room again, after {duration(now - self._waiting_since)}"
            self._waiting_since = self._said_at = None
            return
        if self._waiting_since is None:
            self._waiting_since = now
        passed = now - self._waiting_since
        is_due = now - self._said_at >= AGAIN_SECONDS if self._said_at is not None else passed >= PATIENCE_SECONDS
        if is_due:
            self._said_at = now
            trials = "1 trial waits" if num_waiting == 1 else f"{num_waiting} trials wait"
            since = f" since {duration(passed)}"
            yield f"{trials} for the cluster{since}: each asks for {self._request}, and {_free(view)}"


def _gone(node: ClusterNode) -> str:
    if node.leaves_at is not None:
        return f"node {node.label} has left the cluster"
    return (
        f"node {node.label} is lost: its trials go on elsewhere; should it come back, run `ray stop` and "
        "`ray start` on it"
    )


def _free(view: ClusterView) -> str:
    has = {
        "CPU": sum(node.resources.cpus for node in view.nodes),
        "GPU": sum(node.resources.gpus for node in view.nodes),
    }
    parts = [f"{view.free.get(kind, 0.0):g} of {amount:g} {kind}s" for kind, amount in has.items() if amount]
    return f"{' and '.join(parts)} are free" if parts else "no node is there"
