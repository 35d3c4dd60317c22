"""The manifest of an export: what a user needs who has only the export's folder."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trainables.cards.card import write_card
from trainables.cards.data import card_data
from trainables.cards.figures import brief_figures
from trainables.files.manifests import MANIFEST, fingerprints, sealed
from trainables.files.whole import write_whole
from trainables.specs.export import ExportRequest
from trainables.specs.pixels import WIDE_RANGE, PixelRule
from trainables.specs.targets import TargetKind
from trainables.specs.task import Target, Task
from trainables.versions import versions

SCHEMA_VERSION = 2

_VALUES: Mapping[TargetKind, str] = {
    "classification": "probability of each class, in the order of class_names; they sum to 1",
    "multilabel": "probability of each flag by itself, in the order of class_names",
    "regression": "numbers in the units of the labels",
    "mask": "at each pixel the probability of each class, in the order of class_names; they sum to 1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFindings:
    """What an export found out about its model.

    Args:
        test_metrics: Losses and metrics on the test split.
        parity: The largest difference of a file's predictions from the checkpoint's, by format.
        agreement: The share of equal answers, by target, by format of Keras's and TensorFlow's own.
        problems: Why a format was left out, by format.
        runtimes: What a format's own runtime measured, by format.
        scores: By target, the figures of the test split for the card, of which the manifest keeps some.
    """

    test_metrics: Mapping[str, float]
    parity: Mapping[str, float]
    agreement: Mapping[str, Mapping[str, float]]
    problems: Mapping[str, str]
    runtimes: Mapping[str, Mapping[str, Any]]
    scores: Mapping[str, Any] = field(default_factory=dict)


def write_export_manifest(
    folder: Path,
    request: ExportRequest,
    *,
    num_parameters: int,
    findings: ExportFindings,
    replaced: Mapping[str, Any] | None = None,
) -> None:
    """Writes the card and manifest.json into a finished export folder.

    Args:
        folder: The export.
        request: What was exported.
        num_parameters: The weights of the model.
        findings: What the export found out about it.
        replaced: Keys whose values are others than the request has; new ones are added.
    """
    content = {**_content(request, num_parameters=num_parameters, findings=findings), **(replaced or {})}
    dataset = request.worker.dataset
    found = {**request.found, "data": card_data(dataset, request.worker.data, seed=request.worker.split_seed)}
    write_card(folder, content, task=dataset.task, scores=findings.scores, found=found)
    content["files"] = fingerprints(folder)
    write_whole(folder / MANIFEST, json.dumps(sealed(content), indent=2))


def _content(request: ExportRequest, *, num_parameters: int, findings: ExportFindings) -> dict[str, Any]:
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
        "test_metrics": dict(findings.test_metrics),
        "splits": {"train": dataset.num_train, "validation": dataset.num_validation, "test": dataset.num_test},
        # Metrics of a trial on several splits are their means; the model is that of the first.
        **({"repeats": repeats} if (repeats := request.worker.training.repeats) > 1 else {}),
        "dataset_fingerprint": dataset.fingerprint,
        "inputs": [_input(name, task) for name in task.inputs],
        "outputs": [_output(target, task) for target in task.targets],
        "preprocessing": {
            "resize_to": [height, width],
            "color": "grey" if channels == 1 else "RGB",
            "scaling": "none: the model takes pixel values 0 to 255 and scales them itself",
            **_samples(dataset.pixel_rule),
            "reading": _reading(request),
        },
        "decoders": dict(dataset.decoders),
        "versions": versions(),
        "parity_max_difference": dict(findings.parity),
        "parity_agreement": dict(findings.agreement),
        **({"runtimes": dict(findings.runtimes)} if findings.runtimes else {}),
        **({"formats_left_out": dict(findings.problems)} if findings.problems else {}),
        **({"test_figures": brief_figures(findings.scores)} if findings.scores else {}),
    }


def _input(name: str, task: Task) -> dict[str, Any]:
    return {"name": name, "dtype": "float32", "shape": [None, *task.input_shape], "values": "0 to 255"}


def _samples(rule: PixelRule) -> dict[str, Any]:
    """Returns how the samples of the original files became pixels."""
    return {
        "pixel_range": {
            "8 bits": list(rule.byte),
            "more bits": list(rule.wide or WIDE_RANGE),
            "floats": list(rule.real),
            "pixel": "255 * (sample - low) / (high - low), rounded to the nearest whole number, halves to even ones, "
            "limited to 0 to 255",
        },
        "background": "alpha is dropped" if rule.ground is None else list(rule.ground),
    }


def _reading(request: ExportRequest) -> dict[str, Any]:
    """Returns what decides how a file becomes pixels, as the study's own readers take it."""
    data = request.worker.data
    return {
        "takes_any_size": data.image_size is not None,
        "takes_any_colors": data.channels is not None,
        "pages": data.pages,
        "reduced_decoding": data.reduced_decoding,
        "pixel_rule": asdict(request.worker.dataset.pixel_rule),
    }


def _output(target: Target, task: Task) -> dict[str, Any]:
    return {
        "name": output_names(task)[target.name],
        "target": target.name,
        "kind": target.kind,
        "dtype": "float32",
        "shape": [None, *task.output_shape(target)],
        "values": _VALUES[target.kind],
        "class_names": list(target.class_names),
        "loss": target.loss,
        "loss_weight": target.weight,
        "metrics": list(target.metrics),
    }


def output_names(task: Task) -> dict[str, str]:
    """Returns the name of each target's output in files and the manifest, by target."""
    # A lone output has no name of its own in a SavedModel's signature: Keras calls it so.
    return {target.name: "output_0" if task.has_one_target else target.name for target in task.targets}
