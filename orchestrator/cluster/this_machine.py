"""What this machine would give a study, without a Ray that counts it."""

import os

from orchestrator.cluster.resources import NodeResources
from orchestrator.study.sections import Resources
from trainables.machine.gpus import gpu_memory_mib
from trainables.machine.processes import usable_cpus


def this_machine(resources: Resources) -> NodeResources:
    """Returns what a Ray of this machine alone would share out.

    >>> this_machine(Resources(cpus=3, gpus=0))
    NodeResources(cpus=3.0, gpus=0.0, others={})

    Args:
        resources: The study's section.
    """
    cpus = usable_cpus() if resources.cpus == "auto" else resources.cpus
    gpus = _num_gpus() if resources.gpus == "auto" else resources.gpus
    return NodeResources(cpus=float(cpus), gpus=float(gpus))


def _num_gpus() -> int:
    """Returns how many GPUs this process sees."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    return sum(name.isdigit() for name in gpu_memory_mib())
