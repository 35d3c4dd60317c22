"""Room on disk is measured, never guessed, and a study ends before a disk is full."""

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from orchestrator.disk.free_space import (
    Disk,
    SpaceNeed,
    checkpoint_sizes,
    estimated_need,
    full_places,
    need_in_words,
    shortage,
    study_places,
)
from orchestrator.disk.space_watch import PERIOD_SECONDS, SpaceWatch
from orchestrator.errors import DiskSpaceError, StudyFailedError
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.journal.trial import Trial
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import parse_study
from orchestrator.study.spec import StudySpec

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What every disk has free; change it as you like."""
    state = {"free": 50_000_000_000}
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, state["free"]))
    return state


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "run").mkdir()
    return RunFolder(tmp_path / "run")


def make_spec(**changes: Any) -> StudySpec:
    space = {"family": "sequential", "params": {"filters": {"choice": [4, 8]}, "learning_rate": {"float": [0.1, 0.2]}}}
    study = {"name": "s", "data": {"source": "digits"}, "space": space, "search": {"trials": 10}, "export": {"top": 2}}
    return parse_study(study | changes, base=Path.cwd())


def save(folder: RunFolder, trial: str, *, sizes: list[int]) -> None:
    for epoch, size in enumerate(sizes, start=1):
        checkpoint = folder.checkpoints / trial / f"epoch-{epoch:04d}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "state.npz").write_bytes(b"x" * size)


@pytest.fixture
def two_reported(begin: Any, make_reported: Any) -> StudyState:
    """Trial 0 has completed, trial 1 has reported once, of ten."""
    cost = {"cost": {"parameters": 1000.0}}
    records = begin(num_trials=10)
    for number, epoch in [*((0, epoch) for epoch in range(1, 10)), (1, 1)]:
        record = make_reported(number, epoch, at=200.0, value=0.5)
        record.report.update(cost if epoch == 1 else {})
        records.append(record)
    return fold(records)


def test_each_file_system_is_told_once_with_all_that_lies_there(tmp_path: Path, folder: RunFolder) -> None:
    (place,) = study_places(folder, cache=tmp_path / "cache" / "not-yet", has_own_ray=False)[:1]
    assert place.path == folder.root
    assert place.name.startswith("the run folder, the data cache")


def test_what_is_unknown_is_said_to_be_unknown(folder: RunFolder, disk: dict[str, int]) -> None:
    need = estimated_need(make_spec(), StudyState(), folder=folder, num_concurrent=2)
    assert need == SpaceNeed(total_bytes=None)
    told = need_in_words(need, place=Disk(name="the run folder", path=folder.root))
    assert told == (
        f"disk: 50.0 GB free in {folder.root}; what checkpoints will take is known once the first trials have reported"
    )


def test_limits_of_the_space_bound_the_need_and_a_budget_bounds_the_checkpoints(folder: RunFolder) -> None:
    space = {"family": "sequential", "params": {"filters": {"choice": [4, 8]}}, "limits": {"parameters": 1e6}}
    spec = make_spec(space=space, search={"trials": 2})
    need = estimated_need(spec, StudyState(), folder=folder, num_concurrent=2)
    # Two trials at once keep three checkpoints of 24 bytes a parameter; two exports in two formats have 4 bytes each.
    assert need == SpaceNeed(total_bytes=2 * 3 * 24_000_000 + 2 * 2 * 4_000_000, is_bound=True)
    assert need_in_words(need, place=Disk(name="", path=folder.root)).startswith("disk: needs at most 160.0 MB for")
    budget = spec.model_copy(update={"storage": spec.storage.model_copy(update={"checkpoint_budget_gb": 0.05})})
    need = estimated_need(budget, StudyState(), folder=folder, num_concurrent=2)
    assert need == SpaceNeed(total_bytes=50_000_000 + 2 * 2 * 4_000_000, is_bound=True)


def test_real_checkpoints_make_the_estimate_and_what_is_written_already_counts(
    folder: RunFolder, two_reported: StudyState
) -> None:
    save(folder, "t0000", sizes=[1000, 1000])
    save(folder, "t0001", sizes=[1000])
    need = estimated_need(make_spec(), two_reported, folder=folder, num_concurrent=2)
    # Nine trials are open: two at work with three checkpoints each, seven that will end with two; one exists.
    assert need == SpaceNeed(total_bytes=(2 * 3 + 7 * 2 - 1) * 1000 + 2 * 2 * 4 * 1000, sure_bytes=2 * 1000)


def test_need_is_estimated_while_another_thread_adds_trials(
    folder: RunFolder, two_reported: StudyState, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(folder, "t0000", sizes=[1000])
    state, has_ended = two_reported, Trial.has_ended

    def has_ended_while_one_is_added(trial: Trial) -> bool:
        state.trials[f"t{len(state.trials):04d}"] = trial
        return bool(has_ended.__get__(trial))

    monkeypatch.setattr(Trial, "has_ended", property(has_ended_while_one_is_added))
    need = estimated_need(make_spec(), state, folder=folder, num_concurrent=2)
    assert need.sure_bytes == 2 * 1000


def test_links_and_drafts_are_neither_counted_nor_followed(tmp_path: Path, folder: RunFolder) -> None:
    save(folder, "t0000", sizes=[10])
    (folder.checkpoints / "t0000" / ".epoch-0002.tmp").mkdir()
    (folder.checkpoints / "t0001").symlink_to(folder.checkpoints / "t0000")
    assert checkpoint_sizes(folder.checkpoints) == {"t0000": [10]}
    assert checkpoint_sizes(tmp_path / "none") == {}


def test_shortage_names_the_place_what_is_free_and_what_to_do(folder: RunFolder, disk: dict[str, int]) -> None:
    places = [Disk(name="the run folder", path=folder.root)]
    assert shortage(places, min_free_gb=0.2) == ""
    disk["free"] = 150_000_000
    assert shortage(places, min_free_gb=0.2) == (
        f"{folder.root} (the run folder): 150.0 MB free, storage.min_free_gb asks for 200.0 MB; make room there, or "
        "lower storage.min_free_gb"
    )
    assert shortage(places, min_free_gb=0) == full_places(places) == ""
    told = full_places(places, is_certain=True)
    assert told == f"; 150.0 MB are free in {folder.root} (the run folder): make room there"
    disk["free"] = 4096
    assert full_places(places) == f"; {folder.root} (the run folder) is full: make room there"


def make_watch(folder: RunFolder, told: list[str], *, times: list[float]) -> SpaceWatch:
    folder.journal.touch()
    return SpaceWatch(
        make_spec(),
        folder=folder,
        places=[Disk(name="the run folder", path=folder.root)],
        notify=told.append,
        clock=lambda: times[0],
    )


def test_watch_looks_now_and_then_and_ends_the_session_when_room_runs_short(
    folder: RunFolder, disk: dict[str, int]
) -> None:
    times = [0.0]
    watch = make_watch(folder, [], times=times)
    disk["free"] = 0
    watch.check_if_due(StudyState(), num_concurrent=1)
    times[0] = PERIOD_SECONDS
    with pytest.raises(DiskSpaceError, match=r"0\.00 MB free, storage\.min_free_gb asks for"):
        watch.check_if_due(StudyState(), num_concurrent=1)


def test_watch_warns_once_when_the_first_reports_tell_of_more_than_there_is(
    folder: RunFolder, two_reported: StudyState, disk: dict[str, int]
) -> None:
    told: list[str] = []
    times = [0.0]
    watch = make_watch(folder, told, times=times)
    save(folder, "t0000", sizes=[100_000])
    disk["free"] = 200_500_000
    for times[0] in (10.0, 20.0):
        watch.check_if_due(two_reported, num_concurrent=2)
    assert len(told) == 1
    assert told[0].startswith("warning: disk: needs about 1.3 MB for checkpoints and exports, 200.5 MB free in")
    assert "the study will pause" in told[0]


def test_study_does_not_begin_without_room_for_its_next_checkpoints(
    folder: RunFolder, two_reported: StudyState, disk: dict[str, int]
) -> None:
    save(folder, "t0001", sizes=[600_000])
    disk["free"] = 1_000_000
    with pytest.raises(DiskSpaceError, match=r"the next checkpoints alone take 1\.2 MB, but 1\.0 MB are free"):
        make_watch(folder, [], times=[0.0]).begin(two_reported, num_concurrent=2)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_run_folder_that_is_gone_ends_the_session(folder: RunFolder, disk: dict[str, int], is_replaced: bool) -> None:
    watch = make_watch(folder, [], times=[0.0])
    watch.check()
    folder.root.rename(folder.root.with_name("elsewhere"))
    if is_replaced:
        folder.root.mkdir()
        folder.journal.touch()
    with pytest.raises(StudyFailedError, match="was removed or replaced while the study ran; put it back"):
        watch.check()
