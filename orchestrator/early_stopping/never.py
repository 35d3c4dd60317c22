"""Stops no trial."""

from orchestrator.early_stopping.decider import GO_ON, Reported, Rules, Verdict


class Never:
    """Lets every trial train to its end.

    Args:
        rules: Not used.
    """

    def __init__(self, rules: Rules) -> None:
        del rules

    def judge(self, report: Reported) -> Verdict:
        """Returns that the trial goes on."""
        del report
        return GO_ON

    def complete(self, report: Reported) -> None:
        """Remembers nothing."""
