"""Runs that are only journals, to be sent to trackers, and a tracker that is only lists."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from record_samples import START, proposed, reported, sweep

from orchestrator.errors import TrackerError
from orchestrator.journal.file import Journal
from orchestrator.journal.records import Record, StudyExtended, StudyFinished, TrialStarted
from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder
from orchestrator.trackers.events import BestModel, Event, Scalars, TrialAdded, TrialStands

STUDY = {
    "name": "cifar10-small",
    "data": {"source": "digits"},
    "space": {
        "family": {"choice": ["sequential", "residual", "transfer"]},
        "params": {
            "filters": {"choice": [8, 16, 32]},
            "learning_rate": {"float": [1e-4, 1e-1], "log": True},
            "optimizer": {"choice": ["adam", "sgd"]},
            "batch_size": 128,
        },
    },
}
#: A study that finished, and one that went on and was extended: trial 0 trains one more epoch, and a new trial comes.
FINISHED: Sequence[Record] = sweep()
EXTENDED: Sequence[Record] = [
    *FINISHED,
    StudyExtended(
        study_id="longer",
        max_epochs=10,
        num_trials=15,
        change="schedule.max_epochs 9 -> 10",
        study="name: s",
        replaces="0",
        at=START + 600,
    ),
    TrialStarted(trial="t0000", at=START + 601),
    reported(0, 10, at=START + 610, value=0.9),
    proposed(14, at=START + 620),
    TrialStarted(trial="t0014", at=START + 621),
    reported(14, 1, at=START + 630, value=0.95),
    StudyFinished(at=START + 700),
]


def write_run(root: Path, records: Sequence[Record] = FINISHED) -> RunFolder:
    """Writes a run folder of a study file, a journal and an export; more records go to the end of a journal."""
    folder = RunFolder(root)
    root.mkdir(exist_ok=True)
    folder.study.write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    count = len(folder.journal.read_bytes().splitlines()) if folder.journal.exists() else 0
    with Journal(folder.journal) as journal:
        for record in records[count:]:
            journal.append(record)
    folder.export(rank=1, trial="t0003").mkdir(parents=True, exist_ok=True)
    (folder.export(rank=1, trial="t0003") / "manifest.json").write_text(json.dumps({"rank": 1}), encoding="utf-8")
    return folder


def values_of(records: Sequence[Record], metric: str) -> dict[tuple[str, int], float]:
    """Returns a metric of every report of a journal, by trial and epoch."""
    return {
        (trial.name, report.epoch): report.metrics[metric]
        for trial in fold(records).trials.values()
        for report in trial.reports
    }


@dataclass
class ListTracker:
    """A tracker that keeps what it gets, as rows by trial and step, and may fail after so many events."""

    place: str = "a list"
    rows: list[tuple[str, int, tuple[str, ...]]] = field(default_factory=list)
    added: Counter[str] = field(default_factory=Counter)
    stands: dict[str, str] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    fails_after: int | None = None
    num_asked: int = 0
    num_recalled: int = 0

    @property
    def ids(self) -> Mapping[str, str]:
        return {name: f"id-{name}" for name in self.added}

    def has_run(self) -> bool:
        return bool(self.rows)

    def next_step(self) -> str:
        return ""

    def recall(self, events: Sequence[Event]) -> None:
        self.num_recalled += len(events)

    def send(self, events: Sequence[Event], *, in_doubt: bool) -> None:
        self.num_asked += 1
        known = set(self.rows) if in_doubt else set()
        for event in events:
            if self.fails_after is not None:
                self.fails_after -= 1
                if self.fails_after < 0:
                    raise TrackerError("list: does not answer")
            match event:
                case Scalars(trial=trial, step=step, values=values):
                    row = (trial, step, tuple(values))
                    if row not in known:
                        self.rows.append(row)
                case TrialAdded(trial=trial):
                    self.added[trial] += 1
                case TrialStands(trial=trial, state=state):
                    self.stands[trial] = state
                case BestModel(trial=trial):
                    self.models.append(trial)

    @property
    def epochs(self) -> list[tuple[str, int]]:
        """Trial and epoch of every row with a report's numbers, in order."""
        return [(trial, step) for trial, step, names in self.rows if "time/train_seconds" in names]
