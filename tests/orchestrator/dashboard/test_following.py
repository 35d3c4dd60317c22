"""A run as it is followed: any way of growing gives the state of the whole journal; faults are told, and mend."""

import gc
import random
import shutil
import time
import weakref
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from dashboards.made_runs import made_run

pytest.importorskip("nicegui")

from orchestrator.dashboard.parts.steering import is_driven_here, is_free_to_begin
from orchestrator.dashboard.watching.followed import MOST_ANSWERS, FollowedRun
from orchestrator.dashboard.watching.runs import WatchedRuns
from orchestrator.dashboard.watching.settings import differing_settings
from orchestrator.errors import InputError
from orchestrator.journal.file import Journal
from orchestrator.journal.reading import load_state
from orchestrator.journal.records import Record, TrialNoted, TrialStarted
from orchestrator.journal.study_state import StudyState
from orchestrator.mirror.fetch import fetched_run
from orchestrator.mirror.journal import read_remote_journal
from orchestrator.mirror.mirror import open_mirror
from orchestrator.mirror.places import runs_below
from orchestrator.runs.lock import driver_lock
from orchestrator.runs.paths import RunFolder
from trainables.files.remote import RemoteFolder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return made_run(tmp_path_factory.mktemp("runs") / "made", num_trials=8, num_epochs=4, schedule="asha")


def copy_of(made: RunFolder, folder: Path) -> RunFolder:
    shutil.copytree(made.root, folder)
    return RunFolder(folder)


def run_of(folder: RunFolder) -> FollowedRun:
    run = FollowedRun("run", folder)
    run.poll()
    return run


@pytest.mark.parametrize("seed", range(5))
def test_journal_that_grows_by_any_pieces_gives_the_state_of_the_whole(
    made: RunFolder, tmp_path: Path, seed: int
) -> None:
    folder, data = copy_of(made, tmp_path / "run"), made.journal.read_bytes()
    run, at, rng = FollowedRun("run", folder), 0, random.Random(seed)
    folder.journal.write_bytes(b"")
    versions = []
    while at < len(data):
        at = min(len(data), at + rng.randint(1, 2000))
        # As an appending driver does: the same file gets longer, also by half a line.
        with folder.journal.open("r+b") as file:
            file.write(data[:at])
        run.poll()
        versions.append(run.version)
    assert run.problem == ""
    assert run.state == load_state(made)
    assert versions == sorted(versions)
    assert not run.poll()


def test_what_was_answered_is_answered_anew_only_for_a_new_version(made: RunFolder) -> None:
    run, asked = FollowedRun("run", made), []
    run.poll()
    for _ in range(3):
        assert run.answer("question", lambda: asked.append(1) or len(asked)) == 1
    run.version += 1
    assert run.answer("question", lambda: asked.append(1) or len(asked)) == 2


def test_answers_that_nobody_asks_for_any_more_are_let_go(made: RunFolder) -> None:
    run, alive = run_of(made), weakref.WeakSet[Any]()

    class Figure:
        def __init__(self) -> None:
            alive.add(self)

    for number in range(10 * MOST_ANSWERS):
        run.answer(("curves", number), Figure)
        run.answer("rows", lambda place=number: [place])
    gc.collect()
    assert len(alive) <= MOST_ANSWERS
    assert run.answer("rows", list) == [0]


def test_damage_is_told_with_its_line_and_what_was_whole_stays(made: RunFolder, tmp_path: Path) -> None:
    folder = copy_of(made, tmp_path / "run")
    lines = made.journal.read_bytes().splitlines(keepends=True)
    folder.journal.write_bytes(b"".join([*lines[:6], lines[6].replace(b"0", b"1", 1), *lines[7:]]))
    run = FollowedRun("run", folder)
    assert run.poll()
    assert "line 7: not a record" in run.problem
    assert "convfleet repair" in run.problem
    assert run.num_records == 6
    shutil.copy(made.journal, tmp_path / "whole")
    (tmp_path / "whole").replace(folder.journal)
    assert run.poll()
    assert (run.problem, run.state) == ("", load_state(made))


