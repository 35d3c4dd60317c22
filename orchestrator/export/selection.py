"""The requests for exports: one for each of the best trials; no TensorFlow."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.export.story import how_found
from orchestrator.journal.study_state import StudyState
from orchestrator.pareto.choice import FRONT, KNEE, knee_order, parse_rule
from orchestrator.results.from_state import placed
from orchestrator.results.ranking import Placed, known_values, whole_losses
from orchestrator.runs.paths import RunFolder
from orchestrator.study.sections import Export
from trainables.reports import NoteKind
from trainables.specs.export import FILES, ExportRequest
from trainables.specs.worker import WorkerSpec


def has_formats(folder: Path, formats: Sequence[str]) -> bool:
    """Returns whether an export has these formats.

    Args:
        folder: The export.
        formats: As `export.formats`.
    """
    return all((folder / FILES[name]).exists() for name in formats)


def formats_with_kept(folder: Path, formats: Sequence[str]) -> tuple[str, ...]:
    """Returns formats, and after them those that an export has besides: made again, it would be without them.

    One whose packages are not installed here is not among them.

    Args:
        folder: The export; it need not be there.
        formats: As `export.formats`.
    """
    kept = (name for name, file in FILES.items() if (folder / file).exists() and not Export.format_problem(name))
    return tuple(dict.fromkeys([*formats, *kept]))


def chosen_trials(state: StudyState, *, choose: str) -> list[Placed]:
    """Returns the trials that a study exports, best first: none that breaks a constraint.

    Args:
        state: What the journal says.
        choose: front, knee or a rule, as `export.choose`.
    """
    board, goals = [item for item in placed(state) if not item.broken], state.header.goals
    front = board if len(goals) == 1 else [item for item in board if item.front == 1]
    if choose == FRONT:
        return front
    if choose == KNEE:
        points = [losses for item in front if (losses := whole_losses(item.values, goals=goals)) is not None]
        return [front[at] for at in knee_order(points)] if len(goals) > 1 else front
    rule = parse_rule(choose)
    found = [(known_values(item.trial, item.report), item) for item in board]
    kept = [(rule.key(values), item) for values, item in found if rule.takes(values)]
    return [item for _, item in sorted(kept, key=lambda entry: entry[0])]


def select_exports(state: StudyState, *, export: Export, folder: RunFolder, worker: WorkerSpec) -> list[ExportRequest]:
    """Returns requests for the trials that a study exports, best first.

    Args:
        state: What the journal says.
        export: How many, which of them, and in which formats.
        folder: The run folder.
        worker: What the workers received that trained the models.
    """
    header, requests = state.header, []
    for rank, item in enumerate(chosen_trials(state, choose=export.choose)[: export.top], start=1):
        trial, best = item.trial, item.report
        requests.append(
            ExportRequest(
                study=header.study,
                rank=rank,
                trial=trial.name,
                variant=trial.variant,
                epoch=best.epoch,
                metrics=dict(best.metrics),
                formats=tuple(dict.fromkeys(export.formats)),
                folder=str(folder.export(rank=rank, trial=trial.name).absolute()),
                worker=worker,
                evicted=next(
                    (note.text for note in reversed(trial.notes) if note.kind == NoteKind.CHECKPOINT_EVICTED), ""
                ),
                found=how_found(state, trial, folder=folder),
            )
        )
    return requests
