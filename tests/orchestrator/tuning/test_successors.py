"""Trials that go on in others' places: who is gone on from, when none is, and what a resumed driver makes of it."""

import dataclasses
import re
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from driven_studies import drive, spec_of
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_reports import CONTINUE, STOP, Rig, Settings, Stream, demand_undisturbed, play, rig

from orchestrator.journal.file import read_journal
from orchestrator.journal.records import Record, TrialProposed, TrialReplaced
from orchestrator.journal.study_state import fold
from orchestrator.journal.trial import TrialState
from orchestrator.study.spec import StudySpec
from orchestrator.tuning import successors
from trainables.checkpoints.checkpoint import Checkpoint, discard_checkpoint, newest_checkpoint, save_checkpoint
from trainables.checkpoints.inheriting import inherit_checkpoint
from trainables.checkpoints.store import CheckpointStore
from trainables.errors import CheckpointError

PBT = Settings(algorithm="pbt", max_epochs=9)


def names(count: int) -> list[str]:
    return [f"t{number:04d}" for number in range(count)]


def two_epochs(*values: float) -> Stream:
    return [(f"t{number:04d}", value) for number, value in enumerate(values) for _ in range(2)]


class Checkpoints:
    """Notes which checkpoints are inherited, and lacks those of some trials."""

    def __init__(self, *missing: str) -> None:
        self.missing = missing
        self.asked: list[tuple[str, str, int]] = []

    def __call__(self, folder: Path, *, epoch: int, heir_folder: Path, **_: Any) -> None:
        self.asked.append((folder.name, heir_folder.name, epoch))
        if folder.name in self.missing:
            raise CheckpointError(f"epoch-{epoch:04d} of {folder.name} is damaged")


def records(driver: Rig) -> list[Record]:
    return list(read_journal(driver.recorder.folder.journal))


def test_worst_trial_ends_and_another_goes_on_from_the_best_in_its_place() -> None:
    checkpoints = Checkpoints()
    with rig(dataclasses.replace(PBT, inherit=checkpoints), PBT.opening(names(4))) as driver:
        decisions = play(driver, two_epochs(0.9, 0.8, 0.7, 0.1))
        assert decisions[-1] == ("t0003", 2, STOP)
        state, replaced = driver.recorder.state, driver.recorder.trial("t0003")
        child = state.trials["t0004"]
        assert checkpoints.asked == [("t0000", "t0004", 2)]
        assert (replaced.state, replaced.replaced_by) == (TrialState.STOPPED, "t0004")
        assert (child.parent, child.from_epoch, child.replaces, child.epoch) == ("t0000", 2, "t0003", 2)
        assert (child.state, child.reports, child.num_epochs) == (TrialState.WAITING, [], 0)
        pattern = (
            r"pbt: val_accuracy 0\.1000 at epoch 2 is among the worst 1 of the 4 trials that got there \(the next one "
            r"has 0\.7000\); t0004 goes on from t0000 with dropout [\d.]+ instead of 0\.25"
        )
        assert re.fullmatch(pattern, replaced.reason)
        assert isinstance(records(driver)[-1], TrialReplaced)
        # The new one is compared at the next interval, as all others.
        for name in ("t0000", "t0001", "t0002"):
            play(driver, [(name, 0.9)] * 2)
        assert play(driver, [("t0004", 0.2)] * 2) == [("t0004", 3, CONTINUE), ("t0004", 4, STOP)]
        assert driver.recorder.trial("t0005").replaces == "t0004"


def test_another_of_the_best_is_gone_on_from_where_the_first_choice_has_no_checkpoint() -> None:
    with rig(dataclasses.replace(PBT, inherit=(checkpoints := Checkpoints())), PBT.opening(names(8))) as driver:
        play(driver, two_epochs(0.9, 0.85, 0.7, 0.7, 0.7, 0.7, 0.7, 0.1))
        first = checkpoints.asked[0][0]
    missing = Checkpoints(first)
    with rig(dataclasses.replace(PBT, inherit=missing), PBT.opening(names(8))) as driver:
        assert play(driver, two_epochs(0.9, 0.85, 0.7, 0.7, 0.7, 0.7, 0.7, 0.1))[-1] == ("t0007", 2, STOP)
        (other,) = {"t0000", "t0001"} - {first}
        assert missing.asked == [(first, "t0008", 2), (other, "t0008", 2)]
        assert driver.recorder.trial("t0008").parent == other


def test_trial_goes_on_with_a_note_where_no_better_one_has_a_checkpoint() -> None:
    chosen = dataclasses.replace(PBT, inherit=Checkpoints("t0000"))
    with rig(chosen, PBT.opening(names(4))) as driver:
        assert play(driver, two_epochs(0.9, 0.8, 0.7, 0.1))[-1] == ("t0003", 2, CONTINUE)
        (note,) = driver.recorder.trial("t0003").notes
        assert note.kind == "not_replaced"
        assert note.text.endswith(
            "; it goes on, as no better trial can be gone on from (t0000: epoch-0002 of t0000 is damaged)"
        )
        assert play(driver, [("t0003", 0.1)]) == [("t0003", 3, CONTINUE)]
        before = records(driver)
    # A resumed driver tries no epoch that is past, and notes nothing twice.
    with rig(chosen, before) as resumed:
        assert records(resumed) == before


@pytest.mark.parametrize(("num_trials", "expected"), [(8, CONTINUE), (9, STOP)])
def test_no_trial_ends_where_the_study_has_none_left_to_take_its_place(num_trials: int, expected: str) -> None:
    chosen = dataclasses.replace(PBT, num_trials=num_trials)
    with rig(chosen, PBT.opening(names(4))) as driver:
        assert play(driver, two_epochs(0.9, 0.8, 0.7, 0.1))[-1] == ("t0003", 2, expected)
        assert driver.recorder.trial("t0003").notes == []
        assert len(driver.recorder.state.trials) == 4 + (expected == STOP)


