"""Rows of what the journal knows of the machines that trials train on: workers, their memory, images a second."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.results.from_state import state_of


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """A machine with the workers that train on it now, as of their last reports.

    Attributes:
        node: Its name; empty: trials whose worker has not reported so far.
        num_workers: How many worker processes train there.
        cpus: What Ray gave them of CPUs, together.
        gpus: Likewise of GPUs.
        memory_mb: What the processes take together, in 10^6 bytes; None: none of them says.
        images_per_second: How fast they train together.
    """

    node: str
    num_workers: int
    cpus: float
    gpus: float
    memory_mb: float | None
    images_per_second: float


def training_now(run: FollowedRun) -> list[Trial]:
    """Returns the trials that a worker trains now."""
    return [
        trial
        for trial in list(run.state.open_trials.values())
        if state_of(trial, is_alive=run.is_alive) is TrialState.RUNNING
    ]


def node_rows(trials: Iterable[Trial]) -> list[NodeRow]:
    """Returns a row a machine, in the order of their names.

    Args:
        trials: Those that train now.
    """
    by_node: dict[str, list[Trial]] = {}
    for trial in trials:
        by_node.setdefault(str(trial.worker.get("node") or ""), []).append(trial)
    return [_row(node, found) for node, found in sorted(by_node.items())]


def _row(node: str, trials: list[Trial]) -> NodeRow:
    # A process reports of one trial at a time; one that has none yet is a process of its own.
    memory = [float(value) for trial in trials if (value := trial.worker.get("memory_mb")) is not None]
    return NodeRow(
        node=node,
        num_workers=len({trial.worker.get("worker_pid", trial.name) for trial in trials}),
        cpus=sum(float(trial.worker.get("cpus") or 0) for trial in trials),
        gpus=sum(float(trial.worker.get("gpus") or 0) for trial in trials),
        memory_mb=sum(memory) if memory else None,
        images_per_second=sum(trial.reports[-1].images_per_second for trial in trials if trial.reports),
    )


def node_in_words(row: NodeRow) -> str:
    """Returns a machine's row as a sentence.

    >>> node_in_words(NodeRow(node="n", num_workers=2, cpus=4, gpus=0, memory_mb=1500, images_per_second=2345.6))
    '2 workers with 4 CPUs, 1.5 GB of memory, 2,346 images/s'
    """
    workers = f"{row.num_workers} worker{'' if row.num_workers == 1 else 's'}"
    given = [f"{amount:g} {name}" for amount, name in ((row.cpus, "CPUs"), (row.gpus, "GPUs")) if amount]
    words = [f"{workers} with {' and '.join(given)}" if given else workers]
    if row.memory_mb is not None:
        words.append(f"{row.memory_mb / 1e3:.1f} GB of memory")
    if row.images_per_second:
        words.append(f"{row.images_per_second:,.0f} images/s")
    return ", ".join(words)
