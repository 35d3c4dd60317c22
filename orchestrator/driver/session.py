"""One driver's work on one run, while it holds the run folder: opens the study, prepares, trains, shows, reports."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.advice.watch import AdviceWatch
from orchestrator.disk.space_watch import SpaceWatch, study_watch
from orchestrator.driver.extension import current_study
from orchestrator.driver.interrupts import OneInterrupt
from orchestrator.driver.preparation import Prepared, prepare
from orchestrator.driver.references import ReferenceRows
from orchestrator.driver.reuse import results_id, take_over
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import JOURNAL_SCHEMA, SessionStarted, StudyOpened
from orchestrator.mirror.mirror import Mirror
from orchestrator.runs.paths import RunFolder
from orchestrator.runs.wall_clock import RAY_END, WallClock
from orchestrator.study.spec import StudySpec
from orchestrator.views.terminal.progress import Progress
from trainables.checkpoints.early_notes import EarlyNotes
from trainables.checkpoints.fence import claim
from trainables.files.whole import write_whole

if TYPE_CHECKING:
    from orchestrator.tuning.experiment import Tuning

_POLL_SECONDS = 0.2
#: The last trials are those that take no longer together than what is done beside them.
_LAST_SECONDS = 1.5
_STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How a driver came to open a study.

    Attributes:
        given: The id of the study as the user gave it, before any auto became a number; empty: it was opened before.
        chosen: Which search algorithm an auto became, and why; empty: the study names one, or has begun before.
        study_yaml: What study.yaml should have, where a study that was moved goes on; empty: what it has.
    """

    given: str = ""
    chosen: str = ""
    study_yaml: str = ""


