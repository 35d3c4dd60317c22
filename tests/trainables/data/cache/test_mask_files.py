"""Masks in a folder beside that of their images, and masks that a table names, reach training as they were written."""

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from trainables.errors import DataError
from trainables.specs.data import DataSpec

COUNT, HEIGHT, WIDTH = 24, 8, 6
MASKS = np.random.default_rng(4).integers(0, 3, (COUNT, HEIGHT, WIDTH)).astype(np.uint8)
ROWS = np.arange(HEIGHT)[:, None]
TARGET = {"cells": {"kind": "mask"}}


def palette(numbers):
    picture = Image.frombytes("P", numbers.shape[::-1], numbers.tobytes())
    picture.putpalette([0, 0, 0, 200, 10, 10, 0, 255, 0] + 252 * [7, 7, 7] + [224, 224, 192])
    return picture


def write_folders(root, made, *, masks=MASKS, draw=Image.fromarray, seed=0):
    """Writes images/000.png, images/scan/001.png, ... and masks/000.png, masks/scan/001.png, ..."""
    images = made.pictures(len(masks), seed=seed)
    for row, mask in enumerate(masks):
        for place, picture in (("images", Image.fromarray(images[row])), ("masks", draw(mask))):
            path = root / place / ("scan" if row % 2 else ".") / f"{row:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
    return {"source": "images", "path": str(root / "images"), "masks": str(root / "masks"), "targets": TARGET}


