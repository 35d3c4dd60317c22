"""What another run trained on the same data with the same training is taken over once, marked, and told in numbers."""

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orchestrator.driver.reuse import results_id, take_over
from orchestrator.journal.file import Journal, read_journal
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import (
    EpochReported,
    SessionStarted,
    StudyExtended,
    StudyOpened,
    TrialProposed,
    TrialReused,
    TrialStarted,
    TrialStopped,
)
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.journal.trial import TrialState
from orchestrator.results.from_tables import cost
from orchestrator.results.tables import trials_table
from orchestrator.runs.folder import make_run_folder
from orchestrator.runs.paths import RunFolder
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.study.loading import load_study, parse_study
from orchestrator.study.spec import StudySpec
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.searcher import VariantSearcher
from trainables.checkpoints.checkpoint import (
    Checkpoint,
    checkpoint_folder,
    load_checkpoint,
    save_checkpoint,
    saved_epochs,
)
from trainables.specs.augment import AugmentSpec
from trainables.specs.data import DataSpec
from trainables.specs.dataset import DatasetInfo
from trainables.specs.pixels import PixelStatistics
from trainables.specs.task import Task
from trainables.specs.worker import DeviceSpec, TrainingSpec, WorkerSpec

MAX_EPOCHS = 3
AUC_DATA = {"source": "digits", "targets": {"label": {"metrics": ["accuracy", "auc"]}}}
GRID = {"family": "sequential", "params": {"num_blocks": {"int": [1, 3]}, "filters": {"choice": [4, 8]}}}


def make_spec(base: Path, **changes: Any) -> StudySpec:
    content = {
        "name": "s",
        "seed": 3,
        "data": {"source": "digits"},
        "space": GRID,
        "search": {"algorithm": "grid"},
        "schedule": {"algorithm": "none", "max_epochs": MAX_EPOCHS},
    }
    return parse_study({**content, **changes}, base=base)


def make_worker(folder: RunFolder, *, fingerprint: str = "f00", **training: Any) -> WorkerSpec:
    dataset = DatasetInfo(
        key="k",
        split_key="s",
        folder="cache",
        task=Task.classification(input_shape=(8, 8, 1), num_classes=2),
        statistics=PixelStatistics(means=(1.0,), deviations=(1.0,)),
        num_train=70,
        num_validation=10,
        num_test=20,
        fingerprint=fingerprint,
    )
    given = {"max_epochs": MAX_EPOCHS, "metric": "val_accuracy", "mode": "max"} | training
    return WorkerSpec(
        dataset=dataset,
        data=DataSpec(source="digits"),
        split_seed=3,
        training=TrainingSpec(**given),
        device=DeviceSpec(),
        checkpoints=str(folder.checkpoints),
    )


@dataclass(kw_only=True)
class OldRun:
    """Four trials of a grid: 0 and 1 completed, best at epochs 2 and 3, 2 stopped, 3 unfinished."""

    folder: RunFolder
    state: StudyState

    @property
    def reports(self) -> dict[str, list[dict[str, Any]]]:
        return {name: [report.to_json() for report in trial.reports] for name, trial in self.state.trials.items()}


