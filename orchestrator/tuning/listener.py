"""Writes every Ray Tune event to the journal before the scheduler or searcher sees it."""

from pathlib import Path

from ray.tune.experiment import Trial as TuneTrial


def last_error(trial: TuneTrial) -> str:
    """Returns what Ray said when a trial last failed; empty where that cannot be read."""
    try:
        return Path(trial.error_file).read_text(encoding="utf-8").rpartition("Failure # ")[2]
    except (OSError, TypeError, ValueError):
        return ""
