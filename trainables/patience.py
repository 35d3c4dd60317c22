"""Finds the best epoch of a trial, and ends a trial after too many epochs without a better one."""

import math
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


def replayed(  # noqa: PLR0913 - what ends a trial
    history: Sequence[EpochReport], *, max_epochs: int, metric: str, mode: str, patience: int, min_delta: float = 0.0
) -> list[EpochReport]:
    """Returns a checkpoint's reports with `is_last` and `reason` computed from the study's present settings.

    >>> report = EpochReport(epoch=1, metrics={"loss": 1}, train_seconds=1, images_per_second=1, is_last=True)
    >>> [replayed([report], max_epochs=epochs, metric="loss", mode="min", patience=0)[0].is_last for epochs in (1, 2)]
    [True, False]
    """
    reports = [replace(report, is_last=bool(report.reason) or report.epoch >= max_epochs) for report in history]
    if not reports:
        return []
    *before, last = reports
    return [*before, with_patience(last, before, metric=metric, mode=mode, patience=patience, min_delta=min_delta)]


def with_patience(  # noqa: PLR0913 - what ends a trial
    report: EpochReport,
    history: Sequence[EpochReport],
    *,
    metric: str,
    mode: str,
    patience: int,
    min_delta: float = 0.0,
) -> EpochReport:
    """Returns the report after a history, marked as the last one if patience ends the trial."""
    if report.is_last:
        return report
    reason = reason_to_end([*history, report], metric=metric, mode=mode, patience=patience, min_delta=min_delta)
    return replace(report, is_last=bool(reason), reason=reason)


def reason_to_end(
    history: Sequence[EpochReport], *, metric: str, mode: str, patience: int, min_delta: float = 0.0
) -> str:
    """Returns why the trial is complete after its last report, as a text; an empty one if the trial continues.

    Args:
        patience: Epochs without a better value; 0: any number.
        min_delta: A value counts as better where it is better by more than this.

    Source: Goodfellow et al. 2016, "Deep Learning", algorithm 7.1, with one evaluation an epoch; `min_delta` as in
    Keras's EarlyStopping.
    """
    if not patience or not history:
        return ""
    best = _last_improvement(history, metric=metric, mode=mode, min_delta=min_delta)
    num_waited = history[-1].epoch - best
    if num_waited < patience:
        return ""
    value = history[best - 1].metrics[metric]
    margin = f" by more than {min_delta:g}" if min_delta else ""
    return f"patience: no {metric} better than {value:.4f} of epoch {best}{margin} in {num_waited} epochs"


def _last_improvement(history: Sequence[EpochReport], *, metric: str, mode: str, min_delta: float) -> int:
    """Returns the last epoch whose value is better by more than `min_delta` than that of the last such epoch before."""
    sign = 1.0 if mode == "max" else -1.0
    best, epoch = -math.inf, history[0].epoch
    for report in history:
        value = sign * report.metrics[metric]
        if value - min_delta > best:
            best, epoch = value, report.epoch
    return epoch
