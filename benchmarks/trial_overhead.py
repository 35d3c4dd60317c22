"""What a further trial costs a warm worker besides its steady epochs: `python benchmarks/trial_overhead.py`.

A study of small CNNs on the embedded digits: some architectures, several learning rates of each. The first trial of a
worker is left out. Set beside it is what plain Keras takes for the same architectures in one process: building,
compiling, and what the first epoch of `fit` takes beyond the others.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from peers.shared import Job, decoded, make_feed
from peers.variants import DEFAULTS

EPOCHS = 4
ARCHITECTURES: Mapping[str, Sequence[Any]] = {"num_blocks": (1, 2), "dense_units": (0, 64), "filters": (8, 16)}
RATES = (1e-3, 2e-3, 3e-3)
BATCH_SIZE = 32
#: A trial that takes a graph instead of tracing one says that it traced for less than this.
SHARED_SECONDS = 0.01


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    with tempfile.TemporaryDirectory(prefix="convfleet-overhead-") as folder:
        trials = study_overheads(Path(folder))
    show(trials, keras=[keras_overhead(variant) for variant in architectures()][1:])


def architectures() -> Iterable[dict[str, Any]]:
    """Returns the complete parameters of each architecture."""
    for values in itertools.product(*ARCHITECTURES.values()):
        yield {**DEFAULTS, **dict(zip(ARCHITECTURES, values, strict=True)), "batch_size": BATCH_SIZE}


def study_overheads(folder: Path) -> list[dict[str, float]]:
    """Returns seconds by kind of each trial that was not its worker's first one."""
    from orchestrator import run_study
    from orchestrator.journal.file import read_journal
    from orchestrator.journal.records import EpochReported
    from orchestrator.study.loading import parse_study
    from trainables.reports import EpochReport

    params: dict[str, Any] = {name: {"choice": list(values)} for name, values in ARCHITECTURES.items()}
    params |= {"learning_rate": {"choice": list(RATES)}, "batch_size": BATCH_SIZE}
    num_trials = len(list(architectures())) * len(RATES)
    spec = parse_study(
        {
            "name": "overhead",
            "data": {"source": "digits"},
            "space": {"family": "sequential", "params": params},
            "search": {"algorithm": "random", "trials": num_trials},
            "schedule": {"algorithm": "none", "max_epochs": EPOCHS},
            "export": {"top": 0},
        },
        base=folder,
    )
    run_study(spec, runs=folder / "runs")
    reports: dict[str, list[Any]] = {}
    for record in read_journal(folder / "runs" / "overhead" / "journal.jsonl"):
        if isinstance(record, EpochReported):
            reports.setdefault(record.trial, []).append(EpochReport.from_json(record.report))
    trials = [overhead(each) for each in reports.values()]
    return [trial for trial in trials if "start" not in trial]


def overhead(reports: Sequence[Any]) -> dict[str, float]:
    """Returns the seconds of a trial that are neither steady training nor steady validation, by kind."""
    seconds: dict[str, float] = {}
    for report in reports:
        for kind, value in report.overhead_seconds.items():
            seconds[kind] = seconds.get(kind, 0.0) + value
    seconds.pop("validate")
    validation = [report.overhead_seconds["validate"] for report in reports]
    seconds["first run"] = beyond([report.train_seconds for report in reports]) + beyond(validation)
    return seconds


def beyond(epochs: Sequence[float]) -> float:
    """Returns what the first of some epochs took beyond the median of the others.

    >>> beyond([2.5, 1.0, 1.0, 4.0])
    1.5
    """
    return epochs[0] - statistics.median(epochs[1:])


def keras_overhead(variant: Mapping[str, Any]) -> float:
    """Returns the seconds that Keras takes for building a variant and for what only its first epoch does."""
    from peers.models import build_model

    images, labels = decoded("digits", limit=1437)
    held = len(images) // 10
    arrays = {"x_train": images[held:], "y_train": labels[held:], "x_val": images[:held], "y_val": labels[:held]}
    job = Job(variants=(), epochs=1, batch_size=BATCH_SIZE, data="", limit=0, folder="", reports="", cores=1)
    feed = make_feed(arrays, job)
    started = time.perf_counter()
    model = build_model(variant, feed)
    built = time.perf_counter() - started
    epochs = []
    for _ in range(EPOCHS):
        started = time.perf_counter()
        model.fit(*feed.train, verbose=0, **feed.settings)
        epochs.append(time.perf_counter() - started)
    return built + beyond(epochs)


def show(trials: Sequence[Mapping[str, float]], *, keras: Sequence[float]) -> None:
    """Prints the table."""
    from rich.console import Console
    from rich.table import Table

    traced = [trial for trial in trials if trial.get("trace", 0.0) > SHARED_SECONDS]
    shared = [trial for trial in trials if 0.0 < trial.get("trace", 0.0) <= SHARED_SECONDS]
    reused = [trial for trial in trials if "trace" not in trial]
    kinds = sorted({kind for trial in trials for kind in trial})
    groups = {"traced in this worker": traced, "on a graph of other widths": shared, "traced there before": reused}
    table = Table("seconds a trial, medians", *(f"{name} ({len(group)})" for name, group in groups.items()))
    for kind in kinds:
        table.add_row(kind, *(told([trial.get(kind, 0.0) for trial in group]) for group in groups.values()))
    table.add_section()
    sums = [[sum(trial.values()) for trial in group] for group in groups.values()]
    table.add_row("all of it", *(told(each) for each in sums))
    table.add_row(f"plain Keras ({len(keras)})", *[told(keras)] * len(groups))
    shares = [statistics.median(each) / statistics.median(keras) if each else float("nan") for each in sums]
    table.add_row("all of it / Keras", *(f"{share:.2f}" for share in shares))
    Console(width=110).print(table)


def told(seconds: Sequence[float]) -> str:
    return f"{statistics.median(seconds):.3f} ({min(seconds):.3f} to {max(seconds):.3f})" if seconds else "-"


if __name__ == "__main__":
    main()
