"""Made-up journals that hold every kind of record: a strategy for laws about what follows from a journal."""

from typing import Any, get_args

from hypothesis import strategies as st

from orchestrator.journal.records import (
    EnsembleExported,
    EpochReported,
    ModelExported,
    Record,
    SessionStarted,
    StudyExtended,
    StudyFinished,
    StudyOpened,
    StudyPaused,
    TrialFailed,
    TrialHeld,
    TrialNoted,
    TrialPromoted,
    TrialProposed,
    TrialReplaced,
    TrialReused,
    TrialStarted,
    TrialStopped,
    WorkerLost,
)
from orchestrator.journal.steering_records import (
    AnnotationAdded,
    PauseAsked,
    StudyTagged,
    TrialKept,
    TrialStarred,
    TrialStopAsked,
    VariantAsked,
)
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.journal.trial import Trial

VALUES = st.sampled_from([0.1, 0.25, 0.5, 0.9])


def variant(number: int, **params: float) -> dict[str, Any]:
    return {"family": "sequential", "params": {"filters": 8 + number, "patience": 0, **params}, "seed": 0}


def report(epoch: int, value: float, *, max_epochs: int) -> dict[str, Any]:
    return {
        "epoch": epoch,
        "metrics": {"val_accuracy": value, "val_loss": 1 - value},
        "train_seconds": 1.0,
        "images_per_second": 9.0,
        "is_last": epoch >= max_epochs,
    }


def study_record(draw: Any, kind: type, state: StudyState, *, at: float) -> Record | None:
    """Returns a record about the study or of a new trial; None where the kind is about an existing one."""
    number, max_epochs = len(state.trials), state.header.max_epochs
    values = draw(st.lists(VALUES, min_size=1, max_size=3))
    reports = [report(epoch, value, max_epochs=len(values)) for epoch, value in enumerate(values, start=1)]
    original = draw(st.sampled_from(["", *(t.name for t in state.trials.values() if not t.replicate_of)]))
    made: dict[type, Record] = {
        SessionStarted: SessionStarted(
            driver_pid=1, slots=2, dataset="d", results_id="r", began_at=at - 1, minutes=5.0, at=at
        ),
        StudyPaused: StudyPaused(reason="interrupted", at=at),
        StudyFinished: StudyFinished(reason="no time", at=at),
        StudyExtended: StudyExtended(
            study_id=f"i{at}",
            max_epochs=max_epochs + draw(st.integers(0, 2)),
            num_trials=9 + number,
            replicates=draw(st.sampled_from([0, 2, 3])),
            leaders=2,
            folds=state.header.folds,
            change="longer",
            study="name: s",
            replaces="0",
            at=at,
        ),
        TrialProposed: TrialProposed(
            trial=f"t{number:04d}",
            number=number,
            variant=variant(number, patience=draw(st.integers(0, 2))),
            replicate_of=original,
            fold=state.header.folds[1 + number % 2] if original and state.header.folds else 0,
            at=at,
        ),
        TrialReused: TrialReused(
            trial=f"t{number:04d}",
            number=number,
            variant=variant(number),
            source="/runs/old",
            source_trial="t7",
            reports=reports,
            reported_at=[at - 9] * len(reports),
            started_at=[at - 9],
            worker={"node": "n"},
            at=at,
        ),
    }
    if kind is TrialReplaced:
        return _replacement(draw, state, at=at)
    request = request_id(draw(st.integers(0, 8)) if at % 3 == 0 else int(at))
    made |= {
        # Of a trial to come, perhaps, or of one that there is.
        VariantAsked: VariantAsked(request=request, variant=variant(draw(st.integers(0, number + 2))), at=at),
        PauseAsked: PauseAsked(request=request, at=at),
        StudyTagged: StudyTagged(request=request, tags=["a", "b", "c"][int(at) % 3 :], tagged=at % 4 > 0, at=at),
    }
    if kind is AnnotationAdded and (not state.trials or at % 2):
        return AnnotationAdded(request=request, trial="", text="look", at=at)
    return made.get(kind)


def request_id(number: int) -> str:
    return f"{number:020d}-{number:08x}"


