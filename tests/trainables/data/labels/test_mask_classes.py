"""What the pixels of masks mean is one thing in all splits, or refused in words."""

import numpy as np
import pytest

from trainables.data.labels.masks import class_of_pixels, mask_classes, mask_notes
from trainables.errors import DataError


def counted(**splits):
    return {name: np.bincount(values, minlength=256) for name, values in splits.items()}


def classes(names=None, **splits):
    return mask_classes(counted(**splits), where={name: name for name in splits}, names=names)


@pytest.mark.parametrize(
    ("splits", "names", "expected"),
    [
        ({"train": [0, 1, 1, 2], "test": [0, 2]}, None, ((), ["0", "1", "2"])),
        ({"train": [0, 1, 2, 255], "test": [255, 1]}, None, ((), ["0", "1", "2"])),
        ({"train": [0, 255], "test": [0]}, None, ((0, 255), ["0", "1"])),
        ({"train": [0, 1]}, None, ((), ["0", "1"])),
        ({"train": [0, 1, 255]}, ["out", "in"], ((), ["out", "in"])),
        ({"train": [0, 3], "test": [1, 2]}, ["a", "b", "c", "d"], ((), ["a", "b", "c", "d"])),
    ],
)
def test_values_are_class_numbers_or_black_and_white(splits, names, expected):
    assert classes(names, **splits) == expected


@pytest.mark.parametrize(
    ("splits", "names", "message"),
    [
        ({"train": [0, 0]}, None, "expected pixels of two or more classes, got only [0]"),
        ({"train": [1, 255]}, None, "expected pixels of two or more classes, got only [1, 255]"),
        ({"train": [0, 1, 255]}, None, "pixels of 0, 1 and 255 may be two classes and pixels that do not count"),
        ({"train": [1, 2, 3]}, None, "expected class numbers 0, 1, 2, ... or 0 and 255, got [1, 2, 3] without 0"),
        ({"train": [0, 2, 3]}, None, "got [0, 2, 3] without 1; number the classes"),
        ({"train": [0, 4]}, ["a", "b"], "class 4 has no name, there are only 2 class names"),
        ({"train": [0, 1, 2], "test": [0, 255]}, None, "have class numbers 0 to 2, these have [255] as well"),
        ({"train": [0, 1, 2], "test": [3]}, None, "test: the training masks have class numbers 0 to 2, these have [3]"),
        ({"train": [0, 255], "test": [0, 1]}, None, "the training masks have 0 and 255, these have [1] as well"),
    ],
)
def test_values_of_two_meanings_are_refused(splits, names, message):
    with pytest.raises(DataError) as caught:
        classes(names, **splits)
    assert message in str(caught.value)


def test_black_and_white_become_classes_and_uncounted_pixels_stay():
    assert class_of_pixels(np.array([0, 255], np.uint8), values=(0, 255)).tolist() == [0, 1]
    assert class_of_pixels(np.array([0, 2, 255], np.uint8), values=()).tolist() == [0, 2, 255]


def test_notes_say_shares_and_what_does_not_count():
    notes = mask_notes(counted(train=[0, 0, 0, 1, 2, 255, 255, 255]), name="m", num_classes=3, values=())
    assert notes == [
        "targets.m: pixels are class numbers; shares of the training pixels by class: 60.0%, 20.0%, 20.0%",
        "targets.m: 37.5% of the training pixels are 255 and count neither in losses nor in metrics",
    ]
    (note,) = mask_notes(counted(train=[0, 0, 0, 255]), name="m", num_classes=2, values=(0, 255))
    assert note.startswith(
        "targets.m: 0 and 255 are the classes 0 and 1; shares of the training pixels by class: 75.0%"
    )
