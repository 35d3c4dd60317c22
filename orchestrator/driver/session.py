"""One driver's work on one run: data, Ray, trials, exports, report; and what becomes of it when it ends early."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from orchestrator.cluster.auto_resources import device_spec, resolve_auto
from orchestrator.cluster.connection import ray_session
from orchestrator.cluster.environment import record_environment
from orchestrator.cluster.resources import concurrent_trials
from orchestrator.disk.free_space import study_places
from orchestrator.disk.space_watch import SpaceWatch
from orchestrator.driver.extension import current_study
from orchestrator.driver.interrupts import OneInterrupt
from orchestrator.driver.reuse import results_id, take_over
from orchestrator.errors import DiskSpaceError, ExportError, InputError, StudyPausedError
from orchestrator.export.selection import has_formats, select_exports
from orchestrator.export.tasks import run_exports
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import JOURNAL_SCHEMA, ModelExported, SessionStarted, StudyOpened, StudyPaused
from orchestrator.mirror.mirror import Mirror
from orchestrator.mirror.places import run_uri
from orchestrator.results.from_state import export_path
from orchestrator.results.words import images_in_words, storage_in_words, targets_in_words
from orchestrator.results.writer import TableWriter
from orchestrator.runs.folder import remove_export_drafts
from orchestrator.runs.paths import RunFolder
from orchestrator.study.pretrained_weights import imagenet_backbones
from orchestrator.study.spec import StudySpec
from orchestrator.tuning.experiment import Tuning
from orchestrator.views.report import write_report
from orchestrator.views.terminal.progress import Progress
from trainables.checkpoints.fence import claim
from trainables.data.cache.in_process import prepare_in_process
from trainables.data.cache.storage_choice import cache_folder, memory_budget_bytes
from trainables.files.manifests import damage_of
from trainables.specs.dataset import DatasetInfo
from trainables.specs.export import ExportRequest, ExportResult
from trainables.specs.worker import TrainingSpec, WorkerSpec
from trainables.worker.fetch_weights import fetch_in_process

_POLL_SECONDS = 0.2
_STOP_SECONDS = 15.0


@dataclass(kw_only=True)
class Session:
    """One driver's work on one run."""

    folder: RunFolder
    spec: StudySpec
    recorder: Recorder
    interrupt: OneInterrupt
    address: str | None
    progress: Progress | None
    mirror: Mirror | None = None
    started: float = 0.0
    has_data: bool = False
    worker: WorkerSpec | None = None
    num_concurrent: int = 0

    @cached_property
    def space(self) -> SpaceWatch:
        """The room on the disks that this session writes to."""
        places = study_places(self.folder, cache=cache_folder(self.spec.data), has_own_ray=self.address is None)
        return SpaceWatch(self.spec, folder=self.folder, places=places, notify=self.notify)

    def open_study(self, *, overrides: Sequence[str] = ()) -> None:
        """Writes the journal's first record, or checks that the study is still the one in it, and extends it.

        Raises:
            InputError: If study.yaml was changed since, or may not change so.
        """
        spec, opened = self.spec, self.recorder.state.opened
        if opened is None:
            self.recorder.append(
                StudyOpened(
                    schema=JOURNAL_SCHEMA,
                    study=spec.name,
                    study_id=spec.study_id,
                    seed=spec.seed,
                    metric=spec.objective.metric,
                    mode=spec.objective.mode,
                    max_epochs=spec.schedule.max_epochs,
                    num_trials=spec.num_trials,
                    at=self.recorder.now(),
                )
            )
        else:
            before = len(self.recorder.state.extensions)
            self.spec = current_study(self.folder, spec, recorder=self.recorder, overrides=overrides)
            for extension in self.recorder.state.extensions[before:]:
                self.notify(f"extended: {extension.change}")
            self.recorder.retries = self.spec.resources.retries
            if self.spec.storage.uri != spec.storage.uri:
                # The session began with the place that it was opened with.
                self.notify("storage.uri: the run is kept there from the next session on; `convfleet resume` it again")

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Prepares the data and fetches pretrained weights while Ray starts; leaves Ray at the end."""
        self.started = time.monotonic()
        self.space.check()
        # The pool is left last: Ray has the system kill its processes when the thread that started them ends, and Ray's
        # own shutdown waits a minute for processes that were killed.
        with ThreadPoolExecutor(max_workers=1) as pool, ExitStack() as stack:
            self.notify("starting Ray and reading the data")
            session = ray_session(self.spec.resources, address=self.address, trials_left=self._trials_waiting_for_data)
            nodes = pool.submit(stack.enter_context, session)
            try:
                dataset = prepare_in_process(
                    self.spec.data, self.spec.seed, verify=True, on_progress=self._data_progress
                )
                self.has_data = True
                self._check_dataset(dataset)
                wanted = imagenet_backbones(self.spec.space, image_size=dataset.task.input_shape[:2])
                fetch_in_process(wanted, on_progress=self._data_progress)
            finally:
                wait([nodes])
            found = nodes.result()
            self.interrupt.renew()
            can_grow = self.address is not None
            self.spec = resolve_auto(self.spec, dataset=dataset, nodes=found, is_local=not can_grow, notify=self.notify)
            self.num_concurrent = concurrent_trials(self.spec.resources, nodes=found, can_grow=can_grow)
            self.worker = self._worker_spec(dataset)
            budget = memory_budget_bytes(self.spec.data)
            kept = {"storage": dataset.storage, "decoded_bytes": dataset.decoded_bytes, "budget_bytes": budget}
            record_environment(self.folder, nodes=found, address=self.address, data=kept)
            storage = storage_in_words(
                dataset.storage,
                decoded_bytes=dataset.decoded_bytes,
                budget_bytes=budget,
                is_given=self.spec.data.memory_gb is not None,
            )
            self.notify(
                f"data: {dataset.num_train:,} training, {dataset.num_validation:,} validation, {dataset.num_test:,} "
                f"test images, {images_in_words(dataset.task)}, {targets_in_words(dataset.task)}; {storage}; "
                f"{self.num_concurrent} trials at a time"
            )
            yield

    def train(self) -> None:
        """Runs all trials that have not ended."""
        worker = self._connected_worker()
        self.space.begin(self.recorder.state, num_concurrent=self.num_concurrent)
        self.recorder.append(
            SessionStarted(
                driver_pid=os.getpid(),
                slots=self.num_concurrent,
                dataset=worker.dataset.fingerprint,
                results_id=results_id(worker),
                at=self.recorder.now(),
            )
        )
        # Before the first worker starts: one that a dead driver left behind ends itself.
        worker = replace(worker, session=len(self.recorder.state.sessions))
        claim(Path(worker.checkpoints), session=worker.session)
        take_over(self.spec, recorder=self.recorder, worker=worker, notify=self.notify)
        tuning = Tuning(self.spec, worker=worker, recorder=self.recorder, num_concurrent=self.num_concurrent)
        try:
            tuning.start()
            show_at = 0.0
            while not tuning.wait(_POLL_SECONDS):
                self.recorder.check()
                if (began := time.monotonic()) >= show_at:
                    self.show()
                    # A live view of a large study takes long: it gets a fiftieth of the driver's time.
                    show_at = began + 50.0 * (time.monotonic() - began)
                if self.mirror is not None:
                    self.mirror.check()
                self.space.check_if_due(self.recorder.state, num_concurrent=self.num_concurrent)
            self.show()
        except BaseException:
            # Nothing is recorded from here on, so Ray Tune may end its trials as it likes.
            self.recorder.pause_requested.set()
            try:
                self.notify("stopping; unfinished trials go on from their last checkpoints when the study is resumed")
            finally:
                tuning.wait(_STOP_SECONDS)
            raise

    def export(self, *, always: bool = False) -> list[ExportResult]:
        """Exports the best models and returns them, best first; those there already only when asked `always`.

        Raises:
            ExportError: After all were tried, naming those that failed.
        """
        worker, export = self._connected_worker(), self.spec.export
        if export.top == 0:
            return []
        state = self.recorder.state
        requests = select_exports(state, top=export.top, formats=export.formats, folder=self.folder, worker=worker)
        if not always:
            damaged = self.damaged_exports()
            requests = [request for request in requests if not self._is_exported(request, damaged=damaged)]
        if not requests:
            return []
        self.notify(f"exporting {len(requests)} models and evaluating them on the test split")
        remove_export_drafts(self.folder)
        results: list[ExportResult] = []
        errors: list[str] = []
        for outcome in run_exports(requests):
            self.space.check_if_due(self.recorder.state, num_concurrent=self.num_concurrent)
            if isinstance(outcome, ExportResult):
                epoch = next(request.epoch for request in requests if request.rank == outcome.rank)
                results.append(self._record_export(outcome, epoch=epoch))
            elif isinstance(outcome, ExportError):
                errors.append(str(outcome))
        if errors and (full := self.space.space_note(ExportError("\n".join(errors)))):
            # Not the models' fault: the study is not finished yet, so that `resume` makes up for them.
            raise DiskSpaceError(f"{errors[0]}{full}")
        if errors:
            raise ExportError("\n".join(errors))
        return sorted(results, key=lambda result: result.rank)

    def damaged_exports(self) -> list[ModelExported]:
        """Returns the exports that are there, but not as they were written, and tells what is wrong with them."""
        found = []
        for item in self.recorder.state.exports:
            path = export_path(item, folder=self.folder)
            if path.is_dir() and (damage := damage_of(path)):
                self.notify(f"{path}: {damage}")
                found.append(item)
        return found

    def write_report(self) -> None:
        """Writes report.html."""
        self.recorder.check()
        self.notify("writing report.html")
        write_report(self.folder, state=self.recorder.state)

    def pause(self, reason: str) -> None:
        """Writes down, if the disk lets it, that the session ends here."""
        self.recorder.pause_requested.set()
        if self.recorder.state.is_active:
            try:
                self.recorder.append(StudyPaused(reason=reason, at=self.recorder.now()))
                TableWriter(self.folder, recorder=self.recorder).write()
            except (OSError, StudyPausedError):
                # A full disk, or another driver that took over: a session without an end counts as paused just as well.
                return

    def next_step(self, text: str) -> str:
        """Returns a text with what to do after an early end."""
        if not self.recorder.state.trials:
            return f"{text}; no trial had begun: run the study again"
        command = f"convfleet resume {self.folder.quoted}"
        return text if command in text else f"{text}; go on with: {command}"

    def notify(self, text: str) -> None:
        """Tells of a stage."""
        if self.progress is not None:
            self.progress.message(text)

    def show(self) -> None:
        """Shows how far the trials are.

        Without the recorder's lock: a terminal that takes no more, such as one that was paused, must not keep reports
        from the journal. What draws can bear a state that is being added to (see `news`, `overview`).
        """
        if self.progress is not None:
            elapsed = time.monotonic() - self.started
            self.progress.update(self.recorder.state, now=self.recorder.now(), elapsed_seconds=elapsed)

    def _connected_worker(self) -> WorkerSpec:
        if self.worker is None:
            raise RuntimeError("a session trains and exports inside of connected() only")
        return self.worker

    def _check_dataset(self, dataset: DatasetInfo) -> None:
        """Raises InputError if the images are not those that the run began with."""
        known = next((session.dataset for session in self.recorder.state.sessions if session.dataset), None)
        if known not in (None, dataset.fingerprint):
            raise InputError(
                f"data: these are not the images that the run began with (fingerprint {dataset.fingerprint}, expected "
                f"{known}); restore the files, or run the study anew: results on other images cannot be compared"
            )

    def _is_exported(self, request: ExportRequest, *, damaged: Sequence[ModelExported]) -> bool:
        """Returns whether the very model is there already; an extended study's trial may have a better epoch by now."""
        return any(
            (item.rank, item.trial) == (request.rank, request.trial)
            and item.epoch in (0, request.epoch)
            and has_formats(export_path(item, folder=self.folder), request.formats)
            for item in self.recorder.state.exports
            if item not in damaged
        )

    def _record_export(self, result: ExportResult, *, epoch: int) -> ExportResult:
        self.recorder.append(
            ModelExported(
                trial=result.trial,
                rank=result.rank,
                epoch=epoch,
                folder=Path(result.folder).relative_to(self.folder.root.absolute()).as_posix(),
                test_metrics=result.test_metrics,
                at=self.recorder.now(),
            )
        )
        # One model a rank: what held this rank before the study went on would be taken for it.
        for other in self.folder.exports.glob(f"{result.rank}-*"):
            if other.name != Path(result.folder).name:
                shutil.rmtree(other, ignore_errors=True)
        return result

    def _trials_waiting_for_data(self) -> int:
        # With the data at hand, Ray Tune is about to ask for workers, and would get others than those on their way.
        return 0 if self.has_data else self.spec.num_trials - self.recorder.state.num_ended

    def _data_progress(self, stage: str, done: int, total: int) -> None:
        self.notify(f"{stage}: {done:,} of {total:,}")

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
                limits=dict(spec.space.limits),
                study_dir=spec.study_dir,
            ),
            device=device_spec(spec.resources),
            checkpoints=str(self.folder.checkpoints.absolute()),
            picture=str(self.folder.augmented.absolute()),
            remote=None if spec.storage.uri is None else run_uri(self.folder, spec.storage.uri),
        )
