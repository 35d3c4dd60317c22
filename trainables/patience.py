"""Finds the best epoch of a trial, and ends a trial after too many epochs without a better one."""

from collections.abc import Sequence
from dataclasses import replace

from trainables.reports import EpochReport


def best_epoch(history: Sequence[EpochReport], *, metric: str, mode: str) -> int:
    """Returns the epoch with the best value of a metric, the earliest of equals.

    >>> reports = [EpochReport(epoch=e, metrics={"val_accuracy": v}, train_seconds=1, images_per_second=1)
    ...            for e, v in ((1, 0.5), (2, 0.8), (3, 0.8))]
    >>> best_epoch(reports, metric="val_accuracy", mode="max")
    2
    """
    sign = 1.0 if mode == "max" else -1.0
    return max(history, key=lambda report: (sign * report.metrics[metric], -report.epoch)).epoch


def replayed(
    history: Sequence[EpochReport], *, max_epochs: int, metric: str, mode: str, patience: int
) -> list[EpochReport]:
    """Returns a checkpoint's reports with `is_last` and `reason` computed from the study's present settings.

    >>> report = EpochReport(epoch=1, metrics={"loss": 1}, train_seconds=1, images_per_second=1, is_last=True)
    >>> [replayed([report], max_epochs=epochs, metric="loss", mode="min", patience=0)[0].is_last for epochs in (1, 2)]
    [True, False]
    """
    reports = [replace(report, is_last=bool(report.reason) or report.epoch >= max_epochs) for report in history]
    if not reports:
        return []
    return [*reports[:-1], with_patience(reports[-1], reports[:-1], metric=metric, mode=mode, patience=patience)]


def with_patience(
    report: EpochReport, history: Sequence[EpochReport], *, metric: str, mode: str, patience: int
) -> EpochReport:
    """Returns the report after a history, marked as the last one if patience ends the trial."""
    if report.is_last:
        return report
    reason = reason_to_end([*history, report], metric=metric, mode=mode, patience=patience)
    return replace(report, is_last=bool(reason), reason=reason)


def reason_to_end(history: Sequence[EpochReport], *, metric: str, mode: str, patience: int) -> str:
    """Returns why the trial is complete after its last report, as a text; an empty one if the trial continues.

    Args:
        patience: Epochs without a better value; 0: any number.

    Source: Goodfellow et al. 2016, "Deep Learning", algorithm 7.1, with one evaluation an epoch.
    """
    if not patience or not history:
        return ""
    best = best_epoch(history, metric=metric, mode=mode)
    num_waited = history[-1].epoch - best
    if num_waited < patience:
        return ""
    value = history[best - 1].metrics[metric]
    return f"patience: no {metric} better than {value:.4f} of epoch {best} in {num_waited} epochs"
