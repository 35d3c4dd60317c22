"""The contact sheet shows training images as a model gets them, a row a class, and the same ones every time."""

import io

import numpy as np
import pytest
from PIL import Image

from trainables.data.look.sheet import CELL, GAP, MARGIN, chosen_rows, draw_sheet

NAMES = [f"class {number}" for number in range(12)]
TARGETS = [
    {"name": "age", "kind": "regression", "size": 1, "class_names": []},
    {"name": "label", "kind": "classification", "size": 12, "class_names": NAMES},
]


def drawn(chosen, images, **options):
    return np.asarray(Image.open(io.BytesIO(draw_sheet(chosen, fetch=images.__getitem__, **options))))


def test_rows_are_the_first_classes_of_the_split_and_images_are_spread_over_it():
    labels = {"label": np.arange(240, dtype=np.int32) % 12}
    rows = np.flatnonzero(np.arange(240) % 12 != 3)  # the split lacks class 3
    chosen = chosen_rows(rows, targets=TARGETS, labels=labels)
    assert [name for name, _ in chosen] == [NAMES[number] for number in (0, 1, 2, 4, 5, 6, 7, 8)]
    for name, members in chosen:
        assert len(members) == 8
        assert {NAMES[labels["label"][row]] for row in members} == {name}
        assert min(members) < 24
        assert max(members) >= 216
    assert chosen == chosen_rows(rows, targets=TARGETS, labels=labels)


def test_without_classes_the_rows_have_no_names():
    chosen = chosen_rows(np.arange(5, 15), targets=TARGETS[:1], labels={})
    assert chosen == [("", list(range(5, 13))), ("", [13, 14])]


@pytest.mark.parametrize("channels", [1, 3])
def test_cells_show_the_pixels_themselves_beside_the_names(channels):
    images = np.random.default_rng(0).integers(0, 256, (6, 2, 2, channels), np.uint8)
    sheet = drawn([("cat", [0, 3]), ("dog", [5])], images)
    assert sheet.shape == (2 * CELL + GAP, MARGIN + 2 * CELL + GAP, 3)
    for place, row in (((0, 0), 0), ((0, 1), 3), ((1, 0), 5)):
        top, left = place[0] * (CELL + GAP), MARGIN + place[1] * (CELL + GAP)
        cell = sheet[top : top + CELL, left : left + CELL]
        assert np.array_equal(cell[:: CELL // 2, :: CELL // 2], np.broadcast_to(images[row], (2, 2, 3)))
    assert (sheet[:CELL, :MARGIN] < 128).any()
    assert (sheet[CELL + GAP :, MARGIN + CELL :] == 255).all()


def test_images_of_an_example_stand_side_by_side():
    images = np.concatenate([np.full((1, 2, 2, 3), 10, np.uint8), np.full((1, 2, 2, 3), 200, np.uint8)], axis=3)
    sheet = drawn([("", [0])], images, num_inputs=2)
    assert sheet.shape == (CELL, 2 * CELL, 3)
    assert np.unique(sheet[:, :CELL]).tolist() == [10]
    assert np.unique(sheet[:, CELL:]).tolist() == [200]


def test_names_that_the_font_lacks_become_numbers_and_draw():
    images = np.zeros((1, 4, 4, 1), np.uint8)
    named = drawn([("row 1", [0])], images)
    assert np.array_equal(drawn([("猫", [0])], images), named)
    assert np.array_equal(drawn([("cat\n", [0])], images), named)
    assert drawn([("x" * 500, [0])], images).shape == named.shape
