"""What the driver asks of workers for an ensemble, and their answers, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from search_spaces import Variant
from trainables.ensembles.scores import Figures, Measure
from trainables.specs.export import EnsembleMethod, ExportRequest, ExportResult
from trainables.specs.worker import WorkerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A kept checkpoint that may become part of an ensemble.

    Attributes:
        trial: The trial's name.
        variant: The variant that the trial trained.
        epoch: The checkpoint's epoch.
    """

    trial: str
    variant: Variant
    epoch: int

    @property
    def name(self) -> str:
        """The checkpoint's name, such as `t0007-0003`."""
        return f"{self.trial}-{self.epoch:04d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleMember:
    """A checkpoint within an ensemble.

    Attributes:
        candidate: The checkpoint.
        weight: Its share of the probabilities, or of the weights; those of all members sum to 1.
    """

    candidate: Candidate
    weight: float

    def to_json(self) -> dict[str, Any]:
        """Returns what journal and manifest say of the member."""
        return {"trial": self.candidate.trial, "epoch": self.candidate.epoch, "weight": self.weight}


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a selection.

    Attributes:
        candidate: The checkpoint that was tried or chosen.
        figures: Of the ensemble with it, on the validation split.
        is_kept: Whether the ensemble keeps it.
    """

    candidate: Candidate
    figures: Figures
    is_kept: bool = True

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready mapping."""
        return {
            "trial": self.candidate.trial,
            "epoch": self.candidate.epoch,
            "validation": dict(self.figures),
            "is_kept": self.is_kept,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionRequest:
    """Checkpoints of one trial whose predictions on the validation split are wanted.

    Attributes:
        trial: The trial's name.
        variant: Its variant.
        epochs: Of the checkpoints.
        worker: The study's data and checkpoints.
    """

    trial: str
    variant: Variant
    epochs: Sequence[int]
    worker: WorkerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionAnswer:
    """What checkpoints of one trial predict.

    Attributes:
        trial: The trial's name.
        outputs: float32 (images, size) by epoch, in the order of the split.
        problems: Why an epoch has none, by epoch.
    """

    trial: str
    outputs: Mapping[int, np.ndarray]
    problems: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoupRequest:
    """Checkpoints whose weights may be averaged.

    Attributes:
        trial: A name for messages.
        candidates: Best first.
        measure: What decides.
        size: How many are averaged at most.
        worker: The study's data and checkpoints.
    """

    trial: str
    candidates: Sequence[Candidate]
    measure: Measure
    size: int
    worker: WorkerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class SoupAnswer:
    """Which weights are averaged.

    Attributes:
        steps: Every checkpoint that was tried, in order; empty where no two have one architecture.
        num_others: How many checkpoints have another architecture.
        renewed: How many layers of batch normalisation got new statistics.
    """

    steps: Sequence[Step]
    num_others: int = 0
    renewed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleRequest:
    """An ensemble to export.

    Attributes:
        export: Formats, folder, data; its variant and its metrics are those of the best single model.
        method: How the members become one model.
        members: Heaviest first.
        single: The best single model, to compare with.
    """

    export: ExportRequest
    method: EnsembleMethod
    members: Sequence[EnsembleMember]
    single: Candidate

    @property
    def trial(self) -> str:
        """A name for messages."""
        return self.export.trial

    @property
    def worker(self) -> WorkerSpec:
        """The study's data and checkpoints."""
        return self.export.worker


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredModel:
    """What one model reaches and costs.

    Attributes:
        test_metrics: On the test split, with the loss of the task.
        num_parameters: All its weights.
        size_bytes: Of its `.keras` file; None where Keras cannot write one.
        latency_seconds: The median of a call of TensorFlow, by batch size.
    """

    test_metrics: Mapping[str, float]
    num_parameters: int
    size_bytes: int | None
    latency_seconds: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready mapping."""
        return {
            "test_metrics": dict(self.test_metrics),
            "num_parameters": self.num_parameters,
            "size_bytes": self.size_bytes,
            "latency_seconds": dict(self.latency_seconds),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleAnswer:
    """An ensemble that is on disk and verified, beside the best single model.

    Attributes:
        export: What was written.
        ensemble: What it reaches and costs.
        single: Likewise of the best single model, measured in the same process.
        only_right: Test images that the ensemble alone has right, then those that the single model alone has right;
            empty for numbers.
    """

    export: ExportResult
    ensemble: MeasuredModel
    single: MeasuredModel
    only_right: Sequence[int] = ()
