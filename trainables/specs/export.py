"""The formats of exports, the request of the driver for one export, and the worker's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    # What only knows the names of formats, such as a list of models, needs neither.
    from search_spaces import Variant
    from trainables.specs.worker import WorkerSpec

FormatName = Literal[
    "keras",
    "saved_model",
    "litert",
    "litert_float16",
    "litert_dynamic_int8",
    "litert_int8",
    "onnx",
    "onnx_int8",
    "openvino",
    "openvino_int8",
]
FORMAT_NAMES: tuple[FormatName, ...] = get_args(FormatName)
#: How several checkpoints become one model: votes of any trials, the mean of weights, votes of one trial's epochs.
EnsembleMethod = Literal["greedy", "soup", "snapshot"]
ENSEMBLE_METHODS: tuple[EnsembleMethod, ...] = get_args(EnsembleMethod)
_ENSEMBLE_KINDS = ("classification", "regression")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a quantised file must keep of its checkpoint's answers.

    Of few test images, one answer and one image may always differ.

    Args:
        least_equal: The smallest allowed share of equal answers.
        most_drop: The most that the first metric of a target may lose on the test split.
        most_drift: Of a target of numbers: the largest allowed mean difference, a share of the standard deviation of
            what the checkpoint predicts.
    """

    least_equal: float
    most_drop: float = 0.02
    most_drift: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatFacts:
    """What is known of a format without a model.

    Args:
        path: The file or folder within an export.
        tolerance: The largest allowed difference of outputs from the checkpoint's, as a share of those beyond 1.
        answers: What the file is judged by instead of `tolerance`; None: by `tolerance`.
        extra: The extra of this package that brings what the format needs; empty: nothing is needed.
        packages: The modules that the extra brings: what writes the format, and the runtime that verifies it.
    """

    path: str
    tolerance: float = 1e-5
    answers: Answers | None = None
    extra: str = ""
    packages: tuple[str, ...] = ()


_LITERT = ("ai_edge_litert",)
_ONNX = ("onnx", "tf2onnx", "onnxruntime")
_INT8 = Answers(least_equal=0.95)

FACTS: Mapping[str, FormatFacts] = {
    "keras": FormatFacts(path="model.keras"),
    "saved_model": FormatFacts(path="saved_model"),
    "litert": FormatFacts(path="model.tflite", extra="litert", packages=_LITERT),
    "litert_float16": FormatFacts(path="model_float16.tflite", tolerance=1e-2, extra="litert", packages=_LITERT),
    "litert_dynamic_int8": FormatFacts(
        path="model_dynamic_int8.tflite", answers=_INT8, extra="litert", packages=_LITERT
    ),
    "litert_int8": FormatFacts(path="model_int8.tflite", answers=_INT8, extra="litert", packages=_LITERT),
    "onnx": FormatFacts(path="model.onnx", extra="onnx", packages=_ONNX),
    "onnx_int8": FormatFacts(path="model_int8.onnx", answers=_INT8, extra="onnx", packages=_ONNX),
    "openvino": FormatFacts(path="openvino", extra="openvino", packages=("openvino",)),
    "openvino_int8": FormatFacts(
        path="openvino_int8", answers=_INT8, extra="openvino-int8", packages=("openvino", "nncf")
    ),
}
#: The path of each format within an export.
FILES: Mapping[str, str] = {name: facts.path for name, facts in FACTS.items()}


def missing_packages(name: str) -> str:
    """Returns which packages a format lacks on this machine, and how to get them; an empty text if none.

    Nothing is imported.

    >>> missing_packages("keras")
    ''

    Args:
        name: The format.
    """
    facts = FACTS[name]
    missing = [package for package in facts.packages if find_spec(package) is None]
    if not missing:
        return ""
    verb = "is" if len(missing) == 1 else "are"
    return f"{name!r} needs {' and '.join(missing)}, which {verb} not installed; pip install 'convfleet[{facts.extra}]'"


def ensemble_refusal(kinds: Mapping[str, str]) -> str:
    """Returns why models make no ensemble, in words; an empty text if they do.

    >>> ensemble_refusal({"label": "classification"}), ensemble_refusal({"label": "mask"})
    ('', "takes classification or regression, got target 'label' of kind 'mask'")

    Args:
        kinds: Of the targets, by name.
    """
    if len(kinds) > 1:
        return f"takes models with one target, got {len(kinds)} ({', '.join(kinds)})"
    return next(
        (
            f"takes {' or '.join(_ENSEMBLE_KINDS)}, got target {name!r} of kind {kind!r}"
            for name, kind in kinds.items()
            if kind not in _ENSEMBLE_KINDS
        ),
        "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """One model to export.

    Args:
        study: The study's name.
        rank: 1 for the best.
        trial: The trial's name.
        variant: The variant that the trial trained.
        epoch: Its best epoch; the checkpoint of that epoch is exported.
        metrics: The report of that epoch.
        formats: Names in FACTS.
        folder: The export's folder; it appears whole or not at all.
        worker: The study's data and checkpoints.
        evicted: Names the trial's checkpoints that the study's budget removed, as a text; empty: none.
        found: What the card says of the study and the trial, JSON-ready: `study`, `trial` and `cost`, each of values by
            their names, and `notes`.
        accepted_drop: The most that a file may lose of a metric for the study to accept it; None: it does not say.
    """

    study: str
    rank: int
    trial: str
    variant: Variant
    epoch: int
    metrics: Mapping[str, float]
    formats: Sequence[str]
    folder: str
    worker: WorkerSpec
    evicted: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)
    accepted_drop: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """An export that is on disk and verified.

    Args:
        rank: 1 for the best.
        trial: The trial's name.
        folder: The export's folder.
        test_metrics: Losses and metrics of every target on the test split, which the export reads once.
        problems: Why formats that were asked for are not in it, one a format.
        runtimes: What each format's own runtime measured, by format, as in the manifest.
    """

    rank: int
    trial: str
    folder: str
    test_metrics: Mapping[str, float]
    problems: Sequence[str] = ()
    runtimes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
