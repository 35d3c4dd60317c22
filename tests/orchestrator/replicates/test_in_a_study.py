"""A study trains its leaders again, whatever interrupts it, and its search never knows."""

from pathlib import Path

import optuna
import pytest
from driven_studies import drive, noisy, opened_of, spec_of
from made_studies import MAJORITY
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from orchestrator.advice.advice import advise
from orchestrator.analysis.analysis import analysis_of
from orchestrator.analysis.progress import best_so_far_steps
from orchestrator.analysis.savings import savings_of
from orchestrator.disk.checkpoint_budget import Role, roles
from orchestrator.journal.records import (
    Record,
    StudyExtended,
    StudyFinished,
    TrialProposed,
    TrialStopped,
    record_from_json,
    record_to_json,
)
from orchestrator.journal.study_state import StudyState, fold, search_alone
from orchestrator.journal.trial import TrialState
from orchestrator.planning.replay import as_it_was
from orchestrator.replicates.from_state import contenders_of, replicated, standing_of
from orchestrator.replicates.words import replicate_notes
from orchestrator.results.from_state import best_so_far, leaders
from orchestrator.results.from_tables import leaderboard
from orchestrator.results.image_shares import ImageShares, chance_notes
from orchestrator.results.optuna_journal import write_optuna_journal
from orchestrator.results.references import verdict
from orchestrator.results.tables import trials_table
from orchestrator.runs.paths import RunFolder
from orchestrator.study.spec import StudySpec


def load_optuna(folder: RunFolder) -> optuna.Study:
    return optuna.load_study(study_name=None, storage=JournalStorage(JournalFileBackend(str(folder.optuna))))


def proposals(records: list[Record]) -> list[tuple[str, str, str]]:
    state = fold(records)
    return [(item.name, item.variant.variant_id, item.replicate_of) for item in state.trials.values()]


def extended(spec: StudySpec) -> StudyExtended:
    return StudyExtended(
        study_id="i",
        max_epochs=spec.schedule.epochs,
        num_trials=spec.num_trials,
        change="more",
        study="name: s",
        replaces="0",
        replicates=spec.search.replicates,
        leaders=spec.search.num_leaders,
        at=100.0,
    )


@pytest.fixture
def study(tmp_path: Path) -> StudyState:
    return fold(drive(tmp_path / "study", spec_of()))


def test_leaders_train_again_with_other_seeds_after_the_search_and_to_their_ends(study: StudyState) -> None:
    trials = list(study.trials.values())
    assert [bool(trial.replicate_of) for trial in trials] == [False] * 6 + [True] * (len(trials) - 6)
    best = [trial.name for trial, _ in leaders(search_alone(study), k=3)]
    assert set(study.replicates) == set(best)
    for original, names in study.replicates.items():
        variants = [study.trials[name].variant for name in (original, *names)]
        assert len({item.seed for item in variants}) == len(variants)
        assert {(item.family, repr(item.params)) for item in variants} == {
            (variants[0].family, repr(variants[0].params))
        }
        assert {study.trials[name].state for name in names} == {TrialState.COMPLETED}
        assert {study.trials[name].epoch for name in names} == {3}
    # Early stopping was at work: on the trials of the search alone.
    assert any(trial.state is TrialState.STOPPED for trial in trials[:6])


def test_search_is_the_same_as_without_replicates(tmp_path: Path) -> None:
    for algorithm in ("random", "tpe", "sobol"):
        with_them = drive(tmp_path / f"{algorithm}-with", spec_of(algorithm=algorithm))
        without = drive(tmp_path / algorithm, spec_of(algorithm=algorithm, replicates=0))
        assert proposals(without) == proposals(with_them)[:6]
        assert "replicate" not in (tmp_path / algorithm / "journal.jsonl").read_text()
        # More trials go on where the search ended, as if nothing had trained in between.
        longer = spec_of(algorithm=algorithm, trials=10, replicates=0)
        more = spec_of(algorithm=algorithm, trials=10)
        at_once = proposals(drive(tmp_path / f"{algorithm}-10", longer))
        records = drive(tmp_path / f"{algorithm}-more", more, before=[*with_them, extended(more)])
        searched = [(item.variant.variant_id, item.place) for item in search_alone(fold(records)).trials.values()]
        assert searched == [(variant_id, place) for place, (_, variant_id, _) in enumerate(at_once)]


