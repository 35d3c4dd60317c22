"""New trials: numbers by the search's order, whoever begins them when; nothing twice, nothing lost by a resume."""

from types import SimpleNamespace
from typing import Any

import pytest
from driven_studies import opened_of
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.journal.records import SessionStarted, TrialStarted
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.study.spec import StudySpec
from orchestrator.tuning.proposals.new_trials import LOOK_AHEAD, NewTrials, look_ahead_of
from search_spaces import Variant, make_variant, space_from_mapping

PARAMS = {
    "num_blocks": {"choice": [1, 2]},
    "filters": {"choice": [4, 8, 16]},
    "learning_rate": {"choice": [0.1, 0.01, 0.001]},
}
NUM_VARIANTS = 18
#: A variant that a study looks ahead to from its first, and not the last of these.
ASKED = {"family": "sequential", "num_blocks": 2, "filters": 4, "learning_rate": 0.01}


def study(algorithm: str, *, trials: int = NUM_VARIANTS, schedule: str = "none", **search: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "s",
            "seed": 7,
            "data": {"source": "digits"},
            "space": space_from_mapping({"family": "sequential", "params": PARAMS}),
            "search": {"algorithm": algorithm, "trials": trials, "start_with": "none", **search},
            "schedule": {"algorithm": schedule, "max_epochs": 2},
        }
    )


class Session:
    """A driver's part in new trials, on a journal in memory."""

    def __init__(self, spec: StudySpec, state: StudyState | None = None, *, look_ahead: int = LOOK_AHEAD) -> None:
        if state is None:
            state = StudyState()
            state.apply(opened_of(spec))
            state.apply(SessionStarted(driver_pid=1, slots=2, at=0.0))
        self.state, self.is_over = state, False
        proposer = Proposer(spec)
        proposer.remember(state.trials.values())
        recorder: Any = SimpleNamespace(
            state=state, append=state.apply, now=lambda: 1.0, trial=lambda name: state.trials[name]
        )
        self.new = NewTrials(
            proposer,
            recorder=recorder,
            is_over=lambda: self.is_over,
            num_trials=spec.num_proposed,
            look_ahead=look_ahead,
            waiting=[trial for trial in state.unfinished if not trial.started_at],
        )

    def begin(self) -> Trial | None:
        trial = self.new.next()
        if trial is not None:
            self.state.apply(TrialStarted(trial=trial.name, at=1.0))
            self.new.begin(trial)
        return trial

    def end(self, trial: Trial, *, worker: int) -> None:
        trial.worker = {"node": "n", "worker_pid": worker}
        self.new.end(trial)

    def ask(self, variant: Variant) -> None:
        self.state.steering.waiting["asked"] = variant

    @property
    def variants(self) -> dict[str, Variant]:
        return {trial.name: trial.variant for trial in self.state.trials.values()}


def in_order(spec: StudySpec) -> dict[str, Variant]:
    session = Session(spec, look_ahead=1)
    while session.begin():
        pass
    return session.variants


@pytest.mark.parametrize("algorithm", ["grid", "random", "sobol"])
@given(data=st.data())
def test_trials_are_those_of_the_search_in_order_whoever_begins_them_and_after_any_resume(
    algorithm: str, data: st.DataObject
) -> None:
    spec = study(algorithm, trials=data.draw(st.integers(1, NUM_VARIANTS), "trials"))
    look_ahead = data.draw(st.sampled_from([2, 5, LOOK_AHEAD]), "look ahead")
    session, at_work, begun = Session(spec, look_ahead=look_ahead), dict[int, Trial](), list[str]()
    while True:
        move = data.draw(st.sampled_from(["begin", "end", "resume"]), "move")
        free = next(worker for worker in range(9) if worker not in at_work)
        if move == "begin" and len(at_work) < 4:
            trial = session.begin()
            if trial is None:
                break
            begun.append(trial.name)
            at_work[free] = trial
        elif move == "end" and at_work:
            worker = data.draw(st.sampled_from(sorted(at_work)), "worker")
            session.end(at_work.pop(worker), worker=worker)
        elif move == "resume":
            session, at_work = Session(spec, session.state, look_ahead=look_ahead), {}
        elif len(at_work) == 4:
            session.end(at_work.pop(0), worker=0)
    assert sorted(begun) == sorted(set(begun)) == sorted(session.variants)
    assert session.variants == in_order(spec)


