"""Suspicious sizes of images are said with their number and an example; ordinary ones are not."""

import pytest

from trainables.data.images.images import Layout, Survey
from trainables.data.look.sizes import size_sentences


def survey_of(sizes):
    survey = Survey()
    for (height, width), count in sizes.items():
        survey.add((height, width), colour=True, where=f"{height}by{width}.png", count=count)
    return survey


def said(sizes, size):
    return size_sentences(survey_of(sizes), layout=Layout(height=size[0], width=size[1], channels=3))


@pytest.mark.parametrize(
    ("sizes", "size", "expected"),
    [
        ({(32, 32): 90}, (32, 32), []),
        ({(480, 640): 60, (640, 480): 30}, (224, 224), []),
        (
            {(480, 640): 60, (1, 1): 1},
            (224, 224),
            ["1 of 61 images (1by1.png is 1x1) is much smaller than most, which are about 480x640"],
        ),
        (
            {(30, 40): 60, (300, 400): 2, (299, 400): 1},
            (32, 32),
            ["3 of 63 images (300by400.png is 300x400) are much larger than most, which are about 30x40"],
        ),
        (
            {(16, 16): 9},
            (224, 224),
            ["images are mostly 16x16 and become 224x224: 14 times larger a side, which adds no detail"],
        ),
        (
            {(3000, 4000): 9},
            (32, 32),
            ["images are mostly 3000x4000 and become 32x32: 108 times smaller a side, which leaves no detail"],
        ),
        (
            {(100, 100): 5, (100, 300): 4},
            (100, 100),
            ["4 of 9 images (100by300.png is 100x300) are squeezed to less than half of their proportions of height to "
             "width"],
        ),
        (
            {(100, 300): 9},
            (100, 100),
            ["all 9 images (100by300.png is 100x300) are squeezed to less than half of their proportions of height to "
             "width"],
        ),
        ({(1, 784): 9}, (1, 784), [
            "images have only 1x784 pixels: are rows of numbers meant, which would need a reshape?",
        ]),
        ({(1500, 2000): 9}, (1500, 2000), [
            "images are kept at 1500x2000 pixels; a data.image_size such as [224, 224] trains much faster",
        ]),
        ({}, (8, 8), []),
    ],
)  # fmt: skip
def test_sizes_are_said_where_they_are_suspicious(sizes, size, expected):
    assert said(sizes, size) == expected
