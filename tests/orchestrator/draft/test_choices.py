"""What a drafted study chooses follows from what the data is: sizes, splits, augmentation, space, metric, time."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.draft import budget, models
from orchestrator.draft.augmentation import augment_choice
from orchestrator.draft.budget import budget_choices, search_minutes
from orchestrator.draft.models import metric_choices, space_choice
from orchestrator.draft.splits import size_choice, split_choices
from orchestrator.driver import auto_schedule
from trainables.data.guess.guess import DataGuess
from trainables.data.guess.looking import Found
from trainables.references.mirror import MirrorTest
from trainables.specs.dataset import DatasetInfo
from trainables.specs.pixels import PixelStatistics
from trainables.specs.targets import TargetKind
from trainables.specs.task import Target, Task

Size = tuple[int, int]


def found_of(
    sizes: Mapping[Size, int],
    *,
    has_colour: bool = True,
    splits: Mapping[str, int] | None = None,
    kind: TargetKind = "classification",
) -> Found:
    targets: Any = {"mask": {"kind": "mask"}} if kind == "mask" else {}
    return Found(
        guess=DataGuess(data={"source": "images", "path": "/p", "targets": targets}),
        sizes=tuple(sizes.items()),
        usual_size=max(sizes, key=lambda size: sizes[size]),
        has_colour=has_colour,
        splits=splits or {"train": sum(sizes.values())},
    )


def dataset_of(
    *,
    num_train: int = 500,
    num_validation: int = 100,
    names: Sequence[str] = ("cat", "dog"),
    kind: TargetKind = "classification",
    side: int = 32,
    counts: tuple[int, int] = (50, 40),
) -> DatasetInfo:
    target = Target(name="label", kind=kind, size=len(names), class_names=tuple(names), loss="l", metrics=("accuracy",))
    ends = {"largest": [names[0], counts[0]], "smallest": [names[-1], counts[1]]} if names else {}
    return DatasetInfo(
        key="k",
        split_key="s",
        folder="f",
        task=Task(input_shape=(side, side, 3), targets=(target,)),
        statistics=PixelStatistics(means=(0.0,), deviations=(1.0,)),
        num_train=num_train,
        num_validation=num_validation,
        num_test=100,
        fingerprint="x",
        look={"targets": [{"kind": kind, **ends}]},
    )


@pytest.mark.parametrize(
    ("sizes", "kind", "is_transfer", "expected", "words"),
    [
        ({(28, 28): 9}, "classification", False, None, ""),
        ({(64, 48): 9}, "classification", False, None, ""),
        ({(32, 32): 9, (40, 30): 2}, "classification", False, [32, 32], "2 sizes, mostly about 32x32"),
        ({(480, 640): 9}, "classification", False, [48, 64], "the longer side is at most 64"),
        ({(480, 640): 9, (640, 480): 8}, "classification", False, [48, 64], "2 sizes, mostly about 480x640"),
        ({(480, 640): 9}, "classification", True, [72, 96], "the longer side is at most 96"),
        ({(500, 500): 9}, "mask", False, [128, 128], "sides are multiples of 16"),
        ({(100, 100): 9}, "mask", False, [96, 96], "sides are multiples of 16"),
        ({(64, 32): 9}, "mask", False, None, ""),
    ],
)
def test_images_keep_their_size_unless_sizes_differ_or_are_large(
    sizes: dict[Size, int], kind: TargetKind, is_transfer: bool, expected: list[int] | None, words: str
) -> None:
    choice = size_choice(found_of(sizes, kind=kind), is_transfer=is_transfer, has_masks=kind == "mask")
    assert (choice.value if choice else None) == expected
    assert words in (choice.reason if choice else "")


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({"train": 180}, {"data.test_fraction": 0.2, "data.validation_fraction": 0.25}),
        ({"train": 1800}, {"data.test_fraction": 0.2, "data.validation_fraction": 0.2}),
        ({"train": 60_000}, {"data.test_fraction": 0.2, "data.validation_fraction": 0.1}),
        ({"train": 60_000, "test": 10_000}, {"data.validation_fraction": 0.1}),
        ({"train": 60_000, "validation": 500, "test": 10_000}, {}),
    ],
)
def test_only_splits_that_the_source_lacks_are_carved_out_and_few_images_validate_more(
    splits: dict[str, int], expected: dict[str, float]
) -> None:
    choices = list(split_choices(found_of({(8, 8): 9}, splits=splits)))
    assert {choice.key: choice.value for choice in choices} == expected


def test_few_images_are_told_how_much_one_of_them_counts_and_what_lowers_it() -> None:
    _, validation = split_choices(found_of({(8, 8): 180}))
    assert validation.reason == (
        "36 images decide which variant is best; one of them is 0.028 of the accuracy. So few leave much to luck, "
        "which `schedule.repeats` below lowers"
    )


@pytest.mark.parametrize("num_images", [490, 500, 520, 620, 630])
def test_repeats_are_spoken_of_where_they_are_written(num_images: int) -> None:
    _, validation = split_choices(found_of({(8, 8): num_images}))
    held = int(validation.reason.split()[0])
    dataset = replace(dataset_of(num_validation=held), is_validation_carved=True)
    keys = {choice.key for choice in budget_choices(dataset, minutes=10)}
    assert ("`schedule.repeats` below" in validation.reason) == ("schedule.repeats" in keys)


@pytest.mark.parametrize(
    ("num_validation", "is_carved", "expected"), [(99, True, "auto"), (100, True, None), (99, False, None)]
)
def test_only_few_carved_validation_images_get_repeats(num_validation: int, is_carved: bool, expected: object) -> None:
    dataset = replace(dataset_of(num_validation=num_validation), is_validation_carved=is_carved)
    choices = {choice.key: choice.value for choice in budget_choices(dataset, minutes=10)}
    assert choices.get("schedule.repeats") == expected
    assert budget.VERY_FEW_VALIDATION == auto_schedule.LEAST_VALIDATION


@pytest.mark.parametrize(
    ("num_validation", "is_carved", "kind", "expected"),
    [
        (100, False, "classification", 1.0),
        (99, False, "classification", None),
        (36, True, "classification", 1.0),
        (33, True, "classification", None),
        (0, True, "classification", None),
        (500, True, "multilabel", None),
        (500, True, "regression", None),
    ],
)
def test_a_study_ends_with_a_variant_that_is_always_right_where_that_says_something(
    num_validation: int, is_carved: bool, kind: TargetKind, expected: object
) -> None:
    dataset = replace(dataset_of(num_validation=num_validation, kind=kind), is_validation_carved=is_carved)
    choices = {choice.key: choice.value for choice in budget_choices(dataset, minutes=10)}
    assert choices.get("search.target") == expected
    assert budget._MOST_REPEATS == auto_schedule.MOST_REPEATS


def test_only_spaces_with_a_portfolio_start_with_it() -> None:
    with_one = {choice.key for choice in budget_choices(dataset_of(), minutes=10, has_portfolio=True)}
    assert with_one - {choice.key for choice in budget_choices(dataset_of(), minutes=10)} == {"search.start_with"}


@pytest.mark.parametrize(
    ("names", "kind", "num_train", "expected"),
    [
        (
            ("cat", "dog"),
            "classification",
            500,
            {"flip": "horizontal", "rotate_degrees": 10, "shift": 0.1, "zoom": 0.1},
        ),
        (("cat", "dog"), "classification", 5_000, {"flip": "horizontal", "shift": 0.1}),
        (("cat", "dog"), "classification", 40_000, {"flip": "horizontal", "crop_padding": 4}),
        (("0", "1"), "classification", 40_000, {"crop_padding": 4}),
        (("a", "b"), "classification", 5_000, {"shift": 0.1}),
        (("six", "nine"), "classification", 5_000, {"shift": 0.1}),
        (("turn-left", "straight"), "classification", 5_000, {"shift": 0.1}),
        (("ArrowUp", "Stop"), "classification", 5_000, {"shift": 0.1}),
        (("leftover", "upset"), "classification", 5_000, {"flip": "horizontal", "shift": 0.1}),
        (("left lung", "right lung"), "multilabel", 5_000, {"shift": 0.1}),
        (("0", "1"), "mask", 5_000, {"flip": "horizontal", "shift": 0.1}),
        ((), "regression", 5_000, {"brightness": 0.1, "contrast": 0.1}),
    ],
)
def test_augmentation_mirrors_nothing_whose_direction_matters(
    names: tuple[str, ...], kind: TargetKind, num_train: int, expected: dict[str, Any]
) -> None:
    dataset = dataset_of(names=names, kind=kind, num_train=num_train)
    choice = augment_choice(dataset, name="things", mirror_test=lambda _: None)
    assert choice.value == expected
    assert "flip" in expected or "mirror" in choice.reason


@pytest.mark.parametrize("matters", [True, False])
def test_pixels_are_asked_where_no_name_says_that_direction_matters(*, matters: bool) -> None:
    tested = MirrorTest(count=90, upright=0.81, mirrored=0.4, matters=matters)
    choice = augment_choice(dataset_of(), name="things", mirror_test=lambda _: tested)
    assert ("flip" in choice.value) == (not matters)
    assert "a linear guess tells 0.81 of 90 validation images, and 0.40 of them mirrored" in choice.reason


def test_name_of_the_folder_may_say_that_direction_matters() -> None:
    def never(_: DatasetInfo) -> MirrorTest:
        raise AssertionError("the name says enough")

    assert "flip" not in augment_choice(dataset_of(), name="my_arrows", mirror_test=never).value


SMALL, PHOTOS = {(32, 32): 9}, {(300, 400): 9}


@pytest.mark.parametrize(
    ("sizes", "kind", "num_train", "minutes", "backbones", "expected", "words"),
    [
        (SMALL, "classification", 100, 10, [], "cnn-small", "100 training images of 32 pixels"),
        (SMALL, "classification", 8_000, 10, [], "resnet-small", "from several thousand images on"),
        (SMALL, "classification", 50_000, 10, [], "cnn-small", "with 50 minutes and more, or a GPU, resnet-small"),
        (SMALL, "classification", 100, 10, ["MobileNet"], "cnn-small", "100 training images"),
        (PHOTOS, "classification", 100, 10, [], "cnn-small", "with one download of a few megabytes"),
        (
            PHOTOS,
            "classification",
            100,
            10,
            ["MobileNetV2"],
            {"base": "transfer-small", "params": {"backbone": "MobileNetV2"}},
            "whose weights are on this machine",
        ),
        (PHOTOS, "mask", 100, 10, ["MobileNetV2"], "unet-small", "a class for each pixel"),
    ],
)
def test_space_follows_from_targets_images_and_time(
    *,
    sizes: dict[Size, int],
    kind: TargetKind,
    num_train: int,
    minutes: float,
    backbones: list[str],
    expected: object,
    words: str,
) -> None:
    dataset = dataset_of(num_train=num_train, kind=kind)
    choice = space_choice(found_of(sizes, kind=kind), dataset, minutes=minutes, backbones=backbones)
    assert choice.value == expected
    assert words in choice.reason


def test_grey_photos_are_not_for_pretrained_backbones() -> None:
    found = found_of(PHOTOS, has_colour=False)
    choice = space_choice(found, dataset_of(), minutes=10, backbones=["MobileNet"])
    assert choice.value == "cnn-small"
    assert "download" not in choice.reason


def test_backbones_are_found_in_kerass_folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert models.present_backbones() == []
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / models.WEIGHTS["MobileNet"]).touch()
    assert models.present_backbones() == ["MobileNet"]


def test_unequal_classes_are_weighed_and_judged_by_class() -> None:
    dataset = dataset_of(counts=(500, 50))
    targets, objective = metric_choices(dataset, data={"source": "csv", "label_column": "breed"})
    assert targets.value == {"label": {"column": "breed", "metrics": ["f1_score", "accuracy"]}}
    assert objective.value == {"metric": "val_f1_score"}
    space = space_choice(found_of(SMALL), dataset, minutes=10, backbones=[])
    assert space.value == {"base": "cnn-small", "params": {"class_weights": "balanced"}}
    assert list(metric_choices(dataset_of(counts=(500, 51)), data={"source": "images"})) == []


@pytest.mark.parametrize(
    ("num_validation", "minutes", "trials", "search"),
    [(36, 1, 8, 0.6), (36, 10, 20, 9.0), (5_000, 10, 40, 9.0), (5_000, 600, 200, 599.0), (200, 10, 40, 9.0)],
)
def test_trials_follow_from_the_time_and_few_validation_images_bound_them(
    num_validation: int, minutes: float, trials: int, search: float
) -> None:
    choices = {c.key: c.value for c in budget_choices(dataset_of(num_validation=num_validation), minutes=minutes)}
    assert choices["search.trials"] == trials
    assert choices["search.minutes"] == search == search_minutes(minutes)


def test_pretrained_variants_are_not_judged_while_their_backbones_are_frozen() -> None:
    choices = {choice.key: choice.value for choice in budget_choices(dataset_of(), minutes=10, is_transfer=True)}
    assert choices["schedule.grace_epochs"] == 4
    others = {choice.key: choice.value for choice in budget_choices(dataset_of(), minutes=10)}
    assert (others["schedule.max_epochs"], others["schedule.grace_epochs"]) == ("auto", "auto")
