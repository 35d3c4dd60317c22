"""Runs one study from its spec to its result, resumes it, and exports from it again."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.disk.checkpoint_keeper import CheckpointKeeper
from orchestrator.driver.result import StudyResult, open_run
from orchestrator.driver.session import Session, open_session
from orchestrator.errors import ExportError, OrchestratorError, StudyFailedError, StudyPausedError
from orchestrator.export.selection import ExportResult
from orchestrator.journal.records import StudyFinished
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.mirror.fetch import local_run, taken_elsewhere
from orchestrator.results.writer import TableWriter
from orchestrator.runs.folder import discard_if_unused, load_state, new_run_folder, open_run_folder
from orchestrator.runs.paths import RUNS, RunFolder
from orchestrator.study.loading import StudySpec, load_study
from orchestrator.study.sections import Export
from orchestrator.views.terminal.progress import Progress


def run_study(
    spec: StudySpec, *, runs: Path = RUNS, address: str | None = None, progress: Progress | None = None
) -> StudyResult:
    """Runs a study in a new folder below `runs` and returns what came of it.

    address: A Ray cluster to join, `host:port` or `auto`; None: this machine alone.

    Raises: StudyPausedError: on Ctrl-C or SIGTERM. StudyFailedError: if the study cannot work.
    """
    folder = new_run_folder(runs, spec, is_taken=taken_elsewhere(spec.storage.uri))
    try:
        return _work(folder, spec, address=address, progress=progress)
    except OrchestratorError:
        discard_if_unused(folder)
        raise


def resume_study(
    root: Path | str,
    *,
    overrides: Sequence[str] = (),
    address: str | None = None,
    progress: Progress | None = None,
) -> StudyResult:
    """Goes on with a run exactly where its journal ends, and returns what came of it.

    root: Its folder, or the URI where it is kept elsewhere; it is brought to `runs/<name>` then.
    overrides: `key=value` texts such as `search.trials=60` that extend the study; what would make earlier results
        incomparable is refused.

    Raises: RunFolderError: if there is no such run, or another driver is at work on it. InputError: if its study or
        its data changed, or may not be changed so. The rest as `run_study`.
    """
    folder = open_run_folder(local_run(str(root), with_files=True))
    return _work(folder, load_study(folder.study), overrides=overrides, address=address, progress=progress)


def export_study(
    root: Path | str,
    *,
    top: int | None = None,
    formats: Sequence[str] = (),
    address: str | None = None,
    progress: Progress | None = None,
) -> list[ExportResult]:
    """Exports the best models of a run again, or others, or in other formats, and returns them, best first.

    top: How many; None: as many as the study says, and at least one.

    Raises: ExportError: if one failed; the others are exported all the same.
    """
    folder = open_run_folder(local_run(str(root), with_files=True))
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


def _work(
    folder: RunFolder,
    spec: StudySpec,
    *,
    overrides: Sequence[str] = (),
    address: str | None,
    progress: Progress | None,
) -> StudyResult:
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
        tell=session.tell,
    )


def _check_any_result(trials: list[Trial], folder: RunFolder) -> None:
    """Raises StudyFailedError if no trial has a result."""
    if any(trial.state in {TrialState.COMPLETED, TrialState.STOPPED} for trial in trials):
        return
    reasons = [trial.reason for trial in trials if trial.reason]
    common = max(reasons, key=reasons.count, default="no trial was run")
    share = f"{reasons.count(common)} of {len(trials)} trials" if reasons else "the study"
    raise StudyFailedError(f"{folder.root}: no trial has a result; {share} ended with: {common}")
