"""Weights & Biases: a group for the study and a run for each trial, online or offline as the user has set.

Runs are ended before a call returns, as only then all of them has arrived. Online, the next call goes on in them by
their ids: a row has the epoch as its step, the service says how far a run is, and refuses earlier steps. Offline, a
trial has one folder, which is written anew as a whole: folders that one run is spread over may replace one another when
they are uploaded.
"""

import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import wandb

from orchestrator.errors import TrackerError
from orchestrator.text import one_line
from orchestrator.trackers.events import Event, Scalars, TrialAdded, TrialStands
from orchestrator.trackers.followed import TEST
from orchestrator.trackers.tracker import TrackedRun


@dataclass(slots=True, kw_only=True)
class _Batch:
    """What one run gets in one call."""

    config: dict[str, Any] = field(default_factory=dict)
    rows: dict[int, dict[str, float]] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    is_failed: bool = False
    #: Whether it has more than a state that the trial leaves again: a run is opened and ended for it.
    has_news: bool = False


class WeightsAndBiases:
    """The runs of a study at Weights & Biases, or in a folder for it.

    Args:
        run: The run.
    """

    def __init__(self, run: TrackedRun) -> None:
        self._run = run
        with _tracker_errors():
            # As the user has set it, by variables or files.
            settings = wandb.setup().settings
        if settings.mode == "disabled":
            raise TrackerError("wandb: is disabled, so it keeps nothing; set WANDB_MODE=offline or online")
        self._project, self._entity = settings.project or "convfleet", settings.entity
        self._is_offline = settings.mode in ("offline", "dryrun")
        self._service, self._folder = settings.base_url, Path(settings.wandb_dir)
        self._address = ""
        #: All of each trial, where it is offline.
        self._whole: dict[str, _Batch] = defaultdict(_Batch)

    @property
    def place(self) -> str:
        """The folder, or the service with its project."""
        if self._is_offline:
            return str(self._folder.absolute())
        return "/".join((self._service, self._entity or "", self._project))

    @property
    def ids(self) -> Mapping[str, str]:
        """None: ids follow from the study's key and the trials."""
        return {}

    def has_run(self) -> bool:
        """Returns whether the folder has anything of the run; of the service nothing is asked."""
        return not self._is_offline or bool(self._folders(""))

    def next_step(self) -> str:
        """Returns the address of the last run, or the command that uploads what is in the folder."""
        return self._address or f"wandb sync {self._folder}/offline-run-*-{self._run.key}-*"

    def recall(self, events: Sequence[Event]) -> None:
        """Keeps what earlier calls have sent, where a trial is written anew as a whole.

        Args:
            events: In the order of the journal.
        """
        for event in events if self._is_offline else ():
            _add(event, self._whole)

    def send(self, events: Sequence[Event], *, in_doubt: bool) -> None:
        """Logs events to their runs, which are made as they are needed.

        Args:
            events: In the order of the journal.
            in_doubt: Of no matter: rows that a run has are refused, or written in place of the run.

        Raises:
            TrackerError: If a run cannot be opened or ended.
        """
        new: dict[str, _Batch] = defaultdict(_Batch)
        for event in events:
            _add(event, new)
        self.recall(events)
        for trial, batch in new.items():
            if batch.has_news:
                with _tracker_errors():
                    self._log(trial, self._whole[trial] if self._is_offline else batch)

    def _log(self, trial: str, batch: _Batch) -> None:
        for folder in self._folders(trial) if self._is_offline else ():
            shutil.rmtree(folder)
        run = wandb.init(
            project=self._project,
            group=f"{self._run.header.study}-{self._run.key}",
            id=f"{self._run.key}-{trial}",
            name=trial,
            config=batch.config,
            resume="allow",
            reinit="create_new",
            dir=self._folder.parent,
            settings=_quiet_settings(),
        )
        for step, values in sorted(batch.rows.items()):
            # A resumed run says which step is its next.
            if step >= run.starting_step:
                run.log(values, step=step, commit=True)
        run.summary.update(batch.summary)
        self._address = "" if self._is_offline else run.url or ""
        run.finish(exit_code=int(batch.is_failed))

    def _folders(self, trial: str) -> list[Path]:
        """Returns the folders of a trial's offline run; those of all trials where the name is empty."""
        return list(self._folder.glob(f"offline-run-*-{self._run.key}-{trial or '*'}"))


@contextmanager
def _tracker_errors() -> Iterator[None]:
    """Raises errors of wandb and of its connections as TrackerError."""
    try:
        yield
    except (wandb.Error, OSError) as exc:
        raise TrackerError(f"wandb: {one_line(str(exc))}") from exc


def _add(event: Event, batches: Mapping[str, _Batch]) -> None:
    """Adds an event to what its run gets; the study has none of its own."""
    match event:
        case TrialAdded(trial=trial):
            config = {"family": event.family, **event.params, "seed": event.seed, **event.facts}
            batches[trial].config, batches[trial].has_news = config, True
        case Scalars(trial=trial) if any(name.startswith(TEST) for name in event.values):
            batches[trial].summary |= event.values
            batches[trial].has_news = True
        case Scalars(trial=trial, step=step) if trial:
            batches[trial].rows[step] = {**event.values, "_timestamp": event.at}
            batches[trial].has_news = True
        case TrialStands(trial=trial):
            batch = batches[trial]
            batch.summary |= {"state": event.state, "reason": event.reason, **event.values}
            batch.is_failed = event.is_failed
            batch.has_news = batch.has_news or event.has_ended


def _quiet_settings() -> wandb.Settings:
    """Returns settings by which only what the journal has is logged: no console, no code, no machine's load."""
    return wandb.Settings(
        silent=True,
        console="off",
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        x_disable_meta=True,
        x_disable_stats=True,
    )