@pytest.mark.parametrize("algorithm", ["tpe", "nsga2"])
def test_search_of_several_objectives_goes_on_after_replicates_as_without_them(tmp_path: Path, algorithm: str) -> None:
    others = [{"metric": "parameters", "mode": "min"}]
    short, more = (spec_of(others=others, algorithm=algorithm, trials=trials, leaders=2) for trials in (5, 8))
    first = drive(tmp_path / "first", short)
    assert fold(first).replicates
    records = drive(tmp_path / "more", more, before=[*first, extended(more)])
    without = drive(
        tmp_path / "without", spec_of(others=others, algorithm=algorithm, trials=8, replicates=0, leaders=1)
    )
    searched = [item.variant.variant_id for item in search_alone(fold(records)).trials.values()]
    assert searched == [variant_id for _, variant_id, _ in proposals(without)]


@pytest.mark.parametrize("schedule", ["asha", "hyperband", "pasha", "median"])
def test_early_stopping_of_a_longer_search_is_the_same_as_without_replicates(tmp_path: Path, schedule: str) -> None:
    longer = spec_of(schedule=schedule, max_epochs=9, trials=16, replicates=0)
    short, more = (spec_of(schedule=schedule, max_epochs=9, trials=trials) for trials in (5, 16))
    records = drive(tmp_path / "short", short)
    states = (
        fold(drive(tmp_path / "longer", longer)),
        fold(drive(tmp_path / "m", more, before=[*records, extended(more)])),
    )
    ends = [
        [(trial.place, trial.epoch, trial.state, trial.reason) for trial in search_alone(state).trials.values()]
        for state in states
    ]
    assert len(ends[0]) == 16
    assert ends[0] == ends[1]


def test_lucky_replicate_neither_reaches_the_target_nor_is_progress(tmp_path: Path) -> None:
    spec = spec_of(replicates=2, leaders=1)
    value = lambda variant: 0.99 if variant.seed != 7 else 0.5 + float(variant.params["dropout"]) / 9  # noqa: E731
    records = drive(tmp_path / "first", spec, value=value)
    best = leaders(search_alone(fold(records)), k=1)[0][0]
    for count in range(1, len(records)):
        state = fold(records[:count])
        told = [best_so_far(state)[0].name] if state.report_order else []
        assert not any(state.trials[name].replicate_of for name in told)
        assert not any(state.trials[step.trial].replicate_of for step in best_so_far_steps(state))
    for budget in ({"target": 0.9}, {"patience": 6 - best.place}):
        more = spec_of(replicates=2, leaders=1, trials=30, **budget)
        folder = tmp_path / next(iter(budget))
        state = fold(drive(folder, more, before=[*records, extended(more)], value=value))
        # The search goes on: what came after its best are trials of its own alone.
        assert len(search_alone(state).trials) > 6


@pytest.mark.parametrize("mode", ["max", "min"])
def test_study_that_is_resumed_after_any_record_trains_the_same_replicates(tmp_path: Path, mode: str) -> None:
    spec = spec_of(mode=mode, trials=4, replicates=3, max_epochs=2)
    records = drive(tmp_path / "whole", spec)
    expected = proposals(records)
    ends = {name: (trial.state, trial.epoch) for name, trial in fold(records).trials.items()}
    assert len(expected) > 4 + 2 * 3
    for count in range(1, len(records)):
        resumed = drive(tmp_path / f"cut-{count}", spec, before=records[:count])
        assert proposals(resumed) == expected
        assert {name: (trial.state, trial.epoch) for name, trial in fold(resumed).trials.items()} == ends


def test_race_of_every_prefix_is_the_one_that_the_driver_followed(tmp_path: Path) -> None:
    state, followed = StudyState(), 0
    for record in drive(tmp_path, spec_of()):
        if isinstance(record, TrialProposed) and record.replicate_of:
            assert standing_of(state).next == record.replicate_of
            followed += 1
        state.apply(record)
        best = best_so_far(state)
        assert best is None or not best[0].replicate_of
    assert followed >= 6
    assert standing_of(state).is_over


