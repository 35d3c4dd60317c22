"""The command that asks what other rules would have made of a run."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.console import make_console, print_json
from orchestrator.cli.options import JsonOption, RunArgument, SetOption
from orchestrator.cli.runs import local_run
from orchestrator.errors import InputError

if TYPE_CHECKING:
    from orchestrator.journal.study_state import StudyState
    from orchestrator.planning.replay import Replayed
    from orchestrator.runs.paths import RunFolder
    from orchestrator.study.spec import Policy

ScheduleOption = Annotated[
    list[str] | None,
    typer.Option("--schedule", metavar="NAME", help="A rule of early stopping; repeatable. Default: all."),
]


def replay(
    run: RunArgument, schedule: ScheduleOption = None, settings: SetOption = None, as_json: JsonOption = False
) -> None:
    """Show what other early stopping, budgets or fewer trials would have cost and found, from the run's own journal."""
    from orchestrator.early_stopping.decider import rule_name
    from orchestrator.early_stopping.deciders import DECIDERS, POPULATIONS
    from orchestrator.journal.reading import load_state
    from orchestrator.planning.replay import as_it_was
    from orchestrator.runs.folder import open_run_folder
    from orchestrator.study.loading import load_policy
    from orchestrator.views.terminal.replay_view import print_replay, replay_json

    run_folder = open_run_folder(local_run(run))
    state = load_state(run_folder)
    if not state.report_order:
        raise InputError(f"{run_folder.root}: no trial has reported an epoch yet, so that there is nothing to replay")
    overrides = list(settings or [])
    asked = [override.partition("=")[2].strip() for override in overrides if _key(override) == "schedule.algorithm"]
    promotes = any(_key(override) == "schedule.promotion" for override in overrides)
    names = schedule or asked or (["asha"] if promotes else [name for name in DECIDERS if name not in POPULATIONS])
    policies = [_policy(run_folder, [*overrides, f"schedule.algorithm={name}"]) for name in names]
    was = as_it_was(state, schedule=rule_name(load_policy(run_folder.study).schedule))
    slots = state.sessions[-1].slots if state.sessions else 1
    ways = [(policy, _slots(policy, slots, overrides=overrides)) for policy in policies]
    found, left_out = _replayed(state, ways, is_asked=bool(schedule or asked or promotes))
    if as_json:
        print_json(replay_json(was, found, left_out=left_out))
        return
    print_replay(make_console(), was, found, metric=state.header.metric, left_out=left_out)


def _replayed(
    state: "StudyState", ways: "Sequence[tuple[Policy, int]]", *, is_asked: bool
) -> "tuple[list[Replayed], dict[str, str]]":
    """Returns what policies would have made of a run, each with its slots, and why one is left out, by its rule.

    Args:
        state: The run's.
        ways: The policies.
        is_asked: Whether the user named the rules; else one that the run cannot tell of leaves the others.
    """
    from orchestrator.early_stopping.decider import rule_name
    from orchestrator.planning.replay import replay_run

    found, left_out = [], {}
    for policy, slots in ways:
        try:
            found.append(replay_run(state, policy, slots=slots, seed=state.header.seed))
        except InputError as exc:
            # Who waits for whom follows from what ran at the same time, which no replay knows to the moment.
            if is_asked or not policy.schedule.promotion:
                raise
            left_out[rule_name(policy.schedule)] = str(exc)
    return found, left_out


def _policy(run_folder: "RunFolder", overrides: Sequence[str]) -> "Policy":
    """Returns the run's policy with what the user changes.

    Raises:
        InputError: If a key is none that a replay can change.
    """
    from orchestrator.planning.replay import REPLAYABLE
    from orchestrator.study.loading import load_policy
    from search_spaces import nearest

    for override in overrides:
        key = _key(override)
        if key not in REPLAYABLE:
            hint = nearest(key, REPLAYABLE) or f"; a replay can change {', '.join(REPLAYABLE)}"
            raise InputError(
                f"--set {override}: other values of {key} would have led to other trials or numbers, which the run "
                f"cannot tell{hint}"
            )
    policy = load_policy(run_folder.study, overrides=overrides)
    schedule, search = policy.schedule, policy.search
    if schedule.grace_epochs == "auto":
        # Only a study without early stopping leaves it to the images.
        schedule = schedule.model_copy(update={"grace_epochs": 1})
    if schedule.promotion and schedule.algorithm != "asha" and "schedule.promotion" not in map(_key, overrides):
        # The run's own setting belongs to its own rule.
        schedule = schedule.model_copy(update={"promotion": False})
    if "search.trials" not in map(_key, overrides):
        search = search.model_copy(update={"trials": None})
    return policy.model_copy(update={"schedule": schedule, "search": search})


def _key(override: str) -> str:
    return override.partition("=")[0].strip()


def _slots(policy: "Policy", slots: int, *, overrides: Sequence[str]) -> int:
    """Returns how many trials run at the same time: as many as in the run, where the user says nothing else."""
    given = policy.resources.max_concurrent
    return given if "resources.max_concurrent" in map(_key, overrides) and isinstance(given, int) else slots
