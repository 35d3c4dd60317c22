"""What worker processes of a local Ray have imported before their first trial, and the early start of that import."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.forking.session import THREADS, server_ahead

if TYPE_CHECKING:
    from orchestrator.study.sections import Resources

#: What each process of a local Ray imports as it starts, before Ray gives it a trial.
_PRELOADED = "trainables.worker.preloaded"


@contextmanager
def import_ahead(resources: "Resources", *, address: str | None) -> Iterator[None]:
    """Starts the import of what workers need, for the Ray that is started meanwhile.

    Nothing where this process has imported Ray already: little is left then for the driver to do meanwhile.

    Args:
        resources: The study's section.
        address: That of a running cluster, which has workers of its own; None: a Ray of this machine alone comes.
    """
    modules = preloaded_modules(resources) if address is None and "ray" not in sys.modules else []
    with server_ahead(modules, threads=worker_threads(resources)):
        yield


def preloaded_modules(resources: "Resources") -> list[str]:
    """Returns what worker processes of a local Ray import before their first trial.

    Nothing where trials use GPUs: Ray says which GPUs a process may see only as it gives the process a trial, and
    nobody tried that with a TensorFlow that was imported before.

    Args:
        resources: The study's section.
    """
    return [_PRELOADED] if resources.gpus_per_trial == 0 else []


def worker_threads(resources: "Resources") -> str:
    """Returns how many threads NumPy may use in a worker: as many as a trial has CPUs, unless the user says it."""
    return os.environ.get(THREADS) or str(max(1, int(resources.cpus_per_trial)))
