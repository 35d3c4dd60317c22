"""Trials that go first: their values are proposed in order, once, and again after a resume."""

import pytest

from orchestrator.driver.auto_schedule import with_numbers
from orchestrator.errors import StudyFileError
from orchestrator.journal.trial import Trial
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.study.loading import load_study, parse_study
from trainables.specs.dataset import DatasetInfo
from trainables.specs.pixels import PixelStatistics
from trainables.specs.task import Task

SPACE = {
    "family": "sequential",
    "params": {
        "num_blocks": 2,
        "filters": {"choice": [8, 16, 32]},
        "learning_rate": {"float": [0.0001, 0.1], "log": True},
        "optimizer": {"choice": ["adam", "sgd"]},
        "momentum": {"float": [0.5, 0.9], "when": {"optimizer": "sgd"}},
    },
}
FIRST = [
    {"filters": 16, "learning_rate": 0.01, "optimizer": "adam"},
    {"filters": 8, "learning_rate": 0.02, "optimizer": "sgd", "momentum": 0.75},
]
IMAGES = DatasetInfo(
    key="k",
    split_key="s",
    folder="",
    task=Task.classification(input_shape=(8, 8, 1), num_classes=3),
    statistics=PixelStatistics(means=(0.0,), deviations=(1.0,)),
    num_train=400,
    num_validation=100,
    num_test=10,
    fingerprint="f",
)


def study(tmp_path, *, space=SPACE, schedule=None, **search):
    mapping = {"name": "s", "data": {"source": "digits"}, "space": space, "search": search}
    return parse_study({**mapping, **({"schedule": schedule} if schedule else {})}, base=tmp_path)


def proposed(spec, count, *, known=0):
    """Returns the variants of a study whose first so many are known from a journal."""
    trials = [
        Trial(name=f"t{number:04d}", number=number, variant=variant, proposed_at=0.0)
        for number, variant in enumerate(proposed(spec, known) if known else [])
    ]
    proposer = Proposer(spec)
    proposer.remember(trials)
    return [trial.variant for trial in trials] + [proposer.propose(number) for number in range(known, count)]


@pytest.mark.parametrize("algorithm", ["random", "tpe"])
def test_a_list_of_values_goes_first_and_the_search_goes_on_from_it(tmp_path, algorithm):
    spec = study(tmp_path, algorithm=algorithm, trials=8, start_with=FIRST)
    variants = proposed(spec, 6)
    for variant, values in zip(variants, FIRST, strict=False):
        assert variant.params == {"num_blocks": 2, **values}
    assert len({variant.variant_id for variant in variants}) == 6
    for known in range(6):
        assert proposed(spec, 6, known=known) == variants


def test_a_value_that_comes_twice_is_proposed_once(tmp_path):
    variants = proposed(study(tmp_path, trials=8, start_with=[FIRST[0], FIRST[0], FIRST[1]]), 4)
    assert variants[0].params["filters"] == 16
    assert variants[2].params["momentum"] == 0.75
    assert len({variant.variant_id for variant in variants}) == 4


def test_the_values_are_part_of_the_study_and_are_read_again(tmp_path):
    plain, first = study(tmp_path, trials=8), study(tmp_path, trials=8, start_with=FIRST)
    assert plain.study_id != first.study_id
    path = tmp_path / "again.yaml"
    path.write_text(first.to_yaml(), encoding="utf-8")
    assert load_study(path).search == first.search
    assert load_study(path).study_id == first.study_id


@pytest.mark.parametrize(
    ("search", "words"),
    [
        ({"start_with": [{"filters": 9}]}, "search.start_with.0"),
        ({"start_with": [FIRST[0], {**FIRST[1], "depth": 3}]}, "search.start_with.1"),
        ({"start_with": "best"}, "must be auto, portfolio, none, or a list of values by parameter"),
        ({"start_with": ["best"]}, "must be auto, portfolio, none, or a list of values by parameter"),
    ],
)
def test_values_that_do_not_fit_are_refused_with_their_place(tmp_path, search, words):
    with pytest.raises(StudyFileError) as hit:
        study(tmp_path, **search)
    assert words in str(hit.value)


