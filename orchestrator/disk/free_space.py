"""Free room on disk: the disks that a driver writes to, and the room that the rest of a study needs."""

import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.journal.study_state import StudyState
from orchestrator.runs.paths import RunFolder
from orchestrator.study.spec import StudySpec
from orchestrator.text import size_in_words

#: Checkpoints of a trial at work: its newest, the one before that, and its best.
KEPT_AT_WORK = 3
#: Checkpoints of a trial that has ended, as long as none was measured.
KEPT_AT_END = 2
_GB = 1e9
_WEIGHT_BYTES = 4
#: Less than a page and its directory entry: the next file fails.
_AS_GOOD_AS_FULL_BYTES = 65_536
#: Weights, an optimizer's three arrays, a running average and gathered gradients: no checkpoint has more.
_STATE_BYTES_AT_MOST = 6 * _WEIGHT_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """A file system that a study writes to.

    Attributes:
        name: What the driver keeps on it, as text for people.
        path: A folder on it, which need not exist yet.
    """

    name: str
    path: Path

    @property
    def free_bytes(self) -> int:
        """The room that an ordinary user may still fill."""
        return shutil.disk_usage(_existing(self.path)).free


def study_places(folder: RunFolder, *, cache: Path, has_own_ray: bool) -> list[Disk]:
    """Returns each file system that a driver writes to, once, the run folder's first."""
    named = [
        ("the run folder", folder.root),
        ("the data cache", cache),
        ("temporary files", Path(tempfile.gettempdir())),
    ]
    if has_own_ray:
        named.append(("Ray's temporary folder", _ray_folder()))
    places: dict[int, Disk] = {}
    for name, path in named:
        device = _existing(path).stat().st_dev
        known = places.get(device)
        message = f"{known.name}, {name}" if known else name
        places[device] = Disk(name=message, path=known.path if known else path)
    return list(places.values())


def shortage(places: Sequence[Disk], *, min_free_gb: float) -> str:
    """Returns the first disk with less room than storage.min_free_gb, and what to do; an empty text without one."""
    for place in places:
        free = place.free_bytes
        if free < min_free_gb * _GB:
            return (
                f"{place.path} ({place.name}): {size_in_words(free)} free, storage.min_free_gb asks for "
                f"{size_in_words(int(min_free_gb * _GB))}; make room there, or lower storage.min_free_gb"
            )
    return ""


def full_places(places: Sequence[Disk], *, is_certain: bool = False) -> str:
    """Returns the disks that are as good as full, as an addition to an error that a full disk may have caused.

    Args:
        is_certain: Whether the system reported a full disk. If no disk is full now, because the file that did not fit
            was large or is deleted again, the disk with the least room is named.
    """
    rooms = [(place.free_bytes, place) for place in places]
    full = [f"{place.path} ({place.name}) is full" for free, place in rooms if free < _AS_GOOD_AS_FULL_BYTES]
    if is_certain and not full:
        free, place = min(rooms, key=lambda room: room[0])
        full = [f"{size_in_words(free)} are free in {place.path} ({place.name})"]
    return f"; {' and '.join(full)}: make room there" if full else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceNeed:
    """The room that the rest of a study takes in its run folder.

    Attributes:
        total_bytes: All that it takes; None if that is unknown.
        sure_bytes: What it needs in any case: one more checkpoint of each trial at work.
        is_bound: Whether the total is an upper bound, not an estimate.
    """

    total_bytes: int | None
    sure_bytes: int = 0
    is_bound: bool = False


def estimated_need(spec: StudySpec, state: StudyState, *, folder: RunFolder, num_concurrent: int) -> SpaceNeed:
    """Returns the room that checkpoints and exports will take, from checkpoints on disk, else from the space's limits.

    A trial at work keeps three checkpoints; a trial that ended keeps what such trials keep on average.
    """
    # Copied, because another thread may add trials.
    trials = list(state.trials.values())
    num_open = max(0, spec.num_trials + spec.most_replicates - sum(trial.has_ended for trial in trials))
    at_work = min(num_concurrent, num_open)
    sizes = checkpoint_sizes(folder.checkpoints)
    every = [size for trial in sizes.values() for size in trial]
    parameters = [report.cost.get("parameters", 0.0) for trial in trials for report in trial.reports[:1]]
    limit, budget = spec.space.limits.get("parameters"), spec.storage.checkpoint_budget_gb
    # What other trials may go on from stays until the study has ended.
    num_shared = spec.schedule.epochs // spec.schedule.kept_every if spec.schedule.kept_every else 0
    if every:
        usual = sum(every) // len(every)
        ended = [sum(sizes.get(trial.name, ())) for trial in trials if trial.has_ended]
        kept = sum(ended) // len(ended) if ended else (KEPT_AT_END + num_shared) * usual
        largest = max(parameters, default=0.0)
    elif limit is not None:
        usual, largest = int(limit * _STATE_BYTES_AT_MOST), limit
        kept = (KEPT_AT_END + num_shared) * usual
    else:
        return SpaceNeed(total_bytes=None if budget is None else int(budget * _GB), is_bound=budget is not None)
    checkpoints = at_work * (KEPT_AT_WORK + num_shared) * usual + (num_open - at_work) * kept
    # Open trials have written a part of their checkpoints already.
    open_names = [name for name in sizes if name in state.trials and not state.trials[name].has_ended]
    checkpoints = max(0, checkpoints - sum(sum(sizes[name]) for name in open_names))
    if budget is not None:
        checkpoints = min(checkpoints, max(0, int(budget * _GB) - sum(every)))
    num_exports = max(0, spec.export.top - len(state.exports))
    exports = int(num_exports * len(spec.export.formats) * largest * _WEIGHT_BYTES)
    sure = at_work * min(every, default=0)
    return SpaceNeed(total_bytes=checkpoints + exports, sure_bytes=sure, is_bound=not every)


def need_in_words(need: SpaceNeed, *, place: Disk) -> str:
    """Returns the room that a study needs and the room that is free, on one line."""
    free = f"{size_in_words(place.free_bytes)} free in {place.path}"
    if need.total_bytes is None:
        return f"disk: {free}; what checkpoints will take is known once the first trials have reported"
    word = "at most" if need.is_bound else "about"
    return f"disk: needs {word} {size_in_words(need.total_bytes)} for checkpoints and exports, {free}"


def checkpoint_sizes(checkpoints: Path) -> dict[str, list[int]]:
    """Returns the sizes in bytes of all checkpoints on disk, by trial; opens no file and follows no link."""
    return {trial.name: [_size(Path(epoch)) for epoch in _folders(Path(trial))] for trial in _folders(checkpoints)}


def _folders(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [
                entry for entry in entries if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        # The folder does not exist yet, or its worker has just deleted it.
        return []


def _size(folder: Path) -> int:
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    except OSError:
        return 0


def _existing(path: Path) -> Path:
    """Returns the path, or the nearest folder above it that exists."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _ray_folder() -> Path:
    """Returns where a Ray that this driver starts keeps its files, by Ray's rule, without an import of Ray."""
    return Path(os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp") / "ray"
