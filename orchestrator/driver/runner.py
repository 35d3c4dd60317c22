"""Runs a study in a new run folder, resumes a run, and exports from it again."""

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from orchestrator.analysis.held_out import MODELS
from orchestrator.disk.checkpoint_keeper import CheckpointKeeper
from orchestrator.driver.endings import open_session
from orchestrator.driver.preparation import Prepared
from orchestrator.driver.session import Opening, Session
from orchestrator.ensembles.ensembles import Ensembles
from orchestrator.ensembles.outcome import EnsembleResult
from orchestrator.ensembles.wanted import USUAL_SIZE, WantedEnsemble, method_problem, size_problem
from orchestrator.errors import ExportError, InputError, OrchestratorError, StudyFailedError, StudyPausedError
from orchestrator.export.exports import Exports, damaged_exports, lacks_models
from orchestrator.journal.reading import load_state, read_state
from orchestrator.journal.records import EnsembleExported, ModelExported, StudyFinished
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.mirror.fetch import fetched_run
from orchestrator.mirror.places import taken_elsewhere
from orchestrator.mirror.run_of_study import RunOfStudy, outlast_last_driver, run_of_study
from orchestrator.results.optuna_journal import write_optuna_journal
from orchestrator.results.ranking import RANKED_STATES
from orchestrator.results.writer import TableWriter
from orchestrator.runs.folder import new_run_folder, open_run_folder
from orchestrator.runs.paths import RunFolder
from orchestrator.runs.wall_clock import REFERENCES, REPORT
from orchestrator.search.auto_algorithm import with_algorithm
from orchestrator.study.loading import load_study
from orchestrator.study.sections import Export
from orchestrator.study.spec import StudySpec
from orchestrator.views.terminal.progress import Progress
from trainables.files.whole import write_whole
from trainables.machine.imports import imported_meanwhile
from trainables.specs.export import ExportResult

#: What writes the report, which nothing needs before.
_REPORT = "orchestrator.views.report"


def start_run(
    spec: StudySpec, *, runs: Path, address: str | None, progress: Progress | None, resume_if_there: bool = False
) -> RunFolder:
    """Runs a study in a new run folder below `runs` and returns the folder.

    Args:
        spec: The study.
        runs: The folder of run folders.
        address: A Ray cluster to join; None: a Ray of this machine alone.
        progress: Shows the user what the driver does; None: nothing is shown.
        resume_if_there: Whether to go on with the run of this study, if there is one, in place of a new one.

    Raises:
        StudyPausedError: On Ctrl-C or SIGTERM.
        InputError: If the data or the study are wrong.
        StudyFailedError: If the study cannot work.
    """
    given = spec.study_id
    if resume_if_there and (found := run_of_study(spec, runs=runs)) is not None:
        return _go_on(found, given=given, address=address, progress=progress)
    spec, chosen = with_algorithm(spec)
    is_taken = taken_elsewhere(spec.storage.uri)
    folder = new_run_folder(runs, name=spec.name, study_yaml=spec.to_yaml(), is_taken=is_taken)
    try:
        _work(folder, spec, opening=Opening(given=given, chosen=chosen), address=address, progress=progress)
    except OrchestratorError:
        discard_if_unused(folder)
        raise
    return folder


def _go_on(found: RunOfStudy, *, given: str, address: str | None, progress: Progress | None) -> RunFolder:
    """Goes on with a study's run, which may not have begun or have finished, and returns its folder."""
    if progress is not None:
        what = "has finished: nothing is left to train" if found.is_finished else "goes on with the run of this study"
        progress.message(f"{found.folder.root}: {what}")
    notify = progress.message if progress is not None else lambda text: None
    outlast_last_driver(found.folder, uri=found.spec.storage.uri, notify=notify)
    spec, chosen = (found.spec, "") if found.has_begun else with_algorithm(found.spec)
    opening = Opening(given=given, chosen=chosen, study_yaml=found.study_yaml)
    _work(found.folder, spec, opening=opening, address=address, progress=progress)
    return found.folder


def resume_run(
    root: Path | str, *, overrides: Sequence[str], address: str | None, progress: Progress | None
) -> RunFolder:
    """Goes on with a run exactly where its journal ends and returns its folder.

    Args:
        root: The run folder, or the URI of the run in a storage, which is fetched to `runs/<name>` first.
        overrides: `key=value` texts that extend the study.
        address: A Ray cluster to join; None: a Ray of this machine alone.
        progress: Shows the user what the driver does; None: nothing is shown.

    Raises:
        RunFolderError: If no such run exists, or another driver is at work on it.
        InputError: If its study or its data changed, or may not change so.
        StudyPausedError: On Ctrl-C or SIGTERM.
        StudyFailedError: If the study cannot work.
    """
    folder = open_run_folder(fetched_run(str(root), with_files=True))
    _work(folder, load_study(folder.study), overrides=overrides, address=address, progress=progress)
    return folder


