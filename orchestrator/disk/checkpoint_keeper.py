"""Keeps the checkpoints of a run within their budget while it is at work; `checkpoint_budget` decides what goes."""

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from orchestrator.disk.checkpoint_budget import (
    CheckpointRole,
    Eviction,
    Plan,
    Role,
    Step,
    StoredCheckpoint,
    plan_evictions,
    roles,
    roles_without_budget,
)
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import TrialNoted
from orchestrator.runs.paths import RunFolder
from trainables.checkpoints.checkpoint import checkpoint_folder, discard_checkpoint, saved_epochs
from trainables.checkpoints.weights import discard_weights, reduce_to_weights, reduced_epochs, weights_folder
from trainables.errors import CheckpointError
from trainables.files.folders import remove_abandoned, sync
from trainables.files.manifests import MANIFEST
from trainables.reports import NoteKind

logger = logging.getLogger(__name__)

#: Between two looks at the disk while reports come in; the budget may be exceeded for so long.
PERIOD_SECONDS = 5.0
_WHY = "to keep storage.checkpoint_budget_gb"


class CheckpointKeeper:
    """Deletes what is not needed every few seconds on a thread of its own, and once more at the end.

    Args:
        folder: The run's.
        recorder: Where the state is.
        budget_bytes: What all checkpoints together may take; None: as much as they need.
        top: How many of the best the study exports.
        tell: Is told once if what is needed exceeds the budget.
    """

    def __init__(
        self,
        folder: RunFolder,
        *,
        recorder: Recorder,
        budget_bytes: float | None,
        top: int,
        notify: Callable[[str], None],
    ) -> None:
        self._folder, self._recorder = folder, recorder
        self._budget_bytes, self._top, self._tell = budget_bytes, top, notify
        self._has_told = False
        self._num_seen = -1
        self._num_changes = 0
        #: What lies on disk, by trial.
        self._held: dict[str, list[StoredCheckpoint]] = {}
        #: Trials whose checkpoints are looked at: what a trial that ended holds changes by our own hand alone.
        self._awake = set(recorder.state.trials)
        #: Ended trials whose checkpoints outlive a power loss; workers flush theirs only now and then.
        self._finished = {trial.name for trial in recorder.state.trials.values() if trial.has_ended}
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoint-keeper", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closing.set()
        self._thread.join()
        self._sweep_safely()

    def sweep(self) -> None:
        """Looks at the disk once, if the journal has grown since the last time, and does what is to be done."""
        with self._recorder.lock:
            num_records = self._recorder.state.num_records
            if num_records == self._num_seen or self._recorder.state.opened is None:
                return
            of_trials, num_changes = self._standings(), len(self._recorder.state.changes)
        held = list(self._look(of_trials))
        plan = plan_evictions(held, of_trials, budget_bytes=self._budget_bytes)
        by_name = {trial_role.trial: trial_role for trial_role in of_trials}
        for eviction in plan.evictions:
            self._note_and_do(eviction, by_name[eviction.held.trial])
        # Those that had ended at the last sweep: at that one, a worker may still have been deleting what it pruned.
        self._awake = {name for name in self._awake if name not in self._finished}
        self._awake |= {eviction.held.trial for eviction in plan.evictions}
        self._mark_finished(of_trials)
        self._tell_once(plan)
        self._num_seen, self._num_changes = num_records, num_changes

    def _standings(self) -> list[CheckpointRole]:
        """Returns the trials that matter to a sweep: within a budget all of them, else those that may have changed."""
        state = self._recorder.state
        self._awake.update(state.changes[self._num_changes :])
        if self._budget_bytes is None:
            return roles_without_budget(state, sorted(self._awake))
        return roles(state, top=self._top)

    def _run(self) -> None:
        wait = 1.0
        while not self._is_closing.wait(wait):
            started = time.monotonic()
            self._sweep_safely()
            # A large study spends at most a fiftieth of the driver's time on this.
            wait = max(PERIOD_SECONDS, 49.0 * (time.monotonic() - started))

    def _sweep_safely(self) -> None:
        try:
            self.sweep()
        except OSError as exc:
            # What could not be deleted now can be deleted later; the study goes on.
            logger.warning('checkpoints not swept reason="%s"', exc)

    def _look(self, of_trials: list[CheckpointRole]) -> Iterator[StoredCheckpoint]:
        for trial_role in of_trials:
            name = trial_role.trial
            if name in self._awake:
                self._held[name] = list(self._look_at(name))
            yield from self._held[name]

    def _look_at(self, name: str) -> Iterator[StoredCheckpoint]:
        trial = self._folder.checkpoints / name
        known = {(held.epoch, held.is_reduced): held for held in self._held.get(name, ())}
        places = [(checkpoint_folder(trial, epoch=epoch), epoch, False) for epoch in saved_epochs(trial)]
        places += [(weights_folder(trial, epoch=epoch), epoch, True) for epoch in reduced_epochs(trial)]
        for place, epoch, is_reduced in places:
            measured = known.get((epoch, is_reduced)) or _measured(
                place, trial=name, epoch=epoch, is_reduced=is_reduced
            )
            if measured is not None:
                yield measured

    def _do(self, eviction: Eviction, trial_role: CheckpointRole) -> bool:
        """Returns whether it could be done."""
        held, trial = eviction.held, self._folder.checkpoints / eviction.held.trial
        logger.info("trial=%s epoch=%d checkpoint=%s", held.trial, held.epoch, eviction.step)
        if eviction.step is Step.REDUCE:
            try:
                reduce_to_weights(
                    trial, epoch=held.epoch, variant_id=self._recorder.trial(held.trial).variant.variant_id
                )
            except CheckpointError as exc:
                logger.warning('trial=%s epoch=%d not reduced reason="%s"', held.trial, held.epoch, exc)
                return False
        elif held.is_reduced:
            discard_weights(trial, epoch=held.epoch)
        else:
            discard_checkpoint(trial, epoch=held.epoch)
        return True

    def _note_and_do(self, eviction: Eviction, trial_role: CheckpointRole) -> None:
        if not eviction.is_for_budget:
            self._do(eviction, trial_role)
        elif trial_role.role is Role.LEADER:
            # Noted after: a damaged checkpoint stays as it is.
            if self._do(eviction, trial_role):
                left = "it can be exported, but not trained further"
                self._note(trial_role, f"all but the weights of its best epoch was deleted {_WHY}; {left}")
        else:
            self._note(trial_role, f"its checkpoints were deleted {_WHY}; it can no longer be exported")
            self._do(eviction, trial_role)

    def _note(self, trial_role: CheckpointRole, text: str) -> None:
        """Writes down, once, what the budget takes from a trial."""
        recorder = self._recorder
        if text not in {note.text for note in recorder.trial(trial_role.trial).notes}:
            note = TrialNoted(trial=trial_role.trial, kind=NoteKind.CHECKPOINT_EVICTED, text=text, at=recorder.now())
            recorder.append(note)

    def _mark_finished(self, of_trials: list[CheckpointRole]) -> None:
        for trial_role in of_trials:
            if trial_role.role is not Role.RESUMABLE and trial_role.trial not in self._finished:
                trial = self._folder.checkpoints / trial_role.trial
                remove_abandoned(trial)
                # A worker may still be deleting what was pruned.
                with suppress(FileNotFoundError):
                    for place in [*trial.glob("epoch-*/*"), *trial.glob("epoch-*")]:
                        sync(place)
                self._finished.add(trial_role.trial)

    def _tell_once(self, plan: Plan) -> None:
        if plan.is_over and not self._has_told and self._budget_bytes is not None:
            self._has_told = True
            self._tell(
                f"checkpoints that are still needed take {plan.size_bytes / 1e9:.3g} GB, storage.checkpoint_budget_gb "
                f"allows {self._budget_bytes / 1e9:g}: none of them is deleted; raise it, or run fewer trials at a time"
            )


def _measured(place: Path, *, trial: str, epoch: int, is_reduced: bool) -> StoredCheckpoint | None:
    """Returns what is at a place; None if it has just vanished."""
    try:
        with os.scandir(place) as entries:
            size = sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    except OSError:
        return None
    weights = None
    with suppress(OSError, ValueError, KeyError, TypeError):
        weights = int(json.loads((place / MANIFEST).read_bytes())["weights_bytes"])
    # Beside the arrays there are names, reports and a manifest, which stay.
    weights_size = size if is_reduced or weights is None else min(size, weights + _other_bytes(place))
    return StoredCheckpoint(
        trial=trial, epoch=epoch, is_reduced=is_reduced, size_bytes=size, weights_bytes=weights_size
    )


def _other_bytes(place: Path) -> int:
    history = place / "history.json"
    return history.stat().st_size + 16_384 if history.exists() else 0
