"""A registry in S3: its histories as files of this machine, which are compared with the bucket at each look.

An entry of a history is written by a request that only one writer wins. Files of versions are written before the entry
that names them, and nothing younger than a day is deleted, so that whoever cleans up takes nothing from a writer.
"""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from orchestrator.errors import RegistryError, RunFolderError
from orchestrator.mirror.places import patiently
from orchestrator.registry.buckets.creation import create_object, demand_client
from trainables.files.remote import RemoteFile, RemoteFolder
from trainables.files.uris import child_uri, shown_uri, uri_problem
from trainables.files.whole import write_whole

MARKER, MODELS, BLOBS = "registry.json", "models", "blobs"
_ENTRY = re.compile(r"models/[^/]+/history/\d{8}\.json")
#: Files that no version has are deleted when they are so old: whoever adds a version has long named them by then.
GARBAGE_SECONDS = 24 * 3600.0
#: A file of the mirror that a listing lacks may have come after it; one so old has gone from the bucket.
_LISTING_SECONDS = 60.0
_DOWNLOADS = 16

T = TypeVar("T")


class Bucket:
    """A registry's place in S3.

    Args:
        uri: Such as s3://bucket/registry, with the options that pyarrow takes.
        cache: Where mirrors of registries lie on this machine.
        clock: Returns seconds since 1970.

    Attributes:
        uri: The same.
        mirror: The folder that shows the bucket's histories, as they were at the last look.

    Raises:
        RegistryError: If it is no URI of S3, or boto3 is missing.
    """

    def __init__(self, uri: str, *, cache: Path, clock: Callable[[], float] = time.time) -> None:
        if problem := uri_problem(uri):
            # What has credentials in it is not repeated.
            has_credentials = problem.startswith("credentials")
            words = (
                "has credentials: use environment variables" if has_credentials else f"{problem}, got {shown_uri(uri)}"
            )
            raise RegistryError(f"the URI of a registry {words}")
        if not uri.startswith("s3://"):
            raise RegistryError(
                f"{shown_uri(uri)}: a registry lies in a folder or in S3 (s3://bucket/registry), as of other stores it "
                "is not known that only one of two writers can create an object"
            )
        demand_client()
        self.uri, self._clock = uri, clock
        self.mirror = cache / hashlib.sha256(uri.rstrip("/").encode()).hexdigest()[:24]

    def look(self, below: str = MODELS) -> None:
        """Makes the mirror show what lies in the bucket below a folder of histories at this moment.

        Raises:
            RegistryError: If the bucket cannot be read.
        """
        if not self.look_at_marker():
            return
        files = self._ask(lambda: self._remote.files(below))
        found = {name: file for name, file in files.items() if _ENTRY.fullmatch(name)}
        new = [name for name, file in found.items() if not _is_same(self.mirror / name, file)]
        with ThreadPoolExecutor(_DOWNLOADS) as pool:
            list(pool.map(lambda name: self._fetch(name, found[name]), new))
        for path in sorted((self.mirror / below).rglob("*.json")):
            name = path.relative_to(self.mirror).as_posix()
            with suppress(FileNotFoundError):
                if name not in found and self._clock() - path.stat().st_mtime > _LISTING_SECONDS:
                    path.unlink()

    def make(self, marker: str) -> None:
        """Makes a registry where none lies; several writers may do so at the same time.

        Args:
            marker: What says so.

        Raises:
            RegistryError: If something else lies there, or the store lets two writers win.
        """
        # Another machine may be making it at this moment.
        if self.look_at_marker() or MARKER in (files := self._ask(self._remote.files)):
            self.look_at_marker()
            return
        if files:
            raise RegistryError(
                f"{shown_uri(self.uri)}: has files, such as {next(iter(files))}, and is not a registry, it has no "
                f"{MARKER}; name another place with --registry"
            )
        with suppress(FileExistsError):
            self.create(MARKER, marker.encode())
        try:
            self.create(MARKER, b"{}")
        except FileExistsError:
            self.look_at_marker()
            return
        self._ask(lambda: self._remote.delete(MARKER))
        raise RegistryError(
            f"{shown_uri(self.uri)}: the store writes over what should be created only, so that two writers could harm "
            "each other; put the registry into AWS S3, a store that knows If-None-Match, or a folder"
        )

    def create(self, name: str, data: bytes) -> None:
        """Writes a file that nobody has written yet.

        Raises:
            FileExistsError: If another writer was first.
            RegistryError: If the bucket cannot be written.
        """
        try:
            self._ask(lambda: create_object(child_uri(self.uri, name), data))
        except FileExistsError:
            # An answer may get lost on the way, and the request be repeated.
            if self._ask(lambda: self._remote.read(name)) != data:
                raise

    def upload(self, files: Mapping[str, Path]) -> None:
        """Writes files, which appear whole.

        Args:
            files: Of this machine, by the name in the bucket.

        Raises:
            RegistryError: If the bucket cannot be written.
        """
        for name, path in files.items():
            self._ask(partial(self._remote.upload, path, name))

    def missing(self, names: Iterable[str]) -> list[str]:
        """Returns which files there are not."""
        return [name for name in names if self._ask(partial(self._remote.changed_at, name)) is None]

    def download(self, name: str, target: Path) -> None:
        """Copies a file to this machine.

        Raises:
            FileNotFoundError: If there is none.
            RegistryError: If the bucket cannot be read.
        """
        if self.missing([name]):
            raise FileNotFoundError(name)
        self._ask(lambda: self._remote.download(name, target))

    def sweep(self, wanted: Callable[[], set[str]]) -> tuple[int, int]:
        """Deletes files of versions that no version has had for a day, and returns how many, and their bytes.

        Args:
            wanted: Returns the names of all files that a version has; asked once all files are known.

        Raises:
            RegistryError: If the bucket cannot be read or written.
        """
        files = self._ask(lambda: self._remote.files(BLOBS))
        kept, now, count, size = wanted(), self._clock(), 0, 0
        for name, file in files.items():
            # Whoever adds a version writes each of its files anew: it is looked at again.
            if name in kept or now - file.changed_at < GARBAGE_SECONDS:
                continue
            changed_at = self._ask(partial(self._remote.changed_at, name))
            if changed_at is None or self._clock() - changed_at < GARBAGE_SECONDS:
                continue
            self._ask(partial(self._remote.delete, name))
            count, size = count + 1, size + file.size_bytes
        return count, size

    @property
    def _remote(self) -> RemoteFolder:
        return RemoteFolder.open(self.uri)

    def look_at_marker(self) -> bool:
        """Takes over whether a registry lies in the bucket; another one than before has none of its histories."""
        marker, known = self._ask(lambda: self._remote.read(MARKER)), self.mirror / MARKER
        before = None
        with suppress(FileNotFoundError):
            before = known.read_bytes()
        if marker != before:
            shutil.rmtree(self.mirror / MODELS, ignore_errors=True)
            known.unlink(missing_ok=True)
        if marker is not None and marker != before:
            self.mirror.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(known, marker)
        return marker is not None

    def _fetch(self, name: str, file: RemoteFile) -> None:
        target = self.mirror / name
        draft = target.with_name(f".{target.name}.{os.urandom(8).hex()}.tmp")
        try:
            self._ask(lambda: self._remote.download(name, draft))
            os.utime(draft, (file.changed_at, file.changed_at))
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)

    def _ask(self, work: Callable[[], T]) -> T:
        try:
            return patiently(work, uri=self.uri)
        except RunFolderError as exc:
            raise RegistryError(f"registry in {exc}") from exc


def _is_same(path: Path, file: RemoteFile) -> bool:
    """Returns whether a file of the mirror is that of the bucket."""
    try:
        facts = path.stat()
    except FileNotFoundError:
        return False
    return facts.st_size == file.size_bytes and abs(facts.st_mtime - file.changed_at) < 1e-3
