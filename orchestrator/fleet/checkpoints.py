"""What is kept of the checkpoint that a trial's model is restored from."""

from dataclasses import dataclass
from typing import Literal

from orchestrator.journal.records import Ranking
from orchestrator.journal.trial import Trial
from orchestrator.runs.paths import RunFolder
from trainables.checkpoints.checkpoint import saved_epochs
from trainables.checkpoints.weights import reduced_epochs
from trainables.reports import NoteKind


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCheckpoint:
    """The checkpoint of a trial's best epoch on this machine.

    Attributes:
        state: whole; weights, without what a training would need to go on; or missing.
        epoch: The trial's best epoch; 0 before its first report.
        reason: Why it is missing, in words; empty where it is not.
    """

    state: Literal["whole", "weights", "missing"]
    epoch: int
    reason: str = ""

    @property
    def is_kept(self) -> bool:
        """Whether the model's weights are on this machine."""
        return self.state != "missing"


def kept_checkpoint(trial: Trial, *, folder: RunFolder, ranking: Ranking) -> KeptCheckpoint:
    """Returns what is kept of a trial's best epoch; only names are looked at, no byte is verified.

    Args:
        trial: Of the run.
        folder: The run's.
        ranking: What the study's reports are compared by.
    """
    best = trial.best_report(**ranking)
    if best is None:
        return KeptCheckpoint(state="missing", epoch=0, reason="it has reported no epoch")
    place = folder.checkpoints / trial.name
    if best.epoch in saved_epochs(place):
        return KeptCheckpoint(state="whole", epoch=best.epoch)
    if best.epoch in reduced_epochs(place):
        return KeptCheckpoint(state="weights", epoch=best.epoch)
    return KeptCheckpoint(state="missing", epoch=best.epoch, reason=_reason(trial, epoch=best.epoch))


def _reason(trial: Trial, *, epoch: int) -> str:
    evicted = [note.text for note in trial.notes if note.kind == NoteKind.CHECKPOINT_EVICTED]
    if evicted:
        return evicted[-1]
    if trial.reused_from:
        return f"it was trained as {trial.reused_from}, whose run has its checkpoint"
    return f"the checkpoint of its best epoch, {epoch}, is not in this run folder"
