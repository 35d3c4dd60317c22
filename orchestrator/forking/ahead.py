"""What worker processes of a local Ray have imported before their first trial, and the early start of that import."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from orchestrator.forking.session import THREADS, server_ahead

if TYPE_CHECKING:
    from orchestrator.study.sections import Resources

#: What each process of a local Ray imports as it starts, before Ray gives it a trial.
_PRELOADED = "trainables.worker.preloaded"
#: The command that trains at once. Another one may find that a run is finished, and start no worker.
_TRAINING = "run"
#: Options with which it starts no worker on this machine.
_NO_WORKERS = ("--address", "--help", "-h")
#: The threads of a worker where a study says nothing of its CPUs.
_USUAL_THREADS = "1"


@contextmanager
def import_ahead(resources: "Resources", *, address: str | None) -> Iterator[None]:
    """Starts the import of what workers need, for the Ray that is started meanwhile.

    Nothing where this process has imported Ray already: little is left then for the driver to do meanwhile.

    Args:
        resources: The study's section.
        address: That of a running cluster, which has workers of its own; None: a Ray of this machine alone comes.
    """
    modules = preloaded_modules(resources) if address is None else []
    with server_ahead(modules, threads=worker_threads(resources), is_late="ray" in sys.modules):
        yield


@contextmanager
def import_with_command(arguments: Sequence[str]) -> Iterator[None]:
    """Starts the import of what workers need before the command itself is imported, and the study read.

    Where the study then asks for other resources, `import_ahead` starts another one.

    Args:
        arguments: Those of the command line, without the program.
    """
    others = [text.partition("=")[0] for text in arguments[1:]]
    is_wanted = arguments[:1] == [_TRAINING] and not any(name in _NO_WORKERS for name in others)
    with server_ahead([_PRELOADED] if is_wanted else [], threads=os.environ.get(THREADS) or _USUAL_THREADS):
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
