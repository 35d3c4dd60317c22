"""What is wrong with constraints is told in one line each: where, what was received, how to mend it."""

from typing import Any

import pytest

from orchestrator.errors import StudyFileError
from orchestrator.study.loading import load_study

SMALL = {"base": "cnn-small", "limits": {"parameters": 1000}}

# what constraints are given, the place, and what the message says.
BAD = [
    (7, "constraints", "must be a list of texts such as parameters <= 1e6, got 7"),
    ({"parameters": 5}, "constraints", "must be a list of texts"),
    ([None], "constraints[0]", "must be a text such as parameters <= 1e6, got None"),
    ([{"parameters": "<= 5"}], "constraints[0]", "must be a text"),
    ([""], "constraints[0]", "must compare by one of >=, <=, >, <"),
    (["parameters"], "constraints[0]", "must compare by one of"),
    (["parameters == 5"], "constraints[0]", "must compare by one of"),
    (["parameters =< 5"], "constraints[0]", "must compare by one of"),
    (["least parameters"], "constraints[0]", "must compare by one of"),
    (["5 >= latency_ms"], "constraints[0]", "must begin with the metric"),
    (["parameters <= 5 and latency_ms <= 5"], "constraints[0]", "write each as an entry of its own"),
    (["latency_ms <= 5ms"], "constraints[0]", "without 'ms': the unit is the metric's own"),
    (["latency_ms <= 5 ms"], "constraints[0]", "without 'ms'"),
    (["val_accuracy >= 90%"], "constraints[0]", "without '%'"),
    (["parameters <= 1M"], "constraints[0]", "without 'M'"),
    (["parameters <= 1,000,000"], "constraints[0]", "without commas, as 1000000 or 1e6"),
    (["parameters <= ten"], "constraints[0]", "a finite number"),
    (["parameters <= nan"], "constraints[0]", "a finite number"),
    (["parameters <= 1e999"], "constraints[0]", "a finite number"),
    (["latency_ms <= 5", "paramters <= 5"], "constraints[1]", "got 'paramters'; did you mean 'parameters'?"),
    (["test_accuracy >= 0.5"], "constraints[0]", "never steers a study, got 'test_accuracy'"),
    (["parameters < 0"], "constraints[0]", "can hold for no parameters, got 'parameters < 0'"),
    (["val_accuracy > 1"], "constraints[0]", "can hold for no val_accuracy"),
    (["parameters <= 5", "parameters >= 6"], "constraints[1]", "leaves no parameters, got 'parameters >= 6' beside"),
    (["parameters < 5", "parameters >= 5"], "constraints[1]", "leaves no parameters"),
    (["parameters <= 5", "parameters <= 6"], "constraints[1]", "bounds parameters again"),
]


def refusal(constraints: object, *, space: Any = "cnn-small") -> str:
    with pytest.raises(StudyFileError) as caught:
        load_study({"name": "s", "data": {"source": "digits"}, "space": space, "constraints": constraints})
    return str(caught.value)


@pytest.mark.parametrize(("constraints", "place", "message"), BAD, ids=[str(entry[0]) for entry in BAD])
def test_a_constraint_that_says_nothing_is_refused_in_words(constraints: object, place: str, message: str) -> None:
    (line,) = refusal(constraints).splitlines()
    assert line.startswith(f"study: {place}: ")
    assert message in line


def test_all_wrong_constraints_are_told_at_once() -> None:
    lines = refusal(["latency_ms <= 5ms", "paramters <= 5", "val_accuracy > 1"]).splitlines()
    assert [line.partition("]")[0] for line in lines] == [f"study: constraints[{at}" for at in range(3)]


def test_a_constraint_that_the_limits_of_the_space_leave_no_room_for_is_refused() -> None:
    line = refusal(["parameters >= 2000"], space=SMALL)
    assert "leaves no parameters beside space.limits (parameters <= 1,000), got 'parameters >= 2,000'" in line


def test_constraints_stand_in_the_study_and_a_lone_one_needs_no_list() -> None:
    study = {"name": "s", "data": {"source": "digits"}, "space": "cnn-small"}
    spec = load_study({**study, "constraints": "parameters<=1e6"})
    assert [(item.metric, item.sign, item.limit) for item in spec.conditions] == [("parameters", "<=", 1e6)]
    assert load_study({**study, "constraints": []}).study_id == load_study(study).study_id != spec.study_id


@pytest.mark.parametrize(
    ("algorithm", "params", "message"),
    [
        ("cmaes", {"filters": {"choice": [8, 16]}, "optimizer": {"choice": ["adam", "sgd"]}}, "has only filters; use"),
        ("cmaes", {"optimizer": {"choice": ["adam", "sgd"]}}, "of which the space has none; use tpe or gp"),
        ("nsga3", {"filters": {"choice": [8, 16]}}, "got one objective; name two or three, or use tpe or gp"),
    ],
)
def test_a_search_with_nothing_to_do_is_refused_in_words(algorithm: str, params: Any, message: str) -> None:
    with pytest.raises(StudyFileError, match=rf"^study: search\.algorithm: .*{message}"):
        load_study(
            {
                "name": "s",
                "data": {"source": "digits"},
                "space": {"family": "sequential", "params": params},
                "search": {"algorithm": algorithm},
            }
        )
