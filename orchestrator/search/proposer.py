"""Which variant to try next: Optuna's samplers over our search space.

A proposal is a function of (seed, number of the trial, what is known of earlier trials) alone: each one is drawn by a
sampler made for it, so a study that is resumed from its journal goes on with the same sequence.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState as OptunaState

from orchestrator.errors import JournalError
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.search.distributions import optuna_distribution
from orchestrator.search.tpe import NUM_STARTUP_TRIALS, new_tpe_study
from orchestrator.study.spec import StudySpec
from search_spaces import Choice, Float, Int, Parameter, SpaceError, Variant, make_variant

optuna.logging.set_verbosity(optuna.logging.ERROR)
#: How often a proposal that was tried before is drawn again before the space is searched for an untried one.
MAX_REDRAWS = 50


class Proposer:
    """Proposes variants and learns from their reports.

    Args:
        spec: The study.
    """

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._space = spec.space
        self._distributions = {parameter.name: optuna_distribution(parameter) for parameter in spec.space.parameters}
        #: Only `tpe` looks at earlier trials; Optuna walks through all it knows whenever it is asked.
        self._learns = spec.search.algorithm == "tpe"
        self._study = new_tpe_study(spec.objective.mode)
        #: Optuna's trials by the number of ours, until they have ended.
        self._asked: dict[int, optuna.Trial] = {}
        #: Ended trials that have a value; the others count as worse than all of them.
        self._num_with_values = 0
        self._proposed: set[str] = set()
        self._grid = spec.space.grid() if spec.search.algorithm == "grid" else iter(())

    def remember(self, trials: Iterable[Trial]) -> None:
        """Takes over trials from a journal, in the order they were proposed.

        Raises:
            JournalError: If one of them is none of the study's.
        """
        for trial in sorted(trials, key=lambda item: item.number):
            try:
                self._remember(trial)
            except (SpaceError, KeyError, TypeError, ValueError) as exc:
                raise JournalError(
                    f"trial {trial.name}: its variant or reports cannot be this study's ({exc}); the journal and "
                    "study.yaml belong to different runs, or one was changed; restore them from a backup"
                ) from exc

    def _remember(self, trial: Trial) -> None:
        values = {"family": trial.variant.family, **trial.variant.params}
        self._proposed.add(trial.variant.variant_id)
        self._forget_if_idle()
        self._study.enqueue_trial(self._encoded(values))
        asked = self._study.ask()
        self._suggest(asked)
        self._know(trial.number, asked)
        if trial.has_ended:
            self.tell_end(trial)

    def propose(self, number: int) -> Variant | None:
        """Returns the variant of the study's trial `number`, one never proposed before; None if there is none left."""
        self._forget_if_idle()
        if self._spec.search.algorithm == "grid":
            return self._next_of_grid(number)
        for attempt in range(MAX_REDRAWS):
            self._study.sampler = self._sampler(number, attempt=attempt)
            asked = self._study.ask()
            variant = make_variant(self._space, self._suggest(asked), seed=self._spec.seed)
            if variant.variant_id not in self._proposed:
                return self._accept(number, variant, asked)
            self._study.tell(asked, state=OptunaState.FAIL)
        return self._untried(number)

    def tell_end(self, trial: Trial) -> None:
        """Tells how a trial ended: its best value, or, where it was stopped, how far it came; a failed one is worst."""
        if not self._learns:
            return
        objective, asked = self._spec.objective, self._asked.pop(trial.number)
        best = trial.best_report(metric=objective.metric, mode=objective.mode)
        if trial.state is TrialState.COMPLETED and best is not None:
            self._num_with_values += 1
            self._study.tell(asked, best.metrics[objective.metric])
            return
        # Values at epochs are told at the end only: the estimator ranks what was stopped by them, a later epoch first,
        # and what failed after some good epochs must not be among the good ones.
        if trial.failure is None:
            self._num_with_values += bool(trial.reports)
            for report in trial.reports:
                asked.report(report.metrics[objective.metric], report.epoch)
        self._study.tell(asked, state=OptunaState.PRUNED)

    def _sampler(self, number: int, *, attempt: int) -> optuna.samplers.BaseSampler:
        seed = int(np.random.SeedSequence([self._spec.seed, number, attempt]).generate_state(1)[0])
        if self._spec.search.algorithm == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=NUM_STARTUP_TRIALS)
        # Private: the argument of this name goes away, and tests would see this go, too.
        sampler._gamma = self._num_good
        return sampler

    def _num_good(self, num_trials: int) -> int:
        """Returns how many of the trials so far are good ones to the estimator: Optuna's number, but no failed ones."""
        return min(math.ceil(0.1 * num_trials), 25, self._num_with_values)

    def _suggest(self, asked: optuna.Trial) -> dict[str, Any]:
        """Returns values for the active parameters, parents before children."""
        values: dict[str, Any] = {}
        for parameter in self._space.parameters:
            if self._space.is_active(parameter.name, values):
                values[parameter.name] = self._suggest_one(asked, parameter)
        return values

    def _suggest_one(self, asked: optuna.Trial, parameter: Parameter) -> Any:
        distribution, name, domain = self._distributions[parameter.name], parameter.name, parameter.domain
        match distribution:
            case FloatDistribution():
                drawn = asked.suggest_float(name, distribution.low, distribution.high, log=distribution.log)
                return domain.normalise(drawn)
            case IntDistribution(log=True):
                return asked.suggest_int(name, distribution.low, distribution.high, log=True)
            case IntDistribution():
                return domain.at(asked.suggest_int(name, distribution.low, distribution.high))
            case CategoricalDistribution():
                return domain.at(asked.suggest_categorical(name, distribution.choices))
            case _:
                return domain.at(0)

    def _encoded(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns values as Optuna knows them: positions instead of choices and steps."""
        encoded: dict[str, Any] = {}
        for name, value in values.items():
            distribution = self._distributions[name]
            match distribution, self._space.parameter(name).domain:
                case None, _:
                    continue
                case CategoricalDistribution(), Choice() as domain:
                    encoded[name] = domain.index(value)
                case IntDistribution(log=False), Float(low=low, step=step) | Int(low=low, step=step):
                    encoded[name] = round((value - low) / (step or 1))
                case _:
                    encoded[name] = value
        return encoded

    def _accept(self, number: int, variant: Variant, asked: optuna.Trial) -> Variant:
        self._know(number, asked)
        self._proposed.add(variant.variant_id)
        return variant

    def _know(self, number: int, asked: optuna.Trial) -> None:
        if self._learns:
            self._asked[number] = asked

    def _forget_if_idle(self) -> None:
        """Makes room where nothing is learned: a proposal is drawn, or read back, from its own Optuna study then."""
        if not self._learns:
            self._study = new_tpe_study(self._spec.objective.mode)

    def _next_of_grid(self, number: int) -> Variant | None:
        """Returns the first variant of the grid that was not proposed or taken over from another run."""
        for values in self._grid:
            if make_variant(self._space, values, seed=self._spec.seed).variant_id not in self._proposed:
                return self._enqueue(number, values)
        return None

    def _untried(self, number: int) -> Variant | None:
        """Returns some variant that was never proposed: draws kept hitting known ones, so the space is nearly spent."""
        if self._space.size is None:
            return None
        for values in self._space.grid():
            if make_variant(self._space, values, seed=self._spec.seed).variant_id not in self._proposed:
                return self._enqueue(number, values)
        return None

    def _enqueue(self, number: int, values: Mapping[str, Any]) -> Variant:
        self._study.enqueue_trial(self._encoded(values))
        asked = self._study.ask()
        return self._accept(number, make_variant(self._space, self._suggest(asked), seed=self._spec.seed), asked)