def export_models(
    root: Path | str,
    *,
    top: int | None,
    formats: Sequence[str],
    address: str | None,
    progress: Progress | None,
) -> list[ExportResult]:
    """Exports the best models of a run, also those that it has, and returns them, best first.

    Args:
        root: The run folder, or the URI of the run in a storage, which is fetched to `runs/<name>` first.
        top: How many; None: as many as the study says, and at least one.
        formats: As `export.formats`; empty: those of the study.
        address: A Ray cluster to join; None: a Ray of this machine alone.
        progress: Shows the user what the driver does; None: nothing is shown.

    Raises:
        ExportError: If an export failed; the others are made all the same.
        StudyPausedError: On Ctrl-C or SIGTERM.
        InputError: If `top` or `formats` are wrong, no such run exists, or its study or its data changed.
    """
    _check_asked(top=top, formats=formats)
    folder = open_run_folder(fetched_run(str(root), with_files=True))
    load_state(folder)  # raises where the study was never opened
    spec = load_study(folder.study)
    asked = {"top": top or max(1, spec.export.top), "formats": tuple(formats) or spec.export.formats}
    # What the study says besides, such as `choose`, holds for these as for its own.
    export = spec.export.model_copy(update=asked)
    spec = spec.model_copy(update={"export": export})
    try:
        with open_session(folder, spec, address=address, progress=progress) as session:
            session.open_study()
            session.track(session.spec.track.names)
            session.spec = session.spec.model_copy(update={"export": export})
            with session.prepare() as prepared:
                return _exports(session, prepared).make(export, always=True)
    except StudyPausedError as exc:
        raise StudyPausedError("the export was interrupted; run the same command again") from exc


def make_ensemble(  # noqa: PLR0913 - a run, and what a user asks of it
    root: Path | str,
    *,
    size: int,
    method: str,
    formats: Sequence[str],
    address: str | None,
    progress: Progress | None,
) -> EnsembleResult:
    """Exports an ensemble of a run's checkpoints as one model and returns what became of it.

    Args:
        root: The run folder, or the URI of the run in a storage, which is fetched to `runs/<name>` first.
        size: How many votes are given, or how many weights are averaged, at most.
        method: greedy, soup or snapshot.
        formats: As `export.formats`; empty: those of the study.
        address: A Ray cluster to join; None: a Ray of this machine alone.
        progress: Shows the user what the driver does; None: nothing is shown.

    Raises:
        InputError: If `size`, `method` or `formats` are wrong, no such run exists, or its checkpoints allow none.
        ExportError: If the ensemble could not be exported.
        StudyPausedError: On Ctrl-C or SIGTERM.
    """
    _check_asked(top=None, formats=formats)
    if problem := size_problem(size):
        raise InputError(f"size: {problem}; for example size={USUAL_SIZE}")
    if problem := method_problem(method):
        raise InputError(f"method: {problem}")
    folder = open_run_folder(fetched_run(str(root), with_files=True))
    load_state(folder)  # raises where the study was never opened
    spec = load_study(folder.study)
    export = Export.model_validate({"ensemble": method, "formats": tuple(formats) or spec.export.formats})
    spec = spec.model_copy(update={"export": export})
    try:
        with open_session(folder, spec, address=address, progress=progress) as session:
            session.open_study()
            session.spec = session.spec.model_copy(update={"export": export})
            with session.prepare() as prepared:
                wanted = WantedEnsemble(method=export.ensemble or "greedy", size=size, formats=export.formats)
                return _ensembles(session, prepared).make(wanted)
    except StudyPausedError as exc:
        raise StudyPausedError("the ensemble was interrupted; run the same command again") from exc


def _check_asked(*, top: int | None, formats: Sequence[str]) -> None:
    if top is not None and (problem := Export.top_problem(top)):
        raise InputError(f"top: {problem}; for example top=3")
    for name in formats:
        if problem := Export.format_problem(name):
            raise InputError(f"formats: {problem}")


def discard_if_unused(folder: RunFolder) -> None:
    """Removes a new run folder whose study ended before its first trial: nothing in it can be resumed.

    Args:
        folder: The run folder.
    """
    if not folder.journal.exists() or not read_state(folder).trials:
        shutil.rmtree(folder.root, ignore_errors=True)


def _work(  # noqa: PLR0913 - what starts a study, and what resumes one
    folder: RunFolder,
    spec: StudySpec,
    *,
    overrides: Sequence[str] = (),
    opening: Opening | None = None,
    address: str | None,
    progress: Progress | None,
) -> None:
    """Trains what has not ended, exports the best, writes tables and report."""
    with open_session(folder, spec, address=address, progress=progress) as session:
        session.opening = opening or session.opening
        if (text := session.opening.study_yaml) and text != folder.study.read_text(encoding="utf-8"):
            write_whole(folder.study, text)
        if session.opening.chosen:
            session.notify(f"search: {session.opening.chosen}")
        session.open_study(overrides=overrides)
        session.track(session.spec.track.names)
        state, failed_exports = session.recorder.state, None
        is_done = state.finished is not None and not state.unfinished
        if not is_done or _damaged(session) or _lacks_exports(session):
            failed_exports = _train_and_export(session)
        else:
            # They follow from the journal, and may have been damaged or lost since.
            TableWriter(folder, recorder=session.recorder).write()
        report_session(session)
        _check_any_result(list(state.trials.values()), folder)
        if failed_exports is not None:
            failed_exports.run = folder.root
            raise failed_exports


