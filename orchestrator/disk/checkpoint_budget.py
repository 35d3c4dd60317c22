"""Decides which checkpoints may go: the study's state and the sizes on disk in, a plan out; touches no file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from orchestrator.journal.study_state import StudyState
from orchestrator.results.ranking import placed_trials


class Role(StrEnum):
    """What a trial's checkpoints are for."""

    RESUMABLE = "resumable"  # the trial goes on from them
    LEADER = "leader"  # the study exports, or would export, the best weights
    LOSER = "loser"  # needed only if the user extends the study


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointRole:
    """A trial, with what its checkpoints are for.

    Attributes:
        trial: Its name.
        role: What its checkpoints are for.
        best_epoch: The epoch whose weights an export would take; None without a report.
        kept_every: Other trials may go on from the checkpoint of each so many epochs; 0: none does.
    """

    trial: str
    role: Role
    best_epoch: int | None
    kept_every: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """A checkpoint on disk.

    Attributes:
        trial: The name of its trial.
        epoch: The epoch that it was saved after.
        is_reduced: Whether only weights are left of it.
        size_bytes: Its size on disk.
        weights_bytes: Its size as weights alone; `size_bytes` if that size is unknown.
    """

    trial: str
    epoch: int
    is_reduced: bool
    size_bytes: int
    weights_bytes: int


class Step(StrEnum):
    """What the keeper does with a checkpoint."""

    DELETE = "delete"
    REDUCE = "reduce"  # to weights alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Eviction:
    """One step of a plan.

    Attributes:
        held: The checkpoint.
        step: What to do with the checkpoint.
        is_for_budget: Whether the budget asks for the step; if not, a plan without a budget has it as well.
    """

    held: StoredCheckpoint
    step: Step
    is_for_budget: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The steps that bring checkpoints within their budget, and what is left afterwards.

    Attributes:
        evictions: The steps, in the order to take them.
        size_bytes: The size of all checkpoints afterwards.
        is_over: Whether that is more than the budget, because the study needs the rest.
    """

    evictions: Sequence[Eviction]
    size_bytes: int
    is_over: bool


def roles(state: StudyState, *, top: int, kept_every: int = 0) -> list[CheckpointRole]:
    """Returns all trials of a study: those that can go on, then the ended ones, best first.

    Args:
        top: How many of the best trials the study exports. The best one, and each trial that was exported or is trained
            again, is a leader in any case, and so is each trial on the front of several objectives.
        kept_every: Other trials may go on from the checkpoint of each so many epochs; 0: none does.
    """
    header, trials = state.header, list(state.trials.values())
    board = placed_trials(trials, header=header)
    ranked = {item.trial.name: None for item in board}
    front = [item.trial.name for item in board if len(header.goals) > 1 and item.front == 1]
    unranked = [trial.name for trial in trials if trial.has_ended and trial.name not in ranked]
    # Any of those that are trained again may turn out best.
    num_leaders = max(1, top, header.leaders)
    exported = (item.trial for item in state.exports)
    leaders = {*list(ranked)[:num_leaders], *front, *state.replicates, *exported}
    going_on = {trial.name: Role.RESUMABLE for trial in trials if not trial.has_ended}
    ended = {name: Role.LEADER if name in leaders else Role.LOSER for name in (*ranked, *unranked)}
    found = {**going_on, **ended}
    return [_role(state, name, role=role, kept_every=kept_every) for name, role in found.items()]


def roles_without_budget(state: StudyState, names: Iterable[str], *, kept_every: int = 0) -> list[CheckpointRole]:
    """Returns some trials for a plan without a budget, which needs no ranks: every trial that ended is a leader.

    Args:
        names: The trials'.
        kept_every: Other trials may go on from the checkpoint of each so many epochs; 0: none does.
    """
    found = {name: Role.LEADER if state.trials[name].has_ended else Role.RESUMABLE for name in names}
    return [_role(state, name, role=role, kept_every=kept_every) for name, role in found.items()]


def plan_evictions(
    held: Iterable[StoredCheckpoint], of_trials: Sequence[CheckpointRole], *, budget_bytes: float | None
) -> Plan:
    """Returns the plan of what to delete or reduce.

    Without a budget, ended trials keep their newest and their best checkpoint, and those that other trials may go on
    from. Within one, losers lose everything, the
    worst first, and then leaders all but their best weights. Trials that can go on, and those that the study does not
    know, are never touched.

    Args:
        of_trials: As `roles` returns them.
    """
    by_trial: dict[str, list[StoredCheckpoint]] = {}
    for item in sorted(held, key=lambda item: (item.trial, item.epoch, item.is_reduced)):
        by_trial.setdefault(item.trial, []).append(item)
    ended = [trial_role for trial_role in of_trials if trial_role.role is not Role.RESUMABLE]
    size = sum(item.size_bytes for items in by_trial.values() for item in items)
    evictions: list[Eviction] = []

    def evict(found: Iterable[Eviction]) -> None:
        nonlocal size
        for eviction in found:
            item = eviction.held
            size -= item.size_bytes - (item.weights_bytes if eviction.step is Step.REDUCE else 0)
            evictions.append(eviction)

    for trial_role in ended:
        items = by_trial.get(trial_role.trial, [])
        outdated = _outdated(items, trial_role)
        evict(Eviction(held=item, step=Step.DELETE, is_for_budget=False) for item in outdated)
        by_trial[trial_role.trial] = [item for item in items if item not in outdated]
    for role, evictions_of in ((Role.LOSER, _of_loser), (Role.LEADER, _of_leader)):
        for trial_role in reversed([trial_role for trial_role in ended if trial_role.role is role]):
            if budget_bytes is not None and size > budget_bytes:
                evict(evictions_of(by_trial[trial_role.trial], trial_role))
    return Plan(evictions=evictions, size_bytes=size, is_over=budget_bytes is not None and size > budget_bytes)


def _role(state: StudyState, name: str, *, role: Role, kept_every: int) -> CheckpointRole:
    best = state.trials[name].best_report(**state.header.ranking)
    return CheckpointRole(trial=name, role=role, best_epoch=None if best is None else best.epoch, kept_every=kept_every)


def _outdated(items: Sequence[StoredCheckpoint], trial_role: CheckpointRole) -> list[StoredCheckpoint]:
    """Returns checkpoints that nobody uses: neither newest nor best nor kept for others, or doubles of whole ones."""
    whole = {item.epoch for item in items if not item.is_reduced}
    kept = {trial_role.best_epoch, max(whole, default=None)}
    kept |= {epoch for epoch in whole if trial_role.kept_every and epoch % trial_role.kept_every == 0}
    return [item for item in items if item.epoch not in kept or (item.is_reduced and item.epoch in whole)]


def _of_loser(items: Sequence[StoredCheckpoint], trial_role: CheckpointRole) -> list[Eviction]:
    return [Eviction(held=item, step=Step.DELETE) for item in items]


def _of_leader(items: Sequence[StoredCheckpoint], trial_role: CheckpointRole) -> list[Eviction]:
    return [
        Eviction(held=item, step=Step.REDUCE if item.epoch == trial_role.best_epoch else Step.DELETE)
        for item in items
        if not item.is_reduced
    ]
