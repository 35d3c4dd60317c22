"""Folds what people asked of a study from outside its driver."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.errors import JournalError
from orchestrator.journal.steering_records import (
    AnnotationAdded,
    PauseAsked,
    SteeringRecord,
    StudyTagged,
    TrialKept,
    TrialStarred,
    TrialStopAsked,
    VariantAsked,
)
from orchestrator.journal.trial import Trial, can_end_at_once
from search_spaces import Variant


@dataclass(slots=True, kw_only=True)
class Steering:
    """What people asked of a study, and wrote about it.

    Attributes:
        requests: The ids of all requests that the journal has.
        annotations: What people wrote about the study, in order; what is about a trial is with the trial.
        tags: The study's, in the order in which people gave them.
        asked: The variants that people asked for, in order.
        waiting: Those of them that no trial has yet, by id, in order.
        num_asked: How many trials have a variant that a person asked for.
        stopping: The trials whose end was asked for.
        kept: The trials that early stopping lets go on.
    """

    requests: set[str] = field(default_factory=set)
    annotations: list[AnnotationAdded] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    asked: list[Variant] = field(default_factory=list)
    waiting: dict[str, Variant] = field(default_factory=dict)
    num_asked: int = 0
    stopping: set[str] = field(default_factory=set)
    kept: set[str] = field(default_factory=set)

    def apply(self, record: SteeringRecord, trials: Mapping[str, Trial]) -> Trial | None:
        """Applies a record; one whose request the journal has already changes nothing.

        Args:
            record: The record.
            trials: The study's, by name.

        Returns:
            The trial that the record changed; None if it changed none.

        Raises:
            JournalError: If it names a trial that was never proposed.
        """
        trial = self._trial_of(record, trials)
        if record.request in self.requests:
            return None
        self.requests.add(record.request)
        match record:
            case AnnotationAdded():
                (self.annotations if trial is None else trial.steering.annotations).append(record)
            case StudyTagged():
                self._tag(record)
            case VariantAsked():
                self._ask(Variant.from_json(record.variant), trials)
            case TrialStopAsked() | TrialKept() | TrialStarred() if trial is not None:
                self._steer(record, trial)
        return trial

    def meet(self, trial: Trial) -> None:
        """Takes note of a new trial of the search, whose variant a person may have asked for.

        Args:
            trial: The trial.
        """
        if self.waiting and self.waiting.pop(trial.variant.variant_id, None) is not None:
            trial.steering.is_asked = True
            self.num_asked += 1

    def _trial_of(self, record: SteeringRecord, trials: Mapping[str, Trial]) -> Trial | None:
        if isinstance(record, VariantAsked | PauseAsked | StudyTagged):
            return None
        name = record.trial
        if name not in trials and (name or not isinstance(record, AnnotationAdded)):
            raise JournalError(f"a record names trial {name!r}, which was never proposed")
        return trials.get(name)

    def _steer(self, record: TrialStopAsked | TrialKept | TrialStarred, trial: Trial) -> None:
        steering = trial.steering
        match record:
            case TrialStopAsked() if steering.stop is None and not trial.has_ended:
                steering.stop = record
                steering.stop_after = trial.epoch if can_end_at_once(trial) else trial.epoch + 1
                self.stopping.add(trial.name)
            case TrialKept():
                steering.keeps.append((trial.epoch, record.keep))
                (self.kept.add if record.keep else self.kept.discard)(trial.name)
            case TrialStarred():
                steering.is_starred = record.starred

    def _tag(self, record: StudyTagged) -> None:
        others = [tag for tag in self.tags if tag not in record.tags]
        # A new list: another thread may read the one of before.
        self.tags = list(dict.fromkeys([*self.tags, *record.tags])) if record.tagged else others

    def _ask(self, variant: Variant, trials: Mapping[str, Trial]) -> None:
        self.asked.append(variant)
        if all(trial.variant != variant for trial in trials.values()):
            self.waiting.setdefault(variant.variant_id, variant)
