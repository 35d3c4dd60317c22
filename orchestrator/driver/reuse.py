"""Takes over what another run trained already: the same variant on the same data with the same training."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from orchestrator.errors import OrchestratorError
from orchestrator.journal.reading import load_state
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import TrialReused
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.runs.folder import open_run_folder
from orchestrator.runs.paths import trial_name
from orchestrator.study.spec import StudySpec
from search_spaces import SpaceError, Variant, make_variant
from trainables.checkpoints.checkpoint import checkpoint_folder, checkpoint_owner, load_checkpoint, saved_epochs
from trainables.checkpoints.inheriting import link_or_copy
from trainables.errors import CheckpointError
from trainables.specs.worker import WorkerSpec


def results_id(worker: WorkerSpec) -> str:
    """Returns 12 hexadecimal digits that follow from all that a variant's reports depend on, but the variant.

    The objective does not count: only patience depends on it, which `take_over` checks.

    Args:
        worker: What each worker receives.
    """
    training = worker.training
    content = {
        # Pixels, labels and who is in which split.
        "dataset": worker.dataset.fingerprint,
        "task": worker.dataset.task.to_json(),
        "augment": training.augment.model_dump(mode="json"),
        "max_epochs": training.max_epochs,
        "limits": dict(training.limits),
    }
    if training.code:
        content |= {"code": training.code, "callbacks": list(training.callbacks)}
    if worker.device.gpus > 1:
        # Batch normalisation sees the part of a batch that each of them has.
        content["gpus"] = worker.device.gpus
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def take_over(spec: StudySpec, *, recorder: Recorder, worker: WorkerSpec, notify: Callable[[str], None]) -> None:
    """Journals the completed trials of the runs that the study reuses, before its own first trial.

    Once the study has a trial of its own, nothing is taken over, so that a study that is resumed goes on as if it had
    never stopped.

    Args:
        spec: The study.
        recorder: Writes the journal.
        worker: What each worker receives.
        notify: Receives one message for the user a run.
    """
    if any(not trial.reused_from for trial in recorder.state.trials.values()):
        return
    for source in spec.reuse:
        try:
            text = _take_over_from(Path(source), spec, recorder=recorder, worker=worker)
        except OrchestratorError as exc:
            text = f"nothing taken over; {exc}"
        notify(f"reuse {source}: {text}")


def _take_over_from(source: Path, spec: StudySpec, *, recorder: Recorder, worker: WorkerSpec) -> str:
    folder = open_run_folder(source)
    other = load_state(folder)
    for_all = _difference(other, worker=worker)
    num_taken, reasons = 0, Counter[str]()
    for trial in list(other.trials.values()):
        state = recorder.state
        if any(own.reused_from == f"{source}:{trial.name}" for own in state.trials.values()):
            num_taken += 1
            continue
        reason = for_all or _difference_of(trial, spec, other=other, own=state)
        if not reason:
            name = trial_name(len(state.trials))
            reason = _copy_checkpoints(
                trial, folder.checkpoints / trial.name, to=Path(worker.checkpoints) / name, own=state
            )
        if reason:
            reasons[reason] += 1
            continue
        recorder.append(
            TrialReused(
                trial=name,
                number=len(state.trials),
                variant=trial.variant.to_json(),
                source=str(source),
                source_trial=trial.name,
                reports=[report.to_json() for report in trial.reports],
                reported_at=list(trial.reported_at),
                started_at=list(trial.started_at),
                worker=dict(trial.worker),
                at=recorder.now(),
            )
        )
        num_taken += 1
    left = f"; {reasons.total()} not: " + ", ".join(f"{n} {why}" for why, n in reasons.items()) if reasons else ""
    return f"{len(other.trials)} trials there, {num_taken} taken over{left}"


def _difference(other: StudyState, *, worker: WorkerSpec) -> str:
    """Returns why no trial of another run can be taken over; an empty text if some may."""
    last = other.sessions[-1] if other.sessions else None
    if last is None or not last.results_id:
        return "from a version that did not say what its results depend on"
    if last.results_id == results_id(worker):
        return ""
    if last.dataset != worker.dataset.fingerprint:
        return "on other data"
    if other.header.max_epochs != worker.training.max_epochs:
        return f"with max_epochs {other.header.max_epochs}, here {worker.training.max_epochs}"
    return "trained otherwise (targets, augmentation, limits or own code)"


def _difference_of(trial: Trial, spec: StudySpec, *, other: StudyState, own: StudyState) -> str:
    """Returns why a trial of another run is no result of this study; an empty text if it is one."""
    metric, mode = spec.objective.metric, spec.objective.mode
    if trial.state is not TrialState.COMPLETED:
        return "did not complete"
    if trial.fold or trial.parent:
        return "on other folds" if trial.fold else "went on from another's checkpoint"
    if any(metric not in report.metrics for report in trial.reports):
        return f"without {metric}"
    if trial.variant.params.get("patience") and (other.header.metric, other.header.mode) != (metric, mode):
        return "whose patience watched another objective"
    if any(known.variant.variant_id == trial.variant.variant_id for known in own.trials.values()):
        return "here already"
    return _distance(trial.variant, spec) or ("beyond search.trials" if len(own.trials) >= spec.num_proposed else "")


def _distance(variant: Variant, spec: StudySpec) -> str:
    """Returns why a variant is none that the study could propose; an empty text if it is one."""
    if variant.seed != spec.seed:
        return "with another seed"
    try:
        again = make_variant(spec.space, {"family": variant.family, **variant.params}, seed=variant.seed)
    except SpaceError:
        return "outside of this space"
    return "" if again.variant_id == variant.variant_id else "outside of this space"


def _copy_checkpoints(trial: Trial, source: Path, *, to: Path, own: StudyState) -> str:
    """Copies a trial's best checkpoint, for its export, and its newest one; returns why that cannot be done."""
    best = trial.best_report(**own.header.ranking)
    shutil.rmtree(to, ignore_errors=True)
    for epoch in sorted({best.epoch if best else 0, *saved_epochs(source)[-1:]}):
        folder = checkpoint_folder(source, epoch=epoch)
        try:
            load_checkpoint(folder, variant_id=checkpoint_owner(trial.variant.variant_id, fold=trial.fold))
        except CheckpointError:
            if best is not None and epoch == best.epoch:
                return "whose best checkpoint is gone or damaged"
            continue
        shutil.copytree(folder, checkpoint_folder(to, epoch=epoch), copy_function=link_or_copy)
    return ""
