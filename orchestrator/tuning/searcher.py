"""Makes the proposer a Ray Tune searcher: unfinished trials first, then promoted, new ones, and replicates of the best.

In a population, those that go on from others come after new ones.

Each is written to the journal first.
"""

from typing import Any

from ray.tune.search import Searcher

from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial, is_to_stop
from orchestrator.replicates.from_state import next_fold, standing_of
from orchestrator.replicates.seeds import replicate_of
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.study.sections import Resources
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.promotions import Promotions
from orchestrator.tuning.proposals.new_trials import NewTrials
from orchestrator.tuning.tune_internals import Unsaved
from orchestrator.tuning.worker_generations import WorkerGenerations


class VariantSearcher(Unsaved, Searcher):
    """Passes each trial's configuration, as `VariantTrainable` describes it, to Ray Tune.

    Args:
        proposer: Proposes new variants; already holds all trials of the journal.
        listener: Gives up trials and has the study's budgets; its recorder writes new trials to the journal.
        num_trials: How many trials the proposer proposes for the whole study.
        generations: Counts generations of worker processes; None: workers are never replaced.
        promotions: The trials that wait at rungs; None: nobody waits.
        has_population: Whether a trial at work may end for another one that goes on in its place.
        look_ahead: Among how many proposals a free worker may choose (see `NewTrials`).
    """

    def __init__(  # noqa: PLR0913 - what a study's trials come from
        self,
        proposer: Proposer,
        *,
        listener: TuneListener,
        num_trials: int,
        generations: WorkerGenerations | None = None,
        promotions: Promotions | None = None,
        has_population: bool = False,
        look_ahead: int = 1,
    ) -> None:
        super().__init__(metric=listener.recorder.state.header.metric, mode=listener.recorder.state.header.mode)
        self._proposer, self._has_population = proposer, has_population
        self._listener = listener
        self._recorder = listener.recorder
        self._generations = generations or WorkerGenerations(Resources(), num_concurrent=1)
        self._promotions = promotions or Promotions(None, listener.recorder)
        left = [trial for trial in self._recorder.state.unfinished if not trial.is_held]
        # What a person asked for comes first of all.
        waiting = [
            trial for trial in left if look_ahead > 1 and _is_yet_to_begin(trial) and not trial.steering.is_asked
        ]
        #: Trials of earlier sessions; those in others' places that no worker began come after new ones, as ever.
        self._unfinished = [trial for trial in left if trial.started_at or not trial.parent if trial not in waiting]
        self._new = NewTrials(
            proposer,
            recorder=self._recorder,
            is_over=lambda: listener.budgets.is_over,
            num_trials=num_trials,
            look_ahead=look_ahead,
            waiting=waiting,
        )
        #: The names of the trials that Ray Tune has got.
        self._handed: set[str] = set()
        self._names: dict[str, str] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Returns the next trial's configuration, None if others have to end first, or `Searcher.FINISHED`."""
        self._promotions.end_by_hand()
        for ended in self._promotions.ended_by_hand():
            self._proposer.end_trial(ended)
        trial = self._next_unfinished() or self._promoted() or self._new.next() or self._next_in_place()
        if trial is None:
            if self._promotions.may_come:
                return None
            for left in self._promotions.end():
                self._proposer.end_trial(left)
        if trial is None and self._recorder.state.header.replicates and self._listener.budgets.leaves_room:
            race = standing_of(self._recorder.state)
            if not race.next and not race.is_over:
                return None
            trial = self._replicate(race.next) if race.next else None
        if trial is None:
            return None if self._has_population and self._recorder.state.open_trials else Searcher.FINISHED
        self._names[trial_id] = trial.name
        self._handed.add(trial.name)
        self._new.begin(trial)
        return {
            "trial": trial.name,
            "variant": trial.variant.to_json(),
            "fold": trial.fold,
            "first_epoch": trial.epoch + 1,
            "from_epoch": trial.from_epoch,
            "generation": self._generations.next(),
            "start": next(self._listener.starts),
        }

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Observes the worker's memory; the proposer reads reports from the journal's state."""
        # From the journal: findings/ray-tune-hands-searchers-flat-results.sh
        self._generations.observe(self._recorder.trial(self._names[trial_id]).worker)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Passes an ended trial to the proposer, as the journal has it."""
        trial = self._recorder.trial(self._names.pop(trial_id))
        self._generations.observe(trial.worker)
        self._new.end(trial)
        if error:
            self._listener.give_up(trial.name)
        if trial.has_ended:
            self._proposer.end_trial(trial)

    def save(self, checkpoint_path: str) -> None:
        """Saves nothing: the journal holds the whole state."""

    def restore(self, checkpoint_path: str) -> None:
        """Restores nothing: see `Proposer.remember`."""

    def _next_unfinished(self) -> Trial | None:
        """Returns the next trial of an earlier session that goes on; the study may have had enough for others."""
        while self._unfinished:
            trial = self._unfinished.pop(0)
            if _is_yet_to_begin(trial) and self._listener.budgets.is_over and _has_begun(self._recorder.state):
                # It waits on, for a session with larger budgets.
                continue
            if is_to_stop(trial):
                self._recorder.stop_by_hand(trial.name)
            elif not self._listener.budgets.ends(trial):
                return trial
            else:
                self._listener.budgets.stop(trial)
            self._proposer.end_trial(trial)
        return None

    def _promoted(self) -> Trial | None:
        """Returns the waiting trial that goes on; those that would go on, and may not for a budget, end."""
        while (promotion := self._promotions.kept() or self._promotions.first()) is not None:
            trial = self._recorder.trial(promotion.trial)
            if not self._listener.budgets.ends(trial):
                return self._promotions.promote(promotion)
            self._listener.budgets.stop(trial)
            self._promotions.forget(trial.name)
            self._proposer.end_trial(trial)
        return None

    def _next_in_place(self) -> Trial | None:
        """Returns the next trial that goes on in another's place, the one that waits for longest."""
        waiting = (
            trial for trial in self._recorder.state.unfinished if trial.parent and trial.name not in self._handed
        )
        return next(waiting, None)

    def _replicate(self, original: str) -> Trial:
        """Returns a new trial of an earlier one's variant with another seed."""
        state = self._recorder.state
        number = len(state.replicates.get(original, ()))
        variant = replicate_of(state.trials[original].variant, number=number, seed=state.header.seed)
        return self._new.propose(variant, original=original, fold=next_fold(state, original))


def _is_yet_to_begin(trial: Trial) -> bool:
    """Returns whether the search proposed a trial, and no worker began it."""
    return trial.is_of_search and not trial.started_at


def _has_begun(state: StudyState) -> bool:
    """Returns whether a study has a trial that a worker began: however small its budgets are, it has one."""
    return any(trial.started_at for trial in state.trials.values())
