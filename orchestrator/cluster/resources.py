"""What a trial asks for, how many trials run at once, and whether any node can hold one."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.errors import ResourceError
from orchestrator.study.sections import Resources

# Ray keeps resources to four decimal places.
_EPSILON = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResources:
    """What one node of the cluster has, in Ray's counting.

    Attributes:
        cpus: CPUs.
        gpus: GPUs.
    """

    cpus: float
    gpus: float


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
        has = "; ".join(f"{node.cpus:g} CPUs and {node.gpus:g} GPUs" for node in nodes) or "nothing"
        fix = (
            "lower the request, or, where an autoscaler brings nodes when they are needed, say how many trials may "
            "run at once with resources.max_concurrent"
            if can_grow
            else "lower the request, or run on a larger machine or a cluster (--address)"
        )
        raise ResourceError(
            f"resources: a trial asks for cpus_per_trial {resources.cpus_per_trial:g} and gpus_per_trial "
            f"{resources.gpu_share:g}, but no node has that much: there are {has}; {fix}"
        )
    return slots if resources.max_concurrent == "auto" else min(slots, resources.max_concurrent)


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
    return request


def _trials_on(node: NodeResources, resources: Resources) -> int:
    by_cpu = math.floor(node.cpus / resources.cpus_per_trial + _EPSILON)
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
