"""What the manifest of an export says about its model: the task, and how files become pixels; no TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_spaces import nearest
from trainables.errors import DataError
from trainables.files.manifests import MANIFEST, content_of_manifest, damage_of
from trainables.predicting.reading import Reading, reading_of
from trainables.specs.export import FILES, FORMAT_NAMES, missing_packages
from trainables.specs.targets import LOSSES, METRICS, metric_name
from trainables.specs.task import Target, Task

#: The schema of the manifests that this package reads.
_SCHEMA = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedModel(Reading):
    """An export whose files are as they were written.

    Attributes:
        folder: The export.
        manifest: What its manifest says.
        task: The inputs and targets of its model.
    """

    folder: Path
    manifest: Mapping[str, Any]
    task: Task

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats that the export has."""
        return tuple(name for name in FORMAT_NAMES if (self.folder / FILES[name]).exists())

    def chosen_format(self, wanted: str | None) -> str:
        """Returns the format to predict with: the one asked for, else keras, else the first that there is.

        Args:
            wanted: What the user asks for.

        Raises:
            DataError: The export does not have it, or its packages are missing.
        """
        has = f"the export has {', '.join(self.formats) or 'no format that can be loaded'}"
        if wanted is not None and wanted not in FORMAT_NAMES:
            hint = nearest(wanted, FORMAT_NAMES)
            raise DataError(f"format: must be one of {', '.join(FORMAT_NAMES)}, got {wanted!r}; {has}{hint}")
        if wanted not in (None, *self.formats) or not self.formats:
            raise DataError(f"format: {self.folder} lacks {wanted or 'every format'}; {has}")
        form = wanted or self.formats[0]
        if missing := missing_packages(form):
            raise DataError(f"format: {missing}; {has}")
        return form


def read_export(folder: Path) -> ExportedModel:
    """Returns the export in a folder, after every file of it was compared with its hash.

    Raises:
        DataError: The folder is no export, or a file has changed.
    """
    if not (folder / MANIFEST).is_file():
        what = "no such folder" if not folder.exists() else f"has no {MANIFEST}"
        raise DataError(f"{folder}: {what}; give the folder of an export, such as runs/quickstart/exports/1-t0003")
    if damage := damage_of(folder):
        raise DataError(f"{folder}: {damage}; make it anew with `convfleet export RUN`")
    try:
        return _described(folder, content_of_manifest(folder / MANIFEST))
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as exc:
        raise DataError(
            f"{folder / MANIFEST}: does not describe a model ({type(exc).__name__}: {exc}); make it anew with "
            "`convfleet export RUN`"
        ) from exc


def _described(folder: Path, manifest: Mapping[str, Any]) -> ExportedModel:
    if manifest["schema"] != _SCHEMA:
        raise DataError(f"{folder / MANIFEST}: has schema {manifest['schema']!r}, expected {_SCHEMA}")
    _, height, width, channels = manifest["inputs"][0]["shape"]
    outputs = manifest["outputs"]
    task = Task(
        input_shape=(height, width, channels),
        targets=tuple(_target(output, manifest, num_targets=len(outputs)) for output in outputs),
        inputs=tuple(named["name"] for named in manifest["inputs"]),
    )
    reading = reading_of(manifest["preprocessing"], shape=(height, width, channels))
    return ExportedModel(
        folder=folder,
        manifest=manifest,
        task=task,
        layout=reading.layout,
        takes_any_size=reading.takes_any_size,
        takes_any_colors=reading.takes_any_colors,
    )


def _target(output: Mapping[str, Any], manifest: Mapping[str, Any], *, num_targets: int) -> Target:
    name, kind = output.get("target", output["name"]), output["kind"]
    known = METRICS[kind]
    reported = manifest["test_metrics"]
    found = [metric for metric in known if metric_name(name, metric, num_targets=num_targets) in reported]
    return Target(
        name=name,
        kind=kind,
        size=output["shape"][-1],
        class_names=tuple(output["class_names"]),
        loss=output.get("loss", LOSSES[kind][0]),
        weight=output.get("loss_weight", 1.0),
        metrics=tuple(output.get("metrics", found)),
    )
