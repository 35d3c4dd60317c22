"""What a person asks of a study from outside its driver: kinds of request, and the files that carry them.

A request is one file in the `requests` folder of the run, which the driver looks into several times a second; its
answer is a file of the same name in `requests/answers`.
"""

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from orchestrator.errors import InputError
from orchestrator.journal.steering_records import MOST_TAGS, is_request_id, tag_problem, text_problem
from orchestrator.runs.paths import RunFolder
from orchestrator.text import shown
from trainables.files.whole import write_whole

#: The version of requests and answers.
REQUEST_SCHEMA = 1
#: The largest request that a driver reads.
LARGEST_BYTES = 64_000
_LONGEST_NAME, _MOST_PARAMS = 100, 1000
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTrial:
    """Ends a trial after its next report, or at once where it waits.

    Args:
        trial: Its name, such as t0007.
    """

    trial: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepTrial:
    """Lets a trial go on whatever early stopping says.

    Args:
        trial: Its name, such as t0007.
        keep: False: early stopping decides again.
    """

    trial: str
    keep: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AddVariant:
    """Has a variant tried before those that the search proposes.

    Args:
        params: Values of the space's parameters by name, `family` among them where the space has several.
    """

    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseStudy:
    """Pauses the study, as Ctrl-C in its driver's terminal does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotate:
    """Writes something about a trial or about the study.

    Args:
        trial: The trial's name; empty: the text is about the study.
        text: Plain text, at most 2,000 characters.
    """

    trial: str = ""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Star:
    """Marks a trial with a star.

    Args:
        trial: Its name, such as t0007.
        starred: False: takes the star away.
    """

    trial: str
    starred: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class TagStudy:
    """Gives the study tags, by which people find it among others.

    Args:
        tags: Short texts, at most 60 characters each.
        tagged: False: takes them away.
    """

    tags: Sequence[str]
    tagged: bool = True


Request = StopTrial | KeepTrial | AddVariant | PauseStudy | Annotate | Star | TagStudy
_KINDS: dict[str, type[Request]] = {
    "stop_trial": StopTrial,
    "keep_trial": KeepTrial,
    "add_variant": AddVariant,
    "pause_study": PauseStudy,
    "annotate": Annotate,
    "star": Star,
    "tag_study": TagStudy,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_TYPES: Mapping[str, tuple[Any, str]] = {
    "trial": (str, "a text such as 't0007'"),
    "text": (str, "a text"),
    "keep": (bool, "true or false"),
    "starred": (bool, "true or false"),
    "tags": (list | tuple, "a list of texts"),
    "tagged": (bool, "true or false"),
    "params": (Mapping, "values by the names of parameters"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a request.

    Attributes:
        is_done: Whether it is honoured: what it asks for is in the journal.
        text: What happens now, or why it is refused and what to do instead, in words.
        is_waiting: Whether the driver has not looked at it yet.
    """

    is_done: bool
    text: str
    is_waiting: bool = False


def ask(folder: RunFolder, request: Request) -> str:
    """Writes a request for the driver of a run and returns its id.

    Args:
        folder: The run folder.
        request: What is asked for.

    Raises:
        InputError: If the request is not one that a driver can honour, such as a text that is too long.
        OSError: If the folder cannot be written to.
    """
    check_request(request)
    text = request_to_json(request)
    if len(text.encode()) > LARGEST_BYTES:
        raise InputError(f"a request has at most {LARGEST_BYTES:,} bytes, got {len(text.encode()):,}; ask for less")
    request_id = new_request_id()
    write_whole(request_path(folder, request_id), text)
    return request_id


def wait_for_answer(folder: RunFolder, request_id: str, *, seconds: float) -> Answer | None:
    """Returns the driver's answer to a request, and removes it; None if the driver gave none in time.

    Args:
        folder: The run folder.
        request_id: What `ask` returned.
        seconds: How long to wait at most.
    """
    path, end = answer_path(folder, request_id), time.monotonic() + seconds
    while (answer := _read_answer(path)) is None:
        if time.monotonic() >= end:
            return None
        time.sleep(_POLL_SECONDS)
    path.unlink(missing_ok=True)
    return answer


def withdraw(folder: RunFolder, request_id: str) -> bool:
    """Takes a request back; returns False where a driver has looked at it already.

    Args:
        folder: The run folder.
        request_id: What `ask` returned.
    """
    try:
        request_path(folder, request_id).unlink()
    except FileNotFoundError:
        return False
    return True


