"""What an export is asked for, and what came of it; no TensorFlow."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.journal.study_state import StudyState
from orchestrator.results.from_tables import leaderboard
from orchestrator.results.tables import trials_table
from orchestrator.runs.paths import RunFolder
from trainables.reports import NoteKind
from trainables.specs.export import FILES, ExportRequest
from trainables.specs.worker import WorkerSpec


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
