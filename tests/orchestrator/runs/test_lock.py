"""One driver at a time, known by name; one that died is replaced with a word, one that was replaced writes no more."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.driver.endings import pause
from orchestrator.driver.interrupts import OneInterrupt
from orchestrator.driver.runner import report_session
from orchestrator.driver.session import Session
from orchestrator.errors import RunFolderError, StudyPausedError
from orchestrator.journal.file import Journal, read_journal
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import SessionStarted
from orchestrator.journal.study_state import fold
from orchestrator.results.writer import TableWriter
from orchestrator.runs import lock as locks
from orchestrator.runs.lock import HEARTBEAT_SECONDS, LIMIT_SECONDS, DriverLock, driver_lock, is_driver_alive
from orchestrator.runs.owner import Owner, read_owner, write_owner
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_study
from trainables.machine.processes import BOOT_ID

NOW = 1_760_000_000.0
#: A driver that says who it is and then waits to be killed.
DRIVER = """
import sys
from pathlib import Path
from orchestrator.runs import lock as locks
from orchestrator.runs.lock import driver_lock
from orchestrator.runs.paths import RunFolder
locks.HEARTBEAT_SECONDS = 3600
with driver_lock(RunFolder(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""
ELSEWHERE = Owner(
    token="t",
    host="node-7",
    boot="another system",
    pid=4711,
    process_started_at=9,
    command=["convfleet", "run", "s.yaml"],
    since=NOW - 600,
    heartbeat=NOW,
)


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


@pytest.fixture
def another_driver(folder: RunFolder) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def take(folder: RunFolder, **options: Any) -> list[str]:
    """Returns what is told when the folder is taken."""
    told: list[str] = []
    with driver_lock(folder, notify=told.append, **options):
        pass
    return told


def test_second_driver_is_told_host_pid_since_when_and_the_last_heartbeat(
    folder: RunFolder, another_driver: subprocess.Popen[str]
) -> None:
    who = rf"host \S+, pid {another_driver.pid}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC, last heard of \S+ s ago"
    with pytest.raises(RunFolderError, match=rf"another convfleet is at work on it \({who}\); wait for it or stop it"):
        take(folder)
    assert is_driver_alive(folder)


def test_driver_whose_lock_file_was_removed_is_known_by_its_process(
    folder: RunFolder, another_driver: subprocess.Popen[str]
) -> None:
    folder.lock.unlink()
    with pytest.raises(
        RunFolderError, match=rf"another convfleet is at work on it \(host \S+, pid {another_driver.pid},"
    ):
        take(folder)
    # A later process of the same number is another one.
    owner = read_owner(folder)
    assert owner is not None
    write_owner(folder, replace(owner, process_started_at=owner.process_started_at - 1))
    assert take(folder) == [f"the last driver on {owner.where} died; taking over"]


def test_killed_driver_of_this_machine_is_replaced_at_once_with_a_word(
    folder: RunFolder, another_driver: subprocess.Popen[str]
) -> None:
    another_driver.kill()
    another_driver.wait()
    assert not is_driver_alive(folder)
    (word,) = take(folder)
    assert word.endswith(f"(pid {another_driver.pid}) died; taking over")
    assert word.startswith("the last driver on ")
    # Its own end was a clean one, so the next driver has nothing to tell.
    assert not folder.driver.exists()
    assert take(folder) == []


@pytest.mark.parametrize(("age", "wait"), [(0.0, "60 s"), (12.0, "48 s"), (59.0, "1 s"), (-30.0, "90 s")])
def test_driver_heard_of_on_another_machine_is_left_alone(folder: RunFolder, age: float, wait: str) -> None:
    write_owner(folder, ELSEWHERE.heard_of(at=NOW - age))
    before = folder.driver.read_bytes()
    assert is_driver_alive(folder, clock=Clock())
    with pytest.raises(RunFolderError, match=rf"\(host node-7, pid 4711, since .*; try again in {wait}: unless"):
        take(folder, clock=Clock())
    assert folder.driver.read_bytes() == before


def test_driver_not_heard_of_for_long_on_another_machine_is_replaced_with_a_word(folder: RunFolder) -> None:
    write_owner(folder, ELSEWHERE.heard_of(at=NOW - 185))
    assert not is_driver_alive(folder, clock=Clock())
    told = take(folder, clock=Clock())
    assert told == ["the driver on node-7 (pid 4711) was last heard of 3 min 05 s ago; taking over"]


def test_clock_far_ahead_on_another_machine_is_named_as_the_trouble(folder: RunFolder) -> None:
    write_owner(folder, ELSEWHERE.heard_of(at=NOW + 7200))
    with pytest.raises(RunFolderError, match=r"clocks of the two machines differ by 7200 s or more: set them, and rem"):
        take(folder, clock=Clock())


@pytest.mark.parametrize(
    ("boot", "host", "is_here"),
    [(BOOT_ID, "container-2", True), ("another system", "this", False), ("", "this", True), ("", "node-7", False)],
)
def test_machine_is_known_by_its_running_system_then_by_its_name(
    monkeypatch: pytest.MonkeyPatch, boot: str, host: str, is_here: bool
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "this")
    assert replace(ELSEWHERE, boot=boot, host=host).is_here is is_here


def test_owner_file_is_its_owners_alone_and_gone_at_the_end(folder: RunFolder) -> None:
    with driver_lock(folder, clock=Clock()):
        owner = read_owner(folder)
        assert owner is not None
        assert (owner.pid, owner.since, owner.heartbeat) == (os.getpid(), NOW, NOW)
        assert owner.process_started_at > 0
        assert owner.is_here
        for path in (folder.driver, folder.lock):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert is_driver_alive(folder)
    assert not folder.driver.exists()


def test_heartbeat_moves_only_the_time_it_was_last_alive(folder: RunFolder) -> None:
    clock = Clock()
    with driver_lock(folder, clock=clock) as lock:
        before = json.loads(folder.driver.read_text(encoding="utf-8"))
        clock.now += HEARTBEAT_SECONDS
        lock.beat()
        assert json.loads(folder.driver.read_text(encoding="utf-8")) == before | {"heartbeat": clock.now}


def test_disk_that_takes_no_heartbeat_does_not_end_the_study(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("orchestrator.runs.owner.write_whole", full)
    with driver_lock(folder) as lock:
        lock.beat()
        lock.check()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": 1}', "[" * 100_000, '{"token": "t", "since": 1e999}', "\0"])
def test_damaged_owner_file_names_nobody_and_is_replaced(folder: RunFolder, text: str) -> None:
    folder.driver.write_text(text, encoding="utf-8")
    assert read_owner(folder) is None
    assert take(folder) == []


def test_drafts_of_a_driver_that_died_are_removed(folder: RunFolder) -> None:
    drafts = [folder.root / f".{name}.x1_y.tmp" for name in ("trials.parquet", "study.yaml", ".driver.json")]
    # Anybody may write a report at any time.
    others = [folder.root / ".report.html.x1_y.tmp", folder.journal]
    for path in [*drafts, *others]:
        path.touch()
    take(folder)
    assert [path.exists() for path in drafts] == [False] * 3
    assert [path.exists() for path in others] == [True] * 2


@pytest.fixture
def recorder(folder: RunFolder, begin: Any) -> Iterator[tuple[Recorder, DriverLock, Clock]]:
    clock = Clock()
    with driver_lock(folder, clock=clock) as lock, Journal(folder.journal, check=lock.check) as journal:
        recorder = Recorder(journal, state=fold([]), folder=folder, clock=clock)
        for record in begin():
            recorder.append(record)
        yield recorder, lock, clock


def overtake(folder: RunFolder) -> None:
    write_owner(folder, replace(ELSEWHERE, since=NOW + 300))


def others_record(folder: RunFolder) -> None:
    # Another machine's driver: this system's lock does not reach it.
    with Journal(folder.journal) as journal:
        journal.append(SessionStarted(driver_pid=4711, slots=1, at=NOW))


@pytest.mark.parametrize("notices", ["heartbeat", "sleep", "journal"])
def test_driver_that_was_replaced_writes_no_more(
    folder: RunFolder, recorder: tuple[Recorder, DriverLock, Clock], notices: str
) -> None:
    mine, lock, clock = recorder
    TableWriter(folder, recorder=mine).write()
    if notices == "journal":
        others_record(folder)
    else:
        overtake(folder)
    if notices == "heartbeat":
        lock.beat()
    elif notices == "sleep":
        # No heartbeat was possible; the next record comes first.
        clock.now += LIMIT_SECONDS + 1
    content = {path: path.read_bytes() for path in (folder.journal, folder.trials, folder.epochs)}
    records, state = list(read_journal(folder.journal)), mine.state.num_records
    with pytest.raises(StudyPausedError, match=r"writes no more.*`convfleet status"):
        mine.append(SessionStarted(driver_pid=1, slots=1, at=NOW))
    with pytest.raises(StudyPausedError, match="writes no more"):
        TableWriter(folder, recorder=mine).write()
    assert list(read_journal(folder.journal)) == records
    assert mine.state.num_records == state
    assert {path: path.read_bytes() for path in content} == content


def test_session_that_was_replaced_ends_without_a_word_in_the_journal(
    folder: RunFolder, recorder: tuple[Recorder, DriverLock, Clock]
) -> None:
    mine, lock, _ = recorder
    spec = load_study("quickstart")
    session = Session(folder=folder, spec=spec, recorder=mine, interrupt=OneInterrupt(), address=None, progress=None)
    content = folder.journal.read_bytes()
    overtake(folder)
    lock.beat()
    pause(session, "interrupted")
    with pytest.raises(StudyPausedError, match=r"another driver on node-7 \(pid 4711\) has taken over this run"):
        report_session(session)
    assert mine.pause_requested.is_set()
    assert folder.journal.read_bytes() == content
    assert not folder.trials.exists()


def test_driver_that_was_replaced_leaves_the_owner_file_to_the_other(folder: RunFolder) -> None:
    with driver_lock(folder, clock=Clock()) as lock:
        overtake(folder)
        lock.beat()
        assert lock.is_lost.is_set()
    owner = read_owner(folder)
    assert owner is not None
    assert owner.host == "node-7"


def test_driver_whose_owner_file_was_removed_writes_it_again(folder: RunFolder) -> None:
    with driver_lock(folder) as lock:
        folder.driver.unlink()
        lock.beat()
        lock.check()
        assert read_owner(folder) is not None


def test_heartbeat_comes_often_enough_to_be_heard() -> None:
    assert locks.HEARTBEAT_SECONDS * 3 < locks.LIMIT_SECONDS
