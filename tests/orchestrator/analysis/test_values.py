"""Trials are compared at an epoch that all of them reached, if values there say something about later ones."""

from dataclasses import replace

import numpy as np
import pytest
from known_effects import by_learning_rate, curves_of, made, made_records
from made_studies import Curve

from orchestrator.analysis.values import compared_trials, kept_order
from orchestrator.journal.records import TrialStopped
from orchestrator.journal.study_state import fold


def rising(end, *, epochs=6, **more):
    return Curve(validation=[end * (1 - 0.5**epoch) for epoch in range(1, epochs + 1)], **more)


def values_of(state):
    compared = compared_trials(state)
    return {trial.name: compared.sign * score for trial, score in zip(compared.trials, compared.scores, strict=True)}


def test_without_stopped_trials_each_counts_with_its_best_value():
    state = made([rising(0.8), Curve(validation=[0.2, 0.7, 0.6, 0.1])])
    assert compared_trials(state).epoch is None
    assert values_of(state) == {"t0000": 0.8 * (1 - 0.5**6), "t0001": 0.7}


def test_all_count_at_the_first_epoch_at_which_one_was_stopped():
    early, late = rising(0.4, epochs=2, is_stopped=True), rising(0.5, epochs=3, is_stopped=True)
    state = made([rising(0.8), early, late, rising(0.9)])
    compared = compared_trials(state)
    assert compared.epoch == 2
    assert values_of(state) == pytest.approx({"t0000": 0.6, "t0001": 0.3, "t0002": 0.375, "t0003": 0.675})
    assert compared.notes == [
        "values are the best up to epoch 2, the first at which the scheduler stopped a trial; "
        "too few trials went on to say whether their order stays"
    ]


def test_what_ended_by_itself_before_that_epoch_keeps_its_best_value():
    state = made([rising(0.8), rising(0.4, epochs=3, is_stopped=True), Curve(validation=[0.3])])
    assert values_of(state)["t0002"] == 0.3


def test_what_still_trains_counts_once_it_came_so_far():
    records = made_records([rising(0.8), rising(0.4, epochs=2, is_stopped=True), rising(0.7), rising(0.6)])
    ends = {"t0002": 2, "t0003": 1}
    left = [
        record
        for record in records
        if not hasattr(record, "report") or record.report["epoch"] <= ends.get(record.trial, 6)
    ]
    assert set(values_of(fold(left))) == {"t0000", "t0001", "t0002"}


def test_what_a_budget_ended_was_not_stopped_as_weak():
    records = made_records([rising(0.8), rising(0.7), rising(0.4, epochs=1, is_stopped=True)])
    reason = "search.minutes: stopped after epoch 1, as the 10 minutes of the study were over"
    records = [replace(item, reason=reason) if isinstance(item, TrialStopped) else item for item in records]
    assert compared_trials(fold(records)).epoch is None
    assert set(values_of(fold(records))) == {"t0000", "t0001"}


def test_early_values_that_say_nothing_of_later_ones_count_for_nothing():
    crossing = [Curve(validation=[0.1 * place, 0.5, 0.9 - 0.1 * place]) for place in range(8)]
    compared = compared_trials(made([*crossing, Curve(validation=[0.0], is_stopped=True)], max_epochs=3))
    assert compared.epoch is None
    assert len(compared.trials) == 8
    (note,) = compared.notes
    assert note.startswith(
        "1 trials that the scheduler stopped do not count: values at epoch 1 say too little of later"
    )


def test_pairs_that_are_equal_say_nothing_of_their_order():
    assert kept_order([[0.5, 0.6], [0.5, 0.7], [0.6, 0.6], [0.4, 0.65]], epoch=1) == pytest.approx(1 / 4)
    assert kept_order([[0.5, 0.6], [0.5, 0.7]], epoch=1) is None


def test_the_share_of_pairs_that_kept_their_order_is_said():
    compared = compared_trials(made(curves_of(by_learning_rate, count=30, stopped=0.5)))
    assert compared.notes[0].endswith("100 % of pairs of trials that went on kept their order")


def test_far_worse_values_count_as_the_fence():
    state = made([*(rising(0.5 + 0.01 * place) for place in range(20)), Curve(validation=[-1e9])])
    compared = compared_trials(state)
    assert compared.scores.min() > 0.3
    assert np.isclose(compared.scores.max(), 0.69 * (1 - 0.5**6))
    assert compared.notes == [f"1 values below {compared.scores.min():.4g} count as {compared.scores.min():.4g}"]
