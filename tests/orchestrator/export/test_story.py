"""The card of an export gets the story of its study from the journal: counts, costs, seeds, what luck added."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.export.selection import select_exports
from orchestrator.export.story import how_found
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.journal.trial import TrialState
from orchestrator.runs.paths import RunFolder
from orchestrator.study.sections import Export


@pytest.fixture
def state(make_sweep: Callable[..., Any]) -> StudyState:
    return fold(list(make_sweep()))


def test_story_counts_what_the_journal_has(state: StudyState, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.study.write_text("search: {algorithm: tpe}\nschedule: {algorithm: asha}\n", encoding="utf-8")
    trial = state.trials["t0003"]
    found = how_found(state, trial, folder=folder)
    study = found["study"]
    assert (study["search"], study["early stopping"]) == ("tpe", "asha")
    assert study["variants tried"] == len({item.variant.variant_id for item in state.trials.values()})
    assert study["epochs trained"] == sum(item.num_epochs for item in state.trials.values() if not item.reused_from)
    assert study["seed of the study"] == state.header.seed
    assert found["trial"]["epochs trained by the trial"] == trial.num_epochs
    assert found["cost"]["seconds in training steps"] == round(sum(item.train_seconds for item in trial.reports), 2)


def test_study_file_that_cannot_be_read_leaves_the_story_without_its_algorithms(
    state: StudyState, tmp_path: Path
) -> None:
    for text in (None, "search: [", "- a"):
        if text is not None:
            RunFolder(tmp_path).study.write_text(text, encoding="utf-8")
        study = how_found(state, state.trials["t0003"], folder=RunFolder(tmp_path))["study"]
        assert (study["search"], study["early stopping"]) == (state.header.search, "")


def test_each_request_for_an_export_brings_its_story(state: StudyState, tmp_path: Path) -> None:
    unused: Any = None
    requests = select_exports(state, export=Export(top=2), folder=RunFolder(tmp_path), worker=unused)
    for request in requests:
        assert request.found == how_found(state, state.trials[request.trial], folder=RunFolder(tmp_path))


def test_story_has_the_replicates_that_completed_each_with_its_fold(state: StudyState, tmp_path: Path) -> None:
    done = next(item for item in state.trials.values() if item.state is TrialState.COMPLETED and len(item.reports) > 1)
    value = f"{done.best_report(**state.header.ranking).metrics['val_accuracy']:.4g}"
    again = {"t0090": (done.reports, 0), "t0091": (done.reports, 3), "t0092": (done.reports[:1], 0)}
    for name, (reports, of) in again.items():
        state.trials[name] = replace(done, name=name, reports=reports, fold=of, replicate_of="t0003")
    state.replicates["t0003"] = list(again)
    told = how_found(state, state.trials["t0003"], folder=RunFolder(tmp_path))["trial"]
    seed = done.variant.seed
    assert told["val_accuracy with other seeds"] == f"seed {seed}: {value}, seed {seed} on fold 3: {value}"
