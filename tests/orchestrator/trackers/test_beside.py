"""Trackers beside a run get all of it, and nothing that becomes of them is the driver's trouble."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_runs import ROOT
from tracked_runs import FINISHED, write_run

from orchestrator.errors import RunFolderError
from orchestrator.runs.paths import RunFolder
from orchestrator.study.spec import TRACKER_PACKAGES
from orchestrator.trackers import beside
from orchestrator.trackers.beside import trackers_beside
from orchestrator.trackers.cursor import one_sender, read_cursor
from orchestrator.trackers.tracking import TRACKERS

#: Longer than a process takes to start on the slowest of machines.
PATIENCE_SECONDS = 120.0
needs_tensorboard = pytest.mark.skipif(
    beside.tracker_problem("tensorboard") != "",
    reason="needs the extra tensorboard: pip install 'convfleet[tensorboard]'",
)


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def wait(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < until, "not seen"
        time.sleep(0.02)


def sent(folder: RunFolder) -> int:
    return read_cursor(folder, tracker="tensorboard").after.number


@needs_tensorboard
def test_run_is_sent_while_it_grows_and_the_last_records_are_there_at_the_end(tmp_path: Path) -> None:
    folder, told = write_run(tmp_path / "run", ()), list[str]()
    with trackers_beside(folder, notify=told.append) as begin:
        begin(["tensorboard"])
        begin(["tensorboard"])
        write_run(tmp_path / "run", FINISHED[:20])
        wait(lambda: sent(folder) == 20)
        write_run(tmp_path / "run", FINISHED)
    assert sent(folder) == len(FINISHED)
    assert list(folder.tensorboard.glob("t*"))
    assert [text for text in told if "get the rest" not in text] == []


@needs_tensorboard
def test_session_without_a_record_starts_nothing_that_stays(tmp_path: Path) -> None:
    folder, told = write_run(tmp_path / "run", ()), list[str]()
    with trackers_beside(folder, notify=told.append) as begin:
        begin(["tensorboard"])
    assert [text for text in told if "get the rest" not in text] == []
    assert not folder.tensorboard.exists()
    with trackers_beside(folder, notify=told.append) as begin:
        begin([])
    assert not folder.trackers.exists()


def test_tracker_that_is_away_is_a_note_and_the_others_get_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow", reason="needs the extra mlflow: pip install 'convfleet[mlflow]'")
    pytest.importorskip("tensorboard", reason="needs the extra tensorboard: pip install 'convfleet[tensorboard]'")
    # A port on which nothing listens.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    folder, told = write_run(tmp_path / "run"), list[str]()
    with trackers_beside(folder, notify=told.append) as begin:
        begin(["mlflow", "tensorboard"])
        wait(lambda: any("; trying again" in text for text in told))
        wait(lambda: sent(folder) == len(FINISHED))
    assert told[0].startswith("track: ")
    assert "127.0.0.1" in told[0]
    assert told[-1].startswith("track: not everything was sent (")
    assert told[-1].endswith(f"; `convfleet track {folder.quoted} --to mlflow --to tensorboard` sends the rest")


@needs_tensorboard
def test_tracker_that_another_process_holds_is_tried_again(tmp_path: Path) -> None:
    folder, told = write_run(tmp_path / "run"), list[str]()
    with trackers_beside(folder, notify=told.append) as begin, one_sender(folder, tracker="tensorboard"):
        begin(["tensorboard"])
        wait(lambda: any("sends it to tensorboard already" in text for text in told))
        assert sent(folder) == 0
    assert sent(folder) == len(FINISHED)


def test_tracker_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(beside, "tracker_problem", lambda name: "")
    monkeypatch.setattr(beside, "FINISH_SECONDS", 0.1)
    monkeypatch.setattr(beside, "_SHORT_SECONDS", 0.1)
    folder, told = write_run(tmp_path / "run"), list[str]()
    with trackers_beside(folder, notify=told.append) as begin:
        begin(["wandb"])
    assert told == [
        "track: wandb get the rest of the run",
        f"track: not everything was sent within 0.1 s; `convfleet track {folder.quoted} --to wandb` sends the rest",
    ]
    assert [thread.name for thread in threading.enumerate() if thread.name == "track"] == []


def test_tracker_that_is_not_installed_or_cannot_start_is_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, told = write_run(tmp_path / "run"), list[str]()
    monkeypatch.setattr(beside, "tracker_problem", lambda name: "'wandb' needs wandb" if name == "wandb" else "")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with trackers_beside(folder, notify=told.append) as begin:
        begin(["wandb", "mlflow"])
    assert told[0] == "track: 'wandb' needs wandb; the study goes on without it"
    assert told[1].startswith("track: nothing is sent while the study runs (")
    assert told[1].endswith("--to mlflow` sends the rest")


@needs_tensorboard
def test_driver_that_is_killed_leaves_a_process_that_sends_what_there_is_and_ends(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", FINISHED[:20])
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom orchestrator.runs.paths import RunFolder\n"
        "from orchestrator.trackers.beside import trackers_beside\n"
        "with trackers_beside(RunFolder(Path(sys.argv[1])), notify=print) as begin:\n"
        "    begin(['tensorboard'])\n    print('begun', flush=True)\n    time.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(folder.root)], stdout=subprocess.PIPE) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == b"begun\n"
        wait(lambda: sent(folder) == 20)
        write_run(tmp_path / "run", FINISHED)
        driver.kill()
    wait(lambda: sent(folder) == len(FINISHED))
    # It holds the tracker's lock for as long as it lives.
    wait(lambda: is_free(folder))


def is_free(folder: RunFolder) -> bool:
    try:
        with one_sender(folder, tracker="tensorboard"):
            return True
    except RunFolderError:
        return False


def test_study_files_name_the_trackers_that_there_are_with_their_packages() -> None:
    assert {name: facts.package for name, facts in TRACKERS.items()} == TRACKER_PACKAGES
