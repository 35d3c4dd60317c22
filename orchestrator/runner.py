"""Runs one study from its spec to its result, and resumes it."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.environment import record_environment
from orchestrator.errors import InputError, OrchestratorError, StudyFailedError, StudyPausedError
from orchestrator.export.ray_export import run_exports
from orchestrator.export.request import ExportResult, select_exports
from orchestrator.interrupts import OneInterrupt
from orchestrator.journal import SCHEMA_VERSION, Journal
from orchestrator.overview import export_path
from orchestrator.paths import RUNS, RunFolder
from orchestrator.progress import Progress
from orchestrator.ray_session import ray_session
from orchestrator.recorder import Recorder
from orchestrator.records import ModelExported, SessionStarted, StudyFinished, StudyOpened, StudyPaused
from orchestrator.report import write_report
from orchestrator.resources import concurrent_trials
from orchestrator.result import StudyResult, open_run
from orchestrator.run_folder import discard_if_unused, driver_lock, new_run_folder, open_run_folder, read_state
from orchestrator.study import StudySpec, load_study
from orchestrator.study_sections import Export
from orchestrator.table_writer import TableWriter
from orchestrator.trial import Trial, TrialState
from orchestrator.tuning import Tuning
from trainables.data.dataset import DatasetInfo
from trainables.data.errors import DataError
from trainables.data.prepare import prepare_in_process
from trainables.worker_spec import DeviceSpec, TrainingSpec, WorkerSpec

_POLL_SECONDS = 0.2
_STOP_SECONDS = 15.0


def run_study(
    spec: StudySpec, *, runs: Path = RUNS, address: str | None = None, progress: Progress | None = None
) -> StudyResult:
    """Runs a study in a new folder below `runs` and returns what came of it.

    address: A Ray cluster to join, `host:port` or `auto`; None: this machine alone.

    Raises: StudyPausedError: on Ctrl-C or SIGTERM. StudyFailedError: if the study cannot work.
    """
    folder = new_run_folder(runs, spec)
    try:
        return _work(folder, spec, address=address, progress=progress)
    except OrchestratorError:
        discard_if_unused(folder)
        raise


def resume_study(root: Path | str, *, address: str | None = None, progress: Progress | None = None) -> StudyResult:
    """Goes on with a run exactly where its journal ends, and returns what came of it.

    Raises: RunFolderError: if there is no such run, or another driver is at work on it. The rest as `run_study`.
    """
    folder = open_run_folder(Path(root))
    return _work(folder, load_study(folder.study), address=address, progress=progress)


def export_study(
    root: Path | str,
    *,
    top: int | None = None,
    formats: tuple[str, ...] | None = None,
    address: str | None = None,
    progress: Progress | None = None,
) -> list[ExportResult]:
    """Exports the best models of a run again, or others, or in other formats, and returns them, best first."""
    folder = open_run_folder(Path(root))
    spec = load_study(folder.study)
    export = Export.model_validate(
        {"top": spec.export.top if top is None else top, "formats": formats or spec.export.formats}
    )
    with _session(folder, spec.model_copy(update={"export": export}), address=address, progress=progress) as session:
        session.recorder.state.header  # noqa: B018 - raises where the study was never opened
        with session.connected():
            return session.export(always=True)


def _work(folder: RunFolder, spec: StudySpec, *, address: str | None, progress: Progress | None) -> StudyResult:
    with _session(folder, spec, address=address, progress=progress) as session:
        state = session.recorder.state
        if state.opened is None:
            session.open_study()
        if state.finished is None or state.unfinished:
            with session.connected(), TableWriter(folder, recorder=session.recorder):
                session.train()
                session.export()
                session.recorder.append(StudyFinished(at=session.recorder.now()))
        session.write_report()
        _check_any_result(list(state.trials.values()), folder)
    return open_run(folder.root)


@contextmanager
def _session(
    folder: RunFolder, spec: StudySpec, *, address: str | None, progress: Progress | None
) -> Iterator["_Session"]:
    """Yields a session that holds the run folder; what ends it early is journalled as a pause."""
    with OneInterrupt() as interrupt, driver_lock(folder), Journal(folder.journal) as journal:
        recorder = Recorder(journal, state=read_state(folder), folder=folder)
        session = _Session(
            folder=folder, spec=spec, recorder=recorder, interrupt=interrupt, address=address, progress=progress
        )
        try:
            yield session
        except KeyboardInterrupt:
            session.pause("interrupted by the user or the system")
            raise StudyPausedError(f"nothing is lost; go on with: convfleet resume {folder.root}") from None
        except DataError as exc:
            session.pause(str(exc))
            raise InputError(str(exc)) from exc
        except OSError as exc:
            session.pause(f"{type(exc).__name__}: {exc}")
            raise StudyFailedError(
                f"{folder.root}: paused, because the system refused something ({exc}); mend that, then "
                f"`convfleet resume {folder.root}`"
            ) from exc
        except OrchestratorError as exc:
            session.pause(str(exc))
            raise


@dataclass(kw_only=True)
class _Session:
    """One driver's work on one run: data, Ray, trials, exports, report."""

    folder: RunFolder
    spec: StudySpec
    recorder: Recorder
    interrupt: OneInterrupt
    address: str | None
    progress: Progress | None
    started: float = 0.0
    worker: WorkerSpec | None = None
    num_concurrent: int = 0

    def open_study(self) -> None:
        """Writes the journal's first record."""
        spec, now = self.spec, self.recorder.now()
        self.recorder.append(
            StudyOpened(
                schema=SCHEMA_VERSION,
                study=spec.name,
                seed=spec.seed,
                metric=spec.objective.metric,
                mode=spec.objective.mode,
                max_epochs=spec.schedule.max_epochs,
                num_trials=spec.num_trials,
                at=now,
            )
        )

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Prepares the data while Ray starts; leaves Ray at the end."""
        self.started = time.monotonic()
        with ExitStack() as stack, ThreadPoolExecutor(max_workers=1) as pool:
            self.tell("starting Ray and reading the data")
            session = ray_session(self.spec.resources, address=self.address)
            nodes = pool.submit(stack.enter_context, session)
            dataset = prepare_in_process(self.spec.data, self.spec.seed, on_progress=self._data_progress)
            found = nodes.result()
            self.interrupt.renew()
            can_grow = self.address is not None
            self.num_concurrent = concurrent_trials(self.spec.resources, nodes=found, can_grow=can_grow)
            self.worker = self._worker_spec(dataset)
            record_environment(self.folder, nodes=found, address=self.address)
            height, width, channels = dataset.input_shape
            self.tell(
                f"data: {dataset.num_train:,} training, {dataset.num_validation:,} validation, {dataset.num_test:,} "
                f"test images, {height}x{width}x{channels}, {dataset.num_classes} classes; "
                f"{self.num_concurrent} trials at a time"
            )
            yield

    def train(self) -> None:
        """Runs all trials that have not ended."""
        if self.worker is None:
            raise RuntimeError("train() outside of connected()")
        now = self.recorder.now()
        self.recorder.append(SessionStarted(driver_pid=os.getpid(), slots=self.num_concurrent, at=now))
        tuning = Tuning(self.spec, worker=self.worker, recorder=self.recorder, num_concurrent=self.num_concurrent)
        try:
            tuning.start()
            while not tuning.wait(_POLL_SECONDS):
                self.show()
            self.show()
        except BaseException:
            # Nothing is recorded from here on, so Ray Tune may end its trials as it likes.
            self.recorder.pause_requested.set()
            self.tell("stopping; unfinished trials go on from their last checkpoints when the study is resumed")
            tuning.wait(_STOP_SECONDS)
            raise

    def export(self, *, always: bool = False) -> list[ExportResult]:
        """Exports the best models; those already exported only when asked `always`."""
        if self.worker is None:
            raise RuntimeError("export() outside of connected()")
        state, export = self.recorder.state, self.spec.export
        if export.top == 0:
            return []
        requests = select_exports(state, top=export.top, formats=export.formats, folder=self.folder, worker=self.worker)
        done = {(item.rank, item.trial) for item in state.exports if export_path(item, folder=self.folder).is_dir()}
        requests = [request for request in requests if always or (request.rank, request.trial) not in done]
        if requests:
            self.tell(f"exporting {len(requests)} models and evaluating them on the test split")
        results = [self._record_export(result) for result in run_exports(requests) if result is not None]
        return sorted(results, key=lambda result: result.rank)

    def write_report(self) -> None:
        """Writes report.html."""
        self.tell("writing report.html")
        write_report(self.folder, state=self.recorder.state)

    def pause(self, reason: str) -> None:
        """Writes down, if the disk lets it, that the session ends here."""
        self.recorder.pause_requested.set()
        if self.recorder.state.is_active:
            try:
                self.recorder.append(StudyPaused(reason=reason, at=self.recorder.now()))
                TableWriter(self.folder, recorder=self.recorder).write()
            except OSError:
                return  # A full disk: a session without an end counts as paused just as well.

    def tell(self, text: str) -> None:
        """Tells of a stage."""
        if self.progress is not None:
            self.progress.message(text)

    def show(self) -> None:
        """Shows how far the trials are."""
        if self.progress is not None:
            with self.recorder.lock:
                self.progress.update(
                    self.recorder.state,
                    now=self.recorder.now(),
                    elapsed_seconds=time.monotonic() - self.started,
                )

    def _record_export(self, result: ExportResult) -> ExportResult:
        self.recorder.append(
            ModelExported(
                trial=result.trial,
                rank=result.rank,
                folder=Path(result.folder).relative_to(self.folder.root.absolute()).as_posix(),
                test_metrics=result.test_metrics,
                at=self.recorder.now(),
            )
        )
        return result

    def _data_progress(self, stage: str, done: int, total: int) -> None:
        self.tell(f"{stage}: {done:,} of {total:,}")

    def _worker_spec(self, dataset: DatasetInfo) -> WorkerSpec:
        spec = self.spec
        return WorkerSpec(
            dataset=dataset,
            data=spec.data,
            split_seed=spec.seed,
            training=TrainingSpec(
                max_epochs=spec.schedule.max_epochs,
                metric=spec.objective.metric,
                mode=spec.objective.mode,
                augment=spec.data.augment,
            ),
            device=DeviceSpec(cpus=spec.resources.cpus_per_trial, gpus=spec.resources.gpus_per_trial),
            checkpoints=str(self.folder.checkpoints.absolute()),
            picture=str(self.folder.augmented.absolute()),
        )


def _check_any_result(trials: list[Trial], folder: RunFolder) -> None:
    """Raises StudyFailedError if no trial has a result."""
    if any(trial.state in {TrialState.COMPLETED, TrialState.STOPPED} for trial in trials):
        return
    reasons = [trial.reason for trial in trials if trial.reason]
    common = max(reasons, key=reasons.count, default="no trial was run")
    share = f"{reasons.count(common)} of {len(trials)} trials" if reasons else "the study"
    raise StudyFailedError(f"{folder.root}: no trial has a result; {share} ended with: {common}")
