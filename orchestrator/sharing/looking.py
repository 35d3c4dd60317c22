"""What a node finds of a study's files: the run folder, the storage, the data."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trainables.errors import RemoteError
from trainables.files.remote import RemoteFolder
from trainables.sharing.marks import answer_mark
from trainables.sharing.own_folder import shares_run_folder
from trainables.specs.data import PATH_FIELDS, DataSpec
from trainables.specs.worker import WorkerSpec

#: How long a node looks for the driver's mark: network file systems show a new file late.
_LOOK_SECONDS = 3.0
#: What a path may have in it that is no part of a folder's name.
_PATTERN = "*?[{"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeQuestion:
    """What a node is asked.

    Attributes:
        worker: What workers receive, with the driver's mark.
        probe: The name of a file that the driver wrote into the storage; empty: there is none.
    """

    worker: WorkerSpec
    probe: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """What a node finds.

    Attributes:
        answer: The name of what it wrote beside the driver's mark; empty: it does not share the run folder.
        place: What it finds at the run folder's path instead, in words.
        storage: Why it cannot use the storage; empty if it can, or need not.
        lacking: Paths of the data that are not there, though no prepared data is.
    """

    answer: str
    place: str = ""
    storage: str = ""
    lacking: Sequence[str] = ()


def data_places(data: DataSpec) -> list[str]:
    """Returns the files and folders that a study's data is read from, each without its pattern.

    >>> data_places(DataSpec(source="tfrecord", train="/data/train*.tfrecord", cache_dir="/scratch"))
    ['/data']

    Args:
        data: The study's section, with absolute paths.
    """
    names = [name for name in (*PATH_FIELDS, "function_dir") if name != "cache_dir"]
    paths = [Path(path) for name in names if (path := getattr(data, name))]
    return [str(_plain_part(path)) for path in dict.fromkeys(paths)]


def look(question: NodeQuestion) -> NodeView:
    """Returns what this node finds, after it has answered the driver's mark if it finds that.

    Args:
        question: What the driver asks.
    """
    worker, answer = question.worker, ""
    place = _place(worker)
    if not place:
        answer = uuid.uuid4().hex
        if refused := answer_mark(worker.mark, name=answer):
            answer, place = "", f"may not write into {_root(worker)} ({refused})"
    has_data = Path(worker.dataset.folder).is_dir()
    return NodeView(
        answer=answer,
        place=place,
        storage="" if answer or not question.probe else _storage_problem(worker.remote or "", probe=question.probe),
        lacking=[] if has_data else [path for path in data_places(worker.data) if not Path(path).exists()],
    )


def _plain_part(path: Path) -> Path:
    """Returns a path up to its first part with a pattern."""
    while any(letter in str(path) for letter in _PATTERN) and not path.exists():
        path = path.parent
    return path


def _place(worker: WorkerSpec) -> str:
    """Returns what is at the run folder's path on this node instead of the run folder; an empty text if that is."""
    root = _root(worker)
    if shares_run_folder(worker, wait_seconds=_LOOK_SECONDS):
        return ""
    try:
        if Path(worker.mark).exists():
            return f"may not write into {root}"
        return f"has another folder at {root}" if root.exists() else f"has no folder {root}"
    except OSError as exc:
        return f"cannot look into {root} ({exc.strerror})"


def _root(worker: WorkerSpec) -> Path:
    return Path(worker.checkpoints).parent


def _storage_problem(uri: str, *, probe: str) -> str:
    """Returns why this node cannot use the storage; an empty text if it reads what the driver wrote there."""
    try:
        found = RemoteFolder.open(uri).read(probe)
    except RemoteError as exc:
        return str(exc)
    return "" if found is not None else "finds another storage at that URI: not the file that this driver wrote into it"
