"""What a trial asks for, how many trials run at once, and whether any node can hold one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.errors import ResourceError
from orchestrator.study.sections import Resources

# Ray keeps resources to four decimal places.
_EPSILON = 1e-4
#: Ray's name of a kind of GPU among a node's resources, of which each node that has it has 1.
_ACCELERATOR = "accelerator_type:"
#: What a trial takes of it: next to nothing, as it names a kind of node and is none of its devices.
_TOUCH = 0.001
#: What each node has and no trial asks for by its name.
_OWN = frozenset({"CPU", "GPU", "memory", "object_store_memory"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResources:
    """What one node of the cluster has, in Ray's counting.

    Attributes:
        cpus: CPUs.
        gpus: GPUs.
        others: By name what else it has: resources of the cluster's own, and 1 of `accelerator_type:<its GPU's kind>`.
    """

    cpus: float
    gpus: float
    others: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_ray(cls, resources: Mapping[str, float]) -> "NodeResources":
        """Returns what a node has.

        >>> NodeResources.from_ray({"CPU": 8.0, "memory": 1e9, "node:10.0.0.2": 1.0, "scratch": 2.0})
        NodeResources(cpus=8.0, gpus=0.0, others={'scratch': 2.0})

        Args:
            resources: As Ray counts them, by name.
        """
        others = {
            name: amount
            for name, amount in resources.items()
            if name not in _OWN and not name.startswith(("node:", "bundle_group"))
        }
        return cls(cpus=resources.get("CPU", 0.0), gpus=resources.get("GPU", 0.0), others=others)

    @property
    def in_words(self) -> str:
        """What it has, for messages."""
        others = [_other_in_words(name, amount) for name, amount in self.others.items()]
        return " and ".join([f"{self.cpus:g} CPUs", f"{self.gpus:g} GPUs", *others])


def concurrent_trials(resources: Resources, *, nodes: Sequence[NodeResources], can_grow: bool = False) -> int:
    """Returns how many trials run at once: as many as fit on the nodes, but no more than the study allows.

    >>> concurrent_trials(Resources(gpus_per_trial=0.5), nodes=[NodeResources(cpus=16, gpus=4)])
    8

    Args:
        resources: The study's section.
        nodes: What each node has.
        can_grow: Whether an autoscaler may bring more nodes; then a number in `max_concurrent` is the answer.

    Raises:
        ResourceError: If not even one fits anywhere.
    """
    slots = sum(_trials_on(node, resources) for node in nodes)
    if can_grow and resources.max_concurrent != "auto":
        return resources.max_concurrent
    if slots == 0:
        has = "; ".join(node.in_words for node in nodes) or "nothing"
        fix = (
            "lower the request, or, where an autoscaler brings nodes when they are needed, say how many trials may "
            "run at once with resources.max_concurrent"
            if can_grow
            else "lower the request, or run on a larger machine or a cluster (--address)"
        )
        raise ResourceError(
            f"resources: a trial asks for cpus_per_trial {resources.cpus_per_trial:g} and gpus_per_trial "
            f"{resources.gpu_share:g}{_more_in_words(resources)}, but no node has that much: there are {has}; {fix}"
        )
    shared = max(1, math.floor(slots * resources.share + _EPSILON))
    return shared if resources.max_concurrent == "auto" else min(shared, resources.max_concurrent)


def trial_request(resources: Resources, *, generation: int = 0) -> Mapping[str, float]:
    """Returns a trial's resources as Ray Tune names them.

    Args:
        resources: The study's section.
        generation: The generation of its worker process. A byte of memory for each generation makes the requests
            unequal, and Ray Tune reuses processes among equal requests only.
    """
    request = {"CPU": float(resources.cpus_per_trial)}
    if generation:
        request["memory"] = float(generation)
    if resources.gpu_share:
        request["GPU"] = float(resources.gpu_share)
    return request | _others(resources)


def _others(resources: Resources) -> dict[str, float]:
    """Returns what a trial asks for besides CPUs and GPUs."""
    kind = {} if resources.accelerator is None else {f"{_ACCELERATOR}{resources.accelerator}": _TOUCH}
    return {**resources.custom, **kind}


def _other_in_words(name: str, amount: float) -> str:
    return name.replace(_ACCELERATOR, "accelerator ") if name.startswith(_ACCELERATOR) else f"{amount:g} {name}"


def _more_in_words(resources: Resources) -> str:
    return "".join(f" and {_other_in_words(name, amount)}" for name, amount in _others(resources).items())


def _trials_on(node: NodeResources, resources: Resources) -> int:
    by_cpu = math.floor(node.cpus / resources.cpus_per_trial + _EPSILON)
    for name, amount in _others(resources).items():
        by_cpu = min(by_cpu, math.floor(node.others.get(name, 0.0) / amount + _EPSILON))
    if not resources.gpu_share:
        return by_cpu
    if resources.gpu_share < 1:
        # A fraction lies on one GPU: two trials of 0.6 do not share one, however many GPUs there are.
        by_gpu = math.floor(node.gpus) * math.floor(1 / resources.gpu_share + _EPSILON)
    else:
        by_gpu = math.floor(node.gpus / resources.gpu_share + _EPSILON)
    return min(by_cpu, by_gpu)


def useful_packing(resources: Resources, *, nodes: Sequence[NodeResources]) -> int:
    """Returns how many trials on a GPU can run: no more than CPUs and `max_concurrent` allow; at least 1.

    >>> useful_packing(Resources(cpus_per_trial=2), nodes=[NodeResources(cpus=16, gpus=2)])
    4
    >>> useful_packing(Resources(max_concurrent=5), nodes=[NodeResources(cpus=16, gpus=2)])
    3
    """
    beside = [node.cpus / node.gpus for node in nodes if node.gpus]
    most = math.floor(max(beside, default=0) / resources.cpus_per_trial + _EPSILON)
    num_gpus = sum(node.gpus for node in nodes)
    if resources.max_concurrent != "auto" and num_gpus:
        most = min(most, math.ceil(resources.max_concurrent / num_gpus))
    return max(1, most)


def pins_cpus(resources: Resources, *, nodes: Sequence[NodeResources], machine_cpus: int, is_local: bool) -> bool:
    """Returns whether workers take cores of their own.

    With `auto` no worker does, since benchmarks/pinning.py measured no gain. Where a local Ray shares out more CPUs
    than the machine has, some workers would keep cores that all the others then crowd onto.

    Args:
        resources: The study's section.
        nodes: What each node has.
        machine_cpus: The CPUs that this process may run on.
        is_local: Whether the nodes are this machine alone.
    """
    shared_out = sum(node.cpus for node in nodes)
    return resources.pin_cpus is True and not (is_local and shared_out > machine_cpus)
