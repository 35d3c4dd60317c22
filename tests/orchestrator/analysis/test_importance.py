"""Importance finds what decides the objective, says how sure it is, and says in words where there is nothing to say."""

import math
import random
from dataclasses import replace

import numpy as np
import pytest
from known_effects import NOISE, by_learning_rate, curves_of, made, made_records, mirrored

from orchestrator.analysis.analysis import analysis_json, analysis_of
from orchestrator.analysis.importance import importance_of
from orchestrator.analysis.parameters import columns_of
from orchestrator.analysis.values import compared_trials
from orchestrator.journal.records import TrialFailed, TrialProposed
from orchestrator.journal.study_state import fold


def importance(state):
    compared = compared_trials(state)
    return importance_of(compared, columns_of(compared.trials), seed=state.header.seed)


def by_name(state):
    return {item.name: item for item in importance(state).parameters}


@pytest.fixture(scope="module")
def curves():
    return curves_of(by_learning_rate, count=60, stopped=0.4)


@pytest.fixture(scope="module")
def found(curves):
    return importance(made(curves))


def test_the_parameter_that_decides_comes_first_and_the_others_may_be_chance(found):
    first, *others = found.parameters
    assert first.name == "learning_rate"
    assert first.is_clear
    assert first.share > 0.5
    assert found.explained > 0.5
    assert {item.name for item in others} >= {"dropout", "filters", "batch_norm", "optimizer", "depth", "momentum"}
    for item in others:
        assert item.low < 0.03, item
        assert item.share < 0.1, item


def test_an_interval_holds_its_share_and_all_of_it_lies_between_0_and_1(found):
    for item in found.parameters:
        assert 0.0 <= item.low <= item.share <= item.high <= 1.0


def test_options_of_every_kind_can_be_what_decides():
    worth = {"1": 0.5, "'1'": 0.9, "True": 0.1, "None": 0.3}
    state = made(curves_of(lambda params: worth[repr(params["depth"])], count=60))
    assert importance(state).parameters[0].name == "depth"
    state = made(curves_of(lambda params: 0.4 + 0.4 * params["batch_norm"], count=60))
    assert importance(state).parameters[0].name == "batch_norm"


def test_a_conditional_parameter_is_judged_where_it_is_active_alone():
    state = made(curves_of(lambda params: 4 * (params.get("momentum", 0.9) - 0.8), count=80))
    active = sum("momentum" in trial.variant.params for trial in state.trials.values())
    momentum = by_name(state)["momentum"]
    assert (momentum.is_conditional, momentum.num_trials) == (True, active)
    assert momentum.share > 0.5
    others = [item for name, item in by_name(state).items() if name != "momentum"]
    assert {(item.is_conditional, item.num_trials) for item in others} == {(False, 80)}


def test_a_conditional_parameter_of_few_trials_has_words_and_comes_last():
    state = made(curves_of(by_learning_rate, count=30))
    last = importance(state).parameters[-1]
    active = sum("momentum" in trial.variant.params for trial in state.trials.values())
    assert active < 20
    assert (last.name, last.share, last.low, last.high) == ("momentum", None, None, None)
    assert last.reason == f"too few: {active} trials with a value, at least 20 are needed"


def test_two_parameters_that_matter_only_together_are_both_found():
    def together(params):
        away = math.log10(params["learning_rate"]) + 2.5
        return 0.5 + 0.2 * (away if params["batch_norm"] else -away)

    first, second, *_ = importance(made(curves_of(together, count=40, noise=0.02))).parameters
    assert {first.name, second.name} == {"learning_rate", "batch_norm"}
    assert first.is_clear
    assert second.is_clear


def test_the_order_of_the_trials_changes_nothing(curves):
    header, session, *records = made_records(curves)
    blocks = {}
    for record in records:
        blocks.setdefault(record.trial, []).append(record)
    shuffled = list(blocks.values())
    random.Random(3).shuffle(shuffled)
    names = {block[0].trial: f"t{place:04d}" for place, block in enumerate(shuffled)}
    moved = [
        replace(record, trial=names[record.trial])
        if not isinstance(record, TrialProposed)
        else replace(record, trial=names[record.trial], number=int(names[record.trial][1:]))
        for block in shuffled
        for record in block
    ]
    first, second = analysis_of(fold([header, session, *records])), analysis_of(fold([header, session, *moved]))
    for name in ("importance", "effects", "pair", "notes", "num_trials"):
        assert getattr(first, name) == getattr(second, name)


