"""The run of a study that is there already: in the folder of run folders, or in the study's storage."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import RunFolderError
from orchestrator.journal.reading import read_state
from orchestrator.journal.study_state import StudyState
from orchestrator.mirror.fetch import fetched_run
from orchestrator.mirror.lock import heard_from
from orchestrator.mirror.places import patiently, remote_of, taken_elsewhere
from orchestrator.runs.folder import open_run_folder
from orchestrator.runs.lock import is_driver_alive
from orchestrator.runs.owner import LIMIT_SECONDS, read_owner
from orchestrator.runs.paths import RunFolder
from orchestrator.search.auto_algorithm import with_algorithm
from orchestrator.study.loading import parse_study
from orchestrator.study.spec import StudySpec
from orchestrator.study.yaml_file import apply_overrides, read_study_file
from trainables.files.uris import child_uri
from trainables.specs.data import PATH_FIELDS

#: Sections that may change whenever a run goes on: results do not depend on them.
_FREE = ("resources", "storage", "export", "references")
#: Keys of `data` that say where things lie: a study that was moved is the same study.
_PLACES = (*PATH_FIELDS, "function_dir")
_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOfStudy:
    """A run that a study goes on with.

    Attributes:
        folder: The run folder.
        spec: The run's study, with the paths, resources, storage and exports of the one that was given.
        study_yaml: The text that study.yaml should have.
        has_begun: Whether the journal has a record.
        is_finished: Whether nothing is left to train.
    """

    folder: RunFolder
    spec: StudySpec
    study_yaml: str
    has_begun: bool
    is_finished: bool


def run_of_study(spec: StudySpec, *, runs: Path) -> RunOfStudy | None:
    """Returns the run of a study of the study's name; None if there is none.

    A run that the storage has and this machine has not is fetched. A run that was extended is still the study's.

    Args:
        spec: The study as the user gave it.
        runs: The folder of run folders.

    Raises:
        RunFolderError: If the name is taken by the run of another study, or by something else.
    """
    root = runs / spec.name
    if spec.storage.uri is not None and taken_elsewhere(spec.storage.uri)(spec.name):
        fetched_run(child_uri(spec.storage.uri, spec.name), runs=runs, with_files=True)
    elif not root.exists():
        return None
    folder = RunFolder(root)
    if folder.study.is_file() and not folder.journal.is_file():
        # Its driver died before the first record: nothing of it is worth more than the study as it is given.
        return RunOfStudy(folder=folder, spec=spec, study_yaml=spec.to_yaml(), has_begun=False, is_finished=False)
    open_run_folder(root)
    state = read_state(folder)
    if state.opened is None:
        return RunOfStudy(folder=folder, spec=spec, study_yaml=spec.to_yaml(), has_begun=False, is_finished=False)
    _check_same(spec, state=state, folder=folder)
    found = _moved(spec, folder=folder)
    is_finished = state.finished is not None and not state.unfinished and not is_driver_alive(folder)
    return RunOfStudy(folder=folder, spec=found, study_yaml=found.to_yaml(), has_begun=True, is_finished=is_finished)


def outlast_last_driver(
    folder: RunFolder,
    *,
    uri: str | None,
    notify: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.time,
) -> None:
    """Waits while a run's driver on another machine, which may be dead, still counts as alive.

    A job that is tried again on another machine comes sooner than that. A driver that is heard of meanwhile is alive:
    then the run folder's lock has the error.

    Args:
        folder: The run folder.
        uri: The study's storage; None: it has none.
        notify: Receives a message for the user.
        sleep: Waits so many seconds.
        clock: Returns seconds since 1970.
    """
    first, began = _heard(folder, uri=uri, now=clock()), clock()
    if first is None:
        return
    notify(f"{folder.root}: {first[0]} was at work on it lately; waiting until it counts as dead, a minute at most")
    while clock() - began <= LIMIT_SECONDS and _heard(folder, uri=uri, now=clock()) == first:
        sleep(_POLL_SECONDS)


def _heard(folder: RunFolder, *, uri: str | None, now: float) -> tuple[str, float] | None:
    """Returns who is at work on a run on another machine, and its last heartbeat; None if nobody counts as alive."""
    owner = read_owner(folder)
    if owner is not None and not owner.is_here and 0 <= owner.age(now) < LIMIT_SECONDS:
        return owner.where, owner.heartbeat
    if uri is None:
        return None
    remote = remote_of(folder, uri)
    owner, seconds = patiently(lambda: heard_from(remote, now=now), uri=uri)
    is_alive = owner is not None and owner.folder != str(folder.root.absolute()) and seconds < LIMIT_SECONDS
    return (owner.where, owner.heartbeat) if owner is not None and is_alive else None


def _check_same(spec: StudySpec, *, state: StudyState, folder: RunFolder) -> None:
    """Raises RunFolderError unless a run began with a study, or was extended to it."""
    header = state.header
    if spec.study_id in (header.given, header.study_id) or with_algorithm(spec)[0].study_id == header.study_id:
        return
    raise RunFolderError(
        f"{folder.root}: is the run of another study (study {header.given or header.study_id}, got {spec.study_id}), "
        "and results of two studies cannot be compared; give the study another name, keep its run elsewhere with "
        f"--runs, or extend the run that is there with `convfleet resume {folder.quoted} --set search.trials=...`"
    )


def _moved(spec: StudySpec, *, folder: RunFolder) -> StudySpec:
    """Returns a run's study with the places and the free sections of another one that is the same study."""
    where = str(folder.study)
    content = apply_overrides(read_study_file(folder.study), (), where=where)
    if not isinstance(content, Mapping) or not isinstance(content.get("data"), Mapping):
        raise RunFolderError(f"{where}: is not a study file; restore it from a backup")
    given: Mapping[str, Any] = spec.model_dump(mode="json", exclude={"space"})
    kept = {key: value for key, value in content["data"].items() if key not in _PLACES}
    places = {name: given["data"][name] for name in _PLACES if given["data"].get(name) is not None}
    wanted = {**content, **{name: given[name] for name in _FREE}, "data": {**kept, **places}}
    return parse_study({**wanted, "study_dir": spec.study_dir}, base=Path.cwd(), where=where, is_run=True)
