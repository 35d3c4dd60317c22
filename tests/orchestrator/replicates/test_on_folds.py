"""Each replicate of a leader validates on another fold, whatever interrupts the study."""

from dataclasses import replace
from pathlib import Path

import pytest
from driven_studies import drive, noisy, opened_of, spec_of

from orchestrator.driver.result import StudyResult
from orchestrator.errors import JournalError
from orchestrator.journal.records import Record, StudyFinished, TrialProposed, record_to_json
from orchestrator.journal.study_state import StudyState, fold, search_alone
from orchestrator.journal.trial import TrialState
from orchestrator.replicates.from_state import count_of, measure_of, replicated, standing_of
from orchestrator.replicates.words import mean_in_words, progress_in_words, replicate_notes
from orchestrator.results.from_state import best_so_far, leaders
from orchestrator.results.from_tables import leaderboard
from orchestrator.results.tables import trials_table
from orchestrator.runs.paths import RunFolder
from orchestrator.study.spec import StudySpec
from orchestrator.views.terminal.events import Events

ON_FOLDS = {"folds": (2, 5), "replicate_on": "folds"}


def folds_of(records: list[Record]) -> list[tuple[str, str, int, str]]:
    return [
        (item.name, item.replicate_of, item.fold, item.variant.variant_id) for item in fold(records).trials.values()
    ]


def ease(number: int) -> float:
    """Returns how much easier a fold is: the later ones are far harder."""
    return {0: 0.0, 3: 0.1, 4: 0.08, 5: -0.2, 1: -0.25}[number]


@pytest.fixture
def study(tmp_path: Path) -> StudyState:
    return fold(drive(tmp_path / "study", spec_of(**ON_FOLDS), ease=ease))


def test_every_replicate_of_a_leader_has_a_fold_of_its_own_and_none_has_that_of_the_search(study: StudyState) -> None:
    assert study.header.folds == [2, 3, 4, 5, 1]
    assert {trial.fold for trial in search_alone(study).trials.values()} == {0}
    assert len(study.replicates) == 3
    for names in study.replicates.values():
        assert [study.trials[name].fold for name in names] == [3, 4, 5, 1][: len(names)]
    longest = max(study.replicates.values(), key=len)
    # With that of the search, every fold validates once.
    assert sorted([2, *(study.trials[name].fold for name in longest)]) == [1, 2, 3, 4, 5]


def test_search_is_the_same_as_with_other_seeds(tmp_path: Path) -> None:
    on_folds = drive(tmp_path / "folds", spec_of(**ON_FOLDS))
    on_seeds = drive(tmp_path / "seeds", spec_of())
    assert folds_of(on_folds)[:6] == folds_of(on_seeds)[:6]
    assert "fold" not in (tmp_path / "seeds" / "journal.jsonl").read_text()


def test_study_that_is_resumed_after_any_record_takes_the_same_folds(tmp_path: Path) -> None:
    spec = spec_of(trials=4, replicates=4, max_epochs=2, **ON_FOLDS)
    records = drive(tmp_path / "whole", spec, ease=ease)
    expected = folds_of(records)
    for count in range(1, len(records)):
        assert folds_of(drive(tmp_path / f"cut-{count}", spec, before=records[:count], ease=ease)) == expected


def test_what_a_budget_cut_short_is_trained_again_on_its_fold(tmp_path: Path) -> None:
    epochs = sum(
        trial.epoch for trial in search_alone(fold(drive(tmp_path / "all", spec_of(**ON_FOLDS)))).trials.values()
    )
    records = drive(tmp_path / "tight", spec_of(epochs=epochs + 4, **ON_FOLDS))
    cut = [trial for trial in fold(records).trials.values() if trial.fold and trial.state is TrialState.STOPPED]
    assert [trial.fold for trial in cut] == [3]
    state = fold(drive(tmp_path / "more", spec_of(epochs=1000, **ON_FOLDS), before=records))
    again = [state.trials[name] for name in state.replicates[cut[0].replicate_of]]
    assert [trial.fold for trial in again][:3] == [3, 3, 4]
    assert again[0].variant.variant_id != again[1].variant.variant_id
    assert standing_of(state).is_over


def test_fold_that_failed_is_not_tried_again(tmp_path: Path) -> None:
    state = fold(drive(tmp_path, spec_of(replicates=2, leaders=1, **ON_FOLDS), fails=lambda variant: variant.seed != 7))
    assert [state.trials[name].fold for name in next(iter(state.replicates.values()))] == [3, 4]
    assert any("2 of 2 replicates of t" in note for note in replicate_notes(state))


