"""Finds the best epoch of a trial, and ends a trial after too many epochs without a better one."""

import math
from collections.abc import Sequence
from dataclasses import replace

from trainables.reports import EpochReport


def report_key(report: EpochReport, *, metric: str, mode: str, ties: str = "") -> tuple[float, float, int]:
    """Returns what a trial's reports are compared by; the largest key is the best report's.

    Args:
        report: One that has the metric.
        metric: Its name.
        mode: `max` or `min`.
        ties: The metric whose lower value decides between equal ones, before the earlier epoch does; empty: none.
    """
    sign = 1.0 if mode == "max" else -1.0
    return sign * report.metrics[metric], -tie_value(report, ties=ties), -report.epoch


def tie_value(report: EpochReport, *, ties: str) -> float:
    """Returns the number whose lower value decides between equal reports; 0 for all where nothing decides."""
    return report.metrics.get(ties, math.inf) if ties else 0.0


def best_epoch(history: Sequence[EpochReport], *, metric: str, mode: str, ties: str = "") -> int:
    """Returns the epoch with the best value of a metric, of equals that with the lower `ties`, then the earliest.

    >>> reports = [EpochReport(epoch=e, metrics={"val_accuracy": v}, train_seconds=1, images_per_second=1)
    ...            for e, v in ((1, 0.5), (2, 0.8), (3, 0.8))]
    >>> best_epoch(reports, metric="val_accuracy", mode="max")
    2
    """
    return max(history, key=lambda report: report_key(report, metric=metric, mode=mode, ties=ties)).epoch


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
