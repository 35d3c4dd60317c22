"""The files of a run's exports as rows of one table, from the manifests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestrator.journal.records import ModelExported
from orchestrator.journal.study_state import StudyState
from orchestrator.results.from_state import export_path
from orchestrator.runs.paths import RunFolder
from trainables.files.manifests import MANIFEST, content_of_manifest
from trainables.specs.export import FILES

#: What Keras and TensorFlow write, whose predictions are the checkpoint's.
_OWN = ("keras", "saved_model")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """One format of one exported model.

    Attributes:
        rank: Of the model; 1 is the best.
        trial: The model's trial.
        format: As in `export.formats`.
        path: The file or folder.
        size_bytes: Of the file, or of all files in the folder; None: it was left out.
        agreement: The share of answers equal to the checkpoint's, of the target with the lowest; None: not known.
        metric: The objective's metric on the test split; None: not known.
        drop: By how much that metric is below the checkpoint's on the same images; None: not known.
        validation: The objective of the checkpoint; None: not known.
        latency_seconds: The median by batch size, `1` and `32`; empty for formats of Keras and TensorFlow.
        problem: Why it was left out; empty for a verified file.
    """

    rank: int
    trial: str
    format: str
    path: Path
    size_bytes: int | None = None
    agreement: float | None = None
    metric: float | None = None
    drop: float | None = None
    validation: float | None = None
    latency_seconds: Mapping[str, float] = field(default_factory=dict)
    problem: str = ""


def exported_files(state: StudyState, *, folder: RunFolder) -> list[ExportedFile]:
    """Returns the files of all exports whose manifest can be read, by rank and in the order of the formats.

    Args:
        state: What the journal says.
        folder: The run folder.
    """
    found: list[ExportedFile] = []
    for item in sorted(state.exports, key=lambda item: item.rank):
        path = export_path(item, folder=folder)
        if manifest := read_export_manifest(path):
            found += _files_of(item, manifest=manifest, path=path, objective=state.header.metric)
    return found


def read_export_manifest(path: Path) -> dict[str, Any]:
    """Returns what the manifest of an export holds; an empty mapping for one that is damaged or missing."""
    try:
        # Not of a pipe, which would be waited for.
        return content_of_manifest(path / MANIFEST) if (path / MANIFEST).is_file() else {}
    except (OSError, ValueError):
        return {}


def tested_metric(objective: str, test_metrics: Mapping[str, float]) -> str:
    """Returns the test metric that stands for an objective: its own, else the first that is no loss; empty: none.

    >>> tested_metric("val_accuracy", {"loss": 0.3, "accuracy": 0.9}), tested_metric("latency_ms", {"loss": 0.3})
    ('accuracy', '')

    Args:
        objective: A metric of the reports, or a cost.
        test_metrics: Of an export.
    """
    own = objective.removeprefix("val_")
    if own in test_metrics:
        return own
    return next((name for name in test_metrics if not name.endswith("loss")), "")


def is_worth_a_table(files: Sequence[ExportedFile]) -> bool:
    """Returns whether files are of more formats than Keras's and TensorFlow's own, or some are missing."""
    return any(file.format not in _OWN or file.problem for file in files)


def _files_of(item: ModelExported, *, manifest: Mapping[str, Any], path: Path, objective: str) -> list[ExportedFile]:
    return [
        _file_of(item, name, manifest=manifest, path=path, objective=objective)
        for name in FILES
        if name in manifest.get("parity_max_difference", {}) or name in manifest.get("formats_left_out", {})
    ]


def _file_of(
    item: ModelExported, name: str, *, manifest: Mapping[str, Any], path: Path, objective: str
) -> ExportedFile:
    file = ExportedFile(rank=item.rank, trial=item.trial, format=name, path=path / FILES[name])
    if problem := manifest.get("formats_left_out", {}).get(name):
        return replace(file, problem=problem)
    metric = tested_metric(objective, manifest["test_metrics"])
    measured = manifest.get("runtimes", {}).get(name, {})
    shares = measured.get("agreement", manifest.get("parity_agreement", {}).get(name, {}))
    changes = measured.get("metric_changes", {})
    changed = -changes[metric] if metric in changes else None
    return replace(
        file,
        size_bytes=_size_of(name, manifest),
        agreement=min(shares.values(), default=None),
        metric=(measured if measured else manifest)["test_metrics"].get(metric),
        drop=0.0 if name in _OWN and metric else changed,
        validation=manifest["metrics"].get(objective),
        latency_seconds={size: times["p50"] for size, times in measured.get("latency_seconds", {}).items()},
    )


def _size_of(name: str, manifest: Mapping[str, Any]) -> int:
    within = FILES[name]
    return sum(
        entry["size_bytes"]
        for path, entry in manifest["files"].items()
        if path == within or path.startswith(f"{within}/")
    )
