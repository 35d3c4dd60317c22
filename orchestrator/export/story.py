"""What the card of a model says of its study: how the search went, and what this trial was in it."""

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import OrchestratorError
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.results.from_state import count_states, spent
from orchestrator.results.image_shares import chance_notes, image_shares
from orchestrator.results.words import objectives, state_counts_in_words
from orchestrator.runs.paths import RunFolder
from orchestrator.study.yaml_file import parse_yaml, read_study_file
from orchestrator.text import duration


def how_found(state: StudyState, trial: Trial, *, folder: RunFolder) -> dict[str, Any]:
    """Returns what `ExportRequest.found` holds of a trial.

    Args:
        state: What the journal says.
        trial: The trial that is exported.
        folder: The run folder.
    """
    return {
        "study": _study(state, folder=folder),
        "trial": _trial(state, trial),
        "cost": _cost(trial),
        "notes": chance_notes(state, image_shares(folder)),
    }


def _study(state: StudyState, *, folder: RunFolder) -> dict[str, object]:
    header, trials = state.header, list(state.trials.values())
    seconds, num_epochs, _ = spent(state)
    written = _written(folder)
    variants = {trial.variant.variant_id for trial in trials if not trial.replicate_of}
    return {
        "objective": objectives(header.goals),
        **({"keeps to": ", ".join(header.constraints)} if header.constraints else {}),
        "search": header.search or _algorithm(written, "search"),
        "early stopping": _algorithm(written, "schedule"),
        "most epochs a trial": header.max_epochs,
        "trials": state_counts_in_words(count_states(trials)),
        "variants tried": len(variants),
        "families tried": ", ".join(sorted({trial.variant.family for trial in trials})),
        "epochs trained": num_epochs,
        "seconds in training steps": round(seconds, 1),
        "time of the driver": duration(state.clock.seconds(state.last_at)),
        "seed of the study": header.seed,
    }


def _trial(state: StudyState, trial: Trial) -> dict[str, object]:
    again = [state.trials[name] for name in state.replicates.get(trial.name, ())]
    # What a budget cut short has the value of fewer epochs.
    replicates = [item for item in again if item.state is TrialState.COMPLETED]
    found: dict[str, object] = {"epochs trained by the trial": trial.num_epochs}
    if trial.reused_from:
        found["trained in another run"] = trial.reused_from
    if trial.parent:
        found["began from the checkpoint of"] = f"{trial.parent}, epoch {trial.from_epoch}"
    if replicates:
        metric = state.header.metric
        values = [(item, item.best_report(**state.header.ranking)) for item in replicates]
        found[f"{metric} with other seeds"] = ", ".join(
            f"seed {item.variant.seed}{f' on fold {item.fold}' if item.fold else ''}: {report.metrics[metric]:.4g}"
            for item, report in values
            if report is not None
        )
    return found


def _cost(trial: Trial) -> dict[str, object]:
    """Returns what the first report of a trial says of its variant's cost, and what its training took."""
    cost = dict(trial.reports[0].cost) if trial.reports and trial.reports[0].cost else dict(trial.inherited_cost)
    cost.pop("parameters", None)
    seconds = round(sum(report.train_seconds for report in trial.reports), 2)
    named = {name.replace("_", " "): value for name, value in cost.items()}
    return {**named, "seconds in training steps": seconds}


def _written(folder: RunFolder) -> Mapping[str, Any]:
    """Returns the study file of a run; an empty mapping where it cannot be read, as no result depends on it."""
    try:
        content = parse_yaml(read_study_file(folder.study), where=str(folder.study))
    except (OrchestratorError, OSError):
        return {}
    return content if isinstance(content, dict) else {}


def _algorithm(written: Mapping[str, Any], section: str) -> str:
    found = written.get(section)
    return str(found.get("algorithm", "")) if isinstance(found, dict) else ""
