"""A folder in cloud storage or another file system of pyarrow's."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from trainables.errors import RemoteError
from trainables.files.uris import child_uri, shown_uri

_PART_BYTES = 8 * 2**20
#: File systems that show a file while it is being written; on the others objects appear whole.
_SHOWS_DRAFTS = ("local", "hdfs")
_DRAFT = ".part"
#: Causes that another try does not remove.
_LASTING = (
    "NO_SUCH_BUCKET",
    "ACCESS_DENIED",
    "INVALID_ACCESS_KEY_ID",
    "INVALID_CLIENT_TOKEN_ID",
    "SIGNATURE_DOES_NOT_MATCH",
    "MISSING_AUTHENTICATION_TOKEN",
    "Unexpected query parameter",
    "Unable to load lib",
    "Permission denied",
    "Not a directory",
    "Read-only file system",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file as its folder lists it.

    Args:
        size_bytes: Its size.
        changed_at: By the storage's own clock, seconds since 1970; 0 if the storage has none.
    """

    size_bytes: int
    changed_at: float


class RemoteFolder:
    """A folder in a file system of pyarrow's; names below it are paths with slashes.

    Every method raises RemoteError if the storage does not answer or refuses.

    Args:
        filesystem: One of pyarrow.fs.
        path: The folder in it.
        uri: Its name for users.
    """

    def __init__(self, filesystem: Any, path: str, *, uri: str) -> None:
        self._filesystem = filesystem
        self._path = path.rstrip("/")
        self.uri = uri

    @classmethod
    def open(cls, uri: str) -> Self:
        """Returns the folder that a URI names; it need not exist yet.

        Raises:
            RemoteError: This pyarrow cannot open such a URI.
        """
        with _remote_errors(uri):
            filesystem, path = _from_uri(_with_single_requests(uri))
        return cls(filesystem, path, uri=uri)

    def child(self, name: str) -> "RemoteFolder":
        """Returns a folder below."""
        return RemoteFolder(self._filesystem, f"{self._path}/{name}", uri=child_uri(self.uri, name))

    def read(self, name: str) -> bytes | None:
        """Returns a file's content; None if there is no such file."""
        with _remote_errors(self.uri, name):
            try:
                with self._filesystem.open_input_stream(self._at(name)) as stream:
                    data: bytes = stream.read()
            except FileNotFoundError:
                return None
        return data

    def write(self, name: str, data: bytes) -> None:
        """Writes a file, which appears whole."""
        with _remote_errors(self.uri, name), _whole(self._filesystem, self._at(name)) as stream:
            stream.write(data)

    def upload(self, source: Path, name: str) -> None:
        """Copies a local file into the folder, where it appears whole.

        Raises:
            OSError: The local file cannot be read.
        """
        with (
            source.open("rb") as file,
            _remote_errors(self.uri, name),
            _whole(self._filesystem, self._at(name)) as stream,
        ):
            while data := file.read(_PART_BYTES):
                stream.write(data)

    def download(self, name: str, target: Path) -> None:
        """Copies a file of the folder to this machine.

        Raises:
            OSError: The local file cannot be written.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        with _remote_errors(self.uri, name):
            stream = self._filesystem.open_input_stream(self._at(name))
        with target.open("wb") as file:
            while True:
                with _remote_errors(self.uri, name):
                    data = stream.read(_PART_BYTES)
                if not data:
                    break
                file.write(data)

    def delete(self, name: str) -> None:
        """Removes a file, if there is one."""
        with _remote_errors(self.uri, name):
            _delete_file(self._filesystem, self._at(name))

    def files(self, below: str = "") -> dict[str, RemoteFile]:
        """Returns every file below a folder by its path from this one, in order; none where there is no such folder."""
        # Late: pyarrow takes a while to import, and most runs are kept on this machine alone.
        from pyarrow import fs

        with _remote_errors(self.uri, below):
            base = self._at(below) if below else self._path
            selector = fs.FileSelector(base, recursive=True, allow_not_found=True)
            infos = self._filesystem.get_file_info(selector)
        return {
            info.path[len(self._path) + 1 :]: RemoteFile(size_bytes=info.size, changed_at=(info.mtime_ns or 0) / 1e9)
            for info in sorted(infos, key=lambda info: info.path)
            if info.type == fs.FileType.File and _is_plain(info.path[len(self._path) + 1 :])
        }

    def folders(self) -> list[str]:
        """Returns the names of the folders directly below, in order; none where there is no such folder."""
        # Late, as in `files`.
        from pyarrow import fs

        with _remote_errors(self.uri):
            infos = self._filesystem.get_file_info(fs.FileSelector(self._path, allow_not_found=True))
        names = sorted(info.base_name for info in infos if info.type == fs.FileType.Directory)
        return [name for name in names if _is_plain(name)]

    def changed_at(self, name: str) -> float | None:
        """Returns when a file was last written, by the storage's own clock; None if there is none."""
        with _remote_errors(self.uri, name):
            info = self._filesystem.get_file_info(self._at(name))
        return None if info.size is None else (info.mtime_ns or 0) / 1e9

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"


@contextmanager
def _whole(filesystem: Any, path: str) -> Iterator[Any]:
    """Yields the stream of a file that appears whole, also where a file system shows one that is being written."""
    shows_drafts = filesystem.type_name in _SHOWS_DRAFTS
    draft = f"{path}{_DRAFT}" if shows_drafts else path
    if shows_drafts:
        filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    with filesystem.open_output_stream(draft) as stream:
        yield stream
    if shows_drafts:
        if filesystem.type_name == "hdfs":
            # HDFS moves a file onto no other.
            _delete_file(filesystem, path)
        filesystem.move(draft, path)


def _delete_file(filesystem: Any, path: str) -> None:
    """Removes a file, if there is one."""
    try:
        filesystem.delete_file(path)
    except FileNotFoundError:
        return


@functools.lru_cache(maxsize=8)
def _from_uri(uri: str) -> tuple[Any, str]:
    # Late, as in `files`.
    from pyarrow import fs

    filesystem, path = fs.FileSystem.from_uri(uri)
    return filesystem, path


def _is_plain(name: str) -> bool:
    """Returns whether a name stays below its folder, whichever that is, and is no half-written file."""
    return not name.endswith(_DRAFT) and not {"", ".", ".."} & set(name.split("/"))


def _with_single_requests(uri: str) -> str:
    """Returns a URI that makes S3 take a small file with one request instead of three."""
    parts = urlsplit(uri)
    if parts.scheme != "s3" or "allow_delayed_open" in parts.query:
        return uri
    return urlunsplit(parts._replace(query="&".join(filter(None, [parts.query, "allow_delayed_open=true"]))))


@contextmanager
def _remote_errors(uri: str, name: str = "") -> Iterator[None]:
    """Turns errors of pyarrow into a RemoteError with the URI."""
    try:
        yield
    except (OSError, ValueError, NotImplementedError) as exc:  # pyarrow's own errors are of these kinds
        text = " ".join(str(exc).split())
        text = text[text.find("AWS Error") :] if "AWS Error" in text else text.partition(" dlopen(")[0]
        where = shown_uri(child_uri(uri, name) if name else uri)
        raise RemoteError(f"{where}: {text}", is_lasting=any(word in str(exc) for word in _LASTING)) from exc
