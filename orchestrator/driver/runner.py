"""Runs one study from its spec to its result, resumes it, and exports from it again."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from orchestrator.disk.checkpoint_keeper import CheckpointKeeper
from orchestrator.driver.endings import open_session
from orchestrator.driver.result import StudyResult, open_run
from orchestrator.driver.session import Session
from orchestrator.errors import ExportError, StudyFailedError, StudyPausedError
from orchestrator.journal.reading import load_state, read_state
from orchestrator.journal.records import StudyFinished
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.mirror.fetch import fetched_run
from orchestrator.results.writer import TableWriter
from orchestrator.runs.folder import open_run_folder
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_study
from orchestrator.study.sections import Export
from orchestrator.study.spec import StudySpec
from orchestrator.views.terminal.progress import Progress
from trainables.specs.export import ExportResult


def export_study(
    root: Path | str,
    *,
    top: int | None = None,
    formats: Sequence[str] = (),
    address: str | None = None,
    progress: Progress | None = None,
) -> list[ExportResult]:
    """Exports the best models of a run again, or others, or in other formats, and returns them, best first.

    Args:
        top: How many; None: as many as the study says, and at least one.

    Raises:
        ExportError: If one failed; the others are exported all the same.
    """
    folder = open_run_folder(fetched_run(str(root), with_files=True))
    load_state(folder)  # raises where the study was never opened
    spec = load_study(folder.study)
    export = Export.model_validate({"top": top or max(1, spec.export.top), "formats": formats or spec.export.formats})
    spec = spec.model_copy(update={"export": export})
    try:
        with open_session(folder, spec, address=address, progress=progress) as session:
            session.open_study()
            session.spec = session.spec.model_copy(update={"export": export})
            with session.connected():
                return session.export(always=True)
    except StudyPausedError as exc:
        raise StudyPausedError("the export was interrupted; run the same command again") from exc


def work(
    folder: RunFolder,
    spec: StudySpec,
    *,
    overrides: Sequence[str] = (),
    address: str | None,
    progress: Progress | None,
) -> StudyResult:
    """Trains what has not ended, exports the best, writes tables and report."""
    with open_session(folder, spec, address=address, progress=progress) as session:
        session.open_study(overrides=overrides)
        state, failed_exports = session.recorder.state, None
        if state.finished is None or state.unfinished or session.damaged_exports():
            with session.connected(), TableWriter(folder, recorder=session.recorder), _keeper(session):
                session.train()
                try:
                    session.export()
                except ExportError as exc:
                    # The trials are done all the same; `convfleet export` can try again.
                    failed_exports = exc
                session.recorder.append(StudyFinished(at=session.recorder.now()))
        else:
            # They follow from the journal, and may have been damaged or lost since.
            TableWriter(folder, recorder=session.recorder).write()
        session.write_report()
        _check_any_result(list(state.trials.values()), folder)
        if failed_exports is not None:
            raise failed_exports
    return open_run(folder.root)


def _keeper(session: Session) -> CheckpointKeeper:
    budget = session.spec.storage.checkpoint_budget_gb
    return CheckpointKeeper(
        session.folder,
        recorder=session.recorder,
        budget_bytes=None if budget is None else budget * 1e9,
        top=session.spec.export.top,
        notify=session.notify,
    )


def _check_any_result(trials: list[Trial], folder: RunFolder) -> None:
    """Raises StudyFailedError if no trial has a result."""
    if any(trial.state in {TrialState.COMPLETED, TrialState.STOPPED} for trial in trials):
        return
    reasons = [trial.reason for trial in trials if trial.reason]
    common = max(reasons, key=reasons.count, default="no trial was run")
    share = f"{reasons.count(common)} of {len(trials)} trials" if reasons else "the study"
    raise StudyFailedError(f"{folder.root}: no trial has a result; {share} ended with: {common}")


def discard_if_unused(folder: RunFolder) -> None:
    """Removes a new run folder whose study ended before its first trial: there is nothing in it to resume."""
    if not folder.journal.exists() or not read_state(folder).trials:
        shutil.rmtree(folder.root, ignore_errors=True)
