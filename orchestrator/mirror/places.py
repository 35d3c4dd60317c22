"""Where a run is kept beside its folder, and who is at work on it there."""

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

T = TypeVar("T")


def patiently(work: Callable[[], T], *, uri: str, sleep: Callable[[float], None] = time.sleep) -> T:
    """Returns what the work returns, trying again a few times where that may help.

    Raises:
        RunFolderError: If the storage does not do its part.
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
    """Returns where a run is kept elsewhere: below the storage's URI, under the run folder's own name."""
    return child_uri(uri, folder.root.resolve().name)


def remote_of(folder: RunFolder, uri: str) -> RemoteFolder:
    """Returns the run elsewhere.

    Raises:
        RunFolderError: If its URI cannot be opened.
    """
    place = run_uri(folder, uri)
    return patiently(lambda: RemoteFolder.open(place), uri=place)


def taken_elsewhere(uri: str | None) -> Callable[[str], bool]:
    """Returns a function that tells whether a run of a name is kept elsewhere already.

    Raises:
        RunFolderError: By that function, if the storage cannot be used.
    """
    if uri is None:
        return lambda name: False

    def is_taken(name: str) -> bool:
        place = child_uri(uri, name)
        return bool(patiently(lambda: RemoteFolder.open(place).files(), uri=place))

    return is_taken


def is_driver_elsewhere(text: str) -> bool:
    """Returns whether a driver on some machine was heard from within a minute, where the text is a URI."""
    if not is_uri(text):
        return False
    owner, seconds = patiently(lambda: heard_from(RemoteFolder.open(text), now=time.time()), uri=text)
    return owner is not None and seconds < LIMIT_SECONDS
