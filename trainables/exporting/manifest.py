"""The manifest of an export: all that someone needs who has only the export's folder."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.cluster.environment import versions
from orchestrator.export.selection import ExportRequest
from orchestrator.runs.paths import write_whole
from trainables.specs.targets import TargetKind
from trainables.specs.task import Target, Task

SCHEMA_VERSION = 2
MANIFEST = "manifest.json"
#: The manifest's own sha256, over its other keys as sorted JSON.
_OWN_HASH = "manifest_sha256"
_LARGEST_MANIFEST_BYTES = 100_000_000

_VALUES: Mapping[TargetKind, str] = {
    "classification": "probability of each class, in the order of class_names; they sum to 1",
    "multilabel": "probability of each flag by itself, in the order of class_names",
    "regression": "numbers in the units of the labels",
}


def write_manifest(
    folder: Path,
    request: ExportRequest,
    *,
    num_parameters: int,
    test_metrics: Mapping[str, float],
    parity: Mapping[str, float],
) -> None:
    """Writes manifest.json into a finished export folder."""
    content = _content(request, num_parameters=num_parameters, test_metrics=test_metrics, parity=parity)
    content["files"] = fingerprints(folder)
    write_whole(folder / MANIFEST, json.dumps({**content, _OWN_HASH: _hash_of(content)}, indent=2))


def fingerprints(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns size and sha256 of every file below a folder but the manifest itself."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path != folder / MANIFEST:
            found[path.relative_to(folder).as_posix()] = _fingerprint(path)
    return found


def damage_of(folder: Path) -> str:
    """Returns what is wrong with an export's files, after reading all of them; an empty text for a whole one."""
    manifest = folder / MANIFEST
    try:
        if not manifest.is_file() or manifest.stat().st_size > _LARGEST_MANIFEST_BYTES:
            return f"{MANIFEST} is missing, or no manifest"
        content = json.loads(manifest.read_text(encoding="utf-8"))
        if content.pop(_OWN_HASH) != _hash_of(content):
            return f"{MANIFEST} has changed"
        for name, expected in content["files"].items():
            path = folder / name
            is_there = path.is_file() and path.stat().st_size == expected["size_bytes"]
            if not is_there or _fingerprint(path) != expected:
                return f"{name} is not as it was exported"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        return f"{MANIFEST} cannot be read ({type(exc).__name__})"
    return ""


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"size_bytes": path.stat().st_size, "sha256": digest}


def _hash_of(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _content(
    request: ExportRequest,
    *,
    num_parameters: int,
    test_metrics: Mapping[str, float],
    parity: Mapping[str, float],
) -> dict[str, Any]:
    dataset = request.worker.dataset
    task = dataset.task
    height, width, channels = task.input_shape
    return {
        "schema": SCHEMA_VERSION,
        "study": request.study,
        "trial": request.trial,
        "rank": request.rank,
        "exported_at": time.time(),
        "variant": {**request.variant.to_json(), "variant_id": request.variant.variant_id},
        "num_parameters": num_parameters,
        "epoch": request.epoch,
        "metrics": dict(request.metrics),
        "test_metrics": dict(test_metrics),
        "splits": {"train": dataset.num_train, "validation": dataset.num_validation, "test": dataset.num_test},
        "dataset_fingerprint": dataset.fingerprint,
        "inputs": [_input(name, task) for name in task.inputs],
        "outputs": [_output(target, task) for target in task.targets],
        "preprocessing": {
            "resize_to": [height, width],
            "color": "grey" if channels == 1 else "RGB",
            "scaling": "none: the model takes pixel values 0 to 255 and scales them itself",
        },
        "versions": versions(),
        "parity_max_difference": dict(parity),
    }


def _input(name: str, task: Task) -> dict[str, Any]:
    return {"name": name, "dtype": "float32", "shape": [None, *task.input_shape], "values": "0 to 255"}


def _output(target: Target, task: Task) -> dict[str, Any]:
    return {
        # A lone output has no name of its own in a SavedModel's signature: Keras calls it so.
        "name": "output_0" if task.has_one_target else target.name,
        "target": target.name,
        "kind": target.kind,
        "dtype": "float32",
        "shape": [None, target.size],
        "values": _VALUES[target.kind],
        "class_names": list(target.class_names),
    }
