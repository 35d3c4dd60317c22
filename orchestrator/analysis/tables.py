"""An analysis as Arrow tables."""

from collections.abc import Sequence

import pyarrow as pa

from orchestrator.analysis.analysis import Analysis
from orchestrator.analysis.progress import Improvement


def importance_table(analysis: Analysis) -> pa.Table:
    """Returns one row a parameter, most important first; no row where there are no numbers at all."""
    items = analysis.importance.parameters
    return pa.table(
        {
            "parameter": pa.array([item.name for item in items], pa.string()),
            "share": pa.array([item.share for item in items], pa.float64()),
            "low": pa.array([item.low for item in items], pa.float64()),
            "high": pa.array([item.high for item in items], pa.float64()),
            "trials": pa.array([item.num_trials for item in items], pa.int64()),
            "is_conditional": pa.array([item.is_conditional for item in items], pa.bool_()),
            "reason": pa.array([item.reason for item in items], pa.string()),
        }
    )


def effects_table(analysis: Analysis) -> pa.Table:
    """Returns one row for each value or range of a parameter, most important parameter first."""
    rows = [(effect, item) for effect in analysis.effects for item in effect.bins]
    return pa.table(
        {
            "parameter": pa.array([effect.parameter for effect, _ in rows], pa.string()),
            "value": pa.array([item.label for _, item in rows], pa.string()),
            "trials": pa.array([item.num_trials for _, item in rows], pa.int64()),
            "mean": pa.array([item.mean for _, item in rows], pa.float64()),
            "low": pa.array([item.low for _, item in rows], pa.float64()),
            "high": pa.array([item.high for _, item in rows], pa.float64()),
            "best": pa.array([item.best for _, item in rows], pa.float64()),
        }
    )


def progress_table(steps: Sequence[Improvement]) -> pa.Table:
    """Returns one row for each improvement of the best value."""
    return pa.table(
        {
            "trial": pa.array([step.trial for step in steps], pa.string()),
            "epoch": pa.array([step.epoch for step in steps], pa.int64()),
            "value": pa.array([step.value for step in steps], pa.float64()),
            "trials": pa.array([step.num_trials for step in steps], pa.int64()),
            "epochs": pa.array([step.num_epochs for step in steps], pa.int64()),
            "seconds": pa.array([step.seconds for step in steps], pa.float64()),
            "core_seconds": pa.array([step.core_seconds for step in steps], pa.float64()),
        }
    )
