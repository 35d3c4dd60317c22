"""The requests for exports: one for each of the best trials; no TensorFlow."""

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
    """Returns whether an export has these formats.

    Args:
        folder: The export.
        formats: Of `keras` and `saved_model`.
    """
    return all((folder / FILES[name]).exists() for name in formats)


def select_exports(
    state: StudyState, *, top: int, formats: Sequence[str], folder: RunFolder, worker: WorkerSpec
) -> list[ExportRequest]:
    """Returns requests for the k best trials of the leaderboard, best first.

    Args:
        state: What the journal says.
        top: How many.
        formats: Of `keras` and `saved_model`.
        folder: The run folder.
        worker: What the workers received that trained the models.
    """
    header = state.header
    board = leaderboard(trials_table(state), **header.ranking, k=top)
    requests = []
    for rank, name in enumerate(board["trial"].to_pylist(), start=1):
        trial = state.trials[name]
        best = trial.best_report(**header.ranking)
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
