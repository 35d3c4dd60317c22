"""Reference rows are computed once, beside the trials; a study does without them where that fails."""

import json
import threading

import pytest

from orchestrator.driver import references
from orchestrator.driver.references import ReferenceRows
from orchestrator.runs.paths import RunFolder
from trainables.errors import DataError
from trainables.specs.dataset import DatasetInfo
from trainables.specs.pixels import PixelStatistics
from trainables.specs.task import Task

ROWS = [{"name": "majority class", "is_blind": True, "metrics": {"val_accuracy": 0.2}}]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "journal.jsonl").write_text("")
    return RunFolder(tmp_path)


@pytest.fixture
def asked(monkeypatch):
    """Takes the place of the child process; has the fingerprints that it was asked for."""
    found = []

    def answer(dataset):
        found.append(dataset.fingerprint)
        return {"rows": ROWS, "seconds": 0.5}

    monkeypatch.setattr(references, "references_in_process", answer)
    return found


def dataset(fingerprint="a"):
    return DatasetInfo(
        key="k",
        split_key="s",
        folder="/nowhere",
        task=Task.classification(input_shape=(8, 8, 1), num_classes=3),
        statistics=PixelStatistics(means=(0.0,), deviations=(1.0,)),
        num_train=1,
        num_validation=1,
        num_test=1,
        fingerprint=fingerprint,
    )


def computed(folder, info, notify=print):
    rows = ReferenceRows(folder)
    rows.begin(info)
    rows.finish(notify=notify)


def test_rows_are_kept_and_found_again_by_later_sessions(folder, asked):
    computed(folder, dataset())
    kept = folder.references.read_bytes()
    assert json.loads(kept) == {"schema": 1, "dataset": "a", "rows": ROWS, "seconds": 0.5}
    computed(folder, dataset())
    assert asked == ["a"]
    assert folder.references.read_bytes() == kept


@pytest.mark.parametrize("damage", ["", "{", '{"schema": 1, "dataset": "other", "rows": []}'])
def test_rows_that_are_lost_damaged_or_of_other_data_are_computed_anew(folder, asked, damage):
    folder.references.write_text(damage)
    computed(folder, dataset())
    assert json.loads(folder.references.read_bytes())["rows"] == ROWS


def test_problem_is_told_at_the_end_and_breaks_nothing(folder, monkeypatch):
    def fail(_):
        raise DataError("the process ended; its last lines were:\nMemoryError")

    monkeypatch.setattr(references, "references_in_process", fail)
    told = []
    computed(folder, dataset(), notify=told.append)
    assert told == ["references: the leaderboard has none (the process ended: MemoryError)"]
    assert not folder.references.exists()


def test_end_of_a_study_does_not_wait_for_long(folder, monkeypatch):
    is_over = threading.Event()
    monkeypatch.setattr(references, "WAIT_SECONDS", 0.01)
    monkeypatch.setattr(references, "references_in_process", lambda _: is_over.wait(60) and {"rows": []})
    told = []
    computed(folder, dataset(), notify=told.append)
    is_over.set()
    assert told == ["references: the leaderboard has none (not ready 0 s after the last trial)"]


def test_nothing_is_written_into_a_folder_that_was_removed_or_told_where_nothing_began(folder, asked):
    folder.journal.unlink()
    told = []
    computed(folder, dataset(), notify=told.append)
    assert not folder.references.exists()
    ReferenceRows(folder).finish(notify=told.append)
    assert told == []
