"""The table of rungs agrees with the journal, and with numbers that NumPy works out from the values alone."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from driven_studies import drive, spec_of
from hypothesis import given, settings
from judged_reports import Settings, Stream, plans, play, rig
from known_courses import full_run, policy, run_under
from made_studies import Curve, records_of

from orchestrator.analysis.values import is_stopped_as_weak
from orchestrator.early_stopping.decider import Laddered, Rules
from orchestrator.early_stopping.deciders import make_decider
from orchestrator.history.fleet_timeline import fleet_timeline
from orchestrator.history.rung_entries import OUTCOMES, PROMOTED, STOPPED, WAITS, WENT_ON
from orchestrator.history.rung_table import RungTable, decisions_about, replay_reports, rung_table
from orchestrator.journal.file import read_journal
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import (
    Record,
    SessionStarted,
    StudyExtended,
    TrialFailed,
    TrialHeld,
    TrialPromoted,
    TrialStopped,
)
from orchestrator.journal.steering_records import TrialKept, TrialStopAsked
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.study.spec import Policy

#: Rules with rungs: the name, and whether trials wait.
WITH_RUNGS = (("asha", False), ("asha", True), ("pasha", False), ("hyperband", False))
DECIDED = {TrialStopped: STOPPED, TrialHeld: WAITS, TrialPromoted: PROMOTED}
SEEDS = range(5)


def simulated(
    algorithm: str, *, promotion: bool, seed: int, mode: str = "max", has_costs: bool = False
) -> tuple[StudyState, list[Record]]:
    """Returns a simulated study, and its records but for the reports."""
    records: list[Record] = []
    apply = StudyState.apply

    def kept(state: StudyState, record: Record) -> None:
        records.append(record)
        apply(state, record)

    full = full_run(seed, num_trials=40, mode=mode, has_costs=has_costs)
    with patch.object(StudyState, "apply", kept):
        return run_under(full, algorithm, promotion=promotion), records


def demand_all_told(table: RungTable, records: list[Record]) -> int:
    """Asserts that the table has every decision of a journal with its reason; returns how many there are."""
    found = [*table.others, *(item for entry in table.entries for item in entry.decisions)]
    told = {(item.trial, item.epoch, item.outcome, item.reason) for item in found}
    written = {
        (record.trial, record.epoch, DECIDED[type(record)], record.reason)
        for record in records
        if type(record) in DECIDED
    }
    assert written <= told
    assert {item for item in told if item[2] in DECIDED.values()} == written
    return len(written)


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize(("algorithm", "promotion"), WITH_RUNGS)
def test_every_decision_of_a_journal_is_in_the_table_with_its_reason(
    algorithm: str, promotion: bool, mode: str
) -> None:
    count = 0
    for seed in SEEDS:
        state, records = simulated(algorithm, promotion=promotion, seed=seed, mode=mode)
        table = rung_table(state, spec=policy(algorithm, promotion=promotion))
        assert table is not None
        assert all(item.outcome == "completed" for item in table.others)
        count += demand_all_told(table, records)
    assert count > 20 * len(SEEDS)


@pytest.mark.parametrize(("algorithm", "promotion"), WITH_RUNGS)
def test_the_rule_says_again_what_the_journal_says(algorithm: str, promotion: bool) -> None:
    for seed in SEEDS:
        state, records = simulated(algorithm, promotion=promotion, seed=seed)
        wanted = policy(algorithm, promotion=promotion)
        rules = Rules(schedule=wanted.schedule, metric="val_accuracy", mode="max", seed=seed)
        decider = make_decider(rules)
        assert isinstance(decider, Laddered)
        again = [
            (item.report.trial, item.report.epoch, item.verdict.reason)
            for item in replay_reports(state, decider=decider, ladder=decider)
            if item.verdict.reason
        ]
        # With promotion the rule itself stops nobody: who still waits ends with the study.
        written = TrialHeld if promotion else TrialStopped
        assert again == [(item.trial, item.epoch, item.reason) for item in records if isinstance(item, written)]


@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize(("algorithm", "promotion"), WITH_RUNGS)
def test_ranks_and_cutoffs_follow_from_the_values_that_were_there(algorithm: str, promotion: bool, mode: str) -> None:
    sign, num_cut = (1 if mode == "max" else -1), 0
    for seed in SEEDS:
        state, _ = simulated(algorithm, promotion=promotion, seed=seed, mode=mode)
        table = rung_table(state, spec=policy(algorithm, promotion=promotion))
        assert table is not None
        there: dict[tuple[int, float], list[float]] = defaultdict(list)
        for entry in table.entries:
            before = there[entry.bracket, entry.milestone]
            assert entry.num_there == len(before) + 1
            assert entry.rank == 1 + sum(sign * value > sign * entry.value for value in before)
            trial = state.trials[entry.trial]
            assert entry.value == trial.reports[entry.epoch - 1].metrics["val_accuracy"]
            assert entry.at == trial.reported_at[entry.epoch - 1]
            if algorithm != "pasha" and not promotion:
                share = sign * np.percentile([sign * value for value in before], 100 * (1 - 1 / 3)) if before else None
                assert entry.cutoff == (None if entry.outcome == "completed" else share)
            if promotion and entry.outcome != "completed":
                surpasses = entry.cutoff is not None and sign * entry.value > sign * entry.cutoff
                assert surpasses == (entry.decisions[0].outcome == WENT_ON)
            if entry.cutoff is not None:
                num_cut += 1
                is_worse = sign * entry.value < sign * entry.cutoff
                assert is_worse == (entry.outcome == STOPPED) or promotion or "next rung" in entry.reason
            before.append(entry.value)
    assert num_cut > 100


@pytest.mark.parametrize(("algorithm", "promotion"), WITH_RUNGS)
@settings(max_examples=25, deadline=None)
@given(plan=plans())
def test_the_table_agrees_with_any_journal_that_the_scheduler_writes(
    algorithm: str, promotion: bool, plan: tuple[Settings, list[str], Stream]
) -> None:
    chosen, names, stream = plan
    chosen = replace(chosen, algorithm=algorithm, promotion=promotion)
    with rig(chosen, chosen.opening(names)) as driver:
        play(driver, stream)
        records, decider = list(read_journal(driver.recorder._journal.path)), driver.scheduler.decider
    table = rung_table(fold(records), spec=chosen.spec())
    assert table is not None
    demand_all_told(table, records)
    # The rungs of the live scheduler, as it left them.
    assert isinstance(decider, Laddered)
    assert [[rung.milestone for rung in bracket.rungs] for bracket in table.brackets] == decider.milestones
    if algorithm == "asha" and not promotion:
        live = {rung.milestone: list(rung.values) for rung in decider.rungs}  # type: ignore[attr-defined]
        assert {rung.milestone: [entry.trial for entry in rung.entries] for rung in table.brackets[0].rungs} == live


def test_a_journal_of_the_real_driver_is_told_whole(tmp_path: Path) -> None:
    spec = spec_of(schedule="asha", promotion=True, max_epochs=9, trials=12, replicates=0)
    records = drive(tmp_path, spec)
    table = rung_table(fold(records), spec=spec)
    assert table is not None
    assert table.rule == "asha with promotion"
    assert demand_all_told(table, records) > 12
    assert {entry.outcome for entry in table.entries} <= set(OUTCOMES)


@pytest.mark.parametrize(("algorithm", "promotion"), WITH_RUNGS)
def test_what_people_asked_of_trials_is_told_as_it_went(tmp_path: Path, algorithm: str, promotion: bool) -> None:
    def steer(recorder: Recorder, trial: str, epoch: int) -> None:
        number, request = int(trial[1:]), f"{int(trial[1:]) * 100 + epoch:020d}-00000000"
        if epoch == 1 and number % 3 == 1:
            recorder.append(TrialKept(request=request, trial=trial, keep=True, at=100.0))
        if epoch == 3 and number % 3 == 1:
            recorder.append(TrialStopAsked(request=request, trial=trial, at=100.0))

    spec = spec_of(schedule=algorithm, promotion=promotion, max_epochs=9, trials=12, replicates=0)
    records = drive(tmp_path, spec, interfere=steer)
    state = fold(records)
    table = rung_table(state, spec=spec)
    assert table is not None
    demand_all_told(table, records)
    at_rungs = {entry.trial: entry for entry in table.entries if entry.reason.startswith("stopped by hand")}
    elsewhere = {item.trial for item in table.others if item.reason.startswith("stopped by hand")}
    assert at_rungs.keys() | elsewhere == {"t0001", "t0004", "t0007", "t0010"}
    # Nobody asked the rule about them.
    assert {entry.cutoff for entry in at_rungs.values()} == {None}
    kept = [entry for entry in table.entries if entry.reason == "a person asked that early stopping lets it go on"]
    assert kept or algorithm == "hyperband"
    assert {entry.outcome for entry in kept} <= {WENT_ON}
    assert fleet_timeline(state).saved.num_stopped == sum(is_stopped_as_weak(item) for item in state.trials.values())


def test_asking_where_a_report_arrives_changes_no_verdict() -> None:
    for algorithm, promotion in WITH_RUNGS:
        state, _ = simulated(algorithm, promotion=promotion, seed=1)
        rules = Rules(
            schedule=policy(algorithm, promotion=promotion).schedule, metric="val_accuracy", mode="max", seed=1
        )
        asked, plain = make_decider(rules), make_decider(rules)
        assert isinstance(asked, Laddered)
        for item in replay_reports(state, decider=asked, ladder=asked):
            arrival = asked.arrival(item.report)
            # What has entered its rung is not asked for there again.
            assert arrival is None or arrival.milestone not in {one.milestone for one in item.arrivals}
            if not state.trials[item.report.trial].reports[item.report.epoch - 1].is_last:
                assert plain.judge(item.report) == item.verdict


def test_decisions_about_a_trial_are_in_the_order_of_time() -> None:
    state, _ = simulated("asha", promotion=True, seed=3)
    table = rung_table(state, spec=policy("asha", promotion=True))
    assert table is not None
    promoted = next(entry.trial for entry in table.entries if entry.outcome == PROMOTED)
    told = decisions_about(table, promoted)
    assert [item.outcome for item in told][:2] == [WAITS, PROMOTED]
    assert told[0].reason.startswith("asha: waits at epoch 1 until")
    assert told[1].reason.startswith("asha: val_accuracy")
    assert [item.at for item in told] == sorted(item.at for item in told)
    assert decisions_about(table, "t9999") == []


def test_several_objectives_have_no_cutoff() -> None:
    for algorithm, promotion in (("asha", False), ("asha", True), ("hyperband", False)):
        state, records = simulated(algorithm, promotion=promotion, seed=2, has_costs=True)
        table = rung_table(state, spec=policy(algorithm, promotion=promotion))
        assert table is not None
        assert {entry.cutoff for entry in table.entries} == {None}
        demand_all_told(table, records)


@pytest.mark.parametrize(
    ("algorithm", "note"),
    [
        ("none", "the study stops no trial early, so it has no rungs"),
        ("median", "the study compares trials without rungs"),
        ("pbt", "the study compares trials without rungs"),
    ],
)
def test_a_rule_without_rungs_is_said_in_words_and_its_stops_are_told(algorithm: str, note: str) -> None:
    state = run_under(full_run(2), "median")
    table = rung_table(state, spec=policy(algorithm))
    assert table is not None
    assert (table.note, table.brackets, table.entries) == (note, (), [])
    stopped = {trial.name for trial in state.trials.values() if trial.stop is not None}
    assert {item.trial for item in table.others if item.outcome == STOPPED} == stopped
    assert stopped


def test_without_a_study_file_there_is_no_table_and_numbers_that_are_not_known_are_said() -> None:
    state = run_under(full_run(2), "asha")
    assert rung_table(state, spec=None) is None
    undecided = Policy.model_validate({"schedule": {"algorithm": "asha", "max_epochs": "auto"}})
    table = rung_table(state, spec=undecided)
    assert table is not None
    assert table.note == "the study has not counted its images yet, from which its rungs follow"


CURVES = [Curve(validation=[0.5, 0.6, 0.7]), Curve(validation=[0.4], is_stopped=True)]
ASHA = Policy.model_validate({"schedule": {"algorithm": "asha", "max_epochs": 3, "grace_epochs": 1}})


def test_who_goes_on_is_said_to_and_why() -> None:
    table = rung_table(fold(records_of([*CURVES, Curve(validation=[0.45, 0.46, 0.47])])), spec=ASHA)
    assert table is not None
    first = table.brackets[0].rungs[0]
    assert [(entry.trial, entry.outcome, entry.reason) for entry in first.entries] == [
        ("t0000", "went on", "nobody was there before"),
        ("t0001", "stopped", "asha"),
        # The rule would have stopped it, the journal says that it went on, and nobody knows why.
        ("t0002", "went on", ""),
    ]


def test_a_failure_after_a_rung_and_a_budget_are_told_as_they_are() -> None:
    records = records_of([Curve(validation=[0.5], is_stopped=True), Curve(validation=[0.6], is_stopped=True)])
    budget = "search.epochs: stopped after epoch 1, as the 2 epochs of the study were trained"
    failed = TrialFailed(trial="t0000", kind="diverged", reason="nan", at=20.0)
    changed = [
        failed
        if isinstance(item, TrialStopped) and item.trial == "t0000"
        else replace(item, reason=budget)
        if isinstance(item, TrialStopped)
        else item
        for item in records
    ]
    table = rung_table(fold(changed), spec=Policy.model_validate({"schedule": ASHA.schedule.model_dump()}))
    assert table is not None
    assert [(entry.outcome, entry.reason) for entry in table.entries] == [("failed", "nan"), ("stopped", budget)]


def test_one_that_breaks_a_constraint_stands_at_no_rung() -> None:
    curves = [Curve(validation=[0.5, 0.6], cost={"parameters": 5.0}) for _ in range(2)]
    curves.append(Curve(validation=[0.9], cost={"parameters": 50.0}, is_stopped=True))
    records = records_of(curves, constraints=["parameters <= 10"])
    wanted = Policy.model_validate({"schedule": {"algorithm": "asha", "max_epochs": 2, "grace_epochs": 1}})
    table = rung_table(fold(records), spec=wanted)
    assert table is not None
    assert {entry.trial for entry in table.entries} == {"t0000", "t0001"}
    assert [(item.trial, item.reason) for item in table.others if item.outcome == STOPPED] == [("t0002", "asha")]


def test_a_trial_that_waited_and_went_on_as_the_study_was_extended_is_told_so() -> None:
    state, records = StudyState(), records_of([Curve(validation=[0.5], is_stopped=True)], max_epochs=3)
    held = TrialHeld(trial="t0000", epoch=1, reason="asha: waits at epoch 1", at=11.0)
    extended = StudyExtended(study_id="x", max_epochs=9, num_trials=1, change="longer", study="", replaces="", at=30.0)
    more = [replace(item, report={**item.report, "epoch": 2}, at=32.0) for item in records if hasattr(item, "report")]
    for item in [*records[:-1], held, records[-1], extended, SessionStarted(driver_pid=1, slots=1, at=31.0), *more]:
        state.apply(item)
    wanted = Policy.model_validate(
        {"schedule": {"algorithm": "asha", "max_epochs": 9, "grace_epochs": 1, "promotion": True}}
    )
    table = rung_table(state, spec=wanted)
    assert table is not None
    assert [item.outcome for item in table.entries[0].decisions] == [WAITS, WENT_ON]
