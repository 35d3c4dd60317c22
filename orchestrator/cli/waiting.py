"""`--wait-for-cluster`: a study begins once its cluster is there, and goes on once it is there again."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import ClusterLostError, InputError

if TYPE_CHECKING:
    from orchestrator.study.sections import Resources


@contextmanager
def cluster_awaited(
    address: str | None,
    *,
    is_wanted: bool,
    resources: "Callable[[], Resources]",
    options: Sequence[str],
    notify: Callable[[str], None],
) -> Iterator[None]:
    """Waits for a cluster; should it be lost inside, goes on with the run in a new program in this one's place.

    Args:
        address: As the user gave it.
        is_wanted: Whether the user asked for it; otherwise nothing happens.
        resources: Returns the study's section.
        options: Further options for `convfleet resume`.
        notify: Receives messages for the user.

    Raises:
        InputError: There is no address of a cluster.
        StudyFailedError: The cluster refuses this driver.
        ClusterLostError: The cluster was lost, and nobody waits for it or no trial had begun.
    """
    if not is_wanted:
        yield
        return
    if address is None:
        raise InputError("--wait-for-cluster: there is no cluster to wait for; name it with --address")
    # Late, because it imports Ray.
    from orchestrator.nodes.waiting import wait_for_cluster

    wait_for_cluster(address, resources=resources(), notify=notify)
    try:
        yield
    except ClusterLostError as exc:
        if exc.run is None:
            raise
        notify(f"paused: {exc}")
        _become_resume(exc.run, address=exc.address, options=options)


def _become_resume(run: Path, *, address: str, options: Sequence[str]) -> None:
    """Replaces this program by `convfleet resume`: what Ray knows in this process is of the cluster that is gone."""
    sys.stdout.flush()
    sys.stderr.flush()
    command = ["-m", "convfleet", "resume", str(run), "--address", address, "--wait-for-cluster", *options]
    os.execv(sys.executable, [sys.executable, *command])
