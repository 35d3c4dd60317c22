"""The trials that no worker has begun: each is in the journal before anybody gets it."""

from collections.abc import Callable, Iterable

from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import TrialProposed
from orchestrator.journal.trial import Trial, process_of
from orchestrator.runs.paths import trial_name
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.search.auto_algorithm import has_no_order
from orchestrator.study.spec import StudySpec
from orchestrator.tuning.proposals.affinity import TraceAffinity
from search_spaces import Variant

#: How many proposals a worker chooses among, where their order is free: more make two workers little faster, and leave
#: less room for what a person asks for later.
LOOK_AHEAD = 12


def look_ahead_of(spec: StudySpec, *, learns: bool) -> int:
    """Returns among how many proposals of a study a worker may choose: 1 where their order matters.

    It does with early stopping, which judges a trial by those before it.

    Args:
        spec: The study.
        learns: Whether its search learns from earlier trials.
    """
    is_free = not learns and has_no_order(spec) and spec.schedule.algorithm == "none"
    return LOOK_AHEAD if is_free else 1


class NewTrials:
    """What a person asked for, then what the search proposes; of several, what the free worker has traced the like of.

    Proposals have their numbers by the search's order, whatever order they begin in: those passed over are in the
    journal and wait. What is drawn beyond them is in no journal, and is drawn again after a resume.

    Args:
        proposer: Proposes variants; already holds all trials of the journal.
        recorder: Writes the journal.
        is_over: Whether a budget of the study is used up.
        num_trials: How many trials the proposer proposes for the whole study.
        look_ahead: Among how many proposals a worker chooses.
        waiting: Trials of the journal that no worker began, which workers choose among as well.
    """

    def __init__(  # noqa: PLR0913 - what a study's new trials come from
        self,
        proposer: Proposer,
        *,
        recorder: Recorder,
        is_over: Callable[[], bool],
        num_trials: int,
        look_ahead: int = 1,
        waiting: Iterable[Trial] = (),
    ) -> None:
        self._proposer, self._recorder, self._is_over = proposer, recorder, is_over
        self._num_trials, self._look_ahead = num_trials, look_ahead
        self._affinity = TraceAffinity()
        self._waiting = list(waiting)
        self._drawn: list[Variant] = []
        #: Whether the space has no variant left that was not proposed.
        self._is_spent = False

    def next(self) -> Trial | None:
        """Returns the trial that the next free worker begins; None if the study has no new one."""
        if self._room > 0 and (asked := next(iter(list(self._recorder.state.steering.waiting.values())), None)):
            return self._propose_asked(asked)
        self._draw()
        found = [*(trial.variant for trial in self._waiting), *self._drawn]
        if not found:
            return None
        place = self._affinity.best(found, num_left=len(self._waiting) + max(self._room, 0))
        if (ahead := place - len(self._waiting)) < 0:
            return self._waiting.pop(place)
        self._pass_over(ahead)
        return self.propose(self._drawn.pop(0))

    def propose(self, variant: Variant, *, original: str = "", fold: int = 0) -> Trial:
        """Writes a trial to the journal, and returns it.

        Args:
            variant: To train.
            original: The trial that it replicates; empty: the search proposed it.
            fold: The fold that it validates on; 0: the validation split of the study.
        """
        number, now = len(self._recorder.state.trials), self._recorder.now()
        name = trial_name(number)
        self._recorder.append(
            TrialProposed(
                trial=name, number=number, variant=variant.to_json(), replicate_of=original, fold=fold, at=now
            )
        )
        return self._recorder.trial(name)

    def begin(self, trial: Trial) -> None:
        """Notes that the next free worker gets a trial, a new one or not."""
        if self._look_ahead > 1:
            self._affinity.begin(trial.name, trial.variant)

    def end(self, trial: Trial) -> None:
        """Notes that a trial has left its worker."""
        if self._look_ahead > 1:
            self._affinity.end(trial.name, process_of(trial.worker))

    @property
    def _place(self) -> int:
        """The number of the next proposal, among those of the search."""
        state = self._recorder.state
        return len(state.trials) - sum(map(len, state.replicates.values())) - state.num_replaced

    @property
    def _room(self) -> int:
        """How many proposals the study still takes."""
        # However small its budgets are, a study has a trial.
        if self._place and self._is_over():
            return 0
        return self._num_trials - self._place

    def _propose_asked(self, asked: Variant) -> Trial:
        """Writes a variant that a person asked for to the journal, as one of the study's trials.

        What was drawn before keeps its numbers, by which it would be drawn again after a resume.
        """
        drawn = [variant.variant_id for variant in self._drawn]
        if asked.variant_id in drawn:
            self._pass_over(drawn.index(asked.variant_id))
            return self.propose(self._drawn.pop(0))
        self._pass_over(min(len(drawn), self._room - 1))
        self._drawn.clear()
        self._proposer.accept(self._place, asked)
        return self.propose(asked)

    def _pass_over(self, number: int) -> None:
        """Lets so many of the drawn variants wait, in the journal."""
        self._waiting += map(self.propose, self._drawn[:number])
        del self._drawn[:number]

    def _draw(self) -> None:
        """Draws as many variants as a worker chooses among, and no more than the study takes."""
        room, place = self._room, self._place
        del self._drawn[max(0, room) :]
        running, num_asked = self._recorder.state.unfinished, self._recorder.state.steering.num_asked
        while not self._is_spent and len(self._drawn) < min(room, self._look_ahead - len(self._waiting)):
            variant = self._proposer.propose(place + len(self._drawn), running=running, num_asked=num_asked)
            if variant is None:
                self._is_spent = True
            else:
                self._drawn.append(variant)