def test_record_that_cannot_be_true_is_told_for_as_long_as_it_is_there(made: RunFolder, tmp_path: Path) -> None:
    folder = copy_of(made, tmp_path / "run")
    with Journal(folder.journal) as journal:
        num_whole = run_of(folder).num_records
        journal.append(TrialStarted(trial="t0777", at=1.8e9))
        journal.append(TrialNoted(trial="t0001", kind="late", text="of what nobody knows", at=1.8e9))
    run = FollowedRun("run", folder)
    for _ in range(3):
        run.poll()
        assert f"record {num_whole + 1} cannot be true (a record names trial 't0777'" in run.problem
        assert run.state.trials["t0001"].notes == []
    shutil.copy(made.journal, tmp_path / "whole")
    (tmp_path / "whole").replace(folder.journal)
    assert run.poll()
    assert (run.problem, run.state) == ("", load_state(made))


def test_pages_see_the_earlier_journal_until_another_one_is_read_whole(made: RunFolder, tmp_path: Path) -> None:
    run = run_of(copy_of(made, tmp_path / "run"))
    seen, apply = set[int](), StudyState.apply

    def watched(state: StudyState, record: Record) -> None:
        seen.add(len(run.state.trials))
        apply(state, record)

    shutil.copy(made.journal, tmp_path / "whole")
    (tmp_path / "whole").replace(run.folder.journal)
    with patch.object(StudyState, "apply", watched):
        # As many records as before, and perhaps other ones.
        assert run.poll()
    assert seen == {len(run.state.trials)}


def test_run_that_vanishes_keeps_what_was_read_and_says_so(made: RunFolder, tmp_path: Path) -> None:
    folder = copy_of(made, tmp_path / "run")
    run = FollowedRun("run", folder)
    run.poll()
    shutil.rmtree(folder.root)
    assert run.poll()
    assert "gone" in run.problem
    assert run.state == load_state(made)


def test_runs_that_come_later_are_found_and_names_that_meet_stay_apart(made: RunFolder, tmp_path: Path) -> None:
    for place in ("one", "other"):
        copy_of(made, tmp_path / place / "made")
    runs = WatchedRuns([tmp_path / "one", tmp_path / "other" / "made"])
    assert runs.look()
    assert [run.key for run in runs.all] == ["made", "made~2"]
    copy_of(made, tmp_path / "one" / "later")
    assert runs.look()
    assert runs.get("later") is not None
    assert not runs.look()


def test_run_that_two_places_hold_is_one_run(made: RunFolder, tmp_path: Path) -> None:
    folder = copy_of(made, tmp_path / "runs" / "made")
    (tmp_path / "linked").symlink_to(tmp_path / "runs")
    runs = WatchedRuns([tmp_path / "runs", folder.root, tmp_path / "linked", tmp_path / "runs" / ".." / "runs"])
    assert runs.look()
    assert [run.key for run in runs.all] == ["made"]
    assert not runs.look()


def test_place_that_is_not_there_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder; give a folder of runs"):
        WatchedRuns([tmp_path / "none"])


def test_settings_in_which_runs_differ_are_named_as_in_the_study_file(made: RunFolder) -> None:
    other = made_run(made.root.parent / "other", num_trials=3, num_epochs=4)
    rows = differing_settings([FollowedRun("made", made), FollowedRun("other", other)])
    assert {row["what"] for row in rows} == {"name", "schedule.algorithm", "search.trials"}
    assert {"what": "search.trials", "made": "8", "other": "3"} in rows


def test_run_in_a_storage_is_fetched_again_and_a_storage_that_is_away_is_told(made: RunFolder, tmp_path: Path) -> None:
    place, lines = f"file://{tmp_path}/elsewhere", made.journal.read_bytes().splitlines(keepends=True)
    folder = copy_of(made, tmp_path / "first" / "made")
    for some in (lines[:9], lines):
        folder.journal.write_bytes(b"".join(some))
        assert open_mirror(folder, place, notify=lambda text: None).close() == ""
        if some is not lines:
            root = fetched_run(f"{place}/made", runs=tmp_path / "second")
            runs = WatchedRuns([root], fetched={root: f"{place}/made"})
            runs.look()
            (run,) = runs.all
            run.poll()
            assert (run.num_records, run.uri) == (9, f"{place}/made")
    runs.fetch_again(run)
    run.poll()
    assert (run.problem, run.state) == ("", load_state(made))
    shutil.rmtree(tmp_path / "elsewhere")
    runs.fetch_again(run)
    run.poll()
    assert "its storage cannot be read now" in run.problem
    assert run.state == load_state(made)


