"""Worker processes that a local Ray starts ahead of the trials, while the driver still reads data.

Ray gives an actor a process that waits in the actor's own environment, unless that process ran a task before. So the
driver asks the node's daemon for waiting processes; where that fails, workers start with their trials. A test sees
Ray Tune's actors get those processes.
"""

import logging

from orchestrator.cluster.ray_internals import prestart_workers
from orchestrator.study.sections import Resources
from trainables.worker.adapter import VariantTrainable

logger = logging.getLogger(__name__)

#: What each process of a local Ray imports as it starts, before Ray gives it a trial.
_PRELOADED = "trainables.worker.preloaded"


def preloaded_modules(resources: Resources) -> list[str]:
    """Returns what worker processes of a local Ray import before their first trial.

    Nothing where trials use GPUs: Ray says which GPUs a process may see only as it gives the process a trial, and
    nobody tried that with a TensorFlow that was imported before.

    Args:
        resources: The study's section.
    """
    return [_PRELOADED] if resources.gpus_per_trial == 0 else []


def start_early(count: int) -> None:
    """Asks this machine's Ray for processes that wait for trials; returns before they wait.

    Args:
        count: How many processes.
    """
    try:
        prestart_workers(count, trainable=VariantTrainable)
    except Exception as exc:  # noqa: BLE001 - only the time of the first trials depends on it
        logger.info('workers start with their trials reason="%s"', exc)
