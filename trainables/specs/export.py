"""The request of the driver for one export, and the worker's answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # What only knows the names of formats, such as a list of models, needs neither.
    from search_spaces import Variant
    from trainables.specs.worker import WorkerSpec

#: The path of each format within an export.
FILES = {"keras": "model.keras", "saved_model": "saved_model"}


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
        formats: Names in `formats.FORMATS`.
        folder: The export's folder; it appears whole or not at all.
        worker: The study's data and checkpoints.
        evicted: Names the trial's checkpoints that the study's budget removed, as a text; empty: none.
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
        folder: The export's folder.
        test_metrics: Losses and metrics of every target on the test split, which the export reads once.
        problems: Why formats that were asked for are not in it, one a format.
    """

    rank: int
    trial: str
    folder: str
    test_metrics: Mapping[str, float]
    problems: Sequence[str] = ()