def test_order_is_that_of_the_means_and_the_originals_do_not_count(study: StudyState) -> None:
    found = replicated(study)
    means = [item.mean for item in found]
    assert all(mean is not None for mean in means)
    assert means == sorted(means, reverse=True)
    values = {name: trial.best_report(**study.header.ranking) for name, trial in study.trials.items()}
    for item in found:
        expected = [values[name].metrics["val_accuracy"] for name in study.replicates[item.trial]]
        assert list(item.values) == expected
        assert item.mean == pytest.approx(sum(expected) / len(expected))
    board = leaderboard(trials_table(study), metric="val_accuracy", mode="max")
    names = board["trial"].to_pylist()
    assert names == [trial.name for trial, _ in leaders(study, k=99)]
    assert names[:3] == [item.trial for item in found]
    assert board["replicate_mean"].to_pylist()[:4] == [*means, None]
    assert best_so_far(study)[0].name == names[0]
    assert not {name for item in study.replicates.values() for name in item} & set(names)


def test_lucky_original_loses_its_rank(tmp_path: Path) -> None:
    spec = spec_of()
    lucky = fold(drive(tmp_path / "first", spec)).trials["t0000"].variant

    def value(variant):
        return 0.99 if variant == lucky else noisy(variant) - 0.3 * (variant.params == lucky.params)

    state = fold(drive(tmp_path / "second", spec, value=value))
    assert [trial.name for trial, _ in leaders(search_alone(state), k=1)] == ["t0000"]
    assert leaders(state, k=1)[0][0].name != "t0000"
    (leaving,) = [item.leaving for item in replicated(state) if item.trial == "t0000"]
    assert leaving is not None
    assert any(note.startswith("t0000 is not trained again after") for note in replicate_notes(state))


def test_more_replicates_extend_a_finished_study(tmp_path: Path) -> None:
    few, many = spec_of(replicates=2, leaders=1), spec_of(replicates=5, leaders=1)
    records = drive(tmp_path / "few", few)
    assert [len(names) for names in fold(records).replicates.values()] == [2]
    records = drive(tmp_path / "many", many, before=[*records, StudyFinished(at=100.0), extended(many)])
    assert [len(names) for names in fold(records).replicates.values()] == [5]
    assert proposals(records) == proposals(drive(tmp_path / "at-once", many))


def test_failed_replicates_are_told_and_not_tried_again(tmp_path: Path) -> None:
    spec = spec_of(replicates=2, leaders=2)
    state = fold(drive(tmp_path, spec, fails=lambda variant: variant.seed != 7))
    assert [len(names) for names in state.replicates.values()] == [2, 2]
    assert [item.mean for item in replicated(state)] == [None, None]
    assert [trial.name for trial, _ in leaders(state, k=6)] == [
        trial.name for trial, _ in leaders(search_alone(state), k=6)
    ]
    assert sum("2 of 2 replicates of t" in note for note in replicate_notes(state)) == 2


def test_fewer_trials_than_leaders_train_again_all_of_them(tmp_path: Path) -> None:
    state = fold(drive(tmp_path, spec_of(trials=2, leaders=3, replicates=2)))
    assert set(state.replicates) == {"t0000", "t0001"}
    assert len(contenders_of(state)) == 2


def test_used_up_budget_leaves_no_room_and_says_so_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    whole = fold(drive(tmp_path / "whole", spec_of()))
    epochs = sum(trial.epoch for trial in search_alone(whole).trials.values())
    tight = spec_of(epochs=epochs + 4)
    records = drive(tmp_path / "tight", tight)
    state = fold([*records, StudyFinished(at=100.0)])
    cut = [trial for trial in state.trials.values() if trial.replicate_of and trial.state is TrialState.STOPPED]
    assert [trial.epoch for trial in cut] == [1]
    assert "search.epochs: stopped" in cut[0].reason
    assert any(note.startswith("replicates are missing") for note in replicate_notes(state))
    # What was cut short has no value: another one trains in its place.
    larger = spec_of(epochs=1000)
    state = fold(drive(tmp_path / "larger", larger, before=[*records, extended(larger)]))
    assert standing_of(state).is_over
    assert replicate_notes(state) == [note for note in replicate_notes(state) if "missing" not in note]
    assert all(len(item.values) >= 2 and item.num_failed == 0 for item in replicated(state))


@pytest.mark.parametrize("budget", [{"patience": 1}, {"target": 0.5}])
def test_search_that_has_enough_leaves_room_for_replicates(tmp_path: Path, budget: dict[str, float]) -> None:
    state = fold(drive(tmp_path, spec_of(trials=30, **budget)))
    assert len(search_alone(state).trials) < 30
    assert standing_of(state).is_over
    replicates = [trial for trial in state.trials.values() if trial.replicate_of]
    assert replicates
    assert {trial.state for trial in replicates} == {TrialState.COMPLETED}


