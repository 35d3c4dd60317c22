"""What advice is derived from: a study's trials with a result, and how wrong they are beside a blind guess."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.results.from_state import leaders
from orchestrator.results.image_shares import ImageShares
from orchestrator.results.references import Reference
from search_spaces import SearchSpace
from trainables.reports import EpochReport
from trainables.specs.targets import usual_mode

#: How many of the best trials a sentence about the best is about.
NUM_BEST = 3
#: Fewer trials with a result are no evidence of anything.
MIN_TRIALS = 4

Ranked = tuple[Trial, EpochReport]


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The results of a study, as its advice reads them.

    Attributes:
        state: The study.
        shares: Its metrics that are shares of images.
        references: Its reference rows.
        space: What it may try; None: not known.
    """

    state: StudyState
    shares: ImageShares
    references: Sequence[Reference]
    space: SearchSpace | None

    @cached_property
    def board(self) -> list[Ranked]:
        """The trials that completed or were stopped, best first, each with its best report."""
        return leaders(self.state, k=len(self.state.trials))

    @cached_property
    def best_completed(self) -> list[Ranked]:
        """The best trials of those that trained as long as they should."""
        return [entry for entry in self.board if entry[0].state is TrialState.COMPLETED][:NUM_BEST]

    @cached_property
    def is_enough(self) -> bool:
        """Whether there are enough results for any advice: of trials that completed two, as one may be an accident."""
        return len(self.board) >= MIN_TRIALS and len(self.best_completed) > 1

    @property
    def metric(self) -> str:
        """The objective's metric."""
        return self.state.header.metric

    @cached_property
    def judged(self) -> str:
        """The metric that says right and wrong; empty if there is none.

        It is the objective if it is a share of images or reference rows have it, else the first other metric that is
        one or that they have; a blind guess has no loss to compare with.
        """
        names = dict.fromkeys([self.metric, *(self.board[0][1].metrics if self.board else ())])
        known = [name for name in names if name.startswith("val_")]
        return next((name for name in known if self.shares.count(name) or name in self.blind), "")

    @cached_property
    def blind(self) -> Mapping[str, float]:
        """By metric, what the best guess reaches that is the same for every image."""
        found: dict[str, float] = {}
        for row in self.references:
            for name, value in row.metrics.items() if row.is_blind else ():
                better = max if usual_mode(name) == "max" else min
                found[name] = better(found.get(name, value), value)
        return found

    @property
    def blind_name(self) -> str:
        """The name of the first guess that is the same for every image; empty without one."""
        return next((row.name for row in self.references if row.is_blind), "")

    def wrongness(self, value: float | None) -> float | None:
        """Returns the part of a blind guess's errors that is left: 0 for a perfect value, 1 at chance.

        Where no blind guess was measured, a share of images counts as if it were never right.

        Args:
            value: Of the judged metric, or of its namesake on training images.
        """
        if value is None or not self.judged:
            return None
        blind = self.blind.get(self.judged, 0.0)
        if usual_mode(self.judged) == "max":
            return None if blind >= 1.0 else (1.0 - value) / (1.0 - blind)
        return None if blind <= 0.0 else value / blind

    @cached_property
    def best_judged(self) -> float | None:
        """The best value of the judged metric in any report of a trial with a result; None without one."""
        reports = (report for trial, _ in self.board for report in list(trial.reports))
        values = [report.metrics[self.judged] for report in reports if self.judged in report.metrics]
        better = max if usual_mode(self.judged) == "max" else min
        return better(values, default=None)

    def headroom(self, value: float) -> float:
        """Returns how far a value of the objective is from a perfect one; at least its own size where that is unknown.

        Args:
            value: Of the objective.
        """
        is_bounded = self.state.header.mode == "max" and 0.0 <= value <= 1.0
        return 1.0 - value if is_bounded else abs(value)

    def in_training(self, trial: Trial) -> float | None:
        """Returns the judged metric's namesake on training images, as the trial's last epoch has it.

        Args:
            trial: One with a report.
        """
        return trial.reports[-1].metrics.get(self.judged.removeprefix("val_"))

    def values(self, trial: Trial) -> list[float]:
        """Returns the objective by epoch.

        Args:
            trial: One with a report.
        """
        return [report.metrics[self.metric] for report in list(trial.reports) if self.metric in report.metrics]
