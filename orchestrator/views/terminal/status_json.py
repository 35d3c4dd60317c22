"""The status of a study as one JSON document for scripts."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestrator.advice.advice import advice_of
from orchestrator.export.acceptance import accepted_in
from orchestrator.export.exported_files import exported_files, is_worth_a_table
from orchestrator.history.node_types import NodeTypeCost, node_type_costs
from orchestrator.journal.records import ModelExported
from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.pareto.constraints import in_words
from orchestrator.replicates.from_state import board_labels, replicated
from orchestrator.replicates.words import replicates_json
from orchestrator.results import words
from orchestrator.results.from_state import (
    best_so_far,
    count_states,
    elapsed_seconds,
    export_path,
    is_on_this_machine,
    leaders,
    placed,
    state_of,
    study_status,
)
from orchestrator.results.image_shares import ImageShares, chance_notes, image_shares
from orchestrator.results.references import read_references, verdict
from orchestrator.runs.environment_file import data_notes
from orchestrator.runs.owner import Owner
from orchestrator.runs.paths import RunFolder
from orchestrator.steering.words import steering_json
from orchestrator.views.terminal.front_view import front_json

if TYPE_CHECKING:
    from orchestrator.results.from_tables import Cost


def status_json(state: StudyState, *, folder: RunFolder, is_alive: bool, owner: Owner | None = None) -> dict[str, Any]:
    """Returns the status of a study as a JSON-ready mapping.

    Args:
        is_alive: Whether its driver is at work.
        owner: The driver that holds the run folder, or held it when it died.
    """
    # Late: only this function needs Arrow, whose import takes long.
    from orchestrator.results.from_tables import cost
    from orchestrator.results.tables import outcomes_table

    header, trials = state.header, list(search_alone(state).trials.values())
    taken = cost(outcomes_table(state), max_epochs=header.max_epochs)
    closing, shares = state.finished or state.paused, image_shares(folder)
    counts = count_states(trials, is_alive=is_alive)
    return {
        "study": header.study,
        "state": study_status(state, is_alive=is_alive),
        "driver": _owner_json(owner, is_alive=is_alive),
        "objective": {"metric": header.metric, "mode": header.mode, "split": words.split_of(header.metric)},
        "num_trials": header.num_trials,
        "max_epochs": header.max_epochs,
        "search": header.search,
        "minutes": state.sessions[-1].minutes or None if state.sessions else None,
        "ended_early": state.finished.reason if state.finished is not None else "",
        "trials": {trial_state.value: count for trial_state, count in counts.items()},
        "num_reused": sum(bool(trial.reused_from) for trial in trials),
        "extensions": [item.change for item in state.extensions],
        "best": _best_json(state, shares=shares),
        **_constraints_json(state),
        "running": _running_json(list(state.trials.values()), is_alive=is_alive),
        "cost": _cost_json(taken, elapsed=elapsed_seconds(state), node_types=node_type_costs(state)),
        "num_sessions": len(state.sessions),
        "started_at": _iso(header.at),
        "ended_at": _iso(closing.at if closing else None),
        "exports": [
            _export_json(item, folder=folder, shares=shares)
            for item in sorted(state.exports, key=lambda item: item.rank)
        ],
        **_ensembles_json(state, folder=folder, shares=shares),
        **_accepted_json(state, folder=folder),
        "data_notes": data_notes(folder),
        "folder": str(folder.root),
        **front_json(state),
        **steering_json(state),
        **_certainty_json(state, folder=folder, shares=shares),
    }


def _constraints_json(state: StudyState) -> dict[str, Any]:
    """Returns the constraints, and which of them each ranked trial breaks; nothing for a study without any."""
    if not state.header.constraints:
        return {}
    broken = {item.trial.name: list(map(in_words, item.broken)) for item in placed(state) if item.broken}
    return {"constraints": list(map(in_words, state.header.conditions)), "breaks": broken}


def _running_json(trials: Iterable[Trial], *, is_alive: bool) -> list[dict[str, Any]]:
    return [
        {
            "trial": trial.name,
            "epoch": trial.epoch,
            "worker": dict(trial.worker),
            **({"parent": trial.parent, "from_epoch": trial.from_epoch} if trial.parent else {}),
        }
        for trial in trials
        if state_of(trial, is_alive=is_alive) is TrialState.RUNNING
    ]


def _cost_json(taken: "Cost", *, elapsed: float, node_types: Iterable[NodeTypeCost]) -> dict[str, Any]:
    by_type = [asdict(item) for item in node_types]
    return {
        "elapsed_seconds": elapsed,
        "train_seconds": taken.train_seconds,
        "overhead_seconds": dict(taken.overhead_seconds),
        "trial_epochs": taken.trial_epochs,
        "epochs_saved": taken.epochs_saved,
        **({"node_types": by_type} if by_type else {}),
    }


def _certainty_json(state: StudyState, *, folder: RunFolder, shares: ImageShares) -> dict[str, Any]:
    """Returns what is known of the results' certainty; nothing for runs of versions that kept nothing of it."""
    has_race = state.header.replicates or state.replicates
    found: dict[str, Any] = {"replicates": replicates_json(state)} if has_race else {}
    if shares.metrics:
        board, metric = leaders(state, k=len(state.trials)), state.header.metric
        values = {trial.name: best.metrics[metric] for trial, best in board}
        labels = board_labels(values, again=replicated(state), metric=metric, shares=shares)
        found["tied"] = [trial.name for label, (trial, _) in zip(labels, board, strict=True) if label == "1="]
        found["chance_notes"] = chance_notes(state, shares)
    if shares.images:
        found["advice"] = [advice.text for advice in advice_of(state, folder=folder)]
    if rows := read_references(folder):
        found["references"] = [
            {
                "name": row.name,
                "is_blind": row.is_blind,
                "images": dict(row.images),
                "metrics": dict(row.metrics),
                "intervals": _intervals(row.metrics, row.shares(shares)),
            }
            for row in rows
        ]
        found["verdict"] = verdict(state, rows, shares=shares)
    return found


