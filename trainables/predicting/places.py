"""The data section that reads labelled images at a place, for the targets and inputs of a model."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainables.data.guess.places import guess_place
from trainables.errors import DataError
from trainables.predicting.described import ExportedModel
from trainables.specs.data import PATH_FIELDS, REQUIRED, DataSpec

#: What a guess says of labels, where the targets are the model's.
_GUESSED_LABELS = ("targets", "label_column", "inputs")
#: Sources without a path: what the user names is something else, by the key that takes it.
_NAMED = {"keras": "name", "python": "function"}


def data_spec(place: Mapping[str, Any], export: ExportedModel) -> DataSpec:
    """Returns the data section that reads labelled images at a place.

    Args:
        place: `path` as the user names it; `source`, or None for the one that fits; `label`, the column of a lone
            target, or None; `changes`, keys of the section that the user sets.
        export: The model that the images are for.

    Raises:
        DataError: Nothing at the place can be read so.
    """
    guessed = _of_source(place) if place["source"] else dict(_guessed(place))
    section = {key: value for key, value in guessed.items() if key not in _GUESSED_LABELS}
    section |= _labels(guessed, export, label=place["label"])
    if len(export.task.inputs) > 1:
        section["inputs"] = list(export.task.inputs)
    changed = _merged(section, place["changes"])
    try:
        return DataSpec.model_validate(changed).resolved(Path.cwd())
    except ValueError as exc:  # pydantic's, with all that is wrong
        raise DataError("\n".join(_lines(exc))) from exc


def _of_source(place: Mapping[str, Any]) -> dict[str, Any]:
    source, path = place["source"], place["path"]
    if source not in REQUIRED:
        raise DataError(f"source: must be one of {', '.join(REQUIRED)}, got {source!r}")
    fields, _ = REQUIRED[source]
    field = _NAMED.get(source) or (fields[0] if fields else None)
    if field in PATH_FIELDS and not any(letter in path for letter in "*?[") and not Path(path).expanduser().exists():
        raise DataError(f"{path}: no such file or folder; relative paths start at the current folder")
    return {"source": source, **({field: path} if field else {})}


def _guessed(place: Mapping[str, Any]) -> Mapping[str, Any]:
    guess = guess_place(Path(place["path"]).expanduser().absolute(), label=place["label"])
    return guess.data


def _labels(guessed: Mapping[str, Any], export: ExportedModel, *, label: str | None) -> dict[str, Any]:
    """Returns the keys that say where the labels of the model's targets are."""
    targets, others = export.task.targets, guessed.get("targets") or {}
    lone = targets[0] if len(targets) == 1 else None
    column = label or guessed.get("label_column")
    if lone is not None and (lone.name, lone.kind) == ("label", "classification"):
        # As a study without targets has it, whatever a guess calls its lone target.
        column = column or _lone_column(others)
        return {"label_column": column} if column else {}
    if label is not None and lone is None:
        raise DataError(
            f"label: the model has {len(targets)} targets, got the column {label!r}; write --set "
            f"data.targets.{targets[0].name}.column={label}"
        )
    found: dict[str, Any] = {}
    for target in targets:
        guess = others.get(target.name) or (next(iter(others.values())) if lone and len(others) == 1 else {})
        places = {key: guess[key] for key in ("column", "columns") if guess.get(key)}
        named = column or _lone_column(others)
        if lone is not None and named and not places:
            places = {"column": named}
        found[target.name] = {"kind": target.kind, **places}
    return {"targets": found}


def _lone_column(guessed: Mapping[str, Any]) -> str | None:
    """Returns the column of a guess's lone target; None for several, or for one of several columns."""
    if len(guessed) != 1:
        return None
    ((name, target),) = guessed.items()
    return None if target.get("columns") else target.get("column") or name


def _merged(section: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a section with keys replaced, mappings key by key."""
    merged = dict(section)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _lines(exc: Any) -> list[str]:
    lines = []
    for error in exc.errors():
        place = ".".join(["data", *map(str, error["loc"])])
        text = str(error["msg"]).removeprefix("Value error, ")
        mark = ": " if error["loc"] else "."
        received = f", got {error['input']!r}" if error["loc"] and error["type"] != "value_error" else ""
        lines += [f"{place}{mark}{line}{received}" for line in text.splitlines()]
    return lines
