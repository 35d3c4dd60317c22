"""Parameters, metrics and states as text for people, the same in terminal and report."""

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.journal.records import StudyOpened
from orchestrator.journal.trial import TrialState
from orchestrator.pareto.constraints import in_words
from orchestrator.pareto.goals import Goal
from orchestrator.text import number, size_in_words
from trainables.reports import COSTS
from trainables.specs.task import Task

_MODES = {"max": "highest", "min": "lowest"}


def split_of(metric: str) -> str:
    """Returns which split a metric comes from.

    >>> split_of("val_accuracy"), split_of("test_loss"), split_of("loss")
    ('validation', 'test', 'training')
    """
    return {"val": "validation", "test": "test"}.get(metric.partition("_")[0], "training")


def split_in_words(split: str) -> str:
    """Returns the name of a split as text says it.

    >>> split_in_words("train"), split_in_words("test")
    ('training', 'test')
    """
    return "training" if split == "train" else split


def with_split(metric: str) -> str:
    """Returns a metric with its split.

    >>> with_split("val_accuracy")
    'val_accuracy (validation)'
    """
    return f"{metric} ({split_of(metric)})"


def objective(*, metric: str, mode: str) -> str:
    """Returns one objective as text.

    >>> objective(metric="val_loss", mode="min"), objective(metric="latency_ms", mode="min")
    ('lowest val_loss (validation)', 'lowest latency_ms')
    """
    return f"{_MODES[mode]} {metric if metric in COSTS else with_split(metric)}"


def objectives(goals: Iterable[Goal]) -> str:
    """Returns all objectives of a study as text.

    >>> objectives([Goal(metric="val_loss", mode="min"), Goal(metric="parameters", mode="min")])
    'lowest val_loss (validation) and lowest parameters'
    """
    return " and ".join(objective(metric=goal.metric, mode=goal.mode) for goal in goals)


def wanted(header: StudyOpened) -> str:
    """Returns what a study looks for as text: its objectives, and what a trial must keep to."""
    limits = " and ".join(map(in_words, header.conditions))
    return f"{objectives(header.goals)}{f' with {limits}' if limits else ''}"


def parameters(params: Mapping[str, object], *, names: Iterable[str] | None = None) -> str:
    """Returns parameters on one line: those named, or all.

    >>> parameters({"filters": 16, "learning_rate": 0.00123456}, names=["learning_rate", "momentum"])
    'learning_rate=0.001235'
    """
    shown = params if names is None else [name for name in names if name in params]
    return " ".join(f"{name}={number(params[name]).replace(', ', ',')}" for name in shown)


def device(worker: Mapping[str, Any]) -> str:
    """Returns the devices that a trial trains on; an empty text before its worker's first report.

    >>> device({"cpus": 1.0}), device({"cpus": 2.0, "gpus": 1.0, "gpu_ids": ["1"]}), device({})
    ('cpu x1', 'gpu 1', '')
    >>> device({"gpus": 0.5, "gpu_ids": ["0"]})
    'gpu 0 (0.5)'
    """
    gpus = worker.get("gpus") or 0
    if gpus:
        share = "" if float(gpus).is_integer() else f" ({gpus:g})"
        return f"gpu {','.join(worker.get('gpu_ids') or ['?'])}{share}"
    return f"cpu x{worker['cpus']:g}" if worker.get("cpus") else ""


def named_test_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Returns metrics of the test split, with `test_` before each name.

    >>> named_test_metrics({"accuracy": 0.9, "test_loss": 0.3})
    {'test_accuracy': 0.9, 'test_loss': 0.3}
    """
    return {name if name.startswith("test_") else f"test_{name}": value for name, value in metrics.items()}


def images_in_words(task: Task) -> str:
    """Returns the shape of the images, and the inputs' names where an example has several.

    >>> images_in_words(Task.classification(input_shape=(8, 8, 1), num_classes=10))
    '8x8x1'
    """
    shape = "x".join(map(str, task.input_shape))
    return shape if len(task.inputs) == 1 else f"{shape} each of {', '.join(task.inputs)}"


def targets_in_words(task: Task) -> str:
    """Returns the targets of the data, each with its size.

    >>> targets_in_words(Task.classification(input_shape=(8, 8, 1), num_classes=10))
    '10 classes'
    """
    nouns = {"classification": "classes", "multilabel": "flags", "regression": "values", "mask": "classes a pixel"}
    message = [(target.name, f"{target.size} {nouns[target.kind]}") for target in task.targets]
    return message[0][1] if task.has_one_target else ", ".join(f"{name}: {text}" for name, text in message)


def storage_in_words(storage: str, *, decoded_bytes: int, budget_bytes: int, is_given: bool) -> str:
    """Returns how images are kept and why.

    >>> storage_in_words("decoded", decoded_bytes=2_000_000, budget_bytes=4_000_000_000, is_given=True)
    'decoded in memory maps, 2.0 MB'
    >>> storage_in_words("encoded", decoded_bytes=12_300_000_000, budget_bytes=4_000_000_000, is_given=True)
    'streamed: decoded images would need 12.3 GB, data.memory_gb allows 4.0 GB'
    >>> storage_in_words("decoded", decoded_bytes=12_300_000_000, budget_bytes=4_000_000_000, is_given=False)
    "decoded in memory maps, 12.3 GB, although half of this machine's memory is 4.0 GB: only encoded images stream"

    Args:
        is_given: Whether the study names the budget.
    """
    decoded = size_in_words(decoded_bytes)
    allowed = "data.memory_gb allows" if is_given else "half of this machine's memory is"
    budget = f"{allowed} {size_in_words(budget_bytes)}"
    if storage == "encoded":
        return f"streamed: decoded images would need {decoded}, {budget}"
    if decoded_bytes <= budget_bytes:
        return f"decoded in memory maps, {decoded}"
    return f"decoded in memory maps, {decoded}, although {budget}: only encoded images stream"


def other_metrics(metrics: Mapping[str, float], *, metric: str) -> dict[str, float]:
    """Returns the other metrics of the objective's split, losses last; none of them where all are losses.

    >>> other_metrics({"val_a_mae": 0.1, "val_loss": 0.5, "val_b_auc": 0.9, "loss": 0.4}, metric="val_a_mae")
    {'val_b_auc': 0.9, 'val_loss': 0.5}
    >>> other_metrics({"val_accuracy": 0.9, "val_loss": 0.5, "loss": 0.4}, metric="val_accuracy")
    {}
    """
    names = [name for name in metrics if split_of(name) == split_of(metric) and name != metric]
    if all(name.endswith("loss") for name in names):
        return {}
    return {name: metrics[name] for name in sorted(names, key=lambda name: (name.endswith("loss"), name))}


def state_counts_in_words(counts: Mapping[TrialState, int]) -> str:
    """Returns how many trials are in each state, without states that no trial is in.

    >>> state_counts_in_words({TrialState.WAITING: 0, TrialState.COMPLETED: 3, TrialState.FAILED: 1})
    '3 completed, 1 failed'
    """
    return ", ".join(f"{count} {state.value}" for state, count in counts.items() if count) or "none yet"
