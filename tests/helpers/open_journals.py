"""An open journal of a study's first trial, and the recorder that writes it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.journal.file import Journal, read_journal
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import Record, StudyOpened, TrialProposed
from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder

OPENED = StudyOpened(schema=2, study="s", seed=7, metric="val_accuracy", mode="max", max_epochs=3, num_trials=3, at=0.0)
WORKER = {"node": "n1", "worker_pid": 42, "cpus": 1.0, "gpus": 0.0, "gpu_ids": []}


def proposed(number: int) -> TrialProposed:
    variant = {"family": "sequential", "params": {"num_blocks": number + 1}, "seed": 7}
    return TrialProposed(trial=f"t{number:04d}", number=number, variant=variant, at=0.0)


@dataclass
class Clock:
    now: float = 100.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


@dataclass(kw_only=True)
class Rig:
    recorder: Recorder
    folder: RunFolder

    @property
    def records(self) -> list[Record]:
        """What is in the file now, after the opening and the first proposal."""
        return list(read_journal(self.folder.journal))[2:]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    folder = RunFolder(tmp_path)
    with Journal(folder.journal) as journal:
        recorder = Recorder(journal, state=fold([]), folder=folder, clock=Clock(), retries=3)
        recorder.append(OPENED)
        recorder.append(proposed(0))
        yield Rig(recorder=recorder, folder=folder)
