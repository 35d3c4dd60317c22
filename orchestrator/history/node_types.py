"""What trials took of each kind of node that a cluster has."""

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTypeCost:
    """What trials took of one kind of node; a trial counts for the kind that it was on last.

    Attributes:
        node_type: The kind, as the cluster names it.
        num_trials: How many trials were there.
        core_hours: How long they held its CPUs, by their own clocks, times those.
        gpu_hours: The same with GPUs.
    """

    node_type: str
    num_trials: int
    core_hours: float
    gpu_hours: float

    @property
    def in_words(self) -> str:
        """The same for people."""
        gpus = f", {self.gpu_hours:.2f} GPU-hours" if self.gpu_hours else ""
        return f"{self.node_type}: {self.core_hours:.2f} core-hours{gpus}, {self.num_trials} trials"


def node_type_costs(state: StudyState) -> list[NodeTypeCost]:
    """Returns what each kind of node was held for, the one with most core-hours first; none where no kind is known.

    Trials of another run cost this study nothing.
    """
    by_type: dict[str, list[Trial]] = {}
    for trial in list(state.trials.values()):
        if not trial.reused_from and (kind := trial.worker.get("node_type")):
            by_type.setdefault(str(kind), []).append(trial)
    found = [
        NodeTypeCost(
            node_type=kind,
            num_trials=len(trials),
            core_hours=_hours(trials, "cpus"),
            gpu_hours=_hours(trials, "gpus"),
        )
        for kind, trials in by_type.items()
    ]
    return sorted(found, key=lambda item: (-item.core_hours, item.node_type))


def _hours(trials: Iterable[Trial], device: str) -> float:
    return sum(_seconds(trial) * float(trial.worker.get(device) or 0) for trial in trials) / 3600


def _seconds(trial: Trial) -> float:
    return sum(report.train_seconds + sum(report.overhead_seconds.values()) for report in list(trial.reports))
