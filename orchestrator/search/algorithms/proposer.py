"""Which variant to try next: a search algorithm's draws, none of them twice.

A proposal is a function of (seed, number of the trial, what is known of earlier trials) alone: each one is drawn by a
sampler made for it, so a study that is resumed from its journal goes on with the same sequence.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.errors import JournalError
from orchestrator.journal.trial import Trial
from orchestrator.search.algorithms.searchers import SEARCHERS
from orchestrator.search.distributions import EncodedSpace
from orchestrator.search.draw import Draw
from orchestrator.search.history import History
from orchestrator.search.prior import Prior
from orchestrator.study.spec import StudySpec
from search_spaces import Fixed, SpaceError, Variant, make_variant

#: How often a proposal that was tried before is drawn again before the space is searched for an untried one.
MAX_REDRAWS = 50


class Proposer:
    """Proposes variants and learns from their reports.

    Args:
        spec: The study.
    """

    def __init__(self, spec: StudySpec) -> None:
        self._spec = spec
        self._searcher = SEARCHERS[spec.search.algorithm](spec)
        #: Whether a proposal follows from how earlier trials went.
        self.learns = type(self._searcher).learns
        self._prior = Prior(spec)
        self._history = History(
            EncodedSpace(spec.space),
            objective=spec.objective,
            conditions=spec.conditions,
            is_kept=self.learns,
        )
        #: Values of the first trials, by their numbers.
        self._first = spec.search.first_values
        #: The ids of all variants that were proposed or remembered.
        self._proposed: set[str] = set()

    def remember(self, trials: Iterable[Trial]) -> None:
        """Takes over trials from a journal, in the order they were proposed.

        Replicates teach the search nothing, nor do trials that went on from another's checkpoint.

        Raises:
            JournalError: If one of them is none of the study's.
        """
        for trial in sorted((trial for trial in trials if trial.is_of_search), key=lambda item: item.place):
            try:
                self._remember(trial)
            except (SpaceError, KeyError, TypeError, ValueError) as exc:
                raise JournalError(
                    f"trial {trial.name}: its variant or reports cannot be this study's ({exc}); the journal and "
                    "study.yaml belong to different runs, or one was changed; restore them from a backup"
                ) from exc

    def propose(self, number: int, *, running: Iterable[Trial] = (), num_asked: int = 0) -> Variant | None:
        """Returns the variant of the study's trial `number`, one never proposed before; None if there is none left.

        Args:
            number: The trial's place among those of the search.
            running: The trials that have not ended, with their reports so far; only some algorithms learn from them.
            num_asked: How many earlier trials a person asked for: they take no place among the first ones.
        """
        self._history.observe(trial for trial in running if trial.is_of_search)
        self._history.begin(number)
        place = number - num_asked
        if place < len(self._first) and (first := self._complete(self._first[place])):
            return self._accept(number, first)
        for attempt in range(MAX_REDRAWS):
            draw = Draw(study_seed=self._spec.seed, number=number, attempt=attempt)
            values = self._searcher.ask(self._history, draw)
            if values is None:
                break
            values = self._prior.moved(values, draw)
            if self._variant_of(values).variant_id not in self._proposed:
                return self._accept(number, values)
        return self._untried(number)

    def accept(self, number: int, variant: Variant) -> None:
        """Takes a variant that a person asked for as that of the study's trial `number`.

        Args:
            number: The trial's place among those of the search.
            variant: One that no trial has.
        """
        self._proposed.add(variant.variant_id)
        self._history.accept(number, {"family": variant.family, **variant.params})

    def end_trial(self, trial: Trial) -> None:
        """Learns how a trial of the search ended."""
        if trial.is_of_search:
            self._history.end(trial)

    def _complete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the values of a first trial with those that cannot vary; empty if its variant was proposed."""
        space = self._spec.space
        fixed = {item.name: item.domain.value for item in space.parameters if isinstance(item.domain, Fixed)}
        values = space.active({**fixed, **given})
        return {} if self._variant_of(values).variant_id in self._proposed else values

    def _remember(self, trial: Trial) -> None:
        self.accept(trial.place, trial.variant)
        if trial.has_ended:
            self.end_trial(trial)

    def _accept(self, number: int, values: Mapping[str, Any]) -> Variant:
        variant = self._variant_of(self._history.accept(number, values))
        self._proposed.add(variant.variant_id)
        return variant

    def _untried(self, number: int) -> Variant | None:
        """Returns some variant that was never proposed: draws kept hitting known ones, so the space is nearly spent."""
        if self._spec.space.size is None:
            return None
        for values in self._spec.space.grid():
            if make_variant(self._spec.space, values, seed=self._spec.seed).variant_id not in self._proposed:
                return self._accept(number, values)
        return None

    def _variant_of(self, values: Mapping[str, Any]) -> Variant:
        return make_variant(self._spec.space, values, seed=self._spec.seed)
