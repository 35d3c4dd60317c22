"""MLflow: a run for the study and a nested run for each trial, in the store that the user has set.

Runs carry the key of the study's run and the trial's name as tags, so that they are found again without a cursor. Not
every store refuses a metric that it has: in doubt, the history of each metric says which steps are there.
"""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

from orchestrator.errors import TrackerError
from orchestrator.text import one_line
from orchestrator.trackers.events import BestModel, Event, Scalars, StudyBegun, StudyStands, TrialAdded, TrialStands
from orchestrator.trackers.tracker import TrackedRun

#: The tag that all runs of a study carry, and the one with a trial's name.
KEY, TRIAL = "convfleet.run", "convfleet.trial"
#: What a store takes in one call.
_MOST_METRICS, _MOST_TEXTS, _LONGEST_TAG, _LONGEST_PARAM = 800, 100, 4000, 6000
#: MLflow's words for a study's and a trial's states; one that can go on is scheduled.
_STATUS = {
    "running": "RUNNING",
    "finished": "FINISHED",
    "completed": "FINISHED",
    "stopped": "FINISHED",
    "failed": "FAILED",
    "infeasible": "FAILED",
}


@dataclass(slots=True, kw_only=True)
class _Batch:
    """What one run gets in one call."""

    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    status: str = ""
    ended_at: float | None = None
    model: Path | None = None
    began_at: float = 0.0


class Mlflow:
    """The runs of a study in MLflow's store.

    Args:
        run: The run.

    Raises:
        TrackerError: If the store does not answer.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._run = run
        self._ids: dict[str, str] = dict(run.ids)
        #: Runs that were made before this process began, which may have metrics.
        self._earlier: set[str] = set(self._ids)
        self._has_searched = False
        with _tracker_errors():
            self._client = MlflowClient()
            self._place = _without_password(str(self._client.tracking_uri))
            self._experiment = self._find_experiment()

    @property
    def place(self) -> str:
        """The store and the experiment."""
        return f"{self._place}#{self._experiment}"

    @property
    def ids(self) -> Mapping[str, str]:
        """MLflow's ids of the runs."""
        return self._ids

    def has_run(self) -> bool:
        """Returns whether the store has the study's run.

        Raises:
            TrackerError: If the store does not answer.
        """
        with _tracker_errors():
            self._search()
        return "" in self._ids

    def next_step(self) -> str:
        """Returns the command that shows the store, or its address."""
        is_remote = self._place.startswith(("http://", "https://"))
        return self._place if is_remote else f"mlflow ui --backend-store-uri {self._place}"

    def recall(self, events: Sequence[Event]) -> None:
        """Nothing: runs have their events."""

    def send(self, events: Sequence[Event], *, in_doubt: bool) -> None:
        """Logs events to their runs, which are made as they are needed.

        Args:
            events: In the order of the journal.
            in_doubt: Whether the store may have some of them.

        Raises:
            TrackerError: If the store does not take them.
        """
        batches: dict[str, _Batch] = defaultdict(_Batch)
        for event in events:
            _add(event, batches)
        with _tracker_errors():
            if in_doubt:
                self._search()
            for trial, batch in batches.items():
                self._log(self._run_id(trial, batch), batch, in_doubt=in_doubt and trial in self._earlier)

    def _find_experiment(self) -> str:
        """Returns the id of the experiment that the user has set, or else of that of the study's name."""
        if given := os.environ.get("MLFLOW_EXPERIMENT_ID"):
            return given
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or self._run.header.study
        found = self._client.get_experiment_by_name(name)
        return found.experiment_id if found is not None else self._client.create_experiment(name)

    def _search(self) -> None:
        """Finds the study's runs by their tags."""
        if self._has_searched:
            return
        found, token = {}, None
        while True:
            page: Any = self._client.search_runs(
                [self._experiment], f"tags.`{KEY}` = '{self._run.key}'", ViewType.ACTIVE_ONLY, 1000, page_token=token
            )
            found.update({item.data.tags.get(TRIAL, ""): item.info.run_id for item in page})
            token = page.token
            if not token:
                break
        # A run that the user deleted is none any more: it is made anew.
        self._ids = found
        self._earlier = set(found)
        self._has_searched = True

    def _run_id(self, trial: str, batch: _Batch) -> str:
        if trial not in self._ids:
            tags = {KEY: self._run.key, **({TRIAL: trial} if trial else {})}
            if trial:
                tags["mlflow.parentRunId"] = self._run_id("", _Batch(began_at=self._run.header.at))
            made = self._client.create_run(
                self._experiment,
                start_time=int((batch.began_at or self._run.header.at) * 1000),
                tags=tags,
                run_name=trial or self._run.header.study,
            )
            self._ids[trial] = made.info.run_id
        return self._ids[trial]

    def _log(self, run_id: str, batch: _Batch, *, in_doubt: bool) -> None:
        metrics = list(self._unknown(run_id, batch.metrics)) if in_doubt else batch.metrics
        params = [Param(name, value[:_LONGEST_PARAM]) for name, value in batch.params.items()]
        tags = [RunTag(name, one_line(value)[:_LONGEST_TAG]) for name, value in batch.tags.items()]
        for start in range(0, len(metrics), _MOST_METRICS):
            self._client.log_batch(run_id, metrics=metrics[start : start + _MOST_METRICS])
        for start in range(0, max(len(params), len(tags)), _MOST_TEXTS):
            part = slice(start, start + _MOST_TEXTS)
            self._client.log_batch(run_id, params=params[part], tags=tags[part])
        if batch.model is not None and batch.model.is_dir():
            self._client.log_artifacts(run_id, str(batch.model), artifact_path=f"exports/{batch.model.name}")
        if batch.ended_at is not None:
            self._client.set_terminated(run_id, batch.status, end_time=int(batch.ended_at * 1000))
        elif batch.status:
            self._client.update_run(run_id, batch.status)

    def _unknown(self, run_id: str, metrics: Sequence[Metric]) -> Iterator[Metric]:
        """Yields the metrics whose step the run lacks."""
        known = {
            name: {item.step for item in self._client.get_metric_history(run_id, name)}
            for name in {metric.key for metric in metrics}
        }
        return (metric for metric in metrics if metric.step not in known[metric.key])


