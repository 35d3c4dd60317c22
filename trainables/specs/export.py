"""What a worker is asked to export, and what it answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from search_spaces import Variant
from trainables.specs.worker import WorkerSpec

#: Where each format lies within an export.
FILES = {"keras": "model.keras", "saved_model": "saved_model"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """One model to export.

    Args:
        study: The study's name.
        rank: 1 for the best.
        trial: The trial's name.
        variant: What it trained.
        epoch: Its best epoch; the checkpoint of that epoch is exported.
        metrics: The report of that epoch.
        formats: Names in `formats.FORMATS`.
        folder: Where to; it appears whole or not at all.
        worker: The study's data and checkpoints.
        evicted: What the study's budget took of the trial's checkpoints, in words; empty: nothing.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportResult:
    """An export that is on disk and verified.

    Args:
        rank: 1 for the best.
        trial: The trial's name.
        folder: Where it is.
        test_metrics: Losses and metrics of every target on the test split, read this once.
    """

    rank: int
    trial: str
    folder: str
    test_metrics: Mapping[str, float]
