"""Requests as a driver reads them: whatever lies in the folder, nothing in it ends a study."""

import json
import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.runs.paths import RunFolder
from orchestrator.steering.requests import (
    LARGEST_BYTES,
    REQUEST_SCHEMA,
    Answer,
    Request,
    answer_path,
    is_request_name,
    request_from_json,
)
from orchestrator.text import printable
from trainables.files.whole import write_whole

logger = logging.getLogger(__name__)

#: How many files a driver looks at each time: it has other things to do.
_MOST_AT_ONCE = 100
#: Answers that nobody reads for so long are removed.
_ANSWERS_KEPT_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """One request that lies in the folder.

    Attributes:
        request_id: Its id.
        path: Its file.
        request: What is asked for; None where the file says nothing that a driver understands.
        problem: Why it is None, in words.
    """

    request_id: str
    path: Path
    request: Request | None
    problem: str = ""


class Inbox:
    """The requests of a run folder.

    Args:
        folder: The run folder.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        #: What could not be removed or moved aside: it is not looked at again.
        self._left: set[str] = set()

    def arrived(self) -> Iterator[Arrived]:
        """Yields the requests, the oldest first; moves aside what is none."""
        for name in self._names():
            path = self._folder.requests / name
            if not is_request_name(name):
                self._move_aside(path)
                continue
            request_id = name.partition(".")[0]
            try:
                yield Arrived(request_id=request_id, path=path, request=request_from_json(_read(path)))
            except FileNotFoundError:
                continue  # whoever asked took it back
            except (InputError, OSError) as exc:
                yield Arrived(request_id=request_id, path=path, request=None, problem=printable(str(exc)))

    def answer(self, arrived: Arrived, answer: Answer) -> None:
        """Writes the answer to a request, and removes the request; a full disk costs the answer alone.

        Args:
            arrived: The request.
            answer: What became of it.
        """
        content = {"schema": REQUEST_SCHEMA, "is_done": answer.is_done, "text": answer.text}
        try:
            write_whole(answer_path(self._folder, arrived.request_id), json.dumps(content))
        except OSError as exc:
            logger.warning('request=%s answer not written reason="%s"', arrived.request_id, exc)
        try:
            arrived.path.unlink(missing_ok=True)
        except OSError:
            self._move_aside(arrived.path)  # a folder with the name of a request

    def forget_old_answers(self, *, now: float) -> None:
        """Removes answers that nobody has read for a day.

        Args:
            now: Seconds since 1970.
        """
        try:
            for path in (self._folder.requests / "answers").glob("*.json"):
                if path.lstat().st_mtime < now - _ANSWERS_KEPT_SECONDS:
                    path.unlink(missing_ok=True)
        except OSError as exc:
            logger.warning('answers not removed reason="%s"', exc)

    def _names(self) -> list[str]:
        """Returns the names of the files to look at; none where nobody has asked, or the folder is a link."""
        place = self._folder.requests
        try:
            if not stat.S_ISDIR(place.lstat().st_mode):
                return []
            names = [name for name in os.listdir(place) if not name.startswith(".") and name not in _OWN]  # noqa: PTH208
        except OSError:
            return []
        return sorted(name for name in names if name not in self._left)[:_MOST_AT_ONCE]

    def _move_aside(self, path: Path) -> None:
        aside = path.parent / _ASIDE
        try:
            aside.mkdir(mode=0o700, exist_ok=True)
            path.rename(aside / path.name)
        except OSError as exc:
            self._left.add(path.name)
            logger.warning('file=%s not moved aside reason="%s"', printable(path.name), exc)


#: Folders beside the requests: answers, and files that are no requests.
_ASIDE = "foreign"
_OWN = frozenset(("answers", _ASIDE))


def _read(path: Path) -> bytes:
    """Returns a file's content; follows no link, and waits for no pipe.

    Raises:
        InputError: If it is no file, or larger than a request can be.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise InputError("a request is a file, got something else of its name")
        if found.st_size > LARGEST_BYTES:
            raise InputError(f"a request has at most {LARGEST_BYTES:,} bytes, got {found.st_size:,}")
        return file.read(LARGEST_BYTES + 1)
