"""What `auto` in a schedule becomes, by the number of images, and which batch sizes are left out."""

from typing import Any

import pytest

from orchestrator.driver.auto_schedule import with_numbers
from orchestrator.errors import InputError
from orchestrator.study.loading import load_study
from orchestrator.study.spec import StudySpec
from trainables.specs.dataset import DatasetInfo
from trainables.specs.pixels import PixelStatistics
from trainables.specs.task import Task


def images(num_train: int, num_validation: int, *, is_carved: bool = False) -> DatasetInfo:
    return DatasetInfo(
        key="k",
        split_key="s",
        folder="",
        task=Task.classification(input_shape=(8, 8, 1), num_classes=3),
        statistics=PixelStatistics(means=(0.0,), deviations=(1.0,)),
        num_train=num_train,
        num_validation=num_validation,
        num_test=10,
        fingerprint="f",
        is_validation_carved=is_carved,
    )


def study(*, batch_size: Any = 32, **schedule: Any) -> StudySpec:
    return load_study(
        {
            "name": "s",
            "data": {"source": "digits"},
            "space": {"family": "sequential", "params": {"filters": 8, "batch_size": batch_size}},
            "schedule": schedule,
        }
    )


@pytest.mark.parametrize(
    ("num_train", "num_validation", "batch_size", "max_epochs", "grace_epochs"),
    [
        # 5 steps an epoch of 32: 200 epochs would make a thousand.
        (130, 14, 32, 60, 60),
        (130, 200, 32, 60, 20),
        # 21 steps: 48 epochs; 200 steps are 10.
        (1294, 144, 64, 48, 10),
        (1294, 99, 64, 48, 48),
        # 36 steps: 28 epochs; 200 steps are 6.
        (4500, 500, 128, 28, 6),
        # From 27 epochs of a thousand steps on, it is ten thousand steps in up to 27 epochs.
        (5_200, 500, 128, 27, 5),
        (45_000, 5_000, 128, 27, 1),
        (90_000, 5_000, 128, 15, 1),
        (1_000_000, 10_000, 128, 9, 1),
    ],
)
def test_epochs_and_grace_follow_from_steps(num_train, num_validation, batch_size, max_epochs, grace_epochs):
    found, said = with_numbers(study(batch_size=batch_size), images(num_train, num_validation))
    assert (found.schedule.epochs, found.schedule.grace, found.schedule.rivals) == (max_epochs, grace_epochs, 3)
    assert said[0].startswith(f"schedule.max_epochs: auto is {max_epochs}: an epoch has ")
    assert said[1].startswith(f"schedule.grace_epochs: auto is {grace_epochs}: ")
    assert ("too few to stop a trial early by" in said[1]) == (num_validation < 100)
    # The study that is written for the run has nothing to decide any more, and is read as it is.
    assert with_numbers(found, images(7, 1))[0] == found
    assert not found.schedule.has_auto


def test_numbers_that_a_user_gives_stay() -> None:
    given = study(max_epochs=5, grace_epochs=2)
    found, said = with_numbers(given, images(130, 14))
    assert found == given
    assert found.schedule.rivals == 1
    assert said == [
        "space.params.batch_size: 32 makes 5 steps an epoch of 130 training images; a smaller one learns more in as "
        "many epochs"
    ]
    assert with_numbers(given, images(1300, 14)) == (given, [])


def test_without_early_stopping_its_grace_decides_nothing() -> None:
    given = study(algorithm="none", max_epochs=5, batch_size={"choice": [8, 64]})
    assert not given.schedule.has_auto
    assert with_numbers(given, images(130, 14))[0] == given


@pytest.mark.parametrize(
    ("options", "num_train", "kept"),
    [
        ([16, 32, 64, 128], 130, [16]),
        ([64, 32, 128], 130, [32]),
        ([128, 8, 16], 150, [8, 16]),
        ([32, 64, 128], 1294, [32, 64, 128]),
        ([32, 64, 128], 1152, [32, 64]),
    ],
)
def test_batch_sizes_that_leave_few_steps_are_left_out_of_a_choice(options, num_train, kept):
    given = study(batch_size={"choice": options}, max_epochs=10)
    found, said = with_numbers(given, images(num_train, 14))
    assert list(found.space.parameter("batch_size").domain.values()) == kept
    left_out = [size for size in sorted(options) if size not in kept]
    assert ("left out" in " ".join(said)) == bool(left_out)
    if left_out:
        assert said[0].startswith(f"space.params.batch_size: {', '.join(map(str, left_out))} left out: {num_train:,} ")
    assert found.schedule.epochs == 10


@pytest.mark.parametrize(
    ("schedule", "rivals"),
    [
        ({"reduction_factor": 2}, 3),
        ({"reduction_factor": 4}, 4),
        ({"grace_epochs": 1}, 3),
        ({"grace_epochs": 1, "min_rivals": 1}, 1),
        ({"grace_epochs": 1, "algorithm": "hyperband"}, 1),
    ],
)
def test_median_is_that_of_three_others_at_least(schedule, rivals):
    found, _ = with_numbers(study(**{"algorithm": "median"} | schedule), images(45_000, 5_000))
    assert found.schedule.rivals == found.schedule.min_rivals == rivals


