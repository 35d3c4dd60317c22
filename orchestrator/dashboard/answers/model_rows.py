"""The exported models of a run, and rows of the table of their formats."""

from pathlib import Path
from typing import Any

from orchestrator.dashboard.answers.trial_rows import GridColumn
from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.export.exported_files import exported_files
from orchestrator.journal.records import EnsembleExported, ModelExported
from orchestrator.results.from_state import export_path
from orchestrator.results.words import named_test_metrics
from orchestrator.text import number

#: Each column of the table of formats, and its width in pixels.
MODEL_COLUMNS = (
    (GridColumn(field="model", title="model"), 130),
    (GridColumn(field="format", title="format"), 130),
    (GridColumn(field="metric", title="test metric", is_number=True), 130),
    (GridColumn(field="drop", title="below the checkpoint", is_number=True), 160),
    (GridColumn(field="agreement", title="equal answers", is_number=True), 140),
    (GridColumn(field="megabytes", title="MB", is_number=True), 90),
    (GridColumn(field="ms_1", title="ms, batch 1", is_number=True), 120),
    (GridColumn(field="ms_32", title="ms, batch 32", is_number=True), 130),
    (GridColumn(field="problem", title="problem"), 360),
)


def exports_of(run: FollowedRun) -> dict[str, str]:
    """Returns the exports of a run: the names of their folders, and what each is and reaches, in words."""
    found = {}
    for item in sorted(run.state.exports, key=lambda item: item.rank):
        found[Path(item.folder).name] = f"rank {item.rank}, {item.trial}: {_metrics(item.test_metrics)}"
    for ensemble in list(run.state.ensembles.values()):
        members = ", ".join(dict.fromkeys(str(member["trial"]) for member in ensemble.members))
        words = f"{ensemble.method} ensemble of {members}: {_metrics(ensemble.test_metrics)}"
        found[Path(ensemble.folder).name] = words
    return found


def folder_of_export(run: FollowedRun, name: str) -> Path | None:
    """Returns the folder of an export; None for a name that the journal does not know, or a folder that is gone."""
    exports: list[ModelExported | EnsembleExported] = [*run.state.exports, *run.state.ensembles.values()]
    for item in exports:
        if Path(item.folder).name == name:
            path = export_path(item, folder=run.folder)
            inside = path.resolve().is_relative_to(run.folder.root.resolve())
            return path if inside and path.is_dir() else None
    return None


def model_rows(run: FollowedRun) -> list[dict[str, Any]]:
    """Returns a row a format of each export whose manifest can be read."""
    return [
        {
            "id": f"{item.rank} {item.trial} {item.format}",
            "model": f"{item.rank}-{item.trial}",
            "format": item.format,
            "metric": item.metric,
            "drop": item.drop,
            "agreement": item.agreement,
            "megabytes": None if item.size_bytes is None else item.size_bytes / 1e6,
            **{f"ms_{batch}": 1000 * seconds for batch, seconds in item.latency_seconds.items()},
            "problem": item.problem,
        }
        for item in exported_files(run.state, folder=run.folder)
    ]


def _metrics(found: Any) -> str:
    return ", ".join(f"{name} {number(value)}" for name, value in named_test_metrics(found).items())
