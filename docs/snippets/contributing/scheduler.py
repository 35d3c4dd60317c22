"""A rule of early stopping, for a file of its own in orchestrator/early_stopping/."""

from orchestrator.early_stopping.decider import GO_ON, Reported, Rules, Verdict
from orchestrator.early_stopping.deciders import DECIDERS


class Floor:
    """Stops a trial that is at half of the best value or below, once it has had its grace."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._best = 0.0

    def judge(self, report: Reported) -> Verdict:
        """Returns whether the trial is above half of the best value so far."""
        self.complete(report)
        if report.epoch < self._rules.schedule.grace or report.value > self._best / 2:
            return GO_ON
        reason = f"floor: {self._rules.metric} {report.value:.4f} is at most half of the best, {self._best:.4f}"
        return Verdict(reason=reason)

    def complete(self, report: Reported) -> None:
        """Remembers the best value."""
        self._best = max(self._best, report.value)


DECIDERS["floor"] = Floor