def test_a_grace_of_more_epochs_than_auto_has_makes_them_as_many() -> None:
    found, said = with_numbers(study(grace_epochs=30), images(45_000, 5_000))
    assert (found.schedule.epochs, found.schedule.grace, found.schedule.rivals) == (30, 30, 1)
    assert said[0].startswith("schedule.max_epochs: auto is 30: ")
    # What is written for the run can be read again.
    assert type(found.schedule).model_validate(found.schedule.model_dump()) == found.schedule


def test_batch_sizes_that_a_condition_names_stay() -> None:
    params = {"batch_size": {"choice": [16, 64]}, "filters": {"choice": [8, 16], "when": {"batch_size": 64}}}
    given = load_study({"name": "s", "data": {"source": "digits"}, "space": {"family": "sequential", "params": params}})
    found, said = with_numbers(given, images(130, 14))
    assert found.space == given.space
    assert "64 makes 3 steps an epoch" in said[-1]


def test_a_range_of_batch_sizes_stays_and_counts_by_its_largest() -> None:
    found, said = with_numbers(study(batch_size={"int": [8, 64]}), images(130, 200))
    assert found.space == study(batch_size={"int": [8, 64]}).space
    assert found.schedule.epochs == 60
    assert "64 makes 3 steps an epoch" in said[-1]


def test_a_schedule_without_numbers_says_so() -> None:
    with pytest.raises(ValueError, match=r"schedule.max_epochs is auto: the images are not counted yet"):
        _ = study().schedule.epochs


@pytest.mark.parametrize(
    ("num_train", "num_validation", "repeats"),
    [
        (130, 14, 3),  # eight would make 112, three are the most
        (108, 36, 3),
        (900, 99, 2),
        (900, 100, 1),
        (30, 20, 2),  # more would let images validate twice
        (10, 20, 1),
    ],
)
def test_few_validation_images_are_made_more_by_further_splits(num_train, num_validation, repeats) -> None:
    found, said = with_numbers(study(), images(num_train, num_validation, is_carved=True))
    assert found.schedule.num_splits == repeats
    assert ("schedule.repeats: auto is" in " ".join(said)) == (repeats > 1)
    if repeats > 1:
        [sentence] = [text for text in said if text.startswith("schedule.repeats")]
        assert f"means over {num_validation * repeats} images, in {repeats} times the steps" in sentence
    # Early stopping goes by all images that validate.
    assert (found.schedule.grace == found.schedule.epochs) == (num_validation * repeats < 100)
    assert with_numbers(found, images(num_train, num_validation, is_carved=True))[0] == found


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": {"folds": 5, "fold": 1}}, "data.folds has its own way to several"),
        ({"data": {"augment": {"mixup": 0.2}}}, "mixup and cutmix draw partners from the first split"),
        ({"data": {"augment": {"cutmix": 0.2}}}, "mixup and cutmix draw partners"),
        ({"space": {"family": "custom", "params": {"function": "m:build"}}}, "models of family custom"),
        ({"resources": {"gpus_per_trial": 2}}, "several GPUs"),
        ({}, "the validation split is one of its own"),
    ],
)
def test_where_a_trial_can_have_one_split_alone_auto_is_one_and_a_number_is_refused(
    changes, words, tmp_path, monkeypatch
) -> None:
    (tmp_path / "m.py").write_text("def build(params, input_shape, targets): ...\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    mapping = {"name": "s", "data": {"source": "digits"}, "space": {"family": "sequential", "params": {"filters": 8}}}
    for section, values in changes.items():
        mapping[section] = values if section == "space" else {**mapping.get(section, {}), **values}
    dataset = images(130, 14, is_carved=bool(changes))
    found, said = with_numbers(load_study(mapping), dataset)
    assert found.schedule.num_splits == 1
    assert "repeats" not in " ".join(said)
    for schedule in ({"repeats": 2}, {"repeats": 2, "max_epochs": 5, "grace_epochs": 1}):
        with pytest.raises(
            InputError, match=r"schedule.repeats: each trial has one split, as .*; got 2, set it to 1"
        ) as hit:
            with_numbers(load_study({**mapping, "schedule": schedule}), dataset)
        assert words in str(hit.value)


def test_a_number_of_splits_stays_and_too_many_are_refused() -> None:
    dataset = images(130, 14, is_carved=True)
    for schedule in ({}, {"max_epochs": 5, "grace_epochs": 1}):
        assert with_numbers(study(repeats=10, **schedule), dataset)[0].schedule.num_splits == 10
        with pytest.raises(InputError, match=r"130 training and 14 validation images make 10 splits, .* got 11"):
            with_numbers(study(repeats=11, **schedule), dataset)
    # A schedule that is all numbers trains as it always did.
    assert with_numbers(study(max_epochs=5, grace_epochs=1), dataset)[0].schedule.num_splits == 1