def _replacement(draw: Any, state: StudyState, *, at: float) -> Record | None:
    """Returns a record by which a trial goes on in another's place; None where there are no two such trials."""
    usable = [trial for trial in state.trials.values() if trial.reports and not trial.replicate_of]
    training = [trial for trial in usable if not trial.has_ended]
    if not training or len(usable) < 2:
        return None
    replaced = draw(st.sampled_from(training))
    parent = draw(st.sampled_from([trial for trial in usable if trial is not replaced]))
    number = len(state.trials)
    return TrialReplaced(
        trial=f"t{number:04d}",
        number=number,
        variant=variant(number),
        parent=parent.name,
        from_epoch=draw(st.integers(parent.from_epoch + 1, parent.epoch)),
        replaces=replaced.name,
        epoch=replaced.epoch,
        reason="pbt: weak",
        at=at,
    )


def trial_record(draw: Any, kind: type, trial: Trial, *, max_epochs: int, at: float) -> Record | None:
    """Returns a record about a trial; None where it cannot follow."""
    name, rank = trial.name, draw(st.integers(1, 3))
    told = report(trial.epoch + 1, draw(VALUES), max_epochs=max_epochs)
    failure = draw(st.sampled_from(["infeasible", "diverged", "worker_lost"]))
    request, choice = request_id(int(at) % 25), draw(st.booleans())
    made: dict[type, Record] = {
        TrialNoted: TrialNoted(trial=name, kind="checkpoint_invalid", text="older one", at=at),
        TrialStopAsked: TrialStopAsked(request=request, trial=name, at=at),
        TrialKept: TrialKept(request=request, trial=name, keep=choice, at=at),
        TrialStarred: TrialStarred(request=request, trial=name, starred=choice, at=at),
        AnnotationAdded: AnnotationAdded(request=request, trial=name, text="slow", at=at),
    }
    if trial.reports:
        folder = f"exports/{rank}-{name}"
        members = [{"trial": name, "epoch": 1, "weight": 1.0}]
        made[EnsembleExported] = EnsembleExported(
            method="greedy",
            members=members,
            metrics={"accuracy": 0.5},
            folder="exports/ensemble-greedy",
            test_metrics={"loss": 0.5},
            at=at,
        )
        made[ModelExported] = ModelExported(
            trial=name, rank=rank, epoch=1, folder=folder, test_metrics={"loss": 0.5}, at=at
        )
    if not trial.has_ended:
        made |= {
            TrialStarted: TrialStarted(trial=name, at=at),
            EpochReported: EpochReported(trial=name, report=told, worker={"node": "n"}, at=at),
            WorkerLost: WorkerLost(trial=name, reason="killed", at=at),
            TrialFailed: TrialFailed(trial=name, kind=failure, reason="bad", at=at),
        }
        if trial.reports:
            made[TrialStopped] = TrialStopped(trial=name, epoch=trial.epoch, reason="asha: weak", at=at)
            made[TrialHeld] = TrialHeld(trial=name, epoch=trial.epoch, reason="asha: waits", at=at)
        if trial.is_held:
            promoted = TrialPromoted(trial=name, epoch=trial.epoch, reason="asha: good", at=at)
            made |= {TrialPromoted: promoted, TrialHeld: promoted}
    return made.get(kind)


@st.composite
def journals(draw: st.DrawFn) -> list[Record]:
    """Returns records of every kind that may follow one another, trials ending and going on after extensions."""
    max_epochs = draw(st.integers(1, 4))
    header = StudyOpened(
        schema=2,
        study="s",
        seed=0,
        metric="val_accuracy",
        mode="max",
        max_epochs=max_epochs,
        num_trials=9,
        folds=[2, 3, 1] if max_epochs > 2 else [],
        at=0.0,
    )
    records: list[Record] = [header]
    state = fold(records)
    kinds = [
        *get_args(Record)[1:],
        EpochReported,
        EpochReported,
        TrialStarted,
        TrialProposed,
        TrialHeld,
        TrialHeld,
        TrialHeld,
    ]
    kinds += [TrialReplaced, TrialReplaced, TrialReplaced, TrialFailed]
    for step in range(draw(st.integers(0, 40))):
        kind, at = draw(st.sampled_from(kinds)), 10.0 + step
        record = study_record(draw, kind, state, at=at)
        if record is None and state.trials:
            trial = state.trials[draw(st.sampled_from(sorted(state.trials)))]
            record = trial_record(draw, kind, trial, max_epochs=state.header.max_epochs, at=at)
        if record is not None:
            records.append(record)
            state.apply(record)
    return records
