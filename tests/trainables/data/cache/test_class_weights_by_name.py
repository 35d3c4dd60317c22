"""Weights of classes by name are checked against the names that the data has, before any trial runs."""

import pytest
from pydantic import ValidationError

from trainables.errors import DataError
from trainables.specs.targets import TargetSpec
from trainables.specs.task import Task

DIGITS = {digit: 1.0 + digit for digit in range(10)}


def test_weights_stand_in_the_order_of_the_names(prepare):
    given = dict(reversed(DIGITS.items()))
    task = prepare(source="digits", targets={"label": {"class_weights": given}}).info.task
    assert task.targets[0].class_weights == tuple(DIGITS.values())
    assert Task.from_json(task.to_json()) == task


def test_a_study_without_weights_has_the_ids_that_it_had(prepare):
    plain = prepare(source="digits", targets={"label": {}}).info
    assert "class_weights" not in plain.task.to_json()["targets"][0]
    assert Task.from_json(plain.task.to_json()) == plain.task
    weighted = prepare(source="digits", targets={"label": {"class_weights": DIGITS}}).info
    assert (weighted.fingerprint, weighted.key) == (plain.fingerprint, plain.key)


WRONG = [
    ({**DIGITS, "ten": 1.0}, "data.targets.label.class_weights: the data has no 'ten'; its names are '0', '1', '2', "),
    (
        dict.fromkeys(range(8), 1.0),
        "class_weights: 2 of 10 names have no weight, the first is '8'; give each of '0'",
    ),
]


@pytest.mark.parametrize(("weights", "words"), WRONG, ids=range(len(WRONG)))
def test_unknown_and_missing_names_are_refused_with_those_that_there_are(prepare, weights, words):
    with pytest.raises(DataError) as caught:
        prepare(source="digits", targets={"label": {"class_weights": weights}})
    assert words in str(caught.value)


def test_the_nearest_name_is_said(prepare, tmp_path, made):
    path = str(made.write_folders(tmp_path / "photos", each=10))
    with pytest.raises(DataError, match=r"no 'catt'; did you mean 'cat'\?; its names are 'cat', 'dog'"):
        prepare(source="images", path=path, targets={"folder": {"class_weights": {"catt": 1.0, "dog": 2.0}}})


REFUSED = [
    ({"kind": "regression", "class_weights": {"a": 1}}, "a regression target has no classes, got {'a': 1.0}"),
    ({"class_weights": {"a": -1, "b": 1}}, "expected numbers from 0 to 1e+06, got {'a': -1.0}"),
    ({"class_weights": {"a": float("nan"), "b": 1}}, "expected numbers from 0 to 1e+06, got {'a': nan}"),
    ({"class_weights": {"a": 0, "b": 0}}, "expected a weight above 0 for some class"),
    ({"class_weights": {}}, "expected a weight above 0 for some class, got {}"),
    ({"class_weights": {True: 1.0, False: 2.0}}, "expected class names, got True; write names like yes, no or 1.5 in"),
    ({"class_weights": {"a": True}}, "must be a number, not true or false"),
]


@pytest.mark.parametrize(("fields", "words"), REFUSED, ids=range(len(REFUSED)))
def test_weights_that_are_none_are_refused(fields, words):
    with pytest.raises(ValidationError) as caught:
        TargetSpec(**fields)
    assert words in str(caught.value)
