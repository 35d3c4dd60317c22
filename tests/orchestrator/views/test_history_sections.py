"""What happened, in the report: rungs, workers over time, mistakes of the best export; nothing where there is none."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from made_exports import write_export
from made_studies import Curve, records_of
from record_samples import opened, proposed, reported, sweep
from report_pages import HOSTILE, Page

from orchestrator.journal.records import (
    EpochReported,
    Record,
    SessionStarted,
    StudyFinished,
    TrialStarted,
    TrialStopped,
)
from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder
from orchestrator.views.report import write_report

ASHA = "schedule: {algorithm: asha, max_epochs: 9, grace_epochs: 1}\n"
PNG = b"\x89PNG\r\n\x1a\nan image"
FIGURES = {
    "label": {
        "kind": "classification",
        "unit": "images",
        "class_names": ["cat", "dog"],
        "confusion": [[8, 2], [1, 9]],
        "confusions": [["cat", "dog", 2], ["dog", "cat", 1]],
        "mistakes": {
            "images": 20,
            "wrong": 3,
            "file": "worst_mistakes.png",
            "examples": [{"place": 7, "row": 70, "label": "cat", "answer": "dog", "size": 0.98765}],
        },
    }
}
Write = Callable[..., Page]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(records: list[Record], *, study: str = ASHA, figures: Any = None) -> Page:
        folder = RunFolder(tmp_path)
        folder.study.write_text(study, encoding="utf-8")
        if figures is not None:
            files = {"model.keras": b"a model", "worst_mistakes.png": PNG}
            write_export(folder.export(rank=1, trial="t0003"), files=files, test_figures=figures)
        return Page(write_report(folder, state=fold(records)).read_text(encoding="utf-8"))

    return written


def test_rungs_tell_rank_cutoff_and_what_became_of_each_trial(write: Write) -> None:
    page = write(records_of([Curve(validation=[0.5] * 9), Curve(validation=[0.4], is_stopped=True)]))
    assert "Rungs" in page.text
    assert "epoch 1 t0000 0.5 1 of 1 went on nobody was there before" in page.text
    assert "epoch 1 t0001 0.4 2 of 2 0.5 stopped asha" in page.text
    assert "The rule is asha." in page.text
    lines = {trace["name"]: trace for trace in page.figures["rungs"]["data"] if trace["xaxis"] == "x"}
    assert set(lines) == {"cut-off", "went on", "stopped"}
    assert (lines["cut-off"]["x"], lines["cut-off"]["y"]) == ([2], [0.5])
    titles = [item["text"] for item in page.figures["rungs"]["layout"]["annotations"]]
    assert titles == ["<b>epoch 1</b>", "<b>epoch 3</b>", "<b>epoch 9</b>"]


def test_brackets_of_hyperband_are_named(write: Write) -> None:
    page = write(sweep(), study=ASHA.replace("asha", "hyperband"))
    assert "bracket 1, epoch 1" in page.text
    assert "The rule is hyperband." in page.text


@pytest.mark.parametrize("study", ["schedule: {algorithm: median}\n", "schedule: 7\n", "a: [", ""])
def test_a_study_without_rungs_or_with_a_damaged_file_has_no_section_of_them(write: Write, study: str) -> None:
    page = write(sweep(), study=study)
    assert "rungs" not in page.figures
    assert "as they were judged" not in page.text


def test_workers_are_drawn_one_a_line_and_what_stopping_saved_is_said(write: Write) -> None:
    page = write(sweep())
    fleet = page.figures["fleet"]
    assert fleet["layout"]["yaxis"]["ticktext"][:2] == ["node-a 4000", "node-a 4001"]
    assert {"train", "validate", "checkpoint", "failed"} <= {trace["name"] for trace in fleet["data"]}
    assert "Stopping 8 weak trials early saved 52 epochs, an estimated 6 min 00 s of workers' time." in page.text
    assert "are in no bar: seconds ahead of a session's begin" in page.text


def test_nothing_is_shown_where_nothing_happened(write: Write) -> None:
    page = write(sweep()[:3])
    assert page.figures == {}
    assert not any(title in page.text for title in ("Rungs", "Workers over time", "Mistakes of"))


def test_the_best_export_shows_its_confusions_and_worst_mistakes(write: Write, tmp_path: Path) -> None:
    page = write(sweep(), figures=FIGURES)
    assert "Mistakes of t0003" in page.text
    assert "cat dog 2 dog cat 1" in page.text
    assert "1 7 cat dog 0.9877" in page.text
    assert page.figures["confusion-0"]["data"][0]["customdata"] == [[8, 2], [1, 9]]
    assert page.figures["confusion-0"]["data"][0]["z"] == [[0.8, 0.2], [0.1, 0.9]]
    assert page.tags.count("img") == 1


def test_exports_of_earlier_versions_have_no_mistakes(write: Write, tmp_path: Path) -> None:
    write_export(RunFolder(tmp_path).export(rank=1, trial="t0003"))
    assert "Mistakes of" not in write(sweep()).text


@pytest.mark.parametrize(
    "figures",
    [
        7,
        {"label": 7},
        {"label": {}},
        {"label": {**FIGURES["label"], "confusion": [[1]], "confusions": 3, "mistakes": {"examples": [{}]}}},
        {"label": {**FIGURES["label"], "class_names": ["cat"], "confusions": [["a"]], "mistakes": []}},
    ],
)
def test_figures_of_another_shape_are_left_out(write: Write, figures: Any) -> None:
    page = write(sweep(), figures=figures)
    assert "confusion-0" not in page.figures
    assert "t0003" in page.text


@pytest.mark.parametrize("file", ["../../t.png", "worst_mistakes.png/", "/etc/passwd", 7, "model.keras", "a.png"])
def test_a_manifest_names_no_other_file_as_its_picture(write: Write, file: Any) -> None:
    mistakes = {**FIGURES["label"]["mistakes"], "file": file}
    page = write(sweep(), figures={"label": {**FIGURES["label"], "mistakes": mistakes}})
    assert "1 7 cat dog 0.9877" in page.text
    assert "img" not in page.tags


def test_a_picture_that_is_a_link_or_none_is_not_shown(write: Write, tmp_path: Path) -> None:
    write(sweep(), figures=FIGURES)
    picture = RunFolder(tmp_path).export(rank=1, trial="t0003") / "worst_mistakes.png"
    picture.write_bytes(b"text")
    assert "img" not in write(sweep()).tags
    (tmp_path / "elsewhere.png").write_bytes(PNG)
    picture.unlink()
    picture.symlink_to(tmp_path / "elsewhere.png")
    assert "img" not in write(sweep()).tags


def hostile(record: Record) -> Record:
    """Returns a record whose texts would be markup where they are not escaped."""
    if isinstance(record, EpochReported):
        overhead = {**record.report["overhead_seconds"], HOSTILE: 0.5}
        metrics = {HOSTILE: record.report["metrics"]["val_accuracy"]}
        report = {**record.report, "overhead_seconds": overhead, "metrics": metrics}
        return replace(record, report=report, worker={**record.worker, "node": HOSTILE})
    return replace(record, reason=HOSTILE) if isinstance(record, TrialStopped) else record


def test_no_text_of_a_run_becomes_markup(write: Write) -> None:
    label = FIGURES["label"]
    mistakes = {**label["mistakes"], "examples": [{"place": 1, "label": HOSTILE, "answer": HOSTILE, "size": 0.5}]}
    figures = {
        HOSTILE: {
            **label,
            "unit": HOSTILE,
            "class_names": [HOSTILE, "dog"],
            "confusions": [[HOSTILE, HOSTILE, 2]],
            "mistakes": mistakes,
        }
    }
    harmless = write(sweep(), figures=FIGURES)
    page = write([hostile(record) for record in sweep(metric=HOSTILE)], figures=figures)
    assert page.tags.count("script") == harmless.tags.count("script")
    assert page.tags.count("img") == harmless.tags.count("img") == 1
    assert page.text.count(HOSTILE) > 10
    shown = {"rungs", "fleet", "confusion-0"}
    assert shown <= set(page.figures)
    for name in shown:
        # Plotly makes markup of what it is given, so the figures hold escaped text.
        assert "<script" not in str(page.figures[name])
        assert "<img" not in str(page.figures[name])
        assert "&lt;script&gt;" in str(page.figures[name]) or name == "rungs"


def test_figures_are_valid_to_plotly(write: Write) -> None:
    page = write(sweep(), figures=FIGURES)
    for name in ("rungs", "fleet", "confusion-0"):
        go.Figure(page.figures[name])


def thousand_trials() -> list[Record]:
    """Returns a study of 1,000 trials of ten epochs on eight workers, a third of which asha would have stopped."""
    made: list[Record] = [opened(num_trials=1000, max_epochs=10), SessionStarted(driver_pid=1, slots=8, at=1e9)]
    ends = [1e9] * 8
    for number in range(1000):
        name, worker = f"t{number:04d}", number % 8
        made += [proposed(number, at=1e9), TrialStarted(trial=name, at=ends[worker])]
        for epoch in range(1, 11):
            ends[worker] += 20.0
            value = 0.5 + (number * 7919 % 1000) / 2500 + epoch / 100
            report = reported(number, epoch, at=ends[worker], value=value, worker_pid=worker + 1)
            made.append(replace(report, report={**report.report, "is_last": epoch == 10}))
    return [*made, StudyFinished(at=max(ends))]


def test_the_page_of_a_thousand_trials_of_ten_epochs_stays_below_8_megabytes(write: Write, tmp_path: Path) -> None:
    page = write(thousand_trials(), study=ASHA.replace("max_epochs: 9", "max_epochs: 10"))
    assert {"rungs", "fleet"} <= set(page.figures)
    assert sum(len(trace["x"]) for trace in page.figures["fleet"]["data"]) <= 5000
    assert RunFolder(tmp_path).report.stat().st_size < 8_000_000
