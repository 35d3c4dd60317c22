"""What does not go with a population is told at load: where, what was received, how to mend it; all of it at once."""

from typing import Any

import pytest

from orchestrator.errors import StudyFileError
from orchestrator.search.auto_algorithm import with_algorithm
from orchestrator.study.loading import load_study

SPACE: dict[str, Any] = {
    "family": "sequential",
    "params": {"filters": {"choice": [8, 16]}, "learning_rate": {"float": [0.001, 0.1], "log": True}},
}
RATE: dict[str, Any] = {"float": [0.001, 0.1], "log": True}


def study(space: Any = SPACE, objective: Any = None, search: Any = None, **schedule: Any) -> dict[str, Any]:
    numbers = {"algorithm": "pbt", "max_epochs": 8, "grace_epochs": 1, "interval_epochs": 2, "population": 4}
    return {
        "name": "demo",
        "data": {"source": "digits"},
        "space": space,
        "objective": objective or {"metric": "val_accuracy"},
        "search": search or {},
        "schedule": numbers | schedule,
    }


def params(**changed: Any) -> dict[str, Any]:
    return {**SPACE, "params": {"filters": {"choice": [8, 16]}, **changed}}


# id, study, place, received, fix
BAD = [
    (
        "grid",
        study(search={"algorithm": "grid"}, space=params(learning_rate={"choice": [0.01, 0.1]})),
        "search.algorithm",
        "got 'grid'",
        "use random, sobol or tpe",
    ),
    (
        "several objectives",
        study(objective=[{"metric": "val_accuracy"}, {"metric": "parameters"}]),
        "schedule.algorithm",
        "got 2",
        "name one, or use asha",
    ),
    (
        "constraints",
        study() | {"constraints": ["parameters <= 1e6"]},
        "constraints",
        "got parameters <= 1e6",
        "drop them, or use asha",
    ),
    ("promotion", study(promotion=True), "schedule.promotion", "got true with 'pbt'", "say algorithm: asha"),
    ("replicates", study(search={"replicates": 3}), "search.replicates", "got 3", "drop it"),
    ("patience", study(search={"patience": 5}), "search.patience", "got 5", "or use search.target, minutes or epochs"),
    ("gain", study(search={"min_gain": 0.01}), "search.min_gain", "got 0.01", "drop it"),
    ("too few trials", study(search={"trials": 3}), "search.trials", "got 3", "or lower schedule.population"),
    ("no interval", study(interval_epochs=8), "schedule.interval_epochs", "max_epochs (8), got 8", "raise max_epochs"),
    ("no whole trial", study(quantile=0.2), "schedule.quantile", "got 0.2", "raise it, or schedule.population"),
    ("splits", study(repeats=3), "schedule.repeats", "got 3", "set it to 1"),
    (
        "nothing that may change",
        study(space=params(batch_size={"choice": [32, 64]}, learning_rate=0.01)),
        "space.params",
        "learning_rate, weight_decay, momentum, dropout, augment_strength must vary",
        "let one vary, for example learning_rate: {float: [1.0e-4, 1.0e-1], log: true}",
    ),
    (
        "nothing that may change in one family",
        study(
            space={
                "family": {"choice": ["sequential", "residual"]},
                "params": {"learning_rate": {**RATE, "when": {"family": "residual"}}},
            }
        ),
        "space.params",
        "got none for family 'sequential'",
        "let one vary",
    ),
    ("too small a population", study(population=3), "schedule.population", "got 3", "4"),
    ("more than half", study(quantile=0.6), "schedule.quantile", "got 0.6", "0.5"),
    ("text", study(interval_epochs="often"), "schedule.interval_epochs", "got 'often'", "for example"),
]


@pytest.mark.parametrize(("mapping", "place", "received", "fix"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_does_not_go_with_a_population_is_refused(mapping: Any, place: str, received: str, fix: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        load_study(mapping)
    (line,) = [line for line in str(caught.value).splitlines() if f"{place}:" in line]
    assert received in line
    assert fix in line


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(StudyFileError) as caught:
        load_study(study(search={"replicates": 2, "trials": 2}, interval_epochs=9))
    for place in ("search.replicates", "search.trials", "schedule.interval_epochs"):
        assert f"{place}: " in str(caught.value)


def test_studies_of_other_rules_have_the_trials_and_the_id_that_they_had() -> None:
    other = study(algorithm="asha")
    keys = {"interval_epochs": 2, "population": 8, "quantile": 0.25}
    other["schedule"] = {key: value for key, value in other["schedule"].items() if key not in keys}
    before, after = load_study(other), load_study({**other, "schedule": other["schedule"] | keys})
    assert before.study_id == after.study_id
    assert before.num_trials == before.num_proposed == 20


def test_search_proposes_the_population_and_the_study_has_three_trials_a_place() -> None:
    spec = load_study(study())
    assert (spec.num_proposed, spec.num_trials) == (4, 12)
    assert load_study(study(search={"trials": 5})).num_trials == 5
    # Trials in others' places may have a variant again: a small space has as many trials as any other.
    small = study(space=params(learning_rate={"choice": [0.01, 0.1]}), search={"trials": 30})
    assert load_study(small).num_trials == 30


def test_auto_never_becomes_a_grid() -> None:
    small = study(space=params(learning_rate={"choice": [0.01, 0.1]}), search={"algorithm": "auto", "trials": 30})
    spec, _ = with_algorithm(load_study(small))
    assert spec.search.algorithm == "sobol"