def _damaged(session: Session) -> list[ModelExported | EnsembleExported]:
    """Returns the study's own exports whose files are not as they were written, and notifies the user of each."""
    state = session.recorder.state
    items: list[ModelExported | EnsembleExported] = list(state.exports)
    if ensemble := state.ensembles.get(session.spec.export.ensemble or ""):
        items.append(ensemble)
    return damaged_exports(items, folder=session.folder, notify=session.notify)


def _lacks_exports(session: Session) -> bool:
    """Returns whether the study is without an export of its own, such as one that failed: it is tried again."""
    export, state = session.spec.export, session.recorder.state
    if export.ensemble is not None and _has_result(session) and export.ensemble not in state.ensembles:
        return True
    return lacks_models(state, export=export, folder=session.folder)


def _train_and_export(session: Session) -> ExportError | None:
    """Returns why exports failed, if any did: the trials are done all the same, and `convfleet export` tries again."""
    with (
        session.prepare(with_references=True) as prepared,
        TableWriter(session.folder, recorder=session.recorder),
        _keeper(session, prepared.spec),
        ExitStack() as ahead,
    ):
        # What the report needs is imported beside the last trials.
        session.on_last = lambda: ahead.enter_context(imported_meanwhile(_REPORT, *MODELS))
        if reason := session.train(prepared):
            session.notify(reason)
        failed_exports = _export_all(session, prepared)
        with session.clock.part(REFERENCES):
            session.references.finish(notify=session.notify)
        session.recorder.append(StudyFinished(reason=reason, at=session.recorder.now()))
    return failed_exports


def _export_all(session: Session, prepared: Prepared) -> ExportError | None:
    """Exports the best models, and the ensemble that the study asks for; returns why any of that failed."""
    export, failed = prepared.spec.export, None
    try:
        _exports(session, prepared).make(export)
    except ExportError as exc:
        failed = exc
    if export.ensemble is None or not _has_result(session):
        return failed
    try:
        wanted = WantedEnsemble(method=export.ensemble, size=USUAL_SIZE, formats=export.formats)
        result = _ensembles(session, prepared).make(wanted)
    except (ExportError, InputError) as exc:
        return ExportError("\n".join(map(str, filter(None, (failed, exc)))), made=failed.made if failed else ())
    for line in (*result.notes, result.verdict):
        session.notify(f"ensemble: {line}")
    problems = () if result.answer is None else result.answer.export.problems
    if not problems:
        return failed
    return ExportError("\n".join([*(map(str, filter(None, [failed]))), *problems]), made=failed.made if failed else ())


def _has_result(session: Session) -> bool:
    return any(trial.state in RANKED_STATES for trial in session.recorder.state.trials.values())


def report_session(session: Session) -> None:
    """Writes report.html and what Optuna's tools read; raises StudyPausedError if another driver has taken over."""
    from orchestrator.views.report import write_report  # late: it is imported beside the last trials

    session.recorder.check()
    session.notify("writing report.html")
    session.clock.save(session.folder)
    with session.clock.part(REPORT):
        write_report(session.folder, state=session.recorder.state)
        _write_for_optuna(session)
    session.clock.save(session.folder)


def _write_for_optuna(session: Session) -> None:
    """Writes the trials for Optuna's tools; nothing else rests on that file, so a run is whole without it."""
    try:
        write_optuna_journal(session.folder, state=session.recorder.state, space=session.spec.space)
    except Exception as exc:  # noqa: BLE001 - Optuna's own errors are of many kinds
        session.notify(f"{session.folder.optuna.name} is not written: {exc}")


def _exports(session: Session, prepared: Prepared) -> Exports:
    return Exports(
        folder=session.folder,
        recorder=session.recorder,
        worker=prepared.worker,
        num_concurrent=prepared.num_concurrent,
        space=session.space,
        notify=session.notify,
    )


def _ensembles(session: Session, prepared: Prepared) -> Ensembles:
    return Ensembles(
        folder=session.folder,
        recorder=session.recorder,
        worker=prepared.worker,
        num_concurrent=prepared.num_concurrent,
        space=session.space,
        notify=session.notify,
    )


def _keeper(session: Session, spec: StudySpec) -> CheckpointKeeper:
    budget = spec.storage.checkpoint_budget_gb
    return CheckpointKeeper(
        session.folder,
        recorder=session.recorder,
        budget_bytes=None if budget is None else budget * 1e9,
        top=spec.export.top,
        kept_every=spec.schedule.kept_every,
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