def test_study_that_has_had_enough_begins_no_other_trial(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.tuning.budgets.Budgets.is_over", True)
    with rig(PBT, PBT.opening(names(4))) as driver:
        assert play(driver, two_epochs(0.9, 0.8, 0.7, 0.1))[-1] == ("t0003", 2, CONTINUE)


@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_from_every_prefix_of_a_journal_with_lineages_it_goes_on_undisturbed(data: st.DataObject) -> None:
    chosen = dataclasses.replace(PBT, max_epochs=8, mode=data.draw(st.sampled_from(["max", "min"])))
    values = st.integers(0, 20).map(lambda number: number / 20)
    # t0005 and later exist once others have ended for them.
    reports = st.tuples(st.sampled_from(names(9)), values)
    demand_undisturbed(chosen, names(5), data.draw(st.lists(reports, min_size=20, max_size=50)))


def study(*, schedule: str = "pbt", **search: Any) -> StudySpec:
    spec = spec_of(schedule=schedule, max_epochs=6, replicates=0, **{"trials": 14, **search})
    # One after another, so that most are compared with few: half of them count as worst.
    return spec.model_copy(update={"schedule": spec.schedule.model_copy(update={"quantile": 0.5})})


@pytest.fixture
def without_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(successors, "inherit_checkpoint", lambda *_, **__: None)


def lineages(journal: list[Record]) -> list[tuple[Any, ...]]:
    return [
        (trial.name, trial.variant.variant_id, trial.parent, trial.from_epoch, trial.state, trial.epoch)
        for trial in fold(journal).trials.values()
    ]


@pytest.mark.usefixtures("without_files")
@pytest.mark.parametrize("schedule", ["pbt", "pb2"])
def test_played_study_trains_each_place_of_the_population_to_its_end(tmp_path: Path, schedule: str) -> None:
    journal = drive(tmp_path, study(schedule=schedule))
    state = fold(journal)
    children = [trial for trial in state.trials.values() if trial.parent]
    assert len(state.trials) == 8 + len(children) <= 14
    assert len(children) > 2
    assert sum(trial.num_epochs for trial in state.trials.values()) == 8 * 6
    assert sum(trial.state is TrialState.COMPLETED for trial in state.trials.values()) == 8
    for child in children:
        parent = state.trials[child.parent]
        changed = {name for name in parent.variant.params if parent.variant.params[name] != child.variant.params[name]}
        assert changed == {"dropout"}
        assert parent.variant.seed == child.variant.seed
    # The search proposes the population and learns from it alone: trials in others' places come last.
    proposed = [record for record in journal if isinstance(record, TrialProposed)]
    alone = drive(tmp_path / "alone", study(trials=8))
    assert [record.variant for record in alone if isinstance(record, TrialProposed)] == [
        record.variant for record in proposed
    ]
    started = [record.trial for record in journal if type(record).__name__ == "TrialStarted"]
    assert [name for name in started if not state.trials[name].parent] == started[:8]


@pytest.mark.usefixtures("without_files")
@pytest.mark.parametrize(
    ("algorithm", "schedule", "step"), [("random", "pbt", 1), ("tpe", "pbt", 1), ("random", "pb2", 9)]
)
def test_played_study_ends_alike_wherever_its_driver_died(
    tmp_path: Path, algorithm: str, schedule: str, step: int
) -> None:
    spec = study(algorithm=algorithm, schedule=schedule)
    journal = drive(tmp_path / "calm", spec)
    for length in range(2, len(journal), step):
        again = drive(tmp_path / str(length), spec, before=journal[:length])
        assert lineages(again) == lineages(journal)


@pytest.mark.parametrize("is_here", [True, False], ids=["on this node", "on another node"])
def test_checkpoint_comes_from_remote_storage_and_its_copy_gets_there_before_the_trial(
    tmp_path: Path, is_here: bool
) -> None:
    remote = f"file://{tmp_path}/elsewhere/run"
    with rig(PBT, PBT.opening(names(4))) as driver:
        play(driver, two_epochs(0.9, 0.8, 0.7))
        driver.scheduler._successors = successors.Successors(PBT.spec(), listener=driver.listener, remote=remote)
        parent = driver.recorder.trial("t0000")
        folder = driver.recorder.folder.checkpoints / "t0000"
        state = {"model/0000": np.arange(3, dtype=np.float32)}
        checkpoint = Checkpoint(variant_id=parent.variant.variant_id, state=state, history=parent.reports)
        save_checkpoint(folder, checkpoint, is_durable=False)
        store = CheckpointStore(remote, trial="t0000", folder=folder)
        store.changed(keep=[2])
        assert store.wait_for_uploads() == ""
        if not is_here:
            discard_checkpoint(folder, epoch=2)
        with patch.object(successors, "inherit_checkpoint", inherit_checkpoint):
            assert play(driver, two_epochs(0, 0, 0, 0.1)[6:])[-1] == ("t0003", 2, STOP)
        child = driver.recorder.trial("t0004")
        other = CheckpointStore(remote, trial="t0004", folder=tmp_path / "node" / "t0004")
        other.fetch(variant_id=child.variant.variant_id, is_needed=True)
        fetched = newest_checkpoint(tmp_path / "node" / "t0004", variant_id=child.variant.variant_id)
        assert fetched is not None
        assert (fetched.epoch, list(fetched.changed)) == (2, ["dropout"])
