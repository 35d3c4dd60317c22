"""The decision which checkpoints may go: needed ones never do, and the rest fits the budget whenever that can be."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.disk.checkpoint_budget import CheckpointRole, Role, Step, StoredCheckpoint, plan_evictions, roles
from orchestrator.journal.records import ModelExported
from orchestrator.journal.study_state import fold
from orchestrator.results.from_tables import leaderboard
from orchestrator.results.tables import trials_table

NAMES = [f"t{number:04d}" for number in range(6)]


@st.composite
def studies(draw):
    """Returns what is on disk, and the trials: those that can go on first, then the ended ones, best first."""
    names = draw(st.permutations(NAMES))
    num_going_on, num_leaders = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    roles = [Role.RESUMABLE] * num_going_on + [Role.LEADER] * num_leaders
    roles += [Role.LOSER] * (len(names) - len(roles))
    of_trials = [
        CheckpointRole(trial=name, role=role, best_epoch=draw(st.none() | st.integers(1, 5)))
        for name, role in zip(names, roles, strict=True)
    ]
    held = []
    for name in [*names, "t9999"]:
        for epoch, is_reduced in draw(st.sets(st.tuples(st.integers(1, 5), st.booleans()), max_size=4)):
            size = draw(st.integers(1, 100))
            weights = size if is_reduced else draw(st.integers(1, size))
            item = {"trial": name, "epoch": epoch, "is_reduced": is_reduced, "size_bytes": size}
            held.append(StoredCheckpoint(**item, weights_bytes=weights))
    return draw(st.permutations(held)), of_trials


def after(held, plan):
    """Returns what is on disk once a plan is done."""
    left = set(held)
    for eviction in plan.evictions:
        left.remove(eviction.held)
        if eviction.step is Step.REDUCE:
            left.add(replace(eviction.held, is_reduced=True, size_bytes=eviction.held.weights_bytes))
    return left


def least(held, of_trials):
    """Returns the fewest bytes that can be left: those of trials that go on, and the best weights of leaders."""
    roles = {trial_role.trial: trial_role for trial_role in of_trials}
    total = 0
    for name in {item.trial for item in held}:
        items, trial_role = [item for item in held if item.trial == name], roles.get(name)
        if trial_role is None or trial_role.role is Role.RESUMABLE:
            total += sum(item.size_bytes for item in items)
        elif trial_role.role is Role.LEADER:
            best = [item for item in items if item.epoch == trial_role.best_epoch]
            whole = [item for item in best if not item.is_reduced]
            total += sum(item.weights_bytes for item in whole or best)
    return total


@given(study=studies(), budget=st.none() | st.integers(1, 1500))
def test_a_plan_keeps_what_is_needed_fits_if_that_can_be_and_is_always_the_same(study, budget):
    held, of_trials = study
    plan = plan_evictions(held, of_trials, budget_bytes=budget)
    left = after(held, plan)
    assert plan == plan_evictions(sorted(held, key=str), of_trials, budget_bytes=budget)
    assert plan.size_bytes == sum(item.size_bytes for item in left)
    assert plan.is_over == (budget is not None and plan.size_bytes > budget)
    roles = {trial_role.trial: trial_role for trial_role in of_trials}
    for item in held:
        trial_role = roles.get(item.trial)
        if trial_role is None or trial_role.role is Role.RESUMABLE:
            assert item in left
        elif trial_role.role is Role.LEADER and item.epoch == trial_role.best_epoch:
            assert any((found.trial, found.epoch) == (item.trial, item.epoch) for found in left)
    if budget is None:
        assert not any(eviction.is_for_budget for eviction in plan.evictions)
    else:
        assert plan.is_over == (least(held, of_trials) > budget)
        # Nothing more than needed: without its last step for the budget it would not fit.
        assert plan_evictions(left, of_trials, budget_bytes=budget).evictions == []


def whole(trial, epoch, *, size=10, weights=3):
    return StoredCheckpoint(trial=trial, epoch=epoch, is_reduced=False, size_bytes=size, weights_bytes=weights)


STEPS = [
    *("t1:2 delete", "t4:1 delete"),
    *("t4:2 delete", "t3:1 delete", "t3:4 delete"),
    *("t2:1 reduce", "t1:1 reduce", "t1:3 delete"),
]


@pytest.mark.parametrize(("budget", "num_steps"), [(None, 2), (80, 2), (79, 3), (69, 5), (49, 6), (1, 8)])
def test_old_ones_of_ended_trials_go_first_then_losers_worst_first_then_all_but_weights_of_leaders(budget, num_steps):
    of_trials = [
        CheckpointRole(trial=name, role=role, best_epoch=best)
        for name, role, best in [
            ("t0", Role.RESUMABLE, 1),
            ("t1", Role.LEADER, 1),
            ("t2", Role.LEADER, 1),
            ("t3", Role.LOSER, 1),
            ("t4", Role.LOSER, None),
        ]
    ]
    held = [whole("t0", 1), whole("t0", 2), whole("t1", 1), whole("t1", 2), whole("t1", 3), whole("t2", 1)]
    held += [whole("t3", 1), whole("t3", 4), whole("t4", 1), whole("t4", 2)]
    plan = plan_evictions(held, of_trials, budget_bytes=budget)
    assert [f"{item.held.trial}:{item.held.epoch} {item.step}" for item in plan.evictions] == STEPS[:num_steps]
    assert plan.is_over == (budget == 1)


@pytest.mark.parametrize("top", [0, 1, 3])
def test_leaders_are_those_the_leaderboard_exports_and_what_was_exported(make_sweep, top):
    exported = ModelExported(trial="t0009", rank=4, folder="exports/4-t0009", test_metrics={}, at=9e9)
    state = fold([*make_sweep(), exported])
    ranked = leaderboard(trials_table(state), metric="val_accuracy", mode="max")["trial"].to_pylist()
    told = roles(state, top=top)
    leaders = {trial_role.trial for trial_role in told if trial_role.role is Role.LEADER}
    assert leaders == {*ranked[: max(1, top)], "t0003", "t0009"}
    ended = [trial_role.trial for trial_role in told if trial_role.role is not Role.RESUMABLE]
    assert ended == [*ranked, "t0005", "t0008"]
    assert all(trial_role.role is Role.RESUMABLE for trial_role in told if trial_role.trial not in ended)
    rows = trials_table(state).select(["trial", "best_epoch"]).to_pylist()
    best = {row["trial"]: row["best_epoch"] for row in rows}
    assert {trial_role.trial: trial_role.best_epoch for trial_role in told} == best
