"""Means over replicates in terminal, JSON, report and Python; a study without replicates looks as ever."""

import re
from io import StringIO
from pathlib import Path

import pytest
from driven_studies import drive, noisy, spec_of
from rich.console import Console

from orchestrator.driver.result import StudyResult
from orchestrator.journal.records import StudyFinished
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.replicates.from_state import replicated
from orchestrator.replicates.words import mean_in_words
from orchestrator.runs.paths import RunFolder
from orchestrator.text import number
from orchestrator.views.report import write_report
from orchestrator.views.terminal.events import Events
from orchestrator.views.terminal.live_view import live_view
from orchestrator.views.terminal.status_json import status_json
from orchestrator.views.terminal.summary import print_summary


def finished(folder: Path, **search) -> StudyState:
    return fold([*drive(folder, spec_of(**search)), StudyFinished(at=100.0)])


def printed(*shown, state: StudyState | None = None, folder: Path | None = None) -> str:
    console = Console(file=StringIO(), width=200, color_system=None)
    if state is not None and folder is not None:
        print_summary(console, state, folder=RunFolder(folder))
    for item in shown:
        console.print(item)
    return re.sub(r" +", " ", console.file.getvalue())


@pytest.fixture
def study(tmp_path: Path) -> StudyState:
    return finished(tmp_path)


def test_terminal_shows_means_first_with_ties_and_counts_trials_of_the_search(study, tmp_path):
    text = printed(state=study, folder=tmp_path)
    found = replicated(study)
    assert "rank trial state best val_accuracy replicates' mean at epoch" in text
    for item in found:
        assert f"{mean_in_words(item)} " in text
        assert f" ({item.interval[0]:.2f} to " in text or f" ({item.interval[0]:.3f} to " in text
    ranks = re.findall(r"^ *(\d=?) (t\d{4})", text, flags=re.MULTILINE)
    tied = {item.trial for item in found if item.is_tied}
    assert len(tied) > 1
    assert [name for label, name in ranks if label == "1="] == [item.trial for item in found if item.is_tied]
    assert f"again {' and '.join(item.trial for item in found if item.is_tied)} are tied" in text
    num_replicates = sum(map(len, study.replicates.values()))
    assert f"again {num_replicates} of {num_replicates} replicates ended" in text
    counts = re.search(r"^trials (.*) \(of 6\)", text, flags=re.MULTILINE)
    assert sum(map(int, re.findall(r"\d+", counts[1]))) == 6


def test_study_without_replicates_says_nothing_of_them(tmp_path):
    state = finished(tmp_path, replicates=0)
    page = write_report(RunFolder(tmp_path), state=state).read_text(encoding="utf-8")
    page = page.partition("<script>")[0]
    status = status_json(state, folder=RunFolder(tmp_path), is_alive=False)
    board = StudyResult(folder=RunFolder(tmp_path), state=state).leaderboard()
    for text in (
        printed(state=state, folder=tmp_path),
        page,
        repr(status),
        repr(board.column_names[1:4]),
    ):
        told = text.replace(str(tmp_path), "")
        assert "replicate" not in told
        assert "\nagain" not in told


def test_json_and_python_have_values_means_and_intervals(study, tmp_path):
    status = status_json(study, folder=RunFolder(tmp_path), is_alive=False)
    found = replicated(study)
    assert [item["trial"] for item in status["replicates"]] == [item.trial for item in found]
    assert [item["values"] for item in status["replicates"]] == [list(item.values) for item in found]
    assert sum(status["trials"].values()) == status["num_trials"] == 6
    assert status["best"]["trial"] == found[0].trial
    board = StudyResult(folder=RunFolder(tmp_path), state=study).leaderboard().to_pylist()
    told = [
        (row["replicates"], row["replicate_mean"], row["replicate_low"], row["replicate_high"]) for row in board[:3]
    ]
    assert told == [(len(item.values), item.mean, *item.interval) for item in found]
    assert (board[3]["replicates"], board[3]["replicate_mean"], board[3]["replicate_low"]) == (0, None, None)


def test_report_has_the_means_and_what_left_the_race(tmp_path):
    spec = spec_of()
    lucky = fold(drive(tmp_path / "first", spec)).trials["t0000"].variant

    def value(variant):
        return 0.99 if variant == lucky else noisy(variant) - 0.3 * (variant.params == lucky.params)

    state = fold(drive(tmp_path, spec, value=value))
    page = write_report(RunFolder(tmp_path), state=state).read_text(encoding="utf-8")
    assert "replicates&#x27; mean" in page or "replicates' mean" in page
    assert "t0000 is not trained again after" in page
    assert "by the mean over their replicates" in page
    assert number(replicated(state)[0].mean) in page


def test_live_view_counts_trials_and_replicates_apart(tmp_path):
    records = drive(tmp_path, spec_of())
    first = next(place for place, record in enumerate(records) if getattr(record, "replicate_of", ""))
    state = fold(records[: first + 1])
    console = Console(width=160)
    text = printed(live_view(state, console=console, now=100.0, elapsed_seconds=9.0))
    assert "6 of 6 trials ended, 0 of at most 12 replicates ended" in text
    assert "left" not in text
    events = [event.text for event in Events().since_last(fold(records))]
    assert any(re.match(r"t0006 started, t\d{4} again with another seed: sequential", text) for text in events)
