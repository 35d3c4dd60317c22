"""What a cluster may grow to, by the file that its autoscaler goes by: as many trials may ask for a place at once.

A driver cannot ask Ray for it: Ray's autoscalers tell the nodes that there are, and not the ones that they may bring.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.cluster.resources import NodeResources, concurrent_trials
from orchestrator.errors import InputError, ResourceError
from orchestrator.study.sections import Resources
from orchestrator.study.yaml_file import parse_yaml, read_study_file

#: Of Ray's launcher, where a file does not say.
_MOST_WORKERS = 2
_NOTHING = NodeResources(cpus=0, gpus=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeGroup:
    """Nodes of one kind.

    Attributes:
        resources: What each has.
        most: How many there may be.
    """

    resources: NodeResources
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What a cluster may grow to.

    Attributes:
        groups: Its workers, by kind.
        most_workers: How many there may be of all kinds.
        head: What the head has.
    """

    groups: Sequence[NodeGroup]
    most_workers: int
    head: NodeResources = _NOTHING

    def most_trials(self, resources: Resources) -> int:
        """Returns how many trials have a place once the cluster has grown; 0 where none has, or that is not known.

        >>> worker = NodeResources(cpus=8, gpus=1)
        >>> growth = Growth(groups=[NodeGroup(resources=worker, most=8)], most_workers=4)
        >>> growth.most_trials(Resources(gpus_per_trial=0.5)), growth.most_trials(Resources(accelerator="H100"))
        (8, 0)

        Args:
            resources: The study's section.
        """
        if resources.gpus_per_trial == "auto":
            return 0
        left, nodes = self.most_workers, [self.head]
        whole = resources.model_copy(update={"share": 1.0})
        for group in sorted(self.groups, key=lambda group: _slots(whole, [group.resources]), reverse=True):
            count = min(left, group.most)
            nodes += [group.resources] * count
            left -= count
        return _slots(resources, nodes)


def growth_of_file(path: Path) -> Growth | None:
    """Returns what a cluster of Ray's launcher may grow to; None where its file does not say what nodes have.

    Args:
        path: Ray's cluster file.
    """
    try:
        content = parse_yaml(read_study_file(path), where=str(path))
    except InputError:
        # Ray itself says what is wrong with its file.
        return None
    kinds = content.get("available_node_types") if isinstance(content, Mapping) else None
    if not isinstance(kinds, Mapping) or not all(isinstance(kind, Mapping) for kind in kinds.values()):
        return None
    most, head = _count(content.get("max_workers"), default=_MOST_WORKERS), _NOTHING
    groups = []
    for name, kind in kinds.items():
        resources = _resources(kind)
        if resources is None:
            return None
        is_head = name == content.get("head_node_type")
        head = resources if is_head else head
        # Of the head's kind, Ray starts no workers unless the file says how many.
        groups.append(
            NodeGroup(resources=resources, most=_count(kind.get("max_workers"), default=0 if is_head else most))
        )
    return Growth(groups=groups, most_workers=most, head=head)


def _resources(kind: Mapping[str, Any]) -> NodeResources | None:
    given = kind.get("resources")
    if not isinstance(given, Mapping) or not all(isinstance(name, str) and _is_amount(given[name]) for name in given):
        return None
    # Without a number of CPUs, Ray asks the cloud, or counts them on the node.
    return NodeResources.from_ray(given) if "CPU" in given else None


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _count(given: object, *, default: int) -> int:
    return given if isinstance(given, int) and given >= 0 else default


def _slots(resources: Resources, nodes: Sequence[NodeResources]) -> int:
    try:
        return concurrent_trials(resources.model_copy(update={"max_concurrent": "auto"}), nodes=nodes)
    except ResourceError:
        return 0
