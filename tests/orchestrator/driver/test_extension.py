"""A run is extended by its own command only, in its journal first; what would make results incomparable is refused."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.driver.extension import current_study
from orchestrator.errors import InputError
from orchestrator.journal.file import Journal, read_journal
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import (
    Record,
    SessionStarted,
    StudyExtended,
    StudyFinished,
    StudyOpened,
    TrialProposed,
    TrialStarted,
)
from orchestrator.journal.study_state import fold
from orchestrator.runs.folder import make_run_folder
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_study, parse_study
from orchestrator.study.spec import StudySpec

STUDY: dict[str, Any] = {
    "name": "s",
    "seed": 3,
    "data": {"source": "digits"},
    "space": {
        "family": "sequential",
        "params": {"num_blocks": {"int": [1, 4]}, "learning_rate": {"float": [1e-3, 1e-1], "log": True}},
    },
    "search": {"algorithm": "random", "trials": 4},
    "schedule": {"algorithm": "asha", "max_epochs": 3, "grace_epochs": 1},
}


class Killed(BaseException):
    """SIGKILL, as seen from inside."""


@pytest.fixture
def make_run(tmp_path: Path, make_reported: Any) -> Callable[..., RunFolder]:
    """Makes a finished run of two trials, both at their third epoch."""

    def make(**changes: Any) -> RunFolder:
        spec = parse_study({**STUDY, **changes}, base=tmp_path)
        folder = make_run_folder(tmp_path / "run", study_yaml=spec.to_yaml())
        records: list[Record] = [
            StudyOpened(
                schema=2,
                study="s",
                study_id=spec.study_id,
                seed=3,
                metric="val_accuracy",
                mode="max",
                max_epochs=3,
                num_trials=spec.num_trials,
                at=1.0,
            ),
            SessionStarted(driver_pid=1, slots=1, at=1.0),
        ]
        for number in (0, 1):
            name, variant = f"t{number:04d}", {"family": "sequential", "params": {"num_blocks": number + 1}, "seed": 3}
            records += [TrialProposed(trial=name, number=number, variant=variant, at=1.0)]
            records += [TrialStarted(trial=name, at=1.0)]
            for epoch in (1, 2, 3):
                told = make_reported(number, epoch, at=2.0, value=0.5)
                records.append(replace(told, report={**told.report, "is_last": epoch == 3}))
        with Journal(folder.journal) as journal:
            for record in [*records, StudyFinished(at=3.0)]:
                journal.append(record)
        return folder

    return make


@contextmanager
def recording(folder: RunFolder) -> Iterator[Recorder]:
    with Journal(folder.journal) as journal:
        yield Recorder(journal, state=fold(read_journal(folder.journal)), folder=folder, clock=lambda: 9.0)


def resume(folder: RunFolder, *overrides: str) -> StudySpec:
    with recording(folder) as recorder:
        return current_study(folder, load_study(folder.study), recorder=recorder, overrides=overrides)


def snapshot(folder: RunFolder) -> tuple[bytes, bytes]:
    return folder.study.read_bytes(), folder.journal.read_bytes()


@pytest.mark.parametrize(
    ("override", "change", "num_trials", "max_epochs"),
    [
        ("search.trials=60", "search.trials 4 -> 60", 60, 3),
        ("search.trials=2", "search.trials 4 -> 2", 2, 3),
        ("search.replicates=5", "search.replicates 0 -> 5", 4, 3),
        ("search.leaders=2", "search.leaders 3 -> 2", 4, 3),
        ("search.minutes=2", "search.minutes None -> 2.0", 4, 3),
        ("schedule.max_epochs=30", "schedule.max_epochs 3 -> 30", 4, 30),
        ("export.top=5", "export.top 3 -> 5", 4, 3),
        ("resources.retries=5", "resources.retries 3 -> 5", 4, 3),
        ("references=false", "references True -> False", 4, 3),
        ("storage.min_free_gb=1", "storage.min_free_gb 0.2 -> 1.0", 4, 3),
        ("storage.uri=s3://b/r", "storage.uri None -> 's3://b/r'", 4, 3),
    ],
)
def test_extension_is_in_the_journal_and_in_the_study_file(
    make_run: Any, override: str, change: str, num_trials: int, max_epochs: int
) -> None:
    folder = make_run()
    spec = resume(folder, override)
    assert load_study(folder.study) == spec
    record = list(read_journal(folder.journal))[-1]
    assert isinstance(record, StudyExtended)
    assert (record.change, record.study) == (change, folder.study.read_text(encoding="utf-8"))
    header = fold(read_journal(folder.journal)).header
    assert (header.study_id, header.num_trials, header.max_epochs) == (spec.study_id, num_trials, max_epochs)
    # From then on it is the study, and told once.
    before = snapshot(folder)
    assert resume(folder) == resume(folder, override) == spec
    assert snapshot(folder) == before


REFUSALS = [
    ("seed=9", "seed: cannot change from 3 to 9: every random choice of the earlier trials"),
    ("name=other", "name: cannot change from 's' to 'other': it names the run's folder"),
    ("data.limit=50", "data.limit: cannot change from None to 50: results on other images"),
    (
        "data.augment.flip=horizontal",
        "data.augment.flip: cannot change from .* to 'horizontal': results on other images, targets",
    ),
    (
        "space.params.num_blocks={int: [1, 5]}",
        r"space.params.num_blocks: cannot change from .*4.* to .*5.*: earlier proposals come from the old",
    ),
    (
        "objective={metric: val_loss}",
        "objective.metric: cannot change from 'val_accuracy' to 'val_loss': earlier trials",
    ),
    ("search.algorithm=tpe", "search.algorithm: cannot change from 'random' to 'tpe': earlier trials were proposed by"),
    ("schedule.algorithm=none", "schedule.algorithm: cannot change from 'asha' to 'none': earlier trials were stopped"),
    ("schedule.reduction_factor=2", "schedule.reduction_factor: cannot change from 3.0 to 2"),
    ("schedule.grace_epochs=2", "schedule.grace_epochs: cannot change from 1 to 2"),
    ("search.trials=1", "search.trials: must be at least 2, as many trials exist, got 1"),
    ("schedule.max_epochs=2", "schedule.max_epochs: must be more than the 3 epochs that a trial has, got 2"),
    ("reuse=<run>", "reuse: cannot change from .*: results are taken over before a study's first trial"),
]


@pytest.mark.parametrize(("override", "message"), REFUSALS)
def test_change_that_makes_results_incomparable_is_refused_with_its_reason(
    make_run: Any, override: str, message: str
) -> None:
    folder = make_run()
    before = snapshot(folder)
    with pytest.raises(InputError, match=rf"run: {message}.*; run the changed study in a new folder; `reuse: "):
        resume(folder, override.replace("<run>", str(folder.root)))
    assert snapshot(folder) == before


def test_no_fewer_replicates_than_a_trial_has(make_run: Any) -> None:
    folder = make_run(search={"algorithm": "random", "trials": 4, "replicates": 4})
    variant = {"family": "sequential", "params": {"num_blocks": 1}, "seed": 9}
    with Journal(folder.journal) as journal:
        for number in (2, 3, 4):
            name = f"t{number:04d}"
            journal.append(TrialProposed(trial=name, number=number, variant=variant, replicate_of="t0000", at=3.0))
    before = snapshot(folder)
    with pytest.raises(
        InputError, match=r"search\.replicates: must be at least 3, as many replicates of a trial exist"
    ):
        resume(folder, "search.replicates=2")
    assert snapshot(folder) == before
    # Replicates are no trials of the search: the two of it may be all.
    assert resume(folder, "search.replicates=3", "search.trials=2").num_trials == 2


def test_replicates_take_other_folds_once_asked_for_and_stay_of_their_kind(make_run: Any) -> None:
    folder = make_run(data={"source": "digits", "folds": 4, "fold": 2})
    spec = resume(folder, "search.replicates=2", "search.replicate_on=folds")
    assert spec.folds == [2, 3, 4, 1]
    state = fold(read_journal(folder.journal))
    assert state.header.folds == [2, 3, 4, 1]
    with Journal(folder.journal) as journal:
        variant = {"family": "sequential", "params": {"num_blocks": 1}, "seed": 9}
        journal.append(TrialProposed(trial="t0002", number=2, variant=variant, replicate_of="t0000", fold=3, at=3.0))
    with pytest.raises(
        InputError, match=r"search\.replicate_on: cannot change from 'folds' to 'seeds': a mean is over"
    ):
        resume(folder, "search.replicate_on=seeds")
    assert resume(folder, "search.replicates=3").folds == [2, 3, 4, 1]


def test_all_refusals_are_told_at_once(make_run: Any) -> None:
    with pytest.raises(InputError) as caught:
        resume(make_run(), "seed=9", "search.trials=1", "resources.retries=9")
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == ["seed", "search.trials"]


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("cosine", "space.params.schedule may be cosine, which"),
        ({"choice": ["constant", "step", "one_cycle"]}, "space.params.schedule may be step or one_cycle, which"),
        ("constant", ""),
    ],
)
def test_learning_rate_that_follows_a_course_to_the_last_epoch_forbids_more_epochs(
    make_run: Any, schedule: object, message: str
) -> None:
    space = {**STUDY["space"], "params": {**STUDY["space"]["params"], "schedule": schedule, "warmup_epochs": 2}}
    folder = make_run(space=space)
    resume(folder, "search.trials=9")
    if not message:
        assert resume(folder, "schedule.max_epochs=6").schedule.max_epochs == 6
        return
    with pytest.raises(InputError, match=f"{message} spreads the learning rate's course over max_epochs"):
        resume(folder, "schedule.max_epochs=6")


@pytest.mark.parametrize("override", ["search.trials=60", "resources.retries=5"])
def test_driver_that_dies_before_the_study_file_is_written_is_made_up_for(
    make_run: Any, monkeypatch: pytest.MonkeyPatch, override: str
) -> None:
    def die(*_: object) -> None:
        raise Killed

    folder = make_run()
    before = folder.study.read_bytes()
    with monkeypatch.context() as context:
        context.setattr("orchestrator.driver.extension.write_whole", die)
        with pytest.raises(Killed):
            resume(folder, override)
    assert folder.study.read_bytes() == before
    spec = resume(folder)
    assert load_study(folder.study) == spec == load_study(folder.study, overrides=[override])
    assert spec.study_id == fold(read_journal(folder.journal)).header.study_id


def test_study_file_changed_by_hand_is_refused_with_the_command_that_extends(make_run: Any) -> None:
    folder = make_run()
    text = folder.study.read_text(encoding="utf-8")
    folder.study.write_text(text.replace("trials: 4", "trials: 6"), encoding="utf-8")
    with pytest.raises(InputError, match=r"study.yaml: was changed since the run began .*--set search.trials="):
        resume(folder)
    with pytest.raises(InputError, match="was changed since the run began"):
        resume(folder, "export.top=1")
    # Results do not depend on these.
    folder.study.write_text(text.replace("retries: 3", "retries: 0"), encoding="utf-8")
    assert resume(folder).resources.retries == 0


def test_settings_put_back_by_hand_after_a_session_stay_as_they_are(make_run: Any) -> None:
    folder = make_run()
    before = folder.study.read_bytes()
    resume(folder, "resources.retries=5")
    with recording(folder) as recorder:
        recorder.append(SessionStarted(driver_pid=1, slots=1, at=10.0))
    folder.study.write_bytes(before)
    assert resume(folder).resources.retries == 3


def test_mistake_in_the_new_value_is_told_as_in_any_study_file(make_run: Any) -> None:
    folder = make_run()
    before = snapshot(folder)
    with pytest.raises(InputError, match=r"search\.trials: must be greater than or equal to 1, got 0"):
        resume(folder, "search.trials=0")
    with pytest.raises(InputError, match="--set trials: expected key=value"):
        resume(folder, "trials")
    assert snapshot(folder) == before
