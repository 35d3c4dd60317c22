"""The checkpoints of a run that may become part of an ensemble; no TensorFlow."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial
from orchestrator.pareto.constraints import broken_by
from orchestrator.results.from_state import placed
from orchestrator.results.ranking import RANKED_STATES, Placed, known_values
from trainables.checkpoints.checkpoint import saved_epochs
from trainables.checkpoints.weights import reduced_epochs
from trainables.ensembles.requests import Candidate


def candidates_of(state: StudyState, *, checkpoints: Path, has_storage: bool = False) -> list[Candidate]:
    """Returns the kept checkpoints of all trials with a result, trials by their place on the leaderboard.

    Left out are trials that break a constraint, and those that validate on another fold: they have trained on images of
    the validation split.

    Args:
        state: What the journal says.
        checkpoints: The folder of checkpoints by trial.
        has_storage: Whether the best checkpoint of a trial may lie in a storage or on another node.
    """
    found: list[Candidate] = []
    for trial in _trials(state):
        best = trial.best_report(**state.header.ranking)
        if best is None or broken_by(known_values(trial, best), state.header.conditions):
            continue
        folder = checkpoints / trial.name
        epochs = {*saved_epochs(folder), *reduced_epochs(folder), *({best.epoch} if has_storage else ())}
        reported = {report.epoch for report in trial.reports}
        # The best one first, then the later ones: an order for equally good ones.
        ordered = sorted(epochs & reported, key=lambda epoch: (epoch != best.epoch, -epoch))
        found += [Candidate(trial=trial.name, variant=trial.variant, epoch=epoch) for epoch in ordered]
    return found


def best_single(state: StudyState, candidates: Sequence[Candidate]) -> Candidate | None:
    """Returns the best epoch of the leaderboard's first trial whose checkpoint is kept; None where none is."""
    by_name = {candidate.name: candidate for candidate in candidates}
    wanted = (by_name.get(f"{item.trial.name}-{item.report.epoch:04d}") for item in _kept(state))
    return next((candidate for candidate in wanted if candidate is not None), None)


def _kept(state: StudyState) -> list[Placed]:
    return [item for item in placed(state) if not item.broken]


def _trials(state: StudyState) -> Iterator[Trial]:
    """Yields the trials with a result: those of the leaderboard in its order, then their replicates."""
    board = [item.trial for item in placed(state)]
    yield from board
    names = {trial.name for trial in board}
    for trial in list(state.trials.values()):
        if trial.name not in names and trial.state in RANKED_STATES and not trial.fold:
            yield trial
