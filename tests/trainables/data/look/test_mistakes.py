"""The picture of the worst mistakes shows their pixels, numbered, and is never large."""

import io

import numpy as np
import pytest
from PIL import Image

from trainables.data.look.mistakes import write_mistake_pictures
from trainables.data.look.sheet import NUMBERED_COLUMNS, draw_numbered


def scores_of(places, **more):
    return {"mistakes": {"images": 99, "wrong": 9, "examples": [{"place": place} for place in places]}, **more}


@pytest.mark.parametrize("channels", [1, 3])
def test_each_cell_shows_the_pixels_of_its_row_above_a_number(channels, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 2, 2, channels), np.uint8)
    rows = np.arange(5, 40, 3)
    places = [4, 0, 9, 1, 2, 3, 5]
    found = write_mistake_pictures(
        tmp_path, {"t": scores_of(places)}, rows=rows, fetch=images.__getitem__, num_inputs=1
    )
    mistakes = found["t"]["mistakes"]
    assert [example["row"] for example in mistakes["examples"]] == [int(rows[place]) for place in places]
    assert mistakes["file"] == "worst_mistakes.png"
    sheet = np.asarray(Image.open(tmp_path / mistakes["file"]))
    for number, place in enumerate(places):
        row, column = divmod(number, NUMBERED_COLUMNS)
        cell = sheet[row * 148 : row * 148 + 128, column * 132 : column * 132 + 128]
        assert np.array_equal(cell[::64, ::64], np.broadcast_to(images[rows[place]], (2, 2, 3)))
        assert (sheet[row * 148 + 128 : row * 148 + 144, column * 132 : column * 132 + 128] < 128).any()


def test_a_picture_of_noise_gets_smaller_cells_and_stays_below_200_kilobytes(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (12, 300, 300, 3), np.uint8)
    large = draw_numbered(images, longest=128)
    write_mistake_pictures(
        tmp_path, {"t": scores_of(range(12))}, rows=np.arange(12), fetch=images.__getitem__, num_inputs=1
    )
    content = (tmp_path / "worst_mistakes.png").read_bytes()
    assert len(content) <= 200_000 < len(large)
    assert Image.open(io.BytesIO(content)).width < Image.open(io.BytesIO(large)).width


def test_targets_have_a_file_each_by_number_and_those_without_mistakes_have_none(tmp_path):
    images = np.zeros((3, 4, 4, 2), np.uint8)
    scores = {"../evil": scores_of([1]), "right": scores_of([]), "masks": {}, "last": scores_of([0, 2])}
    found = write_mistake_pictures(tmp_path, scores, rows=np.arange(3), fetch=images.__getitem__, num_inputs=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["worst_mistakes_1.png", "worst_mistakes_4.png"]
    assert found["right"] == scores["right"]
    assert Image.open(tmp_path / "worst_mistakes_4.png").size == (2 * 260 - 4, 148 - 4)
