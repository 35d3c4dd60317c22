"""The look counts exactly what was planted: copies, shared pictures, contradictions, blank and grey ones, classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.cache.statistics import pixel_moments
from trainables.data.look.digests import blank_pictures, grey_pictures, pixel_digests
from trainables.data.look.facts import Pictures, facts_of
from trainables.data.look.sentences import refuse_worthless, sentences
from trainables.errors import DataError
from trainables.specs.data import DataSpec

SPLITS = ("train", "validation", "test")
SPEC = DataSpec(source="digits")
LABEL = {"name": "label", "kind": "classification", "size": 3, "class_names": ["ant", "bee", "cow"]}


def distinct(count, *, channels=3, first=0):
    """Returns pictures that all differ: each holds its own number, and is neither blank nor grey."""
    images = np.random.default_rng(7).integers(0, 256, (count, 5, 4, channels), np.uint8)
    numbers = np.arange(first, first + count)
    images[:, 0, 0, 0], images[:, 0, 1, 0], images[:, 0, 2, 0] = numbers // 256, numbers % 256, 255
    images[:, 0, 3] = [0, 200, 100][:channels]
    return images


def pictures(images, labels=None, *, split="train"):
    moments = pixel_moments(images)
    labels = np.arange(len(images), dtype=np.int32) % 3 if labels is None else np.asarray(labels)
    return Pictures(
        digests=pixel_digests(images),
        is_blank=blank_pictures(moments, num_pixels=images.shape[1] * images.shape[2]),
        is_grey=grey_pictures(images, moments, channels=images.shape[3]),
        labels={"label": labels},
        name=lambda row: f"{split} {row}",
    )


def facts(images, labels=None, *, targets=(LABEL,), carved=()):
    splits = {name: pictures(images[name], None if labels is None else labels[name], split=name) for name in SPLITS}
    values = [int(images["train"].min()), int(images["train"].max())]
    own = {name: [int(images[name].min()), int(images[name].max())] for name in SPLITS[1:]}
    return facts_of(splits, targets=targets) | {
        "own_values": own,
        "values": values, "channels": images["train"].shape[3], "carved": list(carved),
    }  # fmt: skip


def shared(found):
    return {(pair["in"], pair["split"]): pair["images"] for pair in found["shared"]}


@given(
    counts=st.tuples(st.integers(3, 20), st.integers(2, 9), st.integers(2, 9)),
    copies=st.integers(0, 6), in_validation=st.integers(0, 4), in_test=st.integers(0, 4), seed=st.integers(0, 99),
)  # fmt: skip
def test_planted_copies_are_counted_to_the_last(counts, copies, in_validation, in_test, seed):
    generator = np.random.default_rng(seed)
    own = np.split(distinct(sum(counts)), np.cumsum(counts)[:-1])
    again = own[0][generator.integers(0, counts[0], copies)]
    to_validation = own[0][generator.choice(counts[0], min(in_validation, counts[0]), replace=False)]
    to_test = own[0][generator.choice(counts[0], min(in_test, counts[0]), replace=False)]
    planted = {
        "train": generator.permutation(np.concatenate([own[0], again])),
        "validation": generator.permutation(np.concatenate([own[1], to_validation])),
        "test": generator.permutation(np.concatenate([own[2], to_test])),
    }
    found = facts(planted)
    assert found["repeated"] == {"train": copies, "validation": 0, "test": 0}
    both = len({row.tobytes() for row in to_validation} & {row.tobytes() for row in to_test})
    assert shared(found) == {
        ("train", "validation"): len(to_validation), ("train", "test"): len(to_test), ("validation", "test"): both,
    }  # fmt: skip
    for pair in found["shared"]:
        for one, other in pair["examples"]:
            (of, row), (source, twin) = one.split(), other.split()
            assert (of, source) == (pair["split"], pair["in"])
            assert np.array_equal(planted[of][int(row)], planted[source][int(twin)])


@given(values=st.lists(st.integers(0, 255), min_size=2, max_size=8), channels=st.sampled_from([1, 3]))
def test_blank_pictures_are_those_of_one_value_a_channel(values, channels):
    flat = np.array(values, np.uint8)[:, None, None, None] * np.ones((1, 5, 4, channels), np.uint8)
    almost = flat.copy()
    almost[:, 2, 1, 0] ^= 1
    images = np.concatenate([flat, almost])
    blank = blank_pictures(pixel_moments(images), num_pixels=20)
    assert blank.tolist() == [True] * len(values) + [False] * len(values)


def test_two_pixels_that_balance_each_other_are_not_blank():
    images = np.full((1, 5, 4, 1), 100, np.uint8)
    images[0, 0, 0], images[0, 0, 1] = 101, 99
    assert not blank_pictures(pixel_moments(images), num_pixels=20).any()


@pytest.mark.parametrize("size", [(3, 5), (32, 32), (250, 300)])
def test_sums_of_pixels_and_squares_are_exact_at_every_size(size):
    images = np.random.default_rng(0).integers(0, 256, (3, *size, 3), np.uint8)
    images[0] = 255
    wide = images.astype(object)
    expected = np.stack([wide.sum(axis=(1, 2)), (wide * wide).sum(axis=(1, 2))], axis=-1)
    assert np.array_equal(pixel_moments(images), expected.astype(np.int64))


def test_empty_tiles_are_blank_and_neither_repeated_nor_shared():
    tiles = np.zeros((4, 5, 4, 3), np.uint8)
    planted = {name: np.concatenate([distinct(6, first=10 * place), tiles]) for place, name in enumerate(SPLITS)}
    found = facts(planted, {name: np.arange(10, dtype=np.int32) % 3 for name in SPLITS})
    assert found["blank"] == dict.fromkeys(SPLITS, 4)
    assert found["repeated"] == dict.fromkeys(SPLITS, 0)
    assert set(shared(found).values()) == {0}
    assert found["contradicting"]["pictures"] == 0
    assert "12 of 30 images are blank: every pixel is the same (4 training, 4 validation, 4 test)" in sentences(
        found, spec=SPEC
    )


def test_a_blank_picture_of_its_own_value_is_a_picture_as_any_other():
    images = (np.arange(8, dtype=np.uint8) * 9)[:, None, None, None] * np.ones((1, 5, 4, 1), np.uint8)
    found = facts({"train": images, "validation": images[:2] + 1, "test": images[:5]})
    assert shared(found)["train", "test"] == 5


def test_copies_with_other_labels_are_counted_by_picture_and_named():
    images = distinct(9)
    planted = {"train": images[[0, 1, 2, 0, 1, 0]], "validation": images[[5, 2]], "test": images[[6, 7]]}
    labels = {
        "train": np.array([0, 1, 2, 1, 1, 2], np.int32),
        "validation": np.array([0, 0], np.int32),
        "test": np.array([1, 2], np.int32),
    }
    found = facts(planted, labels)
    assert found["contradicting"]["pictures"] == 2
    assert found["contradicting"]["examples"] == [["train 0", "train 3"], ["train 2", "validation 1"]]
    said = "2 pictures come more than once with different labels (train 0 is train 3; train 2 is validation 1)"
    assert said in sentences(found, spec=SPEC)


def test_copies_with_other_flags_contradict_and_other_numbers_do_not():
    images = distinct(6)
    planted = {"train": images[[0, 1, 1, 0]], "validation": images[2:4], "test": images[4:]}
    flags = {"name": "label", "kind": "multilabel", "size": 2, "class_names": ["x", "y"]}
    rows = {"train": np.array([[0, 1], [1, 1], [1, 1], [1, 1]], np.uint8), "validation": np.ones((2, 2), np.uint8)}
    found = facts(planted, rows | {"test": np.ones((2, 2), np.uint8)}, targets=(flags,))
    assert found["contradicting"]["pictures"] == 1
    number = {"name": "label", "kind": "regression", "size": 1, "class_names": []}
    assert facts(planted, rows | {"test": rows["validation"]}, targets=(number,))["contradicting"]["pictures"] == 0


def test_missing_classes_and_unequal_sizes_are_said_with_their_names_and_counts():
    labels = {
        "train": np.array([0] * 20 + [1] * 2, np.int32),
        "validation": np.array([0, 1], np.int32),
        "test": np.array([0, 0], np.int32),
    }
    images = np.split(distinct(26), [22, 24])
    found = facts(dict(zip(SPLITS, images, strict=True)), labels)
    assert sentences(found, spec=SPEC) == [
        "1 of 3 classes has no training image: 'cow'",
        "1 of 3 classes has no validation image: 'cow'",
        "2 of 3 classes have no test image: 'bee', 'cow'",
        "classes are of unequal sizes: 20 training images of 'ant', 2 of 'bee'; accuracy says little of rare classes: "
        "class_weights: balanced, or another metric",
    ]
    assert found["targets"][0]["members"] == {"train": [20, 2, 0], "validation": [1, 1, 0], "test": [2, 0, 0]}


def test_a_flag_that_is_never_set_is_said():
    flags = {"name": "label", "kind": "multilabel", "size": 2, "class_names": ["round", "red"]}
    images = dict(zip(SPLITS, np.split(distinct(9), 3), strict=True))
    labels = {name: np.array([[1, 0], [0, 0], [1, 0]], np.uint8) for name in SPLITS}
    assert "1 of 2 flags has no training image: 'red'" in sentences(facts(images, labels, targets=(flags,)), spec=SPEC)


@pytest.mark.parametrize(("highest", "is_said"), [(1, True), (25, True), (26, False), (255, False)])
def test_images_that_use_few_values_are_said_to(highest, is_said):
    images = np.random.default_rng(0).integers(0, 2, (30, 5, 4, 1), np.uint8) * np.uint8(highest)
    said = sentences(facts(dict(zip(SPLITS, np.split(images, 3), strict=True))), spec=SPEC)
    assert any(f"training pixels are 0 to {highest} of 0 to 255" in line for line in said) == is_said


@pytest.mark.parametrize(("scale", "is_said"), [(1, False), (3, False), (4, True), (255, True)])
def test_a_split_that_was_scaled_otherwise_is_said(scale, is_said):
    images = np.split(distinct(9), 3)
    images[2] = images[2] // np.uint8(scale)
    said = sentences(facts(dict(zip(SPLITS, images, strict=True))), spec=SPEC)
    line = f"test pixels are 0 to {255 // scale}, training pixels 0 to 255: were both scaled alike?"
    assert (line in said) == is_said
    assert not any(text.startswith("validation pixels") for text in said)


def test_grey_among_colour_is_said_and_so_is_grey_alone_unless_channels_were_asked_for():
    images = distinct(30)
    images[:7] = images[:7, ..., :1]
    mixed = facts(dict(zip(SPLITS, np.split(images, 3), strict=True)))
    assert mixed["grey"] == {"train": 7, "validation": 0, "test": 0}
    said = "grey and colour are mixed: 7 of 30 images are grey; all are kept in colour"
    assert said in sentences(mixed, spec=SPEC)
    images[...] = images[..., :1]
    grey = facts(dict(zip(SPLITS, np.split(images, 3), strict=True)))
    assert "all images are grey but come in three channels: data.channels: 1 keeps one" in sentences(grey, spec=SPEC)
    asked = DataSpec(source="digits", channels=3)
    assert not any("grey" in line for line in [*sentences(grey, spec=asked), *sentences(mixed, spec=asked)])


def test_grey_is_judged_image_by_image_of_several_inputs():
    grey, colour = distinct(4), distinct(4, first=50)
    grey[...] = grey[..., :1]
    pairs = np.concatenate([grey, colour], axis=3)
    assert not grey_pictures(pairs, pixel_moments(pairs), channels=3).any()
    pairs = np.concatenate([grey, grey[::-1]], axis=3)
    assert grey_pictures(pairs, pixel_moments(pairs), channels=3).all()


def test_colours_of_equal_sums_are_not_grey():
    quarters = np.zeros((1, 4, 4, 3), np.uint8)
    for place, (row, column) in enumerate([(0, 0), (0, 2), (2, 0)]):
        quarters[0, row : row + 2, column : column + 2, place] = 255
    assert not grey_pictures(quarters, pixel_moments(quarters), channels=3).any()


def test_half_a_split_that_is_in_training_is_refused_and_less_is_said():
    own = np.split(distinct(40), [20, 30])
    planted = {"train": own[0], "validation": own[1], "test": np.concatenate([own[0][:4], own[2][:5]])}
    found = facts(planted)
    refuse_worthless(found, spec=SPEC)
    line = (
        "4 of 9 test images are training images as well (test 0 is train 0; test 1 is train 1; test 2 is train 2): "
        "metrics of that split look better than they are"
    )
    assert line in sentences(found, spec=SPEC)
    planted["test"] = planted["test"][:8]
    with pytest.raises(DataError) as error:
        refuse_worthless(facts(planted), spec=SPEC)
    assert str(error.value) == (
        "data: 4 of 8 test images are training images as well (test 0 is train 0; test 1 is train 1; test 2 is "
        "train 2), so test metrics would show what the model has by heart; remove the copies, or give test images that "
        "are not in training; data.allow_overlap: true trains on them all the same"
    )
    refuse_worthless(facts(planted), spec=SPEC.model_copy(update={"allow_overlap": True}))
    refuse_worthless(facts(planted, carved=("test",)), spec=SPEC)


def test_training_images_that_are_all_blank_and_equal_are_refused_and_equal_ones_are_said():
    same = np.zeros((9, 5, 4, 3), np.uint8)
    planted = {"train": same, "validation": distinct(3), "test": distinct(3, first=9)}
    with pytest.raises(DataError, match=r"data: all 9 training images are blank and equal: .*allow_overlap: true"):
        refuse_worthless(facts(planted), spec=SPEC)
    refuse_worthless(facts(planted), spec=SPEC.model_copy(update={"allow_overlap": True}))
    same[0, 0, 0, 0] = 1
    refuse_worthless(facts(planted), spec=SPEC)
    same[:] = distinct(1)
    refuse_worthless(facts(planted), spec=SPEC)
    line = "all 9 training images are equal, pixel by pixel: no model can tell them apart"
    assert line in sentences(facts(planted), spec=SPEC)