@dataclass(kw_only=True)
class Session:
    """One driver's work on one run.

    Attributes:
        folder: The run folder, which this driver holds.
        spec: The study as study.yaml has it; `open_study` replaces it where the user extends the study.
        recorder: Writes the journal.
        interrupt: The driver's signals.
        address: A Ray cluster to join; None: a Ray of this machine alone.
        progress: Shows the user what the driver does; None: nothing is shown.
        opening: How this driver came to open the study.
        steer: Honours what people ask from outside the driver, of the study that it gets.
        track: Begins to send the run to trackers, by their names.
        mirror: Uploads the run to its storage; None: the run lies in its folder alone.
        on_last: Called by `train` once: when the last trials leave a worker without work or end within a second or two,
            or when all have ended.
        started: When the preparation began, in seconds from any start.
        began_at: When the preparation began, in seconds since 1970.
        clock: Notes what the wall time is spent on.
    """

    folder: RunFolder
    spec: StudySpec
    recorder: Recorder
    interrupt: OneInterrupt
    address: str | None
    progress: Progress | None
    opening: Opening = Opening()
    steer: Callable[[StudySpec], None] = lambda spec: None
    track: Callable[[Sequence[str]], None] = lambda names: None
    mirror: Mirror | None = None
    on_last: Callable[[], None] = lambda: None
    started: float = 0.0
    began_at: float = 0.0
    clock: WallClock = field(default_factory=WallClock)

    @cached_property
    def space(self) -> SpaceWatch:
        """The watch over the disks that this session writes to."""
        return study_watch(self.spec, folder=self.folder, has_own_ray=self.address is None, notify=self.notify)

    def open_study(self, *, overrides: Sequence[str] = ()) -> None:
        """Writes the journal's first record, or checks that the study is still the one in it, and extends it.

        Where the study's schedule says auto, `prepare` writes that record, when the images are counted.

        Args:
            overrides: `key=value` texts that extend the study.

        Raises:
            InputError: If study.yaml was changed since, or may not change so.
        """
        if self.recorder.state.opened is None:
            if not self.spec.schedule.has_auto:
                self.recorder.append(self._opened())
            return
        before, uri = len(self.recorder.state.extensions), self.spec.storage.uri
        self.spec = current_study(self.folder, self.spec, recorder=self.recorder, overrides=overrides)
        for extension in self.recorder.state.extensions[before:]:
            self.notify(f"extended: {extension.change}")
        self.recorder.retries = self.spec.resources.retries
        if self.spec.storage.uri != uri:
            # The session began with the storage that study.yaml named then.
            self.notify("storage.uri: the run is kept there from the next session on; `convfleet resume` it again")

    @cached_property
    def references(self) -> ReferenceRows:
        """The reference rows, which a child process computes beside the trials."""
        return ReferenceRows(self.folder)

    @contextmanager
    def prepare(self, *, with_references: bool = False) -> Iterator[Prepared]:
        """Yields what trials and exports need, prepared while Ray starts; leaves Ray at the end.

        Args:
            with_references: Whether to begin with the reference rows as well, if the study asks for them.

        Raises:
            InputError: If the data or the study are wrong.
            StudyFailedError: If the study cannot work on this machine or cluster.
        """
        self.started, self.began_at = time.monotonic(), self.recorder.now()
        self.space.check()
        begin_references = self.references.begin if with_references and self.spec.references else lambda dataset: None
        with (
            ExitStack() as leaving,
            prepare(
                self.spec,
                folder=self.folder,
                state=self.recorder.state,
                interrupt=self.interrupt,
                address=self.address,
                notify=self.notify,
                clock=self.clock,
                on_dataset=begin_references,
            ) as prepared,
        ):
            self._decide(prepared.study)
            _share_checkpoints(self.mirror, prepared)
            yield prepared
            # Not in another thread than what lets go of Ray's objects: Ray ends the process where both meet.
            leaving.enter_context(self.clock.part(RAY_END))

    def train(self, prepared: Prepared) -> str:
        """Runs all trials that have not ended.

        Args:
            prepared: What `prepare` yields.

        Returns:
            Why the study has fewer trials or epochs than planned; an empty text if its budgets were enough.

        Raises:
            StudyFailedError: If the study cannot go on.
        """
        from orchestrator.tuning.experiment import Tuning  # late: Ray Tune is imported while Ray starts

        self.space.begin(self.recorder.state, num_concurrent=prepared.num_concurrent)
        self.recorder.append(
            SessionStarted(
                driver_pid=os.getpid(),
                slots=prepared.num_concurrent,
                dataset=prepared.worker.dataset.fingerprint,
                results_id=results_id(prepared.worker),
                began_at=self.began_at,
                minutes=prepared.spec.search.minutes or 0.0,
                at=self.recorder.now(),
            )
        )
        # Before the first worker starts: one that a dead driver left behind ends itself.
        session = claim(Path(prepared.worker.checkpoints), session=len(self.recorder.state.sessions))
        worker = replace(prepared.worker, session=session)
        take_over(prepared.spec, recorder=self.recorder, worker=worker, notify=self.notify)
        _share_checkpoints(self.mirror, prepared)
        tuning = Tuning(
            prepared.spec,
            worker=worker,
            recorder=self.recorder,
            num_concurrent=prepared.num_concurrent,
            view=lambda: prepared.cluster.view,
        )
        notes = EarlyNotes(self.folder.checkpoints)
        try:
            tuning.start()
            self._watch(tuning, notes=notes, prepared=prepared)
        except BaseException:
            # Nothing is recorded from here on, so Ray Tune may end its trials as it likes.
            self.recorder.pause_requested.set()
            try:
                self.notify("stopping; unfinished trials go on from their last checkpoints when the study is resumed")
            finally:
                # Without its head a cluster ends nothing any more.
                tuning.wait(1.0 if prepared.cluster.is_lost else _STOP_SECONDS)
            raise
        return tuning.why_short()

    def notify(self, text: str) -> None:
        """Shows the user a message.

        Args:
            text: One line.
        """
        if self.progress is not None:
            self.progress.message(text)

    def show(self) -> None:
        """Shows the user how far the trials are.

        Without the recorder's lock: a terminal that takes no more, such as one that was paused, must not keep reports
        from the journal. What draws can bear a state that is being added to (see `views.terminal`).
        """
        if self.progress is not None:
            elapsed = time.monotonic() - self.started
            self.progress.update(self.recorder.state, now=self.recorder.now(), elapsed_seconds=elapsed)

    def _decide(self, study: StudySpec) -> None:
        """Opens the study with the numbers that the images decide; study.yaml has them first."""
        if self.recorder.state.opened is None:
            self.spec = study
            write_whole(self.folder.study, study.to_yaml())
            self.recorder.append(self._opened())

    def _watch(self, tuning: "Tuning", *, notes: EarlyNotes, prepared: Prepared) -> None:
        """Shows and steers the study, and checks journal, storage and disks until Ray Tune has ended all trials."""
        show_at, are_last, advice = 0.0, False, AdviceWatch(self.folder, state=self.recorder.state)
        first, num_before = time.monotonic(), self.recorder.state.num_ended
        while not tuning.wait(_POLL_SECONDS):
            self.recorder.check()
            for sentence in prepared.cluster.since_last(self.recorder.state):
                self.notify(sentence)
            self.steer(prepared.spec)
            self._tell(notes)
            for sentence in advice.since_last(self.recorder.state):
                self.notify(f"advice: {sentence}")
            if (began := time.monotonic()) >= show_at:
                self.show()
                # A live view of a large study takes long: it gets a fiftieth of the driver's time.
                show_at = began + 50.0 * (time.monotonic() - began)
            num_ended = self.recorder.state.num_ended - num_before
            pace = (time.monotonic() - first) / num_ended if num_ended else None
            if not are_last and _are_last(self.recorder, prepared, pace=pace):
                are_last = True
                self.on_last()
            if self.mirror is not None:
                self.mirror.check()
            self.space.check_if_due(self.recorder.state, num_concurrent=prepared.num_concurrent)
        if not are_last:
            self.on_last()
        self._tell(notes)
        self.show()

    def _tell(self, notes: EarlyNotes) -> None:
        """Shows the user what workers found out about models before their first epoch has ended."""
        for note in notes.since_last():
            self.notify(f"note: {note}")

    def _opened(self) -> StudyOpened:
        spec = self.spec
        return StudyOpened(
            schema=JOURNAL_SCHEMA,
            study=spec.name,
            study_id=spec.study_id,
            seed=spec.seed,
            metric=spec.objective.metric,
            mode=spec.objective.mode,
            max_epochs=spec.schedule.epochs,
            num_trials=spec.num_trials,
            ties=spec.objective.tie_metric,
            search=self.opening.chosen,
            given="" if self.opening.given == spec.study_id else self.opening.given,
            objectives=[goal.to_json() for goal in goals] if len(goals := spec.objective.goals) > 1 else [],
            constraints=list(spec.constraints),
            replicates=spec.search.replicates,
            leaders=spec.search.num_leaders,
            folds=spec.folds,
            at=self.recorder.now(),
        )


def _are_last(recorder: Recorder, prepared: Prepared, *, pace: float | None) -> bool:
    """Returns whether the trials left end within a second or two, or are under way and leave a worker without work.

    Args:
        pace: Seconds a trial that has ended in this session; None: none has.
    """
    state, left = recorder.state, recorder.state.unfinished
    if pace is not None and pace * (prepared.spec.num_trials - state.num_ended) < _LAST_SECONDS:
        return True
    has_room = len(left) < max(2, prepared.num_concurrent)
    return has_room and len(state.trials) >= prepared.spec.num_trials and all(trial.started_at for trial in left)


def _share_checkpoints(mirror: Mirror | None, prepared: Prepared) -> None:
    """Uploads checkpoints of the run folder that the storage lacks, for nodes that find them there alone."""
    if mirror is not None and not prepared.has_common_folder:
        mirror.upload_checkpoints()
