"""Asynchronous successive halving, which stops trials and does not pause them."""

from orchestrator.early_stopping.decider import GO_ON, Arrival, Reported, Rules, Verdict
from orchestrator.early_stopping.rungs import Ladder, Rung, halving_milestones
from orchestrator.pareto.fronts import front_ranks
from orchestrator.text import told_apart


class Asha:
    """Lets a trial go on at each rung if it is among the best 1/reduction_factor of those that got there before it.

    Rungs stand at grace_epochs, times reduction_factor, times that again. A trial is compared when it arrives, and with
    those before it alone: nobody waits. Its own value does not move the cut-off, and a value equal to it goes on. As in
    Ray Tune, a report is judged at the highest rung that it reaches and that does not hold its trial yet; where rungs
    are closer than an epoch, the last report of a trial fills the next lower one that it skipped.

    With several objectives a trial stops where at least 1/reduction_factor of those before it are on better fronts.

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", MLSys, arXiv:1810.05934; stopping
    instead of promotion as in Ray Tune.

    Args:
        rules: The study's.
        said: The name of the rule in its reasons.
        rivals: What its reasons call the trials that it compares.
        skipped: How many of the lowest rungs are left out.
    """

    def __init__(self, rules: Rules, *, said: str = "asha", rivals: str = "trials", skipped: int = 0) -> None:
        schedule = rules.schedule
        self._rules, self._said, self._rivals = rules, said, rivals
        milestones = halving_milestones(
            grace=schedule.grace, max_epochs=schedule.epochs, factor=schedule.reduction_factor, skipped=skipped
        )
        self._ladder = Ladder(list(milestones))

    @property
    def rungs(self) -> list[Rung]:
        """The rungs, the highest first."""
        return self._ladder.rungs

    @property
    def milestones(self) -> list[list[float]]:
        """The epochs of the rungs, ascending, of its one ladder."""
        return [self._ladder.milestones]

    def arrival(self, report: Reported) -> Arrival | None:
        """Returns the rung that a report gets to; None if there is none."""
        rung = self._ladder.open_rung(report.trial, epoch=report.epoch)
        return None if rung is None else arrival_at(rung, report, rules=self._rules)

    def judge(self, report: Reported) -> Verdict:
        """Returns whether the trial is among the best of the rung that it arrives at."""
        rung = self._ladder.open_rung(report.trial, epoch=report.epoch)
        if rung is None:
            return GO_ON
        judged = behind_fronts if report.losses else outside_best
        verdict = judged(rung, report, rules=self._rules, said=self._said, rivals=self._rivals)
        self._enter(rung, report)
        return verdict

    def complete(self, report: Reported) -> None:
        """Adds the trial to the rung that it arrived at."""
        if rung := self._ladder.open_rung(report.trial, epoch=report.epoch):
            self._enter(rung, report)

    def _enter(self, rung: Rung, report: Reported) -> None:
        rung.enter(report.trial, self._rules.sign * report.value, losses=report.losses)


def arrival_at(rung: Rung, report: Reported, *, rules: Rules) -> Arrival:
    """Returns a rung as a trial finds it that has not entered it yet."""
    cutoff = None if report.losses else rung.cutoff(rules.schedule.reduction_factor)
    return Arrival(
        milestone=rung.milestone,
        num_before=len(rung.values),
        cutoff=None if cutoff is None else rules.sign * cutoff,
    )


def behind_fronts(rung: Rung, report: Reported, *, rules: Rules, said: str, rivals: str) -> Verdict:
    """Returns whether a trial of several objectives stops at a rung that it has not entered yet.

    It does where at least 1/factor of those that got there before stand on better fronts.

    Source: Schmucker et al. 2021, "Multi-objective Asynchronous Successive Halving", arXiv:2106.12639, which ranks by
    non-dominated sorting, and trials of one front by how they spread; here whoever is on a front that counts goes on.
    """
    factor, num_before = rules.schedule.reduction_factor, len(rung.points)
    *ranks, own = front_ranks([*rung.points, report.losses])
    num_better = sum(rank < own for rank in ranks)
    if num_before < rules.schedule.rivals or num_better == 0 or num_better < num_before / factor:
        return GO_ON
    return Verdict(
        reason=f"{said}: at epoch {report.epoch}, {num_better} of the {num_before} {rivals} that got there before are "
        f"on better fronts of {' and '.join(rules.objectives)}, at least 1/{factor:g} of them"
    )


def outside_best(rung: Rung, report: Reported, *, rules: Rules, said: str, rivals: str) -> Verdict:
    """Returns whether a trial stops at a rung that it has not entered yet, as it is outside the best of it."""
    factor, num_before = rules.schedule.reduction_factor, len(rung.values)
    cutoff = rung.cutoff(factor)
    # Too few to be judged against stop nobody.
    if cutoff is None or num_before < rules.schedule.rivals or not rules.sign * report.value < cutoff:
        return GO_ON
    value, limit = told_apart(report.value, rules.sign * cutoff)
    return Verdict(
        reason=f"{said}: {rules.metric} {value} at epoch {report.epoch} is outside the best 1/{factor:g} of the "
        f"{num_before} {rivals} that got there before (cut-off {limit})"
    )
