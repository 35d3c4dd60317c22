"""What an export is asked for, and what came of it; no TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.journal.trial import StudyState
from orchestrator.results.from_tables import leaderboard
from orchestrator.results.tables import trials_table
from orchestrator.runs.paths import RunFolder
from search_spaces import Variant
from trainables.reports import NoteKind
from trainables.specs.worker import WorkerSpec

#: Where each format lies within an export.
FILES = {"keras": "model.keras", "saved_model": "saved_model"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """One model to export.

    Args:
        study: The study's name.
        rank: 1 for the best.
        trial: The trial's name.
        variant: What it trained.
        epoch: Its best epoch; the checkpoint of that epoch is exported.
        metrics: The report of that epoch.
        formats: Names in `formats.FORMATS`.
        folder: Where to; it appears whole or not at all.
        worker: The study's data and checkpoints.
        evicted: What the study's budget took of the trial's checkpoints, in words; empty: nothing.
    """

    study: str
    rank: int
    trial: str
    variant: Variant
    epoch: int
    metrics: Mapping[str, float]
    formats: Sequence[str]
    folder: str
    worker: WorkerSpec
    evicted: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """An export that is on disk and verified.

    Args:
        rank: 1 for the best.
        trial: The trial's name.
        folder: Where it is.
        test_metrics: Losses and metrics of every target on the test split, read this once.
    """

    rank: int
    trial: str
    folder: str
    test_metrics: Mapping[str, float]


def has_formats(folder: Path, formats: Sequence[str]) -> bool:
    """Returns whether an export is there in these formats."""
    return all((folder / FILES[name]).exists() for name in formats)


def select_exports(
    state: StudyState, *, top: int, formats: Sequence[str], folder: RunFolder, worker: WorkerSpec
) -> list[ExportRequest]:
    """Returns requests for the k best trials of the leaderboard, best first."""
    header = state.header
    board = leaderboard(trials_table(state), metric=header.metric, mode=header.mode, k=top)
    requests = []
    for rank, name in enumerate(board["trial"].to_pylist(), start=1):
        trial = state.trials[name]
        best = trial.best_report(metric=header.metric, mode=header.mode)
        if best is None:
            continue
        requests.append(
            ExportRequest(
                study=header.study,
                rank=rank,
                trial=name,
                variant=trial.variant,
                epoch=best.epoch,
                metrics=dict(best.metrics),
                formats=tuple(dict.fromkeys(formats)),
                folder=str(folder.export(rank=rank, trial=name).absolute()),
                worker=worker,
                evicted=next(
                    (note.text for note in reversed(trial.notes) if note.kind == NoteKind.CHECKPOINT_EVICTED), ""
                ),
            )
        )
    return requests
