"""Decides on a request: the record that it becomes, and what is answered; nothing is written."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import InputError
from orchestrator.journal.steering_records import (
    MOST_TAGS,
    AnnotationAdded,
    PauseAsked,
    SteeringRecord,
    StudyTagged,
    TrialKept,
    TrialStarred,
    TrialStopAsked,
    VariantAsked,
)
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial, can_end_at_once
from orchestrator.steering.requests import (
    AddVariant,
    Annotate,
    KeepTrial,
    PauseStudy,
    Request,
    Star,
    StopTrial,
    TagStudy,
)
from orchestrator.text import shown
from search_spaces import Variant, make_variant, nearest, space_error

if TYPE_CHECKING:
    from orchestrator.study.spec import StudySpec

IN_JOURNAL = "the journal has this request already"
NO_DRIVER = "no driver is at work on this run"
_NOT_TRAINING = "the driver at work on this run trains no trials"
_SHOWN_TRIALS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a request becomes.

    Attributes:
        record: What the journal gets; None where it has it already.
        text: What happens now, in words.
    """

    record: SteeringRecord | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, and when it came.

    Attributes:
        request: What is asked for.
        request_id: Its id.
        at: When it is decided on, in seconds since 1970.
    """

    request: Request
    request_id: str
    at: float


def decide(asked: Asked, state: StudyState, *, spec: "StudySpec | None") -> Decided:
    """Returns what a request becomes.

    Args:
        asked: The request.
        state: The journal's.
        spec: The study, where its driver is at work and decides; None where none is.

    Raises:
        InputError: If it cannot be honoured, with the reason and what to do instead.
    """
    is_driven = spec is not None and state.is_active
    match asked.request:
        case StopTrial():
            return _stop(asked.request, asked, _named(asked.request.trial, state), is_driven=is_driven)
        case KeepTrial():
            return _keep(asked.request, asked, _named(asked.request.trial, state))
        case Star():
            return _star(asked.request, asked, _named(asked.request.trial, state))
        case Annotate() | TagStudy():
            return _write(asked.request, asked, state)
        case PauseStudy():
            if not is_driven:
                raise InputError(f"{NO_DRIVER if spec is None else _NOT_TRAINING}: there is nothing to pause")
            record = PauseAsked(request=asked.request_id, at=asked.at)
            return Decided(record=record, text="the study pauses now; unfinished trials go on when it is resumed")
        case AddVariant():
            if spec is None or not is_driven:
                problem = NO_DRIVER if spec is None else _NOT_TRAINING
                raise InputError(f"{problem}: resume the study, then add the variant while it runs")
            return _add(asked.request.params, asked, state, spec=spec)


def _named(name: str, state: StudyState) -> Trial:
    if name in state.trials:
        return state.trials[name]
    names = list(state.trials)
    known = f"{names[0]} to {names[-1]}" if len(names) > _SHOWN_TRIALS else ", ".join(names) or "none yet"
    raise InputError(f"trial: no trial has the name {shown(name)}; the study has {known}{nearest(name, names)}")


def _demand_unfinished(trial: Trial, *, verb: str) -> None:
    if trial.has_ended:
        reason = f": {trial.reason}" if trial.reason else ""
        raise InputError(
            f"trial: {trial.name} has ended already ({trial.state.value} after epoch {trial.epoch}{reason}); only a "
            f"trial that has not ended can be {verb}"
        )


def _stop(request: StopTrial, asked: Asked, trial: Trial, *, is_driven: bool) -> Decided:
    _demand_unfinished(trial, verb="stopped")
    if trial.replicate_of:
        raise InputError(
            f"trial: {trial.name} trains the variant of {trial.replicate_of} again: cut short, it would count for "
            "nothing, and another one would take its place; resume with --set search.replicates=... for fewer of them"
        )
    if trial.steering.stop is not None:
        return Decided(record=None, text=f"{trial.name} is to end already, as somebody asked before")
    record = TrialStopAsked(request=asked.request_id, trial=request.trial, at=asked.at)
    if can_end_at_once(trial):
        when = "at once, as it waits" if is_driven else "as soon as the study is resumed"
    else:
        when = f"after its next report, which is of epoch {trial.epoch + 1}"
        when += "" if is_driven else ", once the study is resumed"
    return Decided(record=record, text=f"{trial.name} ends {when}")


def _keep(request: KeepTrial, asked: Asked, trial: Trial) -> Decided:
    _demand_unfinished(trial, verb="kept" if request.keep else "given back to early stopping")
    if trial.steering.is_kept == request.keep:
        text = "is kept already" if request.keep else "is not kept: early stopping decides already"
        return Decided(record=None, text=f"{trial.name} {text}")
    record = TrialKept(request=asked.request_id, trial=request.trial, keep=request.keep, at=asked.at)
    if not request.keep:
        return Decided(record=record, text=f"early stopping decides on {trial.name} again, from its next report on")
    waits = ", and leaves the rung at which it waits" if trial.is_held else ""
    return Decided(record=record, text=f"early stopping lets {trial.name} go on{waits}; budgets may still end it")


def _star(request: Star, asked: Asked, trial: Trial) -> Decided:
    text = f"{trial.name} has a star" if request.starred else f"{trial.name} has no star"
    if trial.steering.is_starred == request.starred:
        return Decided(record=None, text=f"{text} already")
    record = TrialStarred(request=asked.request_id, trial=request.trial, starred=request.starred, at=asked.at)
    return Decided(record=record, text=text)


def _write(request: Annotate | TagStudy, asked: Asked, state: StudyState) -> Decided:
    return _annotate(request, asked, state) if isinstance(request, Annotate) else _tag(request, asked, state)


def _annotate(request: Annotate, asked: Asked, state: StudyState) -> Decided:
    if request.trial:
        _named(request.trial, state)
    record = AnnotationAdded(request=asked.request_id, trial=request.trial, text=request.text, at=asked.at)
    return Decided(record=record, text=f"the note about {request.trial or 'the study'} is in the journal")


def _tag(request: TagStudy, asked: Asked, state: StudyState) -> Decided:
    has, wanted = state.steering.tags, dict.fromkeys(request.tags)
    changed = [tag for tag in wanted if (tag in has) != request.tagged]
    if request.tagged and len(has) + len(changed) > MOST_TAGS:
        raise InputError(
            f"tags: a study has at most {MOST_TAGS}, and this one has {len(has)}; take some away with --undo first"
        )
    if not changed:
        words = (
            "has these tags already" if request.tagged else f"has none of these tags{nearest(next(iter(wanted)), has)}"
        )
        return Decided(record=None, text=f"the study {words}")
    record = StudyTagged(request=asked.request_id, tags=changed, tagged=request.tagged, at=asked.at)
    left = [*has, *changed] if request.tagged else [tag for tag in has if tag not in changed]
    return Decided(record=record, text=f"the study has the tags {', '.join(left)}" if left else "the study has no tag")


def _add(params: Mapping[str, Any], asked: Asked, state: StudyState, *, spec: "StudySpec") -> Decided:
    variant = _variant_of(params, spec=spec)
    trials = list(state.trials.values())
    if twin := next((trial for trial in trials if trial.variant == variant), None):
        raise InputError(f"params: {twin.name} has this variant already; change a value")
    if variant.variant_id in state.steering.waiting:
        raise InputError("params: somebody asked for this variant before, and it is tried next; change a value")
    num_proposed = sum(trial.is_of_search for trial in trials) + len(state.steering.waiting)
    if num_proposed >= spec.num_proposed:
        has_population, count = spec.schedule.has_population, spec.num_proposed
        key = "schedule.population" if has_population else "search.trials"
        more = f"pause it, and resume it with --set search.trials={count + 1}"
        raise InputError(
            f"{key}: the study has proposed all of its {count:,} trials, and an added variant takes the place of one; "
            + ("add variants before that" if has_population else more)
        )
    record = VariantAsked(request=asked.request_id, variant=variant.to_json(), at=asked.at)
    text = "the variant is tried before those that the search proposes, as one of the study's"
    return Decided(record=record, text=f"{text} {spec.num_proposed:,} trials")


def _variant_of(params: Mapping[str, Any], *, spec: "StudySpec") -> Variant:
    # Late: it brings the catalogue of families, which only a driver needs.
    from orchestrator.study.checks import with_fixed

    values = with_fixed(params, spec.space)
    if problems := spec.space.validate(values):
        raise InputError(str(space_error(problems)))
    return make_variant(spec.space, values, seed=spec.seed)
