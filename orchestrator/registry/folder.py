"""Every name of a registry, on disk or in a bucket, making and opening one, and its lock.

registry/
  registry.json              what it is, and in which format
  models/<name>/history/     one entry a file: 00000001.json, 00000002.json, ...
  blobs/<ab>/<sha256>        files of versions, by their content
  incoming/                  what is being added
  .lock                      held by the one writer, for moments

Of a registry in a bucket the folder is a mirror of this machine, with its histories alone.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import RegistryError
from trainables.files.folders import user_cache
from trainables.files.uris import is_uri, shown_uri
from trainables.files.whole import write_whole

if TYPE_CHECKING:
    from orchestrator.registry.buckets.bucket import Bucket

#: Where a registry lies unless the user names another place.
REGISTRY = Path("registry")
#: In the user's cache, where mirrors of registries in buckets lie.
_MIRRORS = "registries"
#: The format that this package writes and reads.
SCHEMA_VERSION = 1
#: A writer holds the lock while it renames files and adds an entry, or looks for files that no version has.
LOCK_TIMEOUT_SECONDS = 60.0
#: The lock is held for milliseconds.
_POLL_SECONDS = 0.005
_LARGEST_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class RegistryFolder:
    """The folder of a registry.

    Attributes:
        root: Such as `registry`.
        bucket: Where the registry lies of which the folder is a mirror; None: in the folder.
    """

    root: Path
    bucket: "Bucket | None" = None

    def __str__(self) -> str:
        """Returns the place for messages."""
        return str(self.root) if self.bucket is None else shown_uri(self.bucket.uri)

    def named(self, path: Path) -> str:
        """Returns the place of one of its files for messages."""
        return f"{self}/{path.relative_to(self.root).as_posix()}"

    @property
    def marker(self) -> Path:
        """Says that the folder is a registry, and in which format."""
        return self.root / "registry.json"

    @property
    def lock(self) -> Path:
        """Held by the one process that may write; the system frees it when that process dies."""
        return self.root / ".lock"

    @property
    def models(self) -> Path:
        """One folder a model."""
        return self.root / "models"

    @property
    def blobs(self) -> Path:
        """Files by their sha256, in folders of its first two digits."""
        return self.root / "blobs"

    @property
    def incoming(self) -> Path:
        """Drafts of versions; what a killed process left goes with the next `add`."""
        return self.root / "incoming"

    def history(self, name: str) -> Path:
        """Returns the folder of a model's entries."""
        return self.models / name / "history"

    def entry(self, name: str, number: int) -> Path:
        """Returns where a model's n-th entry lies, counted from 1.

        >>> RegistryFolder(Path("registry")).entry("digits", 7).as_posix()
        'registry/models/digits/history/00000007.json'
        """
        return self.history(name) / entry_name(number)

    def blob(self, sha256: str) -> Path:
        """Returns where a file of this content lies."""
        return self.blobs / sha256[:2] / sha256


def entry_name(number: int) -> str:
    """Returns the name of the file of a model's n-th entry.

    >>> entry_name(7)
    '00000007.json'
    """
    return f"{number:08d}.json"


def registry_folder(path: Path | str) -> RegistryFolder:
    """Returns the names in a registry, which need not exist yet.

    Args:
        path: Its folder, or its URI in S3.

    Raises:
        RegistryError: If the path is a URI of another store.
    """
    if not is_uri(str(path)):
        return RegistryFolder(Path(path))
    # Late: it brings pyarrow, which a folder does not need.
    from orchestrator.registry.buckets.bucket import Bucket

    bucket = Bucket(str(path), cache=user_cache() / _MIRRORS)
    return RegistryFolder(bucket.mirror, bucket)


def check_registry(folder: RegistryFolder) -> None:
    """Makes sure that a registry lies in a folder.

    Raises:
        RegistryError: If none does, or it is of a later format.
    """
    if folder.bucket is not None:
        folder.bucket.look_at_marker()
    if not folder.marker.is_file():
        is_nothing = folder.bucket is not None or not folder.root.exists()
        what = "no such registry" if is_nothing else "is not a registry, it has no registry.json"
        raise RegistryError(
            f"{folder}: {what}; `convfleet registry add runs/quickstart --name digits` makes one; or "
            "name another folder"
        )
    try:
        with folder.marker.open("rb") as file:
            schema = json.loads(file.read(_LARGEST_BYTES))["schema"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
        raise RegistryError(
            f"{folder.named(folder.marker)}: cannot be read ({type(exc).__name__}); restore it from a backup, or write "
            f'{{"schema": {SCHEMA_VERSION}}} into it'
        ) from exc
    if schema != SCHEMA_VERSION:
        raise RegistryError(
            f"{folder.named(folder.marker)}: schema must be {SCHEMA_VERSION}, got {schema!r}; a later convfleet made "
            "this registry: install that one"
        )


def make_registry(folder: RegistryFolder) -> None:
    """Makes a registry where none lies; several processes may do so at the same time.

    Raises:
        RegistryError: If something else lies in the folder, or a registry of a later format.
        OSError: If it cannot be made.
    """
    content = json.dumps({"schema": SCHEMA_VERSION, "made_at": time.time()})
    if folder.bucket is not None:
        folder.bucket.make(content)
    elif not folder.marker.exists():
        if folder.root.exists() and not folder.root.is_dir():
            raise RegistryError(f"{folder.root}: is a file, not a folder; name another place with --registry")
        # Another process may be making it at this moment: what it makes is hidden until the marker is there.
        if folder.root.is_dir() and any(not path.name.startswith(".") for path in folder.root.iterdir()):
            if not folder.marker.exists():
                raise RegistryError(
                    f"{folder.root}: has files and is not a registry, it has no registry.json; name an empty or new "
                    "folder with --registry"
                )
        else:
            write_whole(folder.marker, content)
    check_registry(folder)


@contextmanager
def one_writer(folder: RegistryFolder) -> Iterator[None]:
    """Keeps other writers of a registry waiting; readers go on.

    Raises:
        RegistryError: If another writer holds the registry for a minute, or its file system has no locks.
    """
    # Late: only writers need it.
    from filelock import FileLock, Timeout

    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(folder.lock, timeout=LOCK_TIMEOUT_SECONDS, mode=0o600)
    try:
        lock.acquire(poll_interval=_POLL_SECONDS)
    except Timeout as exc:
        raise RegistryError(
            f"{folder}: another process has been writing to it for {LOCK_TIMEOUT_SECONDS:.0f} s; try again, or "
            "end that process"
        ) from exc
    except NotImplementedError as exc:
        raise RegistryError(
            f"{folder.root}: its file system has no locks, so that two writers could harm each other; name another "
            "place with --registry"
        ) from exc
    try:
        yield
    finally:
        lock.release()
