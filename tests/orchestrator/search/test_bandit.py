"""The values that a trial goes on with, under `pb2`: those that have gained most, and lately, in the trials so far."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_journals import report

from orchestrator.journal.records import (
    EpochReported,
    Record,
    SessionStarted,
    StudyOpened,
    TrialProposed,
    TrialReplaced,
)
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.search.bandit import MIN_STRETCHES, changing, informed, stretches
from orchestrator.search.perturbation import perturbed
from orchestrator.search.surrogate import ForgettingSurrogate, scores_of
from orchestrator.search.unit_cube import place_of
from orchestrator.study.loading import parse_study
from orchestrator.study.spec import StudySpec

Gain = Callable[[float, int], float]


def study(mode: str = "max", **params: Any) -> StudySpec:
    space = {"learning_rate": {"float": [1e-4, 1.0], "log": True}, "filters": {"choice": [4, 8]}, **params}
    return parse_study(
        {
            "name": "s",
            "data": {"source": "digits"},
            "space": {"family": "sequential", "params": space},
            "objective": {"metric": "val_loss" if mode == "min" else "val_accuracy", "mode": mode},
            "search": {"trials": 40},
            "schedule": {"algorithm": "pb2", "max_epochs": 20, "interval_epochs": 2, "population": 16},
        },
        base=Path(),
    )


def opening() -> list[Record]:
    opened = StudyOpened(
        schema=2, study="s", seed=0, metric="val_accuracy", mode="max", max_epochs=20, num_trials=40, at=0.0
    )
    return [opened, SessionStarted(driver_pid=1, slots=1, at=0.5)]


def proposed(number: int, place: float, **params: Any) -> TrialProposed:
    values = {"learning_rate": 1e-4 * 1e4**place, "filters": 4, **params}
    variant = {"family": "sequential", "params": values, "seed": 7}
    return TrialProposed(trial=f"t{number:04d}", number=number, variant=variant, at=1.0)


def reported(name: str, epoch: int, value: float) -> EpochReported:
    return EpochReported(trial=name, report=report(epoch, value, max_epochs=20), worker={}, at=2.0)


def replaced(number: int, variant: dict[str, Any]) -> TrialReplaced:
    """A trial in the place of t0001 that goes on from t0000 after epoch 4."""
    return TrialReplaced(
        trial=f"t{number:04d}",
        number=number,
        variant=variant,
        parent="t0000",
        from_epoch=4,
        replaces="t0001",
        epoch=4,
        reason="pb2: weak",
        at=9.0,
    )


def trained(gain: Gain, *, count: int = 16, epochs: int = 6, seed: int = 0, noise: float = 0.01) -> list[Record]:
    """Trials at drawn learning rates, each of which gains by its place on the axis, and by when."""
    random = np.random.default_rng(seed)
    records = opening()
    for number in range(count):
        place = float(random.random())
        records.append(proposed(number, place))
        value = 0.1
        for epoch in range(1, epochs + 1):
            value += gain(place, epoch) / 2 + noise * float(random.normal()) / 2
            records.append(reported(f"t{number:04d}", epoch, value))
    return records


def place_chosen(state: StudyState, *, spec: StudySpec, seed: int, parent: str = "t0000") -> float:
    trial = state.trials[parent]
    found = informed(trial, epoch=trial.epoch, state=state, spec=spec, seed=seed)
    assert found is not None
    assert found.variant.params["filters"] == 4  # the weights' shape stays
    assert list(found.before) == ["learning_rate"]
    return place_of(spec.space.parameter("learning_rate").domain, found.variant.params["learning_rate"])


@pytest.mark.parametrize("good", [0.2, 0.5, 0.8])
def test_values_that_gained_most_are_gone_on_with(good: float) -> None:
    chosen = []
    for seed in range(5):
        state = fold(trained(lambda place, _: 0.1 - 0.4 * (place - good) ** 2, seed=seed))
        chosen.append(place_chosen(state, spec=study(), seed=seed))
    assert abs(float(np.median(chosen)) - good) < 0.15, chosen


def test_what_is_good_for_a_metric_to_be_small_falls() -> None:
    chosen = []
    for seed in range(5):
        # val_loss is 1 - value in these reports.
        state = fold(trained(lambda place, _: 0.05 - 0.4 * (place - 0.3) ** 2, seed=seed))
        chosen.append(place_chosen(state, spec=study("min"), seed=seed))
    assert abs(float(np.median(chosen)) - 0.3) < 0.15, chosen


def test_what_gained_long_ago_counts_for_little() -> None:
    def gain(place: float, epoch: int) -> float:
        # A high rate was good at first; now a low one is.
        return 0.1 - 0.4 * (place - (0.85 if epoch <= 12 else 0.15)) ** 2

    chosen = [place_chosen(fold(trained(gain, epochs=18, seed=seed)), spec=study(), seed=seed) for seed in range(5)]
    assert float(np.median(chosen)) < 0.4, chosen


def test_a_kernel_forgets_by_the_same_share_in_each_unit_of_time() -> None:
    features = np.random.default_rng(0).random((12, 3)) * [4, 1, 1]
    process = ForgettingSurrogate(features, scores_of([float(row.sum()) for row in features]))
    likeness = process._likeness(3)
    apart = np.array([[0.0, 0.2, 0.4], [1.0, 0.2, 0.4], [2.0, 0.2, 0.4], [5.0, 0.2, 0.4], [0.0, 0.9, 0.4]])
    found = likeness(apart)[0]
    share = 1 - found[1]
    np.testing.assert_allclose(found[:4], (1 - share) ** np.array([0, 1, 2, 5]), rtol=1e-6)
    assert 0 < share < 1
    assert found[0] == 1
    assert found[4] < 1


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_with_too_few_stretches_values_change_as_under_pbt(epochs: int) -> None:
    spec = study()
    state = fold(trained(lambda place, _: place, count=MIN_STRETCHES, epochs=epochs))
    trial = state.trials["t0001"]
    found = informed(trial, epoch=trial.epoch, state=state, spec=spec, seed=11)
    assert found == perturbed(trial.variant, space=spec.space, random=np.random.default_rng([spec.seed, 11]))


def test_a_stretch_begins_with_what_was_inherited_and_counts_for_the_trial_that_trained_it() -> None:
    spec = study()
    records: list[Record] = [
        *opening(),
        proposed(0, 0.5),
        proposed(1, 0.75),
        *(reported("t0000", epoch, 0.1 * epoch) for epoch in range(1, 5)),
        *(reported("t0001", epoch, 0.05) for epoch in range(1, 5)),
    ]
    records.append(replaced(2, dict(proposed(2, 0.25).variant)))
    names = changing(fold(records).trials["t0000"].variant, spec=spec)
    assert names == ["learning_rate"]

    def found(more: list[Record]) -> list[tuple[tuple[float, ...], float | None]]:
        seen = stretches(fold([*records, *more]), spec=spec, family="sequential", names=names)
        rounded = [(tuple(round(x, 6) for x in each.features), each.gain) for each in seen]
        return [(features, None if gain is None else round(gain, 6)) for features, gain in rounded]

    first = [((2.0, 0.2, 0.5), 0.2), ((3.0, 0.4, 0.5), None), ((2.0, 0.05, 0.75), 0.0)]
    assert found([]) == [*first, ((3.0, 0.4, 0.25), None)]
    more = [reported("t0002", epoch, 0.4 + 0.1 * (epoch - 4)) for epoch in (5, 6)]
    assert found(more) == [*first, ((3.0, 0.4, 0.25), 0.2), ((4.0, 0.6, 0.25), None)]


def test_two_that_go_on_one_after_the_other_do_not_go_on_alike() -> None:
    spec = study()
    records = trained(lambda place, _: 0.1 - 0.1 * (place - 0.5) ** 2, count=6, epochs=4, noise=0.05)
    alone, beside = [], []
    for seed in range(6):
        first = informed(fold(records).trials["t0000"], epoch=4, state=fold(records), spec=spec, seed=seed)
        assert first is not None
        child = replaced(6, first.variant.to_json())
        place = place_of(spec.space.parameter("learning_rate").domain, first.variant.params["learning_rate"])
        # Drawn from the same values, so that what differs is what the first one leaves to find out.
        alone.append(abs(place_chosen(fold(records), spec=spec, seed=seed + 100) - place))
        beside.append(abs(place_chosen(fold([*records, child]), spec=spec, seed=seed + 100) - place))
    assert np.mean(beside) > np.mean(alone)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 1000), decay=st.sampled_from([0.0, 1e-4]))
def test_equal_states_have_equal_values_within_the_space_and_no_zero_comes_or_goes(seed: int, decay: float) -> None:
    spec = study(weight_decay={"choice": [0.0, 1e-5, 1e-4, 1e-3]})
    records = [
        record
        if not isinstance(record, TrialProposed)
        else proposed(record.number, 0.1 + 0.05 * record.number, weight_decay=decay)
        for record in trained(lambda place, _: place, count=8, epochs=6, seed=seed)
    ]
    state = fold(records)
    found = [informed(state.trials["t0003"], epoch=6, state=fold(records), spec=spec, seed=seed) for _ in range(2)]
    assert found[0] == found[1] is not None
    params = found[0].variant.params
    assert all(spec.space.parameter(name).domain.contains(params[name]) for name in ("learning_rate", "weight_decay"))
    assert (params["weight_decay"] == 0) == (decay == 0)
