"""A study whose best trial does not beat the reference rows is told so; what cannot be read counts as missing."""

import json
from dataclasses import replace

import pytest

from orchestrator.journal.records import StudyFinished
from orchestrator.journal.study_state import fold
from orchestrator.results.image_shares import ImageShares
from orchestrator.results.references import Reference, read_references, shown_metrics, verdict
from orchestrator.runs.paths import RunFolder
from orchestrator.runs.references_file import write_references_file

MAJORITY = Reference(
    name="majority class",
    is_blind=True,
    metrics={"val_accuracy": 0.34, "test_accuracy": 0.3},
    images={"validation": 50},
)
LOGISTIC = Reference(name="logistic regression on pixels", is_blind=False, metrics={"val_accuracy": 0.8})
SHARES = ImageShares(metrics=frozenset({"accuracy"}), images={"validation": 50})


def ended(begin, make_reported, *values, **header):
    records = begin(max_epochs=len(values), **header)
    for epoch, value in enumerate(values, start=1):
        record = make_reported(0, epoch, at=110.0 + epoch, value=value)
        records.append(replace(record, report={**record.report, "is_last": epoch == len(values)}))
    return fold([*records, StudyFinished(at=200.0)])


@pytest.mark.parametrize(
    ("best", "said"),
    [
        (0.30, "no trial beats the logistic regression on pixels (0.8)"),
        (0.80, "no trial beats the logistic regression on pixels (0.8)"),
        (0.82, ""),
    ],
)
def test_strongest_row_that_no_trial_beats_is_named(begin, make_reported, best, said):
    assert verdict(ended(begin, make_reported, 0.1, best), [MAJORITY, LOGISTIC], shares=SHARES) == said


def test_best_of_guesses_does_not_beat_the_majority_class(begin, make_reported):
    state = ended(begin, make_reported, *[0.30, 0.42, 0.36, 0.38] * 5)
    assert verdict(state, [MAJORITY], shares=SHARES) == (
        "no trial beats the majority class (0.34) by more than luck allows: the best of 20 reports has 0.42 on 50 "
        "validation images"
    )
    assert verdict(ended(begin, make_reported, 0.3, 0.7), [MAJORITY], shares=SHARES) == ""


def test_smaller_is_better_for_an_error(begin, make_reported):
    rows = [Reference(name="mean", is_blind=True, metrics={"val_loss": 0.5})]
    # The sample's loss is 1.25 less its value.
    state = ended(begin, make_reported, 0.7, metric="val_loss", mode="min")
    assert verdict(state, rows, shares=SHARES) == "no trial beats the mean (0.5)"
    assert verdict(ended(begin, make_reported, 0.8, metric="val_loss", mode="min"), rows, shares=SHARES) == ""


def test_objective_that_the_rows_lack_is_judged_by_another_metric(begin, make_reported):
    state = ended(begin, make_reported, 0.2, metric="val_loss", mode="min")
    assert verdict(state, [MAJORITY], shares=SHARES) == "no trial beats the majority class (0.34)"


def test_study_that_is_not_finished_may_still_find_a_winner(begin, make_reported):
    state = ended(begin, make_reported, 0.3)
    state.finished = None
    assert verdict(state, [MAJORITY], shares=SHARES) == "so far, no trial beats the majority class (0.34)"


def test_nothing_is_said_before_a_trial_has_ended_or_without_rows(begin, make_reported):
    assert verdict(fold(begin()), [MAJORITY], shares=SHARES) == ""
    assert verdict(ended(begin, make_reported, 0.2), [], shares=SHARES) == ""


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"schema": 2, "rows": [{"name": "of a later version", "metrics": {"val_accuracy": 1.0}}]}',
        '{"schema": 1, "rows": 3}',
        '{"schema": 1, "rows": [3, {"name": 4}, {"name": "x", "metrics": []}]}',
        "[" * 100_000,
    ],
)
def test_damaged_file_counts_as_missing(tmp_path, content):
    folder = RunFolder(tmp_path)
    assert read_references(folder) == []
    folder.references.write_text(content)
    assert read_references(folder) == []


def test_rows_are_read_as_they_were_written_without_what_is_no_number(tmp_path):
    row = {"name": "majority class", "is_blind": True, "metrics": dict(MAJORITY.metrics), "images": {"validation": 50}}
    write_references_file(RunFolder(tmp_path), {"rows": [row]})
    assert read_references(RunFolder(tmp_path)) == [MAJORITY]
    row["metrics"]["val_f1_score"] = float("nan")
    (tmp_path / "references.json").write_text(json.dumps({"schema": 1, "rows": [row]}))
    assert read_references(RunFolder(tmp_path)) == [MAJORITY]


def test_objective_is_shown_first():
    row = Reference(name="x", is_blind=False, metrics={"val_accuracy": 0.1, "val_f1_score": 0.1, "val_loss": 1.0})
    assert shown_metrics([row], metric="val_f1_score") == ["val_f1_score", "val_accuracy"]
