"""Which checkpoints of a run may vote: those on disk, of trials with a result that saw no image of the validation."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.ensembles.candidates import best_single, candidates_of
from orchestrator.journal.records import EpochReported, SessionStarted, TrialProposed, TrialStarted
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.results.from_state import placed
from trainables.checkpoints.checkpoint import checkpoint_folder
from trainables.checkpoints.weights import weights_folder


@pytest.fixture
def state(make_sweep: Callable[..., Any]) -> StudyState:
    return fold(make_sweep())


def keep(folder: Path, *, epochs: tuple[int, ...] = (), weights: tuple[int, ...] = ()) -> None:
    for epoch in epochs:
        checkpoint_folder(folder, epoch=epoch).mkdir(parents=True)
    for epoch in weights:
        weights_folder(folder, epoch=epoch).mkdir(parents=True)


def names(found: list[Any]) -> list[str]:
    return [item.name for item in found]


def test_kept_epochs_of_trials_with_a_result_are_candidates_in_the_order_of_the_leaderboard(
    state: StudyState, tmp_path: Path
) -> None:
    board = [item.trial.name for item in placed(state)]
    first, second = board[0], board[1]
    best = {item.trial.name: item.report.epoch for item in placed(state)}
    keep(tmp_path / second, weights=(1,))
    keep(tmp_path / first, epochs=tuple({best[first], 2}), weights=(1,))
    # A failed trial's checkpoint, and one of an epoch that the journal does not know.
    keep(tmp_path / "t0008", epochs=(2,))
    keep(tmp_path / board[2], epochs=(77,))
    later = sorted({2, 1} - {best[first]}, reverse=True)
    expected = [f"{first}-{epoch:04d}" for epoch in (best[first], *later)]
    assert names(candidates_of(state, checkpoints=tmp_path)) == [*expected, f"{second}-0001"]


def test_with_a_storage_the_best_epoch_of_each_trial_is_a_candidate(state: StudyState, tmp_path: Path) -> None:
    best = [f"{item.trial.name}-{item.report.epoch:04d}" for item in placed(state)]
    assert names(candidates_of(state, checkpoints=tmp_path, has_storage=True)) == best


def test_trials_that_break_a_constraint_are_none(make_sweep: Callable[..., Any], tmp_path: Path) -> None:
    state = fold(make_sweep(constraints=["val_accuracy <= 0.7"]))
    broken = {item.trial.name for item in placed(state) if item.broken}
    assert broken
    found = {item.trial for item in candidates_of(state, checkpoints=tmp_path, has_storage=True)}
    assert found == {item.trial.name for item in placed(state)} - broken


def test_the_best_single_model_is_the_first_of_the_leaderboard_whose_best_epoch_is_kept(
    state: StudyState, tmp_path: Path
) -> None:
    second, first = placed(state)[1], placed(state)[0]
    other = next(report.epoch for report in first.trial.reports if report.epoch != first.report.epoch)
    keep(tmp_path / first.trial.name, epochs=(other,))
    keep(tmp_path / second.trial.name, epochs=(second.report.epoch,))
    found = best_single(state, candidates_of(state, checkpoints=tmp_path))
    assert found is not None
    assert found.name == f"{second.trial.name}-{second.report.epoch:04d}"
    assert best_single(state, []) is None


def test_replicates_on_other_folds_are_none_as_they_trained_on_the_validation_images(
    make_opened: Callable[..., Any],
    make_proposed: Callable[..., Any],
    make_reported: Callable[..., Any],
    tmp_path: Path,
) -> None:
    records: list[Any] = [make_opened(folds=[1, 2], max_epochs=1, replicates=2, leaders=1, num_trials=1)]
    at = records[0].at
    records.append(SessionStarted(driver_pid=1, slots=1, at=at))
    for number, changes in enumerate([{}, {"replicate_of": "t0000"}, {"replicate_of": "t0000", "fold": 2}]):
        proposal: TrialProposed = replace(make_proposed(number, at=at), **changes)
        report: EpochReported = make_reported(number, 1, at=at + 2, value=0.5)
        ended = replace(report, report={**report.report, "is_last": True})
        records += [proposal, TrialStarted(trial=proposal.trial, at=at + 1), ended]
        keep(tmp_path / proposal.trial, epochs=(1,))
    assert names(candidates_of(fold(records), checkpoints=tmp_path)) == ["t0000-0001", "t0001-0001"]