def test_the_lowest_of_mirrored_values_is_the_highest(curves):
    records = made_records(curves)
    highest, lowest = analysis_of(fold(records)), analysis_of(fold(mirrored(records)))
    assert lowest.mode == "min"
    assert lowest.importance == highest.importance
    assert lowest.savings.num_close == highest.savings.num_close
    for one, other in zip(highest.effects, lowest.effects, strict=True):
        assert [item.mean for item in one.bins] == [-item.mean for item in other.bins]
        assert [item.best for item in one.bins] == [-item.best for item in other.bins]
    assert [step.value for step in highest.steps] == [-step.value for step in lowest.steps]


def test_the_scale_of_a_range_does_not_matter(curves):
    def squared(curve):
        return replace(curve, params={**curve.params, "learning_rate": curve.params["learning_rate"] ** 2})

    shares = [
        {name: item.share for name, item in by_name(made(list(study))).items()}
        for study in (curves, map(squared, curves))
    ]
    # The trials have other ids, and so other partners.
    assert shares[0] == pytest.approx(shares[1], abs=0.1)


@pytest.mark.parametrize(
    ("count", "stop", "reason"),
    [
        (0, 0.0, "too few: 0 trials with a value, at least 20 are needed"),
        (19, 0.0, "too few: 19 trials with a value, at least 20 are needed"),
    ],
)
def test_few_trials_give_words_and_no_numbers(count, stop, reason):
    analysis = analysis_of(made(curves_of(by_learning_rate, count=count, stopped=stop)))
    assert analysis.importance.reason == reason
    assert (analysis.importance.parameters, analysis.effects, analysis.pair) == ((), [], None)


def test_equal_values_give_words_and_no_numbers():
    analysis = analysis_of(made(curves_of(lambda params: 0.5, count=30, noise=0.0)))
    assert analysis.importance.reason == "all 30 trials have the same value, 0.4922"
    assert (analysis.importance.parameters, analysis.effects, analysis.pair) == ((), [], None)


def test_trials_that_failed_do_not_count(curves):
    records = made_records(curves)
    failed = {f"t{number:04d}" for number in range(0, 60, 5)}
    ends = {
        name: max(place for place, item in enumerate(records) if getattr(item, "trial", "") == name) for name in failed
    }
    for name, place in sorted(ends.items(), key=lambda item: -item[1]):
        last = records[place]
        records.insert(place + 1, TrialFailed(trial=name, kind="diverged", reason="nan", at=last.at))
    without = [record for record in records if getattr(record, "trial", "") not in failed]
    assert importance(fold(records)) == importance(fold(without))
    assert len(compared_trials(fold(records)).trials) == 48


def test_a_few_terrible_values_hide_nothing(curves):
    terrible = [replace(curve, validation=[-1e6] * 6, is_stopped=False) for curve in curves[:3]]
    analysis = analysis_of(made([*terrible, *curves[3:]]))
    assert analysis.importance.parameters[0].name == "learning_rate"
    assert any("count as" in note for note in analysis.notes)
    assert all(abs(item.mean) < 1 for effect in analysis.effects for item in effect.bins)


def numbers_in(content):
    if isinstance(content, dict):
        return [number for value in content.values() for number in numbers_in(value)]
    if isinstance(content, list | tuple):
        return [number for value in content for number in numbers_in(value)]
    return [content] if isinstance(content, float) else []


def test_no_number_is_infinite_or_missing(curves):
    content = analysis_json(analysis_of(made(curves)))
    assert len(numbers_in(content)) > 100
    assert all(map(math.isfinite, numbers_in(content)))


def test_intervals_hold_what_is_true_in_simulated_studies():
    """Of 15 studies: 0 for parameters without effect, and the share that the learning rate has."""
    is_held, is_held_strong, is_first = [], [], []
    values = [by_learning_rate({"learning_rate": 10**power}) for power in np.linspace(-4, -1, 3001)]
    true_share = np.var(values) / (np.var(values) + NOISE**2)
    for seed in range(15):
        items = by_name(made(curves_of(by_learning_rate, count=40, seed=100 + seed)))
        strong = items.pop("learning_rate")
        is_held += [item.low < 0.005 for item in items.values() if item.share is not None]
        is_held_strong.append(strong.low <= true_share <= strong.high)
        is_first.append(all((item.share or 0) < strong.share for item in items.values()))
    assert np.mean(is_held) >= 0.9
    assert np.mean(is_held_strong) >= 0.8
    assert all(is_first)