@contextmanager
def _tracker_errors() -> Iterator[None]:
    """Raises MLflow's errors, and those of its connections, as TrackerError."""
    try:
        yield
    except (MlflowException, OSError) as exc:
        raise TrackerError(f"mlflow: {one_line(str(exc))}") from exc


def _without_password(uri: str) -> str:
    """Returns a store's URI without the name and password of its user.

    >>> _without_password("postgresql://me:secret@host/runs"), _without_password("sqlite:////tmp/mlflow.db")
    ('postgresql://host/runs', 'sqlite:////tmp/mlflow.db')
    """
    scheme, mark, rest = uri.partition("://")
    server, slash, path = rest.partition("/")
    return f"{scheme}{mark}{server.rpartition('@')[2]}{slash}{path}"


def _add(event: Event, batches: Mapping[str, _Batch]) -> None:
    """Adds an event to what its run gets."""
    match event:
        case StudyBegun(facts=facts, at=at):
            batches[""].began_at = at
            batches[""].params |= {name: str(value) for name, value in facts.items()}
        case TrialAdded(trial=trial):
            batch = batches[trial]
            batch.began_at = event.at
            values = {"family": event.family, **event.params, "seed": event.seed}
            batch.params |= {name: str(value) for name, value in values.items()}
            batch.tags |= {f"convfleet.{name}": str(value) for name, value in event.facts.items()}
        case Scalars(trial=trial, step=step, at=at):
            made = [Metric(name, value, int(at * 1000), step) for name, value in event.values.items()]
            batches[trial].metrics += made
        case TrialStands(trial=trial):
            _let_stand(batches[trial], event)
        case StudyStands(best_trial=trial):
            _let_stand(batches[""], event)
            batches[""].tags["best_trial"] = trial
        case BestModel(trial=trial):
            batches[trial].model = event.folder


def _let_stand(batch: _Batch, event: TrialStands | StudyStands) -> None:
    batch.tags |= {"state": event.state, "reason": event.reason}
    batch.status = _STATUS.get(event.state, "SCHEDULED")
    batch.ended_at = event.at if batch.status in ("FINISHED", "FAILED") else None