def test_runs_of_a_folder_in_a_storage_are_found_also_those_that_come_later(made: RunFolder, tmp_path: Path) -> None:
    place = f"file://{tmp_path}/elsewhere"
    runs = WatchedRuns([], stores=[place], copies=tmp_path / "copies")
    assert (runs.new_in_stores(), runs.troubles) == ([], {})
    for name in ("one", "other"):
        assert open_mirror(copy_of(made, tmp_path / "first" / name), place, notify=lambda text: None).close() == ""
        (tmp_path / "elsewhere" / "no-run" / name).mkdir(parents=True)
        assert runs.new_in_stores() == [f"{place}/{name}"]
        runs.bring(f"{place}/{name}")
        assert runs.new_in_stores() == []
        assert runs.look()
    assert [(run.key, run.uri) for run in runs.all] == [("one", f"{place}/one"), ("other", f"{place}/other")]
    run = run_of(runs.all[1].folder)
    assert (run.problem, run.state) == ("", load_state(made))
    assert runs_below(f"{place}/one") is None


def test_run_of_a_storage_that_cannot_be_copied_is_told_and_tried_again(made: RunFolder, tmp_path: Path) -> None:
    place = f"file://{tmp_path}/elsewhere"
    assert open_mirror(copy_of(made, tmp_path / "first" / "made"), place, notify=lambda text: None).close() == ""
    made_run(tmp_path / "copies" / "made", num_trials=2, num_epochs=1)
    runs = WatchedRuns([], stores=[place], copies=tmp_path / "copies")
    runs.bring(f"{place}/made")
    (trouble,) = runs.troubles.values()
    assert trouble.startswith(f"{place}/made: ")
    assert (runs.look(), runs.new_in_stores()) == (False, [f"{place}/made"])
    shutil.rmtree(tmp_path / "copies")
    runs.bring(f"{place}/made")
    assert (runs.look(), runs.troubles) == (True, {})


def test_copy_of_a_run_says_whether_a_driver_is_at_work_on_another_machine(made: RunFolder, tmp_path: Path) -> None:
    place = f"file://{tmp_path}/elsewhere"
    folder = copy_of(made, tmp_path / "first" / "made")
    mirror = open_mirror(folder, place, notify=lambda text: None)
    whole = made.journal.read_bytes()
    until = time.monotonic() + 60
    while read_remote_journal(RemoteFolder.open(f"{place}/made")).data != whole or runs_below(place) != [
        f"{place}/made"
    ]:
        assert time.monotonic() < until, "the storage does not get the run"
        time.sleep(0.02)
    root = fetched_run(f"{place}/made", runs=tmp_path / "second")
    runs = WatchedRuns([root], fetched={root: f"{place}/made"})
    runs.look()
    (run,) = runs.all
    run.poll()
    assert (run.is_elsewhere, is_driven_here(run), is_free_to_begin(run)) == (None, False, False)
    runs.ask_elsewhere(run)
    again(run)
    assert (run.is_elsewhere, run.is_alive, is_driven_here(run), is_free_to_begin(run)) == (True, True, False, False)
    assert mirror.close() == ""
    runs.ask_elsewhere(run)
    again(run)
    assert (run.is_elsewhere, run.is_alive, is_driven_here(run), is_free_to_begin(run)) == (False, False, False, True)
    # A copy that is brought up to date is held as a driver holds a run, and no driver is at work on it.
    with run.copying, driver_lock(run.folder):
        again(run)
        assert not run.is_alive
    with driver_lock(run.folder):
        again(run)
        assert (is_driven_here(run), is_free_to_begin(run)) == (True, False)


def again(run: FollowedRun) -> None:
    """Asks at once whether a driver is at work, and not after some seconds."""
    run._asked_alive_at = 0.0
    run.poll()


def test_another_journal_in_the_same_file_is_told_from_one_that_grew(made: RunFolder, tmp_path: Path) -> None:
    other = made_run(tmp_path / "other", num_trials=12, num_epochs=5)
    folder = copy_of(made, tmp_path / "run")
    run = FollowedRun("run", folder)
    run.poll()
    folder.journal.write_bytes(other.journal.read_bytes())
    assert run.poll()
    assert (run.problem, run.state) == ("", load_state(other))
