"""What early stopping makes of trials that break a constraint for good: they are nobody's rivals, and stop soon."""

from orchestrator.early_stopping.decider import GO_ON, Decider, Promoting, Promotion, Reported, Rules, Verdict


class Constrained:
    """Keeps a rule of early stopping to the trials that may win.

    A trial that breaks a constraint by its costs, which no epoch changes, is never compared with others, nor others
    with it. It stops at its first report from `grace_epochs` on before which `min_rivals` other trials that keep to the
    constraints have come as far.

    Args:
        inner: Judges the other trials.
        rules: The study's.
    """

    def __init__(self, inner: Decider, rules: Rules) -> None:
        self.inner, self._rules = inner, rules
        #: The trials that keep to the constraints, by the epochs that they have reached.
        self._reached: dict[int, set[str]] = {}

    def judge(self, report: Reported) -> Verdict:
        """Returns whether the trial stops: at once where it cannot win, else as the rule says."""
        if not report.breaks:
            self._reached.setdefault(report.epoch, set()).add(report.trial)
            return self.inner.judge(report)
        schedule, rivals = self._rules.schedule, len(self._reached.get(report.epoch, ()))
        if report.epoch < schedule.grace or rivals < schedule.rivals:
            return GO_ON
        return Verdict(
            reason=f"constraints: at epoch {report.epoch}, {rivals} trials that keep to the constraints have come as "
            f"far, while this one has {report.breaks} and cannot win"
        )

    def complete(self, report: Reported) -> None:
        """Passes on the last report of a trial that may win."""
        if not report.breaks:
            self._reached.setdefault(report.epoch, set()).add(report.trial)
            self.inner.complete(report)


class ConstrainedPromoting(Constrained):
    """The same of a rule under which trials wait: one that cannot win never waits.

    Args:
        inner: Judges the other trials.
        rules: The study's.
    """

    def __init__(self, inner: Promoting, rules: Rules) -> None:
        super().__init__(inner, rules)
        self._promoting = inner

    @property
    def num_rungs(self) -> int:
        """How often a trial can wait at most."""
        return self._promoting.num_rungs

    def promotable(self) -> Promotion | None:
        """Returns which waiting trial goes on first; None while none may."""
        return self._promoting.promotable()

    def promote(self, trial: str) -> None:
        """Takes a trial out of those that wait."""
        self._promoting.promote(trial)

    def why_left(self, trial: str) -> str:
        """Returns why a trial that still waits ends, where nothing is left to train, in words."""
        return self._promoting.why_left(trial)