@pytest.fixture
def old(tmp_path: Path, make_reported: Any) -> OldRun:
    spec = make_spec(tmp_path)
    folder = make_run_folder(tmp_path / "old", study_yaml=spec.to_yaml())
    proposer, state = Proposer(spec), StudyState()
    with Journal(folder.journal) as journal:

        def notify(record: Any) -> None:
            journal.append(record)
            state.apply(record)

        notify(
            StudyOpened(
                schema=2,
                study="s",
                seed=3,
                metric="val_accuracy",
                mode="max",
                max_epochs=MAX_EPOCHS,
                num_trials=6,
                at=1.0,
            )
        )
        worker = make_worker(folder)
        notify(SessionStarted(driver_pid=1, slots=1, dataset="f00", results_id=results_id(worker), at=2.0))
        for number, values in enumerate([(0.5, 0.9, 0.7), (0.2, 0.3, 0.4), (0.1,), (0.6, 0.6)]):
            name, variant = f"t{number:04d}", proposer.propose(number)
            assert variant is not None
            notify(TrialProposed(trial=name, number=number, variant=variant.to_json(), at=3.0))
            notify(TrialStarted(trial=name, at=4.0))
            for epoch, value in enumerate(values, start=1):
                told = make_reported(number, epoch, at=5.0 + epoch, value=value)
                notify(replace(told, report={**told.report, "is_last": epoch == MAX_EPOCHS}))
                checkpoint = Checkpoint(
                    variant_id=variant.variant_id,
                    state={"w": np.full(3, value)},
                    history=list(state.trials[name].reports),
                )
                save_checkpoint(folder.checkpoints / name, checkpoint)
        notify(TrialStopped(trial="t0002", epoch=1, reason="asha: weak", at=9.0))
    return OldRun(folder=folder, state=state)


@dataclass(kw_only=True)
class NewRun:
    """A study that reuses others, its driver without Ray."""

    folder: RunFolder
    spec: StudySpec
    told: list[str] = field(default_factory=list)

    def take_over(self, *, kill_after: int | None = None, **training: Any) -> StudyState:
        """Returns the state after a session's begin; `kill_after` so many records it dies."""
        with Journal(self.folder.journal, check=_bomb(kill_after)) as journal:
            recorder = Recorder(journal, state=fold(read_journal(self.folder.journal)), folder=self.folder)
            worker = make_worker(self.folder, **training)
            take_over(self.spec, recorder=recorder, worker=worker, notify=self.told.append)
            return recorder.state

    def propose_all(self) -> list[str]:
        """Returns the variants of the trials that are left to the searcher."""
        with Journal(self.folder.journal) as journal:
            recorder = Recorder(journal, state=fold(read_journal(self.folder.journal)), folder=self.folder)
            proposer = Proposer(self.spec)
            proposer.remember(recorder.state.trials.values())
            searcher = VariantSearcher(proposer, listener=TuneListener(recorder), num_trials=self.spec.num_trials)
            ids = []
            while isinstance(config := searcher.suggest(f"tune-{len(ids)}"), dict):
                ids.append(recorder.trial(config["trial"]).variant.variant_id)
            return ids


class Killed(BaseException):
    """SIGKILL, as seen from inside."""


def _bomb(count: int | None) -> Callable[[], None]:
    left = [count]

    def check() -> None:
        if left[0] is not None:
            left[0] -= 1
            if left[0] < 0:
                raise Killed

    return check


@pytest.fixture
def make_new(tmp_path: Path, make_opened: Any) -> Callable[..., NewRun]:
    def make(*, reuse: Sequence[str] = ("old",), **changes: Any) -> NewRun:
        spec = make_spec(tmp_path, reuse=reuse, **changes)
        folder = make_run_folder(tmp_path / "new", study_yaml=spec.to_yaml())
        with Journal(folder.journal) as journal:
            journal.append(make_opened(max_epochs=spec.schedule.max_epochs, num_trials=spec.num_trials))
        return NewRun(folder=folder, spec=spec)

    return make


def test_completed_trials_of_the_same_study_are_taken_over_with_all_their_reports(old: OldRun, make_new: Any) -> None:
    new = make_new()
    state = new.take_over()
    assert new.told == [f"reuse {old.folder.root}: 4 trials there, 2 taken over; 2 not: 2 did not complete"]
    assert list(state.trials) == ["t0000", "t0001"]
    for name, trial in state.trials.items():
        there = old.state.trials[name]
        assert trial.state is TrialState.COMPLETED
        assert trial.reused_from == f"{old.folder.root}:{name}"
        assert (trial.variant, trial.reports, trial.reported_at) == (there.variant, there.reports, there.reported_at)
        assert (trial.worker, trial.started_at) == (there.worker, there.started_at)
    assert fold(read_journal(new.folder.journal)) == state
    table = trials_table(state)
    assert table["reused_from"].to_pylist() == [f"{old.folder.root}:t0000", f"{old.folder.root}:t0001"]
    # They cost nothing here.
    assert cost(table, max_epochs=MAX_EPOCHS).trial_epochs == 0


