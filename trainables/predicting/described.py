"""What the manifest of an export says about its model: the task, and how files become pixels; no TensorFlow."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search_spaces import nearest
from trainables.data.images.images import Layout
from trainables.errors import DataError
from trainables.files.manifests import MANIFEST, content_of_manifest, damage_of
from trainables.specs.export import FILES, FORMAT_NAMES, missing_packages
from trainables.specs.pixels import WIDE_RANGE, PixelRule
from trainables.specs.targets import LOSSES, METRICS, metric_name
from trainables.specs.task import Target, Task

#: The schema of the manifests that this package reads.
_SCHEMA = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedModel:
    """An export whose files are as they were written.

    Attributes:
        folder: The export.
        manifest: What its manifest says.
        task: The inputs and targets of its model.
        layout: What every image becomes.
        takes_any_size: Whether images of other sizes are resized, as those of the study were; else they are refused.
        takes_any_colors: Whether images with colour become grey where the model takes grey ones; else they are refused.
    """

    folder: Path
    manifest: Mapping[str, Any]
    task: Task
    layout: Layout
    takes_any_size: bool
    takes_any_colors: bool

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
    # Exports before these keys: what was documented of them is that images are resized and recoloured.
    reading = manifest["preprocessing"].get("reading", {})
    layout = Layout(
        height=height,
        width=width,
        channels=channels,
        rule=_rule(manifest["preprocessing"], reading),
        pages=reading.get("pages", "refuse"),
        reduces=reading.get("reduced_decoding", False),
    )
    return ExportedModel(
        folder=folder,
        manifest=manifest,
        task=task,
        layout=layout,
        takes_any_size=reading.get("takes_any_size", True),
        takes_any_colors=reading.get("takes_any_colors", True),
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


def _rule(preprocessing: Mapping[str, Any], reading: Mapping[str, Any]) -> PixelRule:
    if "pixel_rule" in reading:
        return PixelRule.from_json(reading["pixel_rule"])
    ranges = preprocessing.get("pixel_range", {})
    byte, wide, real = (
        tuple(ranges.get(key, default))
        for key, default in (("8 bits", (0, 255)), ("more bits", WIDE_RANGE), ("floats", (0, 1)))
    )
    ground = preprocessing.get("background")
    return PixelRule(
        byte=byte,
        wide=wide,
        real=real,
        cuts=("wide",) if wide != WIDE_RANGE else (),
        ground=tuple(ground) if isinstance(ground, list) else None,
    )
