"""Puts another trial in the place of one that ends: with a better trial's checkpoint, and values beside its own."""

import logging

import numpy as np

from orchestrator.early_stopping.decider import Verdict
from orchestrator.journal.records import TrialNoted, TrialReplaced
from orchestrator.journal.trial import Trial
from orchestrator.runs.paths import trial_name
from orchestrator.search.bandit import informed
from orchestrator.search.perturbation import Perturbed, perturbed
from orchestrator.study.spec import StudySpec
from orchestrator.text import number as in_words
from orchestrator.tuning.listener import TuneListener
from trainables.checkpoints.inheriting import inherit_checkpoint
from trainables.checkpoints.store import CheckpointStore
from trainables.errors import CheckpointError
from trainables.reports import NoteKind

logger = logging.getLogger(__name__)


class Successors:
    """The trials of a population that go on in the places of others.

    The checkpoint is in the new trial's folder before the journal has the trial. A driver that dies between the two
    leaves a folder without a trial, which the next driver fills anew: who is gone on from, and with which values,
    follows from the study's seed, the trials' numbers and the journal.

    Args:
        spec: The study.
        listener: Its recorder writes the journal; it has the study's budgets.
        remote: The URI of the run's copy in remote storage; None: no copy.
    """

    def __init__(self, spec: StudySpec, *, listener: TuneListener, remote: str | None = None) -> None:
        self._spec, self._listener, self._remote = spec, listener, remote
        self._recorder = listener.recorder

    def replace(self, name: str, verdict: Verdict, *, epoch: int) -> bool:
        """Records that a trial ends and which one goes on in its place; returns False where it goes on itself.

        It does where the study has no trial left, and, with a note, where none of the best trials can be gone on from.

        Args:
            name: The trial.
            verdict: Why it ends, and the better trials.
            epoch: After which it ends.
        """
        if self._recorder.pause_requested.is_set() or not self._has_room:
            return False
        problems = []
        for parent in verdict.parents:
            if problem := self._go_on_from(parent, name, verdict, epoch=epoch):
                problems.append(f"{parent}: {problem}")
                logger.warning(
                    'trial=%s parent=%s epoch=%d decision=pass-over reason="%s"', name, parent, epoch, problem
                )
            else:
                return True
        self._note(
            name, f"{verdict.reason}; it goes on, as no better trial can be gone on from ({'; '.join(problems)})"
        )
        return False

    @property
    def _has_room(self) -> bool:
        """Whether the study may have one more trial beside those of the population that the search proposes."""
        most = self._spec.num_trials - self._spec.schedule.population
        return self._recorder.state.num_replaced < most and not self._listener.budgets.is_over

    def _go_on_from(self, parent_name: str, name: str, verdict: Verdict, *, epoch: int) -> str:
        """Adds the trial that goes on from a better one; returns why that cannot be done, else an empty text."""
        state = self._recorder.state
        parent, number = state.trials[parent_name], len(state.trials)
        child = trial_name(number)
        found = self._changed(parent, number=number, epoch=epoch)
        if found is None:
            return "nothing of its variant may change"
        try:
            self._inherit(parent, child, found, epoch=epoch)
        except (CheckpointError, OSError) as exc:
            return str(exc)
        self._recorder.append(
            TrialReplaced(
                trial=child,
                number=number,
                variant=found.variant.to_json(),
                parent=parent_name,
                from_epoch=epoch,
                replaces=name,
                epoch=epoch,
                reason=f"{verdict.reason}; {child} goes on from {parent_name} with {_changes_in_words(found)}",
                at=self._recorder.now(),
            )
        )
        return ""

    def _changed(self, parent: Trial, *, number: int, epoch: int) -> Perturbed | None:
        """Returns the variant of a new trial; equal studies and journals have equal ones."""
        if self._spec.schedule.algorithm == "pb2":
            return informed(parent, epoch=epoch, state=self._recorder.state, spec=self._spec, seed=number)
        random = np.random.default_rng([self._spec.seed, number])
        return perturbed(parent.variant, space=self._spec.space, random=random)

    def _inherit(self, parent: Trial, child: str, found: Perturbed, *, epoch: int) -> None:
        """Gives the new trial its parent's checkpoint, in remote storage as well if the run is kept there.

        Raises:
            CheckpointError: The checkpoint is missing, damaged or not in the storage, or the storage takes no other.
            OSError: The disk is full, or the like.
        """
        checkpoints = self._recorder.folder.checkpoints
        parent_id = parent.variant.variant_id

        def inherit() -> None:
            inherit_checkpoint(
                checkpoints / parent.name,
                epoch=epoch,
                variant_id=parent_id,
                heir_folder=checkpoints / child,
                heir_id=found.variant.variant_id,
                changed=list(found.before),
            )

        try:
            inherit()
        except CheckpointError:
            if self._remote is None:
                raise
            # A worker of another node may have written it.
            store = CheckpointStore(self._remote, trial=parent.name, folder=checkpoints / parent.name)
            store.fetch_epoch(epoch, variant_id=parent_id)
            inherit()
        store = CheckpointStore(self._remote, trial=child, folder=checkpoints / child)
        store.changed(keep=[epoch])
        if failure := store.wait_for_uploads():
            raise CheckpointError(f"its checkpoint cannot be uploaded for {child}: {failure}")

    def _note(self, name: str, text: str) -> None:
        if text not in {note.text for note in self._recorder.trial(name).notes}:
            now = self._recorder.now()
            self._recorder.append(TrialNoted(trial=name, kind=NoteKind.NOT_REPLACED, text=text, at=now))


def _changes_in_words(found: Perturbed) -> str:
    """Returns what a variant has instead of what its parent has.

    >>> from search_spaces import Variant
    >>> variant = Variant(family="sequential", params={"learning_rate": 0.0024, "filters": 8}, seed=0)
    >>> _changes_in_words(Perturbed(variant=variant, before={"learning_rate": 0.002}))
    'learning_rate 0.0024 instead of 0.002'
    """
    changes = (
        f"{name} {in_words(value)} instead of {in_words(found.before[name])}" for name, value in found.after.items()
    )
    return ", ".join(changes)
