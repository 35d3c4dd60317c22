"""What `auto` means in a study's resources, once the driver knows the nodes and the images."""

import math
from collections.abc import Callable, Sequence

from orchestrator.cluster.resources import NodeResources, pins_cpus, useful_packing
from orchestrator.errors import ResourceError
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.study.sections import Resources
from orchestrator.study.spec import StudySpec
from trainables.errors import DataError
from trainables.machine.gpus import GPU_ADVICE, gpu_memory_mib, largest_packing, share_of, visible_memory_mib
from trainables.machine.processes import usable_cpus
from trainables.specs.dataset import DatasetInfo
from trainables.specs.worker import DeviceSpec
from trainables.worker.memory_probe import StepMemory, probe_in_process

#: How many variants are tried; a random draw, so the search may propose a larger one that runs out of its share.
NUM_PROBED = 8


def resolve_auto(
    spec: StudySpec,
    *,
    dataset: DatasetInfo,
    nodes: Sequence[NodeResources],
    is_local: bool,
    notify: Callable[[str], None],
) -> StudySpec:
    """Returns the study with a number for `gpus_per_trial` and a decision for `pin_cpus`.

    Args:
        spec: The study.
        dataset: Its images.
        nodes: What each node has.
        is_local: Whether the nodes are this machine alone.
        notify: Receives a message for the user about each decision.

    Raises:
        ResourceError: If no node has a GPU yet and more nodes may come, so that nothing decides `gpus_per_trial: auto`.
    """
    resources = spec.resources
    share: float = resources.gpu_share
    if resources.gpus_per_trial == "auto":
        share, why = _gpu_share(spec, dataset=dataset, nodes=nodes, is_local=is_local, notify=notify)
        notify(f"gpus_per_trial: auto is {share:g}: {why}")
    machine_cpus = usable_cpus()
    is_pinned = pins_cpus(resources, nodes=nodes, machine_cpus=machine_cpus, is_local=is_local)
    if resources.pin_cpus is True and not is_pinned:
        notify(f"pin_cpus: workers are not pinned, as more CPUs are shared out than the {machine_cpus} there are")
    resolved = resources.model_copy(update={"gpus_per_trial": share, "pin_cpus": is_pinned})
    return spec.model_copy(update={"resources": resolved})


def device_spec(resources: Resources) -> DeviceSpec:
    """Returns the devices that each worker receives.

    Args:
        resources: The study's section, with a number for each auto.
    """
    is_pinned = resources.pin_cpus is True
    return DeviceSpec(cpus=resources.cpus_per_trial, gpus=resources.gpu_share, pin_cpus=is_pinned)


def _gpu_share(
    spec: StudySpec,
    *,
    dataset: DatasetInfo,
    nodes: Sequence[NodeResources],
    is_local: bool,
    notify: Callable[[str], None],
) -> tuple[float, str]:
    """Returns the share of a GPU that each trial gets, and why, in words."""
    if not any(node.gpus for node in nodes):
        if not is_local and spec.resources.max_concurrent != "auto":
            raise ResourceError(
                "resources.gpus_per_trial: auto goes by the GPUs of nodes that are up, and none of them has one yet; "
                "as max_concurrent is a number, more nodes may come: give a number here too (0 trains on CPUs)"
            )
        return 0.0, "there are no GPUs"
    total = visible_memory_mib(gpu_memory_mib())
    if total is None:
        return 1.0, "nvidia-smi does not tell here how much memory the GPUs have, so nothing says that two trials fit"
    random = spec.model_copy(update={"search": spec.search.model_copy(update={"algorithm": "random"})})
    proposer = Proposer(random)
    variants = [variant for number in range(NUM_PROBED) if (variant := proposer.propose(number)) is not None]

    def progress(stage: str, done: int, total: int) -> None:
        notify(f"{stage}: {done:,} of {total:,}")

    try:
        need = probe_in_process(
            variants,
            dataset=dataset,
            limits=dict(spec.space.limits),
            study_dir=spec.study_dir,
            on_progress=progress,
        )
    except DataError as exc:
        return 1.0, str(exc)
    if need.mib == 0:
        return 1.0, "none of the variants tried could be trained, so nothing says that two trials fit"
    if is_local and not need.is_measured:
        notify(f"gpus_per_trial: TensorFlow sees no GPU here; {GPU_ADVICE}")
    return packed_share(need, total_mib=total, most=useful_packing(spec.resources, nodes=nodes))


def packed_share(need: StepMemory, *, total_mib: int, most: int) -> tuple[float, str]:
    """Returns the smallest share of a GPU that holds a trial, and why, in words.

    >>> packed_share(StepMemory(mib=900, is_measured=False), total_mib=16_384, most=3)
    (0.3333, 'a step of the largest variant tried takes 900 of 16,384 MiB by count, and no more than 3 would run')

    Args:
        need: What a training step of the largest variant takes.
        total_mib: The memory of a GPU.
        most: How many trials on a GPU can run at all.
    """
    count = largest_packing(need.mib, total_mib=total_mib, most=most)
    how = "as measured" if need.is_measured else "by count"
    size = f"{need.mib:,.0f} of" if math.isfinite(need.mib) else "more than the"
    limited = f", and no more than {most} would run" if count == most else ""
    return share_of(count), f"a step of the largest variant tried takes {size} {total_mib:,} MiB {how}{limited}"