def write_table(root, made, *, masks=MASKS, draw=Image.fromarray, name="train.csv", seed=0):
    """Writes a table of images and masks whose names have nothing in common."""
    fields = write_folders(root, made, masks=masks, draw=draw, seed=seed)
    lines = ["image,drawn,patient"]
    for row in range(len(masks)):
        folder = "scan/" if row % 2 else ""
        drawn = root / "masks" / f"{folder}{row:03}.png"
        drawn.rename(drawn.with_name(f"seg{len(masks) - row}.png"))
        lines.append(f"{folder}{row:03}.png,{folder}seg{len(masks) - row},{row // 3}")
    (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {
        "source": "csv",
        "train": str(root / name),
        "images": fields["path"],
        "masks": fields["masks"],
        "targets": {"cells": {"kind": "mask", "column": "drawn"}},
    }


#: The rows in the order that each source has them in: a folder by its files' paths, a table as it is.
ORDERS = {write_folders: [*range(0, COUNT, 2), *range(1, COUNT, 2)], write_table: list(range(COUNT))}
BOTH = pytest.mark.parametrize("write", [write_folders, write_table])


BESIDE = np.where(ROWS == 0, 255, MASKS).astype(np.uint8)
#: What is drawn in masks, how, and the numbers that training gets.
KINDS = {
    "class numbers": (MASKS, Image.fromarray, MASKS),
    "numbers of colours": (MASKS, palette, MASKS),
    "0 and 1": (MASKS % 2, Image.fromarray, MASKS % 2),
    "0 and 255": ((MASKS == 1) * np.uint8(255), Image.fromarray, MASKS == 1),
    "one bit": (MASKS == 1, Image.fromarray, MASKS == 1),
    "255 beside class numbers": (BESIDE, Image.fromarray, BESIDE),
    "colour 255 beside other numbers": (BESIDE, palette, BESIDE),
}


@BOTH
@pytest.mark.parametrize("kind", KINDS)
def test_every_pixel_is_the_class_that_was_written(write, kind, tmp_path, made, prepare_both):
    masks, draw, expected = KINDS[kind]
    data = prepare_both(write(tmp_path, made, masks=masks, draw=draw))
    rows = ORDERS[write]
    assert data.train.labels["cells"].dtype == np.uint8
    assert np.array_equal(data.train.labels["cells"], expected[rows])
    assert np.array_equal(data.train.images, made.pictures(COUNT)[rows])
    assert data.info.task.targets[0].size == len(np.setdiff1d(expected, [255]))
    assert any("are 255 and count neither" in note for note in data.info.notes) == ("beside" in kind)


@BOTH
def test_masks_shrink_with_their_images_in_both_storages(write, tmp_path, made, prepare):
    fields = write(tmp_path, made)
    decoded, streamed = (prepare(**fields, image_size=(4, 3), memory_gb=budget) for budget in (1, 0))
    assert (decoded.info.storage, streamed.info.storage) == ("decoded", "encoded")
    assert decoded.info.fingerprint == streamed.info.fingerprint
    for data in (decoded, streamed):
        # Half the size: the middle of each new pixel lies between two, and the later one counts.
        assert np.array_equal(data.train.labels["cells"], MASKS[ORDERS[write], 1::2, 1::2])


@BOTH
def test_a_limit_takes_the_first_images_with_their_masks(write, tmp_path, made, prepare):
    data = prepare(**write(tmp_path, made), limit=10)
    rows = ORDERS[write][:10]
    assert np.array_equal(data.train.labels["cells"], MASKS[rows])
    assert np.array_equal(data.train.images, made.pictures(COUNT)[rows])


@BOTH
def test_the_masks_decide_the_entry_of_the_cache(write, tmp_path, made, prepare):
    fields = write(tmp_path, made)
    first = prepare(**fields)
    mask = next((tmp_path / "masks").glob("*.png"))
    Image.fromarray(2 - np.asarray(Image.open(mask))).save(mask)
    second = prepare(**fields)
    assert first.info.key != second.info.key
    assert first.info.fingerprint != second.info.fingerprint
    assert (first.train.labels["cells"] != second.train.labels["cells"]).any()


def test_every_split_has_a_folder_of_masks_of_its_own(tmp_path, made, prepare):
    for seed, split in enumerate(("train", "test")):
        write_folders(tmp_path / split, made, masks=MASKS if split == "train" else MASKS[::-1], seed=seed)
    places = {split: str(tmp_path / split / "images") for split in ("train", "test")}
    fields = {"source": "images", "targets": TARGET, **places}
    data = prepare(**fields, masks=str(tmp_path / "{split}" / "masks"))
    rows = ORDERS[write_folders]
    assert np.array_equal(data.train.labels["cells"], MASKS[rows])
    assert np.array_equal(data.test.labels["cells"], MASKS[::-1][rows])
    assert np.array_equal(data.test.images, made.pictures(COUNT, seed=1)[rows])
    with pytest.raises(DataError, match=r"000.png: is the mask of both .*000.png \(train\) and .*000.png \(test\) by"):
        prepare(**fields, masks=str(tmp_path / "train" / "masks"))


def test_groups_of_a_table_hold_for_masks(tmp_path, made, prepare):
    data = prepare(**write_table(tmp_path, made), group="patient")
    parts = [set(split.indices // 3) for split in (data.train, data.validation, data.test)]
    assert sum(map(len, parts)) == COUNT // 3
    assert all(parts)


def test_what_is_no_pair_is_left_out_with_a_word(tmp_path, made, prepare):
    fields = write_folders(tmp_path, made)
    (tmp_path / "masks" / "more.png").write_bytes((tmp_path / "masks" / "000.png").read_bytes())
    (tmp_path / "images" / "README.md").write_text("Cells.")
    (tmp_path / "images" / ".hidden.png").write_bytes(b"")
    data = prepare(**fields)
    assert len(data.train.images) == COUNT
    assert f"{tmp_path / 'masks'}: masks without an image are left out: 1 (more.png)" in data.info.notes
    assert any("1 of 25 files below" in note and "README.md" in note for note in data.info.notes)


def test_masks_may_lie_below_the_folder_of_images_and_images_below_that_of_masks(tmp_path, made, prepare):
    write_folders(tmp_path, made)
    (tmp_path / "masks").rename(tmp_path / "images" / "masks")
    fields = {"source": "images", "targets": TARGET, "path": str(tmp_path / "images")}
    data = prepare(**fields, masks=str(tmp_path / "images" / "scan" / ".." / "masks"))
    assert np.array_equal(data.train.labels["cells"], MASKS[ORDERS[write_folders]])


@BOTH
def test_images_without_a_mask_are_named_all_at_once(write, tmp_path, made, prepare):
    fields = write(tmp_path, made)
    for row in range(0, COUNT, 2):
        name = f"{row:03}.png" if write is write_folders else f"seg{COUNT - row}.png"
        (tmp_path / "masks" / name).unlink()
    with pytest.raises(DataError) as caught:
        prepare(**fields)
    if write is write_folders:
        shown = ", ".join(f"{row:03}.png" for row in range(0, 20, 2))
        expected = (
            f"data.masks: 12 of 24 images of {tmp_path / 'images'} have no mask of their name in "
            f"{tmp_path / 'masks'}: {shown} and 2 more; add the masks, or remove the images"
        )
        assert str(caught.value) == expected
    else:
        shown = ", ".join(f"'seg{COUNT - row}' (row {row + 1})" for row in range(0, 20, 2))
        expected = (
            f"{tmp_path / 'train.csv'}: 12 of 24 masks that column 'drawn' names are not in {tmp_path / 'masks'}: "
            f"{shown} and 2 more; add the files, name another folder with masks: ..., or remove the rows"
        )
        assert str(caught.value) == expected


@BOTH
def test_a_mask_of_another_size_is_refused_with_both_names(write, tmp_path, made, prepare):
    fields = write(tmp_path, made)
    mask = tmp_path / "masks" / "scan" / ("005.png" if write is write_folders else "seg19.png")
    Image.fromarray(MASKS[5, :4]).save(mask)
    image = tmp_path / "images" / "scan" / "005.png"
    with pytest.raises(DataError) as caught:
        prepare(**fields, image_size=(8, 8))
    assert str(caught.value) == (
        f"{mask}: the mask has 4x6 pixels (height x width), its upright image {image} 8x6; give every image a mask of "
        "its own size"
    )


@BOTH
def test_pictures_of_different_sizes_have_masks_of_their_own_size(write, tmp_path, made, prepare_both):
    fields = write(tmp_path, made)
    for row in range(0, COUNT, 3):
        folder, mask = (
            "scan" if row % 2 else ".",
            f"{row:03}.png" if write is write_folders else f"seg{COUNT - row}.png",
        )
        Image.fromarray(made.pictures(1, height=10, width=4, seed=row)[0]).save(
            tmp_path / "images" / folder / f"{row:03}.png"
        )
        Image.fromarray(np.full((10, 4), 2, np.uint8)).save(tmp_path / "masks" / folder / mask)
    data = prepare_both({**fields, "image_size": (8, 6)})
    expected = np.where((np.arange(COUNT) % 3 == 0)[:, None, None], 2, MASKS)
    assert np.array_equal(data.train.labels["cells"], expected[ORDERS[write]])


def empty_name(root):
    table = root / "train.csv"
    table.write_text(table.read_text(encoding="utf-8").replace(",seg24,", ",,"), encoding="utf-8")


def second_mask(root):
    table = root / "train.csv"
    table.write_text(table.read_text(encoding="utf-8") + "000.png,seg22,9\n", encoding="utf-8")


def saved_as_jpeg(root):
    for path in root.glob("masks/*.png"):
        Image.open(path).save(path.with_suffix(".jpg"), "JPEG")
        path.unlink()


def written(name, content):
    def write(root):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((root / content).read_bytes() if isinstance(content, str) else content)

    return write


#: How files are written and changed, and a part of the sentence.
MISFITS = {
    "no name": (
        write_table,
        empty_name,
        "train.csv row 1: column 'drawn': the mask's name is empty; write it or remove",
    ),
    "two masks of an image": (
        write_table,
        second_mask,
        "train.csv row 25: 000.png has other labels than in row 1; give",
    ),
    "jpeg in a table": (
        write_table,
        saved_as_jpeg,
        ".jpg: expected a mask in PNG of one channel and at most 8 bits, got",
    ),
    "jpeg in a folder": (
        write_folders,
        saved_as_jpeg,
        ".jpg: expected a mask in PNG of one channel and at most 8 bits",
    ),
    "no picture": (
        write_folders,
        written("masks/000.png", b"no"),
        "masks/000.png: the mask is not a whole image in a k",
    ),
    "two masks of a name": (
        write_folders,
        written("masks/000.tif", "masks/000.png"),
        "and {root}/masks/000.tif have its name; keep one of",
    ),
    "two images of a name": (
        write_folders,
        written("images/000.jpg", "images/000.png"),
        "000.png: is the mask of both {root}/images/000.jpg",
    ),
    "no mask": (
        write_folders,
        written("images/abc.png", "images/000.png"),
        "1 of 25 images of {root}/images have no mas",
    ),
    "folders of splits": (
        write_folders,
        written("images/test/1.png", "images/000.png"),
        "the folders ['test'] of {root}/images are split",
    ),
}


@BOTH
def test_names_say_that_255_does_not_count_beside_two_classes(write, tmp_path, made, prepare):
    masks = np.where(ROWS == 0, 255, MASKS % 2).astype(np.uint8)
    fields = write(tmp_path, made, masks=masks)
    with pytest.raises(DataError, match=r"name the two classes \(class_names\), which makes 255 not count"):
        prepare(**fields)
    ((name, target),) = fields["targets"].items()
    named = {**fields, "targets": {name: {**target, "class_names": ["sky", "ground"]}}}
    dataset = prepare(**named)
    assert dataset.info.task.targets[0].class_names == ("sky", "ground")
    assert np.array_equal(np.asarray(dataset.train.labels["cells"]), masks[ORDERS[write]])
    other = prepare(**{**named, "targets": {name: {**target, "class_names": ["land", "sea"]}}})
    assert other.info.key != dataset.info.key
    assert other.info.task.targets[0].class_names == ("land", "sea")
    three = write(tmp_path / "more", made)
    with pytest.raises(DataError, match="class 2 has no name, there are only 2 class names"):
        prepare(**{**three, "targets": named["targets"]})


@pytest.mark.malformed
@pytest.mark.parametrize("case", MISFITS)
def test_files_that_do_not_fit_are_refused_in_words(case, tmp_path, made, prepare):
    write, change, message = MISFITS[case]
    fields = write(tmp_path, made)
    change(tmp_path)
    with pytest.raises(DataError) as caught:
        prepare(**fields)
    assert message.format(root=tmp_path) in str(caught.value)


def test_masks_of_other_names_are_pointed_out(tmp_path, made, prepare):
    fields = write_folders(tmp_path, made)
    for path in (tmp_path / "masks").rglob("*.png"):
        path.rename(path.with_name(f"{path.stem}_mask.png"))
    (tmp_path / "masks" / "0000.png").write_bytes(b"")
    with pytest.raises(DataError, match="the folder has '000_mask'; write the names alike, or name images and masks"):
        prepare(**fields)
    with pytest.raises(DataError, match=r"data.masks: .*images is the folder of the images, too; give masks a folder"):
        prepare(**{**fields, "masks": fields["path"]})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": "images", "path": "p"}, "masks: source 'images' needs the folder of the masks, got nothing; give"),
        ({"source": "images", "path": "p", "masks": "m", "targets": {}}, "masks: needs a target of kind mask, got 'm'"),
        (
            {"source": "images", "path": "p", "masks": "m", "targets": {"cells": {"kind": "mask", "column": "folder"}}},
            "targets: source 'images' has one mask an image, without a column, got cells (mask, column 'folder'); keep",
        ),
        (
            {"source": "images", "path": "p", "masks": "m", "targets": {**TARGET, "label": {}}},
            "targets: source 'images' has one mask an image, without a column, got cells (mask), label (class",
        ),
        (
            {"source": "npz", "path": "p", "masks": "m"},
            "masks: belongs to source 'images' or 'csv', got 'm' with source",
        ),
        (
            {
                "source": "csv",
                "train": "t",
                "targets": {"cells": {"kind": "classification", "class_names": ["a", "b"]}},
            },
            "class_names: belong to a mask, got ['a', 'b'] for a classification; remove them",
        ),
        (
            {"source": "csv", "train": "t", "targets": {"cells": {"kind": "mask", "class_names": ["a", "a"]}}},
            "class_names: expected two or more different names, got ['a', 'a']; name each class number",
        ),
        (
            {"source": "csv", "train": "t", "targets": {"cells": {"kind": "mask", "columns": ["a", "b"]}}},
            "targets.cells.columns: the mask of an image is one file, got ['a', 'b']; name one column",
        ),
    ],
)
def test_settings_that_masks_do_not_have_are_refused(fields, message):
    with pytest.raises(ValidationError) as caught:
        DataSpec(**{"targets": TARGET, **fields})
    assert message in str(caught.value)