def _intervals(metrics: Mapping[str, float], shares: ImageShares) -> dict[str, list[float]]:
    """Returns the intervals of 95 % of the metrics that are shares of images."""
    found = {name: shares.interval(name, value) for name, value in metrics.items()}
    return {name: list(interval) for name, interval in found.items() if interval is not None}


def _best_json(state: StudyState, *, shares: ImageShares) -> dict[str, Any] | None:
    best = best_so_far(state)
    if best is None:
        return None
    trial, report = best
    return {
        "trial": trial.name,
        "state": trial.state.value,
        "epoch": report.epoch,
        "value": report.metrics[state.header.metric],
        "metrics": dict(report.metrics),
        "variant_id": trial.variant.variant_id,
        "variant": trial.variant.to_json(),
        **({"intervals": _intervals(report.metrics, shares)} if shares.metrics else {}),
    }


def _owner_json(owner: Owner | None, *, is_alive: bool) -> dict[str, Any] | None:
    if owner is None:
        return None
    return {
        "host": owner.host,
        "pid": owner.pid,
        "command": list(owner.command),
        "since": _iso(owner.since),
        "heartbeat": _iso(owner.heartbeat),
        "is_alive": is_alive,
    }


def _export_json(item: ModelExported, *, folder: RunFolder, shares: ImageShares) -> dict[str, Any]:
    metrics = words.named_test_metrics(item.test_metrics)
    return {
        "rank": item.rank,
        "trial": item.trial,
        "folder": str(export_path(item, folder=folder)),
        "is_there": is_on_this_machine(item, folder=folder),
        "test_metrics": metrics,
        **({"intervals": _intervals(metrics, shares)} if shares.metrics else {}),
    }


def _ensembles_json(state: StudyState, *, folder: RunFolder, shares: ImageShares) -> dict[str, Any]:
    """Returns the exported ensembles; nothing for a study without any."""
    found = [
        {
            "method": item.method,
            "members": [dict(member) for member in item.members],
            "folder": str(export_path(item, folder=folder)),
            "is_there": is_on_this_machine(item, folder=folder),
            "validation": dict(item.metrics),
            "test_metrics": (metrics := words.named_test_metrics(item.test_metrics)),
            "intervals": _intervals(metrics, shares),
        }
        for item in state.ensembles.values()
    ]
    return {"ensembles": found} if found else {}


def _accepted_json(state: StudyState, *, folder: RunFolder) -> dict[str, Any]:
    """Returns the table of formats, and the file that the study accepts, each where there is one."""
    files = exported_files(state, folder=folder)
    found: dict[str, Any] = {}
    if is_worth_a_table(files):
        found["formats"] = [{**asdict(file), "path": str(file.path)} for file in files]
    if accepted := accepted_in([export_path(item, folder=folder) for item in state.exports]):
        found["accepted"] = accepted
    return found


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat()