def new_request_id() -> str:
    """Returns an id of its own; later ones sort after it."""
    return f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"


def asked_at(request_id: str) -> float:
    """Returns when an id was made, in seconds since 1970.

    >>> asked_at("01764416000500000000-1a2b3c4d")
    1764416000.5

    Args:
        request_id: The id.
    """
    return int(request_id.partition("-")[0]) / 1e9


def request_path(folder: RunFolder, request_id: str) -> Path:
    """Returns where a request lies until the driver has looked at it."""
    return folder.requests / f"{request_id}.json"


def answer_path(folder: RunFolder, request_id: str) -> Path:
    """Returns where the answer to a request lies until whoever asked has read it."""
    return folder.requests / "answers" / f"{request_id}.json"


def request_to_json(request: Request) -> str:
    """Returns the content of a request's file.

    >>> request_to_json(KeepTrial(trial="t0007"))
    '{"schema": 1, "kind": "keep_trial", "trial": "t0007", "keep": true}'
    """
    content = {"schema": REQUEST_SCHEMA, "kind": _NAMES[type(request)], **asdict(request)}
    try:
        return json.dumps(content, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise InputError(f"params: expected numbers, texts, true, false and lists of them ({exc})") from exc


def request_from_json(data: bytes | str) -> Request:
    """Returns the request of a file's content.

    >>> request_from_json('{"schema": 1, "kind": "keep_trial", "trial": "t0007", "keep": true}')
    KeepTrial(trial='t0007', keep=True)

    Raises:
        InputError: If it is none.
    """
    try:
        content = json.loads(data, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as exc:
        raise InputError(f"a request is a JSON object, got something else ({exc})") from exc
    if not isinstance(content, dict) or content.get("schema") != REQUEST_SCHEMA:
        raise InputError(f"a request is a JSON object with schema {REQUEST_SCHEMA}, got {shown(content)}")
    name = content.get("kind")
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InputError(f"kind: expected one of {', '.join(_KINDS)}, got {shown(name)}")
    known = {item.name for item in fields(kind)}
    given = {key: value for key, value in content.items() if key not in ("schema", "kind")}
    if wrong := sorted(given.keys() ^ known):
        raise InputError(f"{name}: expected the keys {', '.join(sorted(known)) or 'none'}; wrong or missing: {wrong}")
    request = kind(**given)
    check_request(request)
    return request


def check_request(request: Request) -> None:
    """Raises InputError if no driver can honour a request, whatever the state of its study."""
    for item in fields(request):
        value, (expected, words) = getattr(request, item.name), _TYPES[item.name]
        if not isinstance(value, expected):
            raise InputError(f"{item.name}: expected {words}, got {shown(value)}")
    if isinstance(request, Annotate) and (problem := text_problem(request.text)):
        raise InputError(f"text: {problem}")
    if isinstance(request, AddVariant):
        if len(request.params) > _MOST_PARAMS or not all(isinstance(name, str) for name in request.params):
            raise InputError(
                f"params: expected at most {_MOST_PARAMS:,} names with values, got {len(request.params):,}"
            )
    elif isinstance(request, TagStudy):
        _check_tags(request)
    elif not isinstance(request, PauseStudy):
        name = request.trial
        if (not name and not isinstance(request, Annotate)) or len(name) > _LONGEST_NAME:
            raise InputError(f"trial: expected the name of a trial such as t0007, got {shown(name)}")


def _check_tags(request: TagStudy) -> None:
    if not 1 <= len(request.tags) <= MOST_TAGS:
        raise InputError(f"tags: expected 1 to {MOST_TAGS} of them, got {len(request.tags)}")
    for tag in request.tags:
        if problem := tag_problem(tag):
            raise InputError(f"tags: each {problem}")


def _read_answer(path: Path) -> Answer | None:
    try:
        content = json.loads(path.read_bytes())
        return Answer(is_done=bool(content["is_done"]), text=str(content["text"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as exc:
        return Answer(
            is_done=False, text=f"the answer of the driver cannot be read ({exc}); look with convfleet status"
        )


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number that JSON has")


def is_request_name(name: str) -> bool:
    """Returns whether a file's name is that of a request.

    >>> is_request_name("01764416000123456789-1a2b3c4d.json"), is_request_name("notes.txt")
    (True, False)
    """
    stem, dot, ending = name.partition(".")
    return is_request_id(stem) and (dot, ending) == (".", "json")