def test_analysis_and_replay_leave_replicates_out(tmp_path: Path) -> None:
    # The means turn the order of the leaders around.
    value = lambda variant: 0.5 + (0.3 if variant.seed == 7 else -0.3) * float(variant.params["dropout"])  # noqa: E731
    with_them, without = (fold(drive(tmp_path / str(most), spec_of(replicates=most), value=value)) for most in (4, 0))
    assert best_so_far(with_them)[0].name != best_so_far(without)[0].name
    assert analysis_of(with_them) == analysis_of(without)
    assert savings_of(with_them, shares=ImageShares()) == savings_of(without, shares=ImageShares())
    assert best_so_far_steps(with_them) == best_so_far_steps(without)
    assert as_it_was(with_them, schedule="asha") == as_it_was(without, schedule="asha")


def test_what_is_said_of_the_search_and_its_luck_leaves_replicates_out(tmp_path: Path) -> None:
    # Luck of seeds alone, and a replicate that is luckier than all.
    value = lambda variant: 0.05 + (0.5 if variant.seed != 7 else 0.3 * float(variant.params["dropout"]))  # noqa: E731
    with_them, without = (
        fold(drive(tmp_path / str(most), spec_of(replicates=most), value=value, images=20)) for most in (4, 0)
    )
    shares = ImageShares(metrics=frozenset({"accuracy"}), images={"validation": 20, "test": 20})
    assert chance_notes(without, shares)
    assert chance_notes(with_them, shares) == chance_notes(without, shares)
    assert verdict(without, [MAJORITY], shares=shares)
    assert verdict(with_them, [MAJORITY], shares=shares) == verdict(without, [MAJORITY], shares=shares)
    told = [advise(state, shares=shares, references=[MAJORITY], space=None) for state in (without, with_them)]
    assert told[0]
    assert told[0] == told[1]
    for state in (without, with_them):
        folder = RunFolder(tmp_path / str(len(state.trials)))
        folder.root.mkdir(exist_ok=True)
        write_optuna_journal(folder, state=state, space=spec_of().space)
        assert len(load_optuna(folder).trials) == 6


def test_checkpoints_of_all_that_may_turn_out_best_are_kept(study: StudyState, tmp_path: Path) -> None:
    before = fold(record for record in drive(tmp_path, spec_of()) if not replicates_anything(record, study))
    may_be_best = [trial.name for trial, _ in leaders(before, k=3)]
    for state in (before, study):
        kept = {item.trial for item in roles(state, top=1) if item.role is Role.LEADER}
        assert kept == set(may_be_best)


def replicates_anything(record: Record, study: StudyState) -> bool:
    name = getattr(record, "trial", "")
    return bool(name and study.trials[name].replicate_of)


def test_records_keep_what_they_say_and_lack_what_they_do_not_say(tmp_path: Path) -> None:
    records = drive(tmp_path, spec_of())
    assert [record_from_json(record_to_json(record)) for record in records] == records
    assert opened_of(spec_of(replicates=0)).leaders == 0
    plain = [record_to_json(record) for record in drive(tmp_path / "plain", spec_of(replicates=0))]
    assert not any({"replicate_of", "replicates", "leaders"} & set(item) for item in plain)
    proposal = next(item for item in plain if item["type"] == "trial_proposed")
    assert list(proposal) == ["type", "trial", "number", "variant", "at"]


@pytest.mark.parametrize("original", ["t0099", "t0006", "../x"])
def test_journal_with_replicates_of_nothing_is_refused(study: StudyState, tmp_path: Path, original: str) -> None:
    from orchestrator.errors import JournalError

    variant = study.trials["t0000"].variant.to_json()
    number = len(study.trials)
    record = TrialProposed(trial=f"t{number:04d}", number=number, variant=variant, replicate_of=original, at=200.0)
    with pytest.raises(JournalError, match="which is no trial of the search"):
        study.apply(record)


def test_stops_of_early_stopping_are_those_of_the_search(study: StudyState, tmp_path: Path) -> None:
    records = drive(tmp_path / "again", spec_of())
    stopped = {record.trial for record in records if isinstance(record, TrialStopped)}
    assert stopped
    assert all(not study.trials[name].replicate_of for name in stopped)