def test_who_left_on_easy_folds_does_not_come_before_those_on_all_folds(tmp_path: Path) -> None:
    spec = spec_of(**ON_FOLDS)
    lucky = fold(drive(tmp_path / "first", spec)).trials["t0000"].variant

    def value(variant):
        return 0.99 if variant == lucky else noisy(variant, noise=0.01) - 0.2 * (variant.params == lucky.params)

    hard = {0: 0.0, 3: 0.1, 4: 0.1, 5: -0.4, 1: -0.4}
    state = fold(drive(tmp_path / "second", spec, value=value, ease=hard.__getitem__))
    found = {item.trial: item for item in replicated(state)}
    left = found["t0000"]
    assert left.leaving is not None
    others = [item for item in found.values() if item.leaving is None]
    # On its two easy folds it has the higher mean.
    assert all(left.mean > item.mean and len(item.values) > len(left.values) for item in others)
    names = [trial.name for trial, _ in leaders(state, k=6)]
    assert names[:3] == [*(item.trial for item in others), "t0000"]
    assert leaderboard(trials_table(state), metric="val_accuracy", mode="max")["trial"].to_pylist() == names
    assert best_so_far(state)[0].name == names[0]
    assert next(iter(found)) == names[0]


def test_interval_is_wider_than_that_of_independent_trainings_and_says_what_it_assumes(study: StudyState) -> None:
    measure, seeds = measure_of(study.header), measure_of(replace(study.header, folds=[]))
    assert (measure.overlap, seeds.overlap) == (0.25, 0.0)
    for item in replicated(study):
        wide = measure.interval(item.values, confidence=0.95)
        plain = seeds.interval(item.values, confidence=0.95)
        assert item.interval == wide
        assert wide[1] - wide[0] > plain[1] - plain[0]
        assert item.folds == (3, 4, 5, 1)[: len(item.values)]
        assert mean_in_words(item).endswith(f"of {len(item.values)} folds)")
    (note,) = [note for note in replicate_notes(study) if note.startswith("means are over")]
    assert note == (
        "means are over replicates on folds 3, 4, 5, 1, one each; the search validated on fold 2, which counts "
        "in none; folds share training images, so 95 % is an approximation"
    )


def test_folds_that_no_replicate_validated_on_are_not_said_to_be_in_the_means(tmp_path: Path) -> None:
    spec = spec_of(folds=(2, 5), replicate_on="folds", replicates=2)
    (note,) = [note for note in replicate_notes(fold(drive(tmp_path, spec))) if note.startswith("means are over")]
    assert note.startswith("means are over replicates on folds 3, 4, one each; the search validated on fold 2")


def test_tables_and_events_have_the_fold_of_each_replicate(study: StudyState, tmp_path: Path) -> None:
    rows = trials_table(study).select(["trial", "replicate_of", "fold"]).to_pylist()
    assert [(row["replicate_of"] is None) == (row["fold"] is None) for row in rows] == [True] * len(rows)
    assert {row["trial"]: row["fold"] or 0 for row in rows} == {name: item.fold for name, item in study.trials.items()}
    assert "fold" in StudyResult(folder=RunFolder(tmp_path), state=study).leaderboard().column_names
    texts = [event.text for event in Events().since_last(study)]
    assert any(" again on fold 3: sequential" in text for text in texts)


def test_counts_are_of_the_replicates_that_are_wanted_at_most(tmp_path: Path) -> None:
    records = drive(tmp_path, spec_of(**ON_FOLDS), ease=ease)
    first = next(place for place, record in enumerate(records) if getattr(record, "replicate_of", ""))
    state = fold(records[: first + 1])
    assert progress_in_words(state) == "0 of at most 12 replicates ended"
    end = fold([*records, StudyFinished(at=100.0)])
    assert count_of(end).ended == count_of(end).wanted == sum(map(len, end.replicates.values()))
    assert progress_in_words(end) == f"{count_of(end).ended} of {count_of(end).ended} replicates ended"
    for count in range(first + 1, len(records)):
        counted = count_of(fold(records[:count]))
        assert counted.ended <= count_of(end).wanted <= counted.wanted


def test_fold_that_the_study_has_not_is_refused(tmp_path: Path) -> None:
    spec = spec_of(**ON_FOLDS)
    records = drive(tmp_path, spec)
    at = next(place for place, record in enumerate(records) if isinstance(record, TrialProposed) and record.fold)
    for wrong, message in (
        ({"fold": 2}, "validates on fold 2, which is none of the study's"),
        ({"fold": 7}, "validates on fold 7"),
        ({"replicate_of": ""}, "validates on fold 3"),
        ({"fold": -1}, "fold: expected a fold, from 1, or 0 for none, got -1"),
    ):
        with pytest.raises(JournalError, match=message):
            fold([*records[:at], replace(records[at], **wrong)])
    for folds in ([2], [1, 1], [0, 1], ["1", 2]):
        with pytest.raises(JournalError, match="folds: expected two different folds or more, from 1"):
            fold([replace(opened_of(spec), folds=folds)])


def test_journal_without_folds_is_as_ever() -> None:
    spec: StudySpec = spec_of()
    assert "folds" not in record_to_json(opened_of(spec))
    assert record_to_json(opened_of(spec_of(**ON_FOLDS)))["folds"] == [2, 3, 4, 5, 1]