def test_a_worker_goes_on_with_what_it_has_traced_and_what_was_passed_over_waits_under_its_own_number() -> None:
    session = Session(study("grid"))
    first, second = session.begin(), session.begin()
    assert first is not None
    assert second is not None
    # The first three differ in their learning rates alone, the next six in filters: another worker takes two blocks.
    assert (first.name, second.name) == ("t0000", "t0009")
    assert list(session.state.trials) == [f"t{number:04}" for number in range(10)]
    assert second.variant.params["num_blocks"] == 2
    session.end(first, worker=1)
    third = session.begin()
    assert third is not None
    assert third.name == "t0001"
    session.end(second, worker=2)
    fourth = session.begin()
    assert fourth is not None
    assert fourth.name == "t0010"


def test_what_a_person_asks_for_comes_next_and_is_not_proposed_again() -> None:
    spec = study("grid")
    session = Session(spec)
    session.begin()
    # It was drawn already, and is in no journal.
    asked = make_variant(spec.space, ASKED, seed=spec.seed)
    session.ask(asked)
    trial = session.begin()
    assert trial is not None
    assert trial.variant == asked
    session.state.steering.waiting.clear()
    while session.begin():
        pass
    ids = [variant.variant_id for variant in session.variants.values()]
    assert len(ids) == len(set(ids)) == NUM_VARIANTS
    assert session.variants == in_order(spec), "it has the number that it would have had"


@pytest.mark.parametrize("algorithm", ["grid", "random", "sobol"])
@given(data=st.data())
def test_a_resume_after_somebody_asked_goes_on_with_the_same_variants(algorithm: str, data: st.DataObject) -> None:
    spec = study(algorithm, trials=data.draw(st.integers(3, 15), "trials"))
    values = {name: data.draw(st.sampled_from(item["choice"]), name) for name, item in PARAMS.items()}
    asked = make_variant(spec.space, {"family": "sequential", **values}, seed=spec.seed)
    before, after = data.draw(st.integers(0, 2), "before"), data.draw(st.integers(0, 5), "after")

    def ended(*, is_resumed: bool) -> dict[str, Variant]:
        session = Session(spec)
        for _ in range(before):
            session.begin()
        has_room = len(session.state.trials) < spec.num_trials
        if has_room and asked not in session.variants.values():
            session.ask(asked)
            trial = session.begin()
            assert trial is not None
            assert trial.variant == asked
            session.state.steering.waiting.clear()
        for _ in range(after):
            session.begin()
        if is_resumed:
            session = Session(spec, session.state)
        while session.begin():
            pass
        return session.variants

    variants = ended(is_resumed=False)
    assert ended(is_resumed=True) == variants
    assert len(variants) == len({variant.variant_id for variant in variants.values()}) == spec.num_trials


def test_a_study_with_room_for_few_takes_no_more_with_what_a_person_asks_for() -> None:
    spec = study("grid", trials=4)
    session = Session(spec)
    session.begin()
    session.ask(make_variant(spec.space, ASKED, seed=spec.seed))
    session.begin()
    session.state.steering.waiting.clear()
    while session.begin():
        pass
    assert len(session.state.trials) == 4


def test_no_trial_begins_once_a_budget_is_used_up_but_the_first() -> None:
    session = Session(study("random"), look_ahead=1)
    session.is_over = True
    assert session.begin() is not None
    assert session.begin() is None
    assert list(session.state.trials) == ["t0000"]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (study("grid"), LOOK_AHEAD),
        (study("random"), LOOK_AHEAD),
        (study("tpe"), 1),
        (study("grid", minutes=5), 1),
        (study("random", target=0.9), 1),
        (study("random", prior={"filters": 8}), 1),
        (study("grid", schedule="asha"), 1),
        (study("sobol", schedule="median"), 1),
    ],
    ids=["grid", "random", "tpe", "minutes", "target", "prior", "asha", "median"],
)
def test_workers_choose_only_where_nothing_follows_from_the_order(spec: StudySpec, expected: int) -> None:
    assert look_ahead_of(spec, learns=Proposer(spec).learns) == expected
