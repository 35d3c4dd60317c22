"""A study from a dictionary is the study of the file that says the same, and mistakes are named alike."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from orchestrator.errors import StudyFileError
from orchestrator.study.loading import load_study, packaged_studies

STUDY: dict[str, Any] = {
    "name": "mine",
    "seed": 3,
    "data": {"source": "digits"},
    "space": {"base": "cnn-small", "params": {"learning_rate": {"float": [1e-5, 1e-2], "log": True}, "filters": 8}},
    "search": {"algorithm": "random", "trials": 4},
}


@pytest.mark.parametrize("name", packaged_studies())
def test_a_packaged_study_is_the_same_from_a_dictionary(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    expected = load_study(name)
    text = expected.model_dump_json(exclude={"space"})
    mapping = yaml.safe_load(_source(name))
    found = load_study({**mapping, "study_dir": expected.study_dir})
    assert found.model_dump_json(exclude={"space"}) == text
    assert found.space == expected.space


def test_values_that_python_has_beside_yaml_are_read_as_what_they_mean(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "x.npz", x=np.zeros((20, 8, 8), np.uint8), y=np.arange(20) % 2)
    shared = {"float": (np.float64(1e-5), 1e-2), "log": np.True_}
    found = load_study(
        {
            **STUDY,
            "seed": np.int64(3),
            "data": {"source": "npz", "path": Path("x.npz")},
            "space": {"base": "cnn-small", "params": {"learning_rate": shared, "weight_decay": shared, "filters": 8}},
        },
        overrides=["search.trials=5"],
    )
    assert found.seed == 3
    assert found.num_trials == 5
    assert found.data.path == str(tmp_path / "x.npz")
    low_end = [found.space.parameter(name).domain.low for name in ("learning_rate", "weight_decay")]
    assert low_end == [1e-5, 1e-5]


def test_a_dictionary_is_left_as_it_was():
    before = repr(STUDY)
    load_study(STUDY, overrides=["search.trials=2", "space.params.filters=16"])
    assert repr(STUDY) == before


def _cycle() -> dict[str, Any]:
    mapping = dict(STUDY)
    mapping["search"] = mapping
    return mapping


@pytest.mark.parametrize(
    ("mapping", "texts"),
    [
        ({}, ("study: name: is required", "study: data: is required", "study: space: is required")),
        ({**STUDY, "sed": 1}, ("study: sed: unknown key", "seed")),
        ({**STUDY, 1: 2}, ("study: 1: unknown key, got 2",)),
        ({**STUDY, "seed": object}, ("study: expected texts, numbers", "of type type", "write it as one of these")),
        ({**STUDY, "search": {"trials": np.arange(3)}}, ("of type ndarray",)),
        ({**STUDY, "search": {"trials": {1, 2}}}, ("study: search.trials: must be a valid integer, got {1, 2}",)),
        ({**STUDY, "data": {"source": "npz", "path": Path("no.npz")}}, ("study: data.path: no such file",)),
        (_cycle(), ("study: a dictionary or list in it holds itself",)),
    ],
    ids=["empty", "unknown key", "number as key", "class", "array", "set", "missing file", "cycle"],
)
def test_a_mistake_in_a_dictionary_is_named(mapping, texts):
    with pytest.raises(StudyFileError) as caught:
        load_study(mapping)
    for text in texts:
        assert text in str(caught.value)


def _source(name: str) -> str:
    return (Path(load_study.__code__.co_filename).parents[1] / "studies" / f"{name}.yaml").read_text(encoding="utf-8")
