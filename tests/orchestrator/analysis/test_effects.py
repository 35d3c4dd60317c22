"""Effects are the means of the objective by value, with Student's interval; two parameters together are a table."""

import numpy as np
import pytest
from known_effects import by_learning_rate, curves_of, made
from scipy import stats

from orchestrator.analysis.analysis import analysis_of
from orchestrator.analysis.values import compared_trials


@pytest.fixture(scope="module")
def state():
    return made(curves_of(by_learning_rate, count=60))


@pytest.fixture(scope="module")
def analysis(state):
    return analysis_of(state)


def effect(analysis, name):
    return next(item for item in analysis.effects if item.parameter == name)


def test_effects_come_in_the_order_of_importance(analysis):
    assert [item.parameter for item in analysis.effects] == [
        item.name for item in analysis.importance.parameters if item.share is not None
    ]


def test_every_trial_with_the_parameter_is_in_one_bin(state, analysis):
    for item in analysis.effects:
        active = sum(item.parameter in trial.variant.params for trial in state.trials.values())
        assert sum(part.num_trials for part in item.bins) == active
        assert item.is_conditional == (active < 60)


def test_bins_of_numbers_ascend_and_have_about_equally_many_trials(analysis):
    bins = effect(analysis, "learning_rate").bins
    ends = [end for part in bins for end in part.values]
    assert ends == sorted(ends)
    assert [part.num_trials for part in bins] == [12] * 5
    assert [part.values for part in effect(analysis, "filters").bins] == [(8, 8), (16, 16), (32, 32), (64, 64)]


def test_a_bin_has_the_mean_of_its_trials_and_its_interval(state, analysis):
    compared = compared_trials(state)
    for part in effect(analysis, "filters").bins:
        own = [
            score
            for trial, score in zip(compared.trials, compared.scores, strict=True)
            if trial.variant.params["filters"] == part.values[0]
        ]
        expected = stats.t.interval(0.95, len(own) - 1, np.mean(own), stats.sem(own))
        assert part.mean == pytest.approx(np.mean(own))
        assert (part.low, part.high) == pytest.approx(expected)
        assert part.best == max(own)


def test_the_best_bin_is_where_the_objective_is_highest(analysis):
    best = max(effect(analysis, "learning_rate").bins, key=lambda part: part.mean)
    assert best.values[0] < 10**-2 < best.values[1] * 2


def test_values_that_look_alike_have_labels_that_differ(analysis):
    labels = [part.label for part in effect(analysis, "depth").bins]
    assert sorted(labels) == ["'1'", "1", "None", "True"]


def test_a_value_of_a_single_trial_has_no_interval():
    curves = curves_of(by_learning_rate, count=25)
    for place, curve in enumerate(curves):
        curve.params["filters"] = 8 if place == 3 else 16
    lone = effect(analysis_of(made(curves)), "filters").bins[0]
    assert (lone.num_trials, lone.low, lone.high) == (1, None, None)


def test_the_pair_is_of_the_two_most_important_and_holds_every_trial():
    analysis = analysis_of(made(curves_of(lambda params: by_learning_rate(params) + params["dropout"], count=60)))
    pair = analysis.pair
    assert pair.parameters == ("dropout", "learning_rate")
    assert sum(map(sum, pair.num_trials)) == 60
    cells = []
    for means, counts in zip(pair.means, pair.num_trials, strict=True):
        assert len(means) == len(pair.columns)
        assert [mean is None for mean in means] == [count == 0 for count in counts]
        cells += [mean * count for mean, count in zip(means, counts, strict=True) if count]
    assert sum(cells) == pytest.approx(sum(part.mean * part.num_trials for part in effect(analysis, "dropout").bins))