def test_a_grid_has_its_own_order(tmp_path):
    space = {"family": "sequential", "params": {"filters": {"choice": [8, 16]}}}
    for start_with in ("portfolio", [{"filters": 16}]):
        with pytest.raises(
            StudyFileError, match=r"search\.start_with: a grid goes through its variants in their order"
        ):
            study(tmp_path, space=space, algorithm="grid", start_with=start_with)
    spec = study(tmp_path, space=space, algorithm="grid")
    assert with_numbers(spec, IMAGES)[0].search.first_values == ()


def test_a_built_in_space_begins_with_its_portfolio_where_the_schedule_has_an_auto(tmp_path):
    found, said = with_numbers(study(tmp_path, space="cnn-small"), IMAGES)
    assert len(found.search.first_values) == 3
    assert any(text.startswith("search.start_with: 3 variants that were good elsewhere") for text in said)
    assert all(values["batch_size"] in (8, 16, 32) for values in found.search.first_values)
    variants = proposed(found, 4)
    assert [variant.params["head"] for variant in variants[:3]] == ["global_max", "flatten", "global_max"]
    # What is written for the run says the same, and nothing is decided twice.
    path = tmp_path / "run.yaml"
    path.write_text(found.to_yaml(), encoding="utf-8")
    assert with_numbers(load_study(path), IMAGES)[0].search == found.search


def test_numbers_leave_the_search_as_it_ever_was(tmp_path):
    numbers = {"max_epochs": 5, "grace_epochs": 1}
    spec = study(tmp_path, space="cnn-small", schedule=numbers)
    assert with_numbers(spec, IMAGES)[0].search == spec.search
    asked = study(tmp_path, space="cnn-small", schedule=numbers, start_with="portfolio")
    assert len(with_numbers(asked, IMAGES)[0].search.first_values) == 3
    none = study(tmp_path, space="cnn-small", start_with="none")
    assert with_numbers(none, IMAGES)[0].search.first_values == ()


def test_a_space_of_a_users_own_begins_with_the_portfolio_of_its_family(tmp_path):
    found, said = with_numbers(study(tmp_path), IMAGES)
    assert [values["num_blocks"] for values in found.search.first_values] == [2, 2, 2]
    assert any("search.start_with: 3 variants that were good elsewhere go first" in sentence for sentence in said)
    explicit = {"algorithm": "asha", "max_epochs": 3, "grace_epochs": 1}
    assert with_numbers(study(tmp_path, schedule=explicit), IMAGES)[0].search.first_values == ()


def test_a_portfolio_that_is_asked_for_and_does_not_exist_is_told(tmp_path):
    space = {"family": "residual", "params": {"filters": {"choice": [8, 16]}}}
    found, said = with_numbers(study(tmp_path, space=space, start_with="portfolio"), IMAGES)
    assert found.search.start_with == "none"
    assert "search.start_with: there is no portfolio that fits this space" in said


@pytest.mark.parametrize("key", ["start_with", "prior"])
def test_a_batch_size_that_is_named_stays_although_it_leaves_few_steps(tmp_path, key):
    sizes = {"family": "sequential", "params": {"batch_size": {"choice": [16, 64, 128]}, "filters": {"int": [8, 64]}}}
    named = {"batch_size": 128, "filters": 8}
    found, _ = with_numbers(study(tmp_path, space=sizes, **{key: [named] if key == "start_with" else named}), IMAGES)
    assert found.space.parameter("batch_size").domain.values() == [16, 128]
    path = tmp_path / "run.yaml"
    path.write_text(found.to_yaml(), encoding="utf-8")
    assert load_study(path).search == found.search
    assert len(proposed(found, 3)) == 3
