"""What a cluster's nodes were at one moment, as plain data; no Ray."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.cluster.resources import NodeResources, concurrent_trials
from orchestrator.errors import ResourceError
from orchestrator.study.sections import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterNode:
    """One node that is alive.

    Attributes:
        node_id: Ray's name for it, new with each `ray start`.
        name: Its host's name.
        ip: Its address, which the results of its workers carry.
        resources: What Ray shares out of it.
        leaves_at: When it will be gone, in seconds since 1970; infinity: it drains and nobody said until when; None: it
            stays.
    """

    node_id: str
    name: str
    ip: str
    resources: NodeResources
    leaves_at: float | None = None

    @property
    def label(self) -> str:
        """Its name and address for messages."""
        return self.name if self.name == self.ip else f"{self.name} ({self.ip})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """All nodes that were alive at one moment.

    Attributes:
        nodes: The nodes.
        free: By the name of a resource, such as CPU: what no program of the cluster holds.
        num_without_place: How many requests of programs, trials among them, the cluster has no room for; 0 where nobody
            asked.
    """

    nodes: tuple[ClusterNode, ...]
    free: Mapping[str, float] = field(default_factory=dict)
    num_without_place: int = 0

    @property
    def staying(self) -> list[NodeResources]:
        """What the nodes have that do not drain."""
        return [node.resources for node in self.nodes if node.leaves_at is None]


def nodes_of(rows: Sequence[Mapping[str, object]], *, draining: Mapping[str, float]) -> tuple[ClusterNode, ...]:
    """Returns the nodes that are alive.

    Args:
        rows: As `ray.nodes()` returns them.
        draining: By the hex id of a node that drains: until when, in milliseconds since 1970; 0: nobody said.
    """
    found = []
    for row in rows:
        if not row["Alive"]:
            continue
        node_id, resources = str(row["NodeID"]), row["Resources"]
        leaves_at = None
        if node_id in draining:
            leaves_at = draining[node_id] / 1000 if draining[node_id] > 0 else float("inf")
        found.append(
            ClusterNode(
                node_id=node_id,
                name=str(row["NodeManagerHostname"]),
                ip=str(row["NodeManagerAddress"]),
                resources=NodeResources.from_ray(resources if isinstance(resources, Mapping) else {}),
                leaves_at=leaves_at,
            )
        )
    return tuple(found)


def trials_at_once(resources: Resources, view: ClusterView) -> int:
    """Returns how many trials run at once on a cluster, at least one: it waits where there is no place for it.

    Args:
        resources: The study's section.
        view: The nodes.
    """
    try:
        return concurrent_trials(resources, nodes=view.staying, can_grow=True)
    except ResourceError:
        return 1