def test_replicates_on_other_folds_are_not_taken_over(old: OldRun, make_new: Any) -> None:
    # Even one with the seed of the search, whose values are of other images.
    variant = replace(old.state.trials["t0001"].variant, seed=3).to_json()
    sizes = {"max_epochs": MAX_EPOCHS, "num_trials": 6, "replicates": 2, "leaders": 1, "folds": [1, 2, 3]}
    said = {"study_id": "i", "change": "folds", "study": "name: s", "replaces": "0"}
    report = old.reports["t0001"][-1]
    with Journal(old.folder.journal) as journal:
        journal.append(StudyExtended(**sizes, **said, at=50.0))
        journal.append(TrialProposed(trial="t0004", number=4, variant=variant, replicate_of="t0001", fold=2, at=51.0))
        for epoch in range(1, MAX_EPOCHS + 1):
            told = {**report, "epoch": epoch, "is_last": epoch == MAX_EPOCHS}
            journal.append(EpochReported(trial="t0004", report=told, worker={}, at=52.0))
    new = make_new()
    state = new.take_over()
    assert new.told == [
        f"reuse {old.folder.root}: 5 trials there, 2 taken over; 3 not: 2 did not complete, 1 on other folds"
    ]
    assert {trial.fold for trial in state.trials.values()} == {0}


def test_best_and_newest_checkpoints_come_along_and_outlive_the_old_run(old: OldRun, make_new: Any) -> None:
    new = make_new()
    state = new.take_over()
    shutil.rmtree(old.folder.root)
    assert saved_epochs(new.folder.checkpoints / "t0000") == [2, 3]
    assert saved_epochs(new.folder.checkpoints / "t0001") == [3]
    best = checkpoint_folder(new.folder.checkpoints / "t0000", epoch=2)
    loaded = load_checkpoint(best, variant_id=state.trials["t0000"].variant.variant_id)
    assert loaded.state["w"].tolist() == [0.9] * 3
    # A run that goes on no longer needs the old one.
    assert load_study(new.folder.study) == new.spec


def test_the_rest_of_a_grid_is_trained_and_nothing_twice(old: OldRun, make_new: Any) -> None:
    new = make_new()
    taken = [trial.variant.variant_id for trial in new.take_over().trials.values()]
    left = new.propose_all()
    assert len(left) == 4
    assert len({*taken, *left}) == 6


@pytest.mark.parametrize("kill_after", [0, 1])
def test_driver_that_dies_while_it_takes_over_goes_on_with_the_rest(
    old: OldRun, make_new: Any, kill_after: int
) -> None:
    new = make_new()
    with pytest.raises(Killed):
        new.take_over(kill_after=kill_after)
    state = new.take_over()
    assert [trial.reused_from[-5:] for trial in state.trials.values()] == ["t0000", "t0001"]
    assert new.told == [f"reuse {old.folder.root}: 4 trials there, 2 taken over; 2 not: 2 did not complete"]


def test_nothing_is_taken_over_after_the_first_trial_of_its_own(old: OldRun, make_new: Any) -> None:
    new = make_new()
    new.take_over()
    new.propose_all()
    new.told.clear()
    records = list(read_journal(new.folder.journal))
    shutil.rmtree(old.folder.root)
    new.take_over()
    assert new.told == []
    assert list(read_journal(new.folder.journal)) == records


