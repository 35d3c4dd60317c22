"""The places of runs in a storage, and whether another machine's driver is at work on one."""

import time
from collections.abc import Callable
from typing import TypeVar

from orchestrator.errors import RunFolderError
from orchestrator.mirror.lock import heard_from
from orchestrator.runs.owner import LIMIT_SECONDS
from orchestrator.runs.paths import RunFolder
from trainables.errors import RemoteError
from trainables.files.remote import RemoteFolder
from trainables.files.uris import child_uri, is_uri, shown_uri

_RETRY_SECONDS = (1.0, 3.0)
#: What every run has in a storage.
_STUDY = "study.yaml"

T = TypeVar("T")


def patiently(work: Callable[[], T], *, uri: str, sleep: Callable[[float], None] = time.sleep) -> T:
    """Returns what the work returns, and repeats work that failed for a reason that may pass.

    Raises:
        RunFolderError: If the storage cannot be used.
    """
    delays = iter(_RETRY_SECONDS)
    while True:
        try:
            return work()
        except RemoteError as exc:
            delay = None if exc.is_lasting else next(delays, None)
            if delay is None:
                raise RunFolderError(
                    f"storage {shown_uri(uri)}: cannot be used ({exc}); check the URI, the credentials in the "
                    "environment and the network"
                ) from exc
        sleep(delay)


def run_uri(folder: RunFolder, uri: str) -> str:
    """Returns the URI of a run in a storage: below the storage's URI, under the run folder's name."""
    return child_uri(uri, folder.root.resolve().name)


def remote_of(folder: RunFolder, uri: str) -> RemoteFolder:
    """Returns the folder of a run in a storage.

    Raises:
        RunFolderError: If its URI cannot be opened.
    """
    place = run_uri(folder, uri)
    return patiently(lambda: RemoteFolder.open(place), uri=place)


def taken_elsewhere(uri: str | None) -> Callable[[str], bool]:
    """Returns a function of a run's name that returns whether the storage has such a run.

    The function raises RunFolderError if the storage cannot be used.

    Args:
        uri: The storage's URI; None for a study without one, of which no name is taken.
    """
    if uri is None:
        return lambda name: False

    def is_taken(name: str) -> bool:
        place = child_uri(uri, name)
        return bool(patiently(lambda: RemoteFolder.open(place).files(), uri=place))

    return is_taken


def runs_below(uri: str) -> list[str] | None:
    """Returns the URIs of the runs directly below a folder of a storage, by name; None if the URI names a run itself.

    Args:
        uri: The folder's.

    Raises:
        RunFolderError: If the storage cannot be used.
    """

    def look() -> list[str] | None:
        remote = RemoteFolder.open(uri)
        if remote.changed_at(_STUDY) is not None:
            return None
        names = remote.folders()
        return [child_uri(uri, name) for name in names if remote.child(name).changed_at(_STUDY) is not None]

    return patiently(look, uri=uri)


def is_driver_elsewhere(text: str) -> bool:
    """Returns whether a driver on some machine wrote a heartbeat within the last minute; False for a path.

    Args:
        text: A path, or the URI of a run in a storage.
    """
    if not is_uri(text):
        return False
    owner, seconds = patiently(lambda: heard_from(RemoteFolder.open(text), now=time.time()), uri=text)
    return owner is not None and seconds < LIMIT_SECONDS
