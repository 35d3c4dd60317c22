"""Image files become the pixels that a viewer shows."""

import io

import numpy as np
import pytest
from PIL import Image

from trainables.data.images.arrays import fitted
from trainables.data.images.decode import Encoded, decode, read_header
from trainables.data.images.images import Layout


def saved(image, suffix, **options):
    buffer = io.BytesIO()
    image.save(buffer, format=suffix, **options)
    return Encoded(where="x", content=buffer.getvalue())


def decoded(item, *, channels=3, size=None):
    height, width = read_header(item).size
    height, width = size or (height, width)
    return decode(item, layout=Layout(height=height, width=width, channels=channels))


@pytest.mark.parametrize("suffix", ["png", "jpeg", "bmp", "gif", "webp", "tiff"])
def test_folder_of_each_format_is_read(suffix, tmp_path, made, prepare):
    root = made.write_folders(tmp_path / "photos", suffix=suffix)
    data = prepare(source="images", path=str(root))
    assert data.info.task.targets[0].class_names == ("cat", "dog")
    assert data.info.task.input_shape == (8, 6, 3)
    if suffix in {"png", "bmp", "tiff"}:
        assert np.array_equal(data.train.images[:6], made.pictures(6, seed=0))
        assert np.array_equal(data.train.images[6:], made.pictures(6, seed=1))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["JPEG", "PNG"])
def test_exif_orientation_puts_the_image_upright(orientation, suffix):
    stored = np.zeros((16, 32, 3), np.uint8)
    stored[:8, :8] = 255  # a white corner, top left as stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decoded(saved(Image.fromarray(stored), suffix, exif=exif))
    assert pixels.shape[:2] == ((16, 32) if orientation < 5 else (32, 16))
    corner = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
    row, column = corner[orientation]
    assert pixels[row, column].min() > 200
    assert pixels.mean() < 80


@pytest.mark.parametrize(
    ("image", "colour", "expected"),
    [
        (Image.new("L", (2, 2), 90), False, [90]),
        (Image.new("1", (2, 2), 1), False, [255]),
        (Image.new("LA", (2, 2), (90, 10)), False, [90]),
        (Image.fromarray(np.full((2, 2), 257 * 90, np.uint16)), False, [90]),
        (Image.new("RGB", (2, 2), (1, 2, 3)), True, [1, 2, 3]),
        (Image.new("RGBA", (2, 2), (1, 2, 3, 0)), True, [1, 2, 3]),
        (Image.new("RGB", (2, 2), (1, 2, 3)).convert("P", palette=Image.Palette.ADAPTIVE), True, [1, 2, 3]),
    ],
)
def test_every_mode_becomes_grey_or_rgb(image, colour, expected):
    item = saved(image, "PNG")
    header = read_header(item)
    assert (header.size, header.has_colour) == ((2, 2), colour)
    assert decoded(item, channels=len(expected))[0, 0].tolist() == expected


def test_grey_folder_stays_grey_and_one_colour_image_makes_all_rgb(tmp_path, made, prepare):
    root = made.write_folders(tmp_path / "photos", channels=1)
    grey = prepare(source="images", path=str(root))
    assert grey.info.task.input_shape == (8, 6, 1)
    (root / "cat" / "zzz.png").write_bytes(made.encoded(made.pictures(1)[0]))
    mixed = prepare(source="images", path=str(root))
    assert mixed.info.task.input_shape == (8, 6, 3)
    assert np.array_equal(mixed.train.images[0], np.repeat(grey.train.images[0], 3, axis=2))


def test_colour_in_the_test_split_alone_makes_all_rgb(tmp_path, made, prepare):
    made.write_folders(tmp_path / "photos" / "train", channels=1)
    made.write_folders(tmp_path / "photos" / "test", channels=3)
    assert prepare(source="images", path=str(tmp_path / "photos")).info.task.input_shape == (8, 6, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_files_and_arrays_turn_to_the_same_pixels(channels, made):
    layout = Layout(height=5, width=9, channels=channels)
    for start in (1, 3):
        pixels = made.pictures(3, channels=start)
        from_files = [decode(Encoded(where="x", content=made.encoded(image)), layout=layout) for image in pixels]
        assert np.array_equal(fitted(pixels, layout), np.stack(from_files))


def test_image_size_resizes_mixed_sizes(tmp_path, made, prepare):
    root = made.write_folders(tmp_path / "photos")
    (root / "cat" / "big.png").write_bytes(made.encoded(made.pictures(1, height=20, width=30)[0]))
    data = prepare(source="images", path=str(root), image_size=(10, 12))
    assert data.info.task.input_shape == (10, 12, 3)


def test_limit_on_class_folders_takes_turns(tmp_path, made, prepare):
    root = made.write_folders(tmp_path / "photos", classes=("a", "b", "c"), each=9)
    data = prepare(source="images", path=str(root), limit=9)
    assert np.bincount(data.train.labels["label"]).tolist() == [3, 3, 3]
    assert np.array_equal(data.train.images[1], made.pictures(9, seed=1)[0])


def test_split_folders_below_one_path_are_found(tmp_path, made, prepare):
    for number, split in enumerate(("train", "validation", "test")):
        made.write_folders(tmp_path / "photos" / split, each=3 + number, seed=10 * number)
    info = prepare(source="images", path=str(tmp_path / "photos")).info
    assert (info.num_train, info.num_validation, info.num_test) == (6, 8, 10)


def test_hidden_and_other_files_are_passed_over(tmp_path, made, prepare):
    root = made.write_folders(tmp_path / "photos")
    (root / ".ipynb_checkpoints").mkdir()
    (root / "cat" / ".DS_Store").write_bytes(b"x")
    (root / "cat" / "notes.txt").write_text("x")
    (root / "cat" / "._000.png").write_bytes(b"x")
    assert prepare(source="images", path=str(root)).info.task.targets[0].class_names == ("cat", "dog")
