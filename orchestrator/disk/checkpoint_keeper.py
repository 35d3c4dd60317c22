"""Keeps the checkpoints of a run within their budget while its driver works; `checkpoint_budget` decides what goes."""

import logging
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from orchestrator.disk.checkpoint_budget import (
    CheckpointRole,
    Eviction,
    Plan,
    Role,
    Step,
    plan_evictions,
    roles,
    roles_without_budget,
)
from orchestrator.disk.stored_checkpoints import StoredCheckpoints
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import TrialNoted
from orchestrator.runs.paths import RunFolder
from orchestrator.runs.periodic import Periodic
from trainables.checkpoints.checkpoint import checkpoint_owner, discard_checkpoint
from trainables.checkpoints.weights import discard_weights, reduce_to_weights
from trainables.errors import CheckpointError
from trainables.files.folders import remove_abandoned, sync
from trainables.reports import NoteKind

logger = logging.getLogger(__name__)

#: The shortest time between two sweeps; the budget may be exceeded for so long.
PERIOD_SECONDS = 5.0
_WHY = "to keep storage.checkpoint_budget_gb"


class CheckpointKeeper:
    """Deletes what the study does not need, every few seconds on a thread of its own, and once more at the end.

    Args:
        folder: The run's.
        recorder: Has the study's state.
        budget_bytes: What all checkpoints together may take; None: as much as they need.
        top: How many of the best trials the study exports.
        kept_every: Until the study has finished, other trials may go on from the checkpoint of each so many epochs; 0:
            none does.
        notify: Receives one message if the checkpoints that are needed exceed the budget.
    """

    def __init__(  # noqa: PLR0913 - what decides which checkpoints stay
        self,
        folder: RunFolder,
        *,
        recorder: Recorder,
        budget_bytes: float | None,
        top: int,
        kept_every: int = 0,
        notify: Callable[[str], None],
    ) -> None:
        self._folder, self._recorder = folder, recorder
        self._budget_bytes, self._top, self._notify = budget_bytes, top, notify
        self._kept_every = kept_every
        self._has_notified = False
        self._num_seen = -1
        self._num_changes = 0
        self._stored = StoredCheckpoints(folder)
        #: Trials whose checkpoints may have changed; only the keeper changes those of an ended trial.
        self._awake = set(recorder.state.trials)
        #: Ended trials whose checkpoints outlive a power loss; workers flush theirs only now and then.
        self._finished = {trial.name for trial in recorder.state.trials.values() if trial.has_ended}
        self._periodic = Periodic(self._sweep_safely, name="checkpoint-keeper", shortest_seconds=PERIOD_SECONDS)

    def __enter__(self) -> Self:
        self._periodic.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._periodic.stop()
        self._sweep_safely()

    def sweep(self) -> None:
        """Reads the disk if the journal has grown since the last sweep, and deletes or reduces what may go."""
        with self._recorder.lock:
            num_records = self._recorder.state.num_records
            if num_records == self._num_seen or self._recorder.state.opened is None:
                return
            of_trials, num_changes = self._roles(), len(self._recorder.state.changes)
        names = [trial_role.trial for trial_role in of_trials]
        held = [item for name in names for item in self._stored.of(name, may_have_changed=name in self._awake)]
        plan = plan_evictions(held, of_trials, budget_bytes=self._budget_bytes)
        by_name = {trial_role.trial: trial_role for trial_role in of_trials}
        for eviction in plan.evictions:
            self._note_and_evict(eviction, by_name[eviction.held.trial])
        # A trial stays awake for one sweep after its end: at the first, its worker may still have been deleting.
        self._awake = {name for name in self._awake if name not in self._finished}
        self._awake |= {eviction.held.trial for eviction in plan.evictions}
        self._mark_finished(of_trials)
        self._notify_once(plan)
        self._num_seen, self._num_changes = num_records, num_changes

    def _sweep_safely(self) -> bool:
        """Returns True, so that the thread goes on: what could not be deleted now can be deleted later."""
        try:
            self.sweep()
        except OSError as exc:
            logger.warning('checkpoints not swept reason="%s"', exc)
        return True

    def _roles(self) -> list[CheckpointRole]:
        """Returns the trials that matter to a sweep: within a budget all of them, else those that may have changed."""
        state = self._recorder.state
        self._awake.update(state.changes[self._num_changes :])
        if self._kept_every and state.finished is not None:
            self._kept_every = 0
            self._awake.update(state.trials)
        if self._budget_bytes is None:
            return roles_without_budget(state, sorted(self._awake), kept_every=self._kept_every)
        return roles(state, top=self._top, kept_every=self._kept_every)

    def _note_and_evict(self, eviction: Eviction, trial_role: CheckpointRole) -> None:
        if not eviction.is_for_budget:
            self._evict(eviction)
        elif trial_role.role is Role.LEADER:
            # The note comes second, because a damaged checkpoint stays as it is.
            if self._evict(eviction):
                left = "it can be exported, but not trained further"
                self._note(trial_role, f"all but the weights of its best epoch was deleted {_WHY}; {left}")
        else:
            self._note(trial_role, f"its checkpoints were deleted {_WHY}; an export trains it again")
            self._evict(eviction)

    def _evict(self, eviction: Eviction) -> bool:
        """Deletes or reduces a checkpoint; returns False for a damaged one, which stays as it is."""
        held, trial = eviction.held, self._folder.checkpoints / eviction.held.trial
        logger.info("trial=%s epoch=%d checkpoint=%s", held.trial, held.epoch, eviction.step)
        if eviction.step is Step.REDUCE:
            try:
                known = self._recorder.trial(held.trial)
                owner = checkpoint_owner(known.variant.variant_id, fold=known.fold)
                reduce_to_weights(trial, epoch=held.epoch, variant_id=owner)
            except CheckpointError as exc:
                logger.warning('trial=%s epoch=%d not reduced reason="%s"', held.trial, held.epoch, exc)
                return False
        elif held.is_reduced:
            discard_weights(trial, epoch=held.epoch)
        else:
            discard_checkpoint(trial, epoch=held.epoch)
        return True

    def _note(self, trial_role: CheckpointRole, text: str) -> None:
        """Records, once, what the budget takes from a trial."""
        recorder = self._recorder
        if text not in {note.text for note in recorder.trial(trial_role.trial).notes}:
            note = TrialNoted(trial=trial_role.trial, kind=NoteKind.CHECKPOINT_EVICTED, text=text, at=recorder.now())
            recorder.append(note)

    def _mark_finished(self, of_trials: list[CheckpointRole]) -> None:
        for trial_role in of_trials:
            if trial_role.role is not Role.RESUMABLE and trial_role.trial not in self._finished:
                trial = self._folder.checkpoints / trial_role.trial
                remove_abandoned(trial)
                # The worker may still be deleting checkpoints that it pruned.
                with suppress(FileNotFoundError):
                    for place in [*trial.glob("epoch-*/*"), *trial.glob("epoch-*")]:
                        sync(place)
                self._finished.add(trial_role.trial)

    def _notify_once(self, plan: Plan) -> None:
        if plan.is_over and not self._has_notified and self._budget_bytes is not None:
            self._has_notified = True
            self._notify(
                f"checkpoints that are still needed take {plan.size_bytes / 1e9:.3g} GB, storage.checkpoint_budget_gb "
                f"allows {self._budget_bytes / 1e9:g}: none of them is deleted; raise it, or run fewer trials at a time"
            )
