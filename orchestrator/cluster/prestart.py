"""Worker processes that a local Ray starts ahead of the trials, while the driver still reads data.

Ray gives an actor a process that waits in the actor's own environment, unless that process ran a task before. So the
driver asks the node's daemon for waiting processes; where that fails, workers start with their trials. A test sees
Ray Tune's actors get those processes.
"""

import logging

from orchestrator.cluster.ray_internals import prestart_workers

logger = logging.getLogger(__name__)


def start_early(count: int) -> None:
    """Asks this machine's Ray for processes that wait for trials; returns before they wait.

    Args:
        count: How many processes.
    """
    try:
        prestart_workers(count)
    except Exception as exc:  # noqa: BLE001 - only the time of the first trials depends on it
        logger.info('workers start with their trials reason="%s"', exc)