@pytest.mark.parametrize(
    ("training", "reason"),
    [
        ({"fingerprint": "other"}, "4 on other data"),
        ({"max_epochs": 5}, "4 with max_epochs 3, here 5"),
        (
            {"augment": AugmentSpec(flip="horizontal")},
            r"4 trained otherwise (targets, augmentation, limits or own code)",
        ),
        ({"limits": {"parameters": 100}}, r"4 trained otherwise (targets, augmentation, limits or own code)"),
    ],
)
def test_results_on_other_data_or_of_other_training_stay_where_they_are(
    old: OldRun, make_new: Any, training: dict[str, Any], reason: str
) -> None:
    new = make_new()
    state = new.take_over(**training)
    assert state.trials == {}
    assert new.told == [f"reuse {old.folder.root}: 4 trials there, 0 taken over; 4 not: {reason}"]
    assert not new.folder.checkpoints.exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"seed": 4}, "2 with another seed"),
        ({"space": {"family": "sequential", "params": {"num_blocks": {"int": [2, 3]}, "filters": 4}}}, "2 outside of"),
        ({"data": AUC_DATA, "objective": {"metric": "val_auc"}}, "2 without val_auc"),
        ({"search": {"algorithm": "grid", "trials": 1}}, "1 beyond search.trials"),
        ({"reuse": ["old", "old"]}, "2 taken over; 2 not"),
    ],
)
def test_trials_that_the_study_would_not_train_stay_where_they_are(
    old: OldRun, make_new: Any, changes: dict[str, Any], reason: str
) -> None:
    new = make_new(**changes)
    new.take_over()
    assert reason in new.told[-1]


def test_trial_without_its_best_checkpoint_is_trained_again(old: OldRun, make_new: Any) -> None:
    shutil.rmtree(checkpoint_folder(old.folder.checkpoints / "t0000", epoch=2))
    damaged = checkpoint_folder(old.folder.checkpoints / "t0001", epoch=3) / "state.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    new = make_new()
    assert new.take_over().trials == {}
    assert "2 whose best checkpoint is gone or damaged" in new.told[0]


def test_damaged_or_missing_runs_are_passed_over_with_a_word(old: OldRun, make_new: Any) -> None:
    new = make_new()
    content = old.folder.journal.read_bytes()
    old.folder.journal.write_bytes(b"{}\n" + content)
    new.take_over()
    shutil.rmtree(old.folder.root)
    new.take_over()
    damaged, missing = new.told
    assert re.search(r"nothing taken over; .*journal.jsonl, line 1: not a record", damaged)
    assert re.search(r"nothing taken over; .*old: no such run folder", missing)


def test_run_of_an_older_version_says_nothing_of_what_its_results_depend_on(old: OldRun, make_new: Any) -> None:
    records = [
        replace(record, results_id="") if isinstance(record, SessionStarted) else record
        for record in read_journal(old.folder.journal)
    ]
    old.folder.journal.unlink()
    with Journal(old.folder.journal) as journal:
        for record in records:
            journal.append(record)
    new = make_new()
    new.take_over()
    assert new.told[0].endswith("4 not: 4 from a version that did not say what its results depend on")


@pytest.mark.parametrize(("gpus", "is_same"), [(0, True), (0.5, True), (1, True), (2, False)])
def test_several_gpus_in_a_trial_are_part_of_what_results_depend_on(gpus: float, is_same: bool, old: OldRun) -> None:
    worker = make_worker(old.folder)
    there = replace(worker, device=DeviceSpec(gpus=gpus))
    assert (results_id(there) == results_id(worker)) is is_same


def test_reused_trials_are_reports_that_are_nowhere_told_twice(old: OldRun, make_new: Any) -> None:
    new = make_new()
    new.take_over()
    records = list(read_journal(new.folder.journal))
    assert not any(isinstance(record, EpochReported) for record in records)
    assert [list(record.reports) for record in records if isinstance(record, TrialReused)] == [
        old.reports[name] for name in ("t0000", "t0001")
    ]
