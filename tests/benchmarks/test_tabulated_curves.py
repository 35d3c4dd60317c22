"""The tables of real learning curves are whole, and studies simulated on them keep to their rules."""

import json

import numpy as np
import pytest
import tabulated_curves
from curve_table import TABLES, CurveTable, final_value, read_table, write_table
from tabulated_curves import RULES

from orchestrator.study.loading import load_study

NAMES = sorted(path.stem for path in TABLES.glob("*.parquet"))
SEEDS = range(6)
TRAININGS = 10


@pytest.fixture(scope="module")
def digits() -> CurveTable:
    return read_table("digits")


@pytest.mark.parametrize("name", NAMES)
def test_a_table_holds_whole_curves_of_different_variants_of_its_space(name: str) -> None:
    table = read_table(name)
    space = load_study({"name": "s", "data": {"source": "digits"}, "space": table.study["space"]}).space
    for curve in table.curves:
        assert space.validate({"family": curve.variant.family, **curve.variant.params}) == []
        assert bool(curve.failure) != (len(curve.values) == table.num_epochs)
        assert len(curve.seconds) == len(curve.values)
        assert all(0 <= value <= 1 for value in curve.values)
        assert all(seconds > 0 for seconds in curve.seconds)
    assert len({curve.variant.variant_id for curve in table.curves}) == len(table.curves)
    assert table.study["schedule"]["algorithm"] == "none"
    assert (TABLES / f"{name}.parquet").stat().st_size < 200_000


def test_a_table_that_is_written_is_read_back_alike(digits: CurveTable, monkeypatch, tmp_path) -> None:
    write_table(digits, tmp_path / "digits.parquet")
    monkeypatch.setattr("curve_table.TABLES", tmp_path)
    again = read_table("digits")
    assert again.curves == digits.curves
    assert json.dumps([again.study, again.made]) == json.dumps([digits.study, digits.made])


@pytest.mark.parametrize("rule", RULES)
def test_equal_seeds_give_equal_studies_whose_leaders_are_trials_of_the_table(digits, rule) -> None:
    finals = {final_value(curve) for curve in digits.curves}
    for seed in SEEDS:
        one, other = (
            tabulated_curves.played(digits, rule=rule, seed=seed, slots=2, trainings=TRAININGS) for _ in range(2)
        )
        assert one == other
        assert {value for _, value in one.leaders} <= finals
        spent = [at for at, _ in one.leaders]
        assert spent == sorted(spent)


@pytest.mark.parametrize("slots", [2, 8])
def test_within_one_budget_every_rule_tries_more_variants_than_none_and_ends_fewer(digits, slots) -> None:
    found = {
        rule: [
            tabulated_curves.played(digits, rule=rule, seed=seed, slots=slots, trainings=TRAININGS) for seed in SEEDS
        ]
        for rule in RULES
    }
    begun = {rule: np.mean([item.num_trials for item in items]) for rule, items in found.items()}
    ended = {rule: np.mean([item.num_ended for item in items]) for rule, items in found.items()}
    for rule in set(RULES) - {"none"}:
        assert begun[rule] > begun["none"], rule
        assert ended[rule] < ended["none"], rule
    # Equal budgets: what ends of trials that none stops is what the budget pays for, and the trials under way.
    assert TRAININGS - slots <= ended["none"] <= begun["none"] <= TRAININGS + 2 * slots


@pytest.mark.parametrize("algorithm", ["random", "tpe", "bohb"])
def test_a_searcher_takes_each_variant_of_the_table_once(digits, algorithm) -> None:
    chooser = tabulated_curves._Chooser(digits, algorithm=algorithm, seed=3)
    setup = digits.setup(rule={"algorithm": "asha"}, seed=3, slots=4, trainings=TRAININGS)
    state = tabulated_curves.Simulation(setup, [], choose=chooser).run()
    assert len(set(chooser.rows)) == len(chooser.rows) == len(state.trials)
    assert [trial.variant for trial in state.trials.values()] == [digits.curves[row].variant for row in chooser.rows]


def test_the_nearest_variant_of_a_variant_of_the_table_is_itself(digits) -> None:
    chooser = tabulated_curves._Chooser(digits, algorithm="random", seed=0)
    for row in range(0, len(digits.curves), 10):
        assert chooser._nearest(chooser._points[row]) == row
