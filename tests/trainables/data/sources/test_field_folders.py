"""Folders as people have them: splits by many names, many endings, files that are no images."""

import errno
import os
import re

import numpy as np
import pytest
from PIL import Image

from trainables.errors import DataError

TUMORS = ("glioma", "meningioma", "no_tumor")


def write_grey(path, grey):
    path.parent.mkdir(parents=True, exist_ok=True)
    suffix = {".jfif": "JPEG", ".jpe": "JPEG", ".ppm": "PPM", ".pgm": "PPM", ".tga": "TGA"}.get(path.suffix.lower())
    pixels = np.full((8, 16), 255, np.uint8)
    pixels[:, :8] = grey  # The white half is a JPEG block of its own.
    Image.fromarray(pixels).save(path, suffix)
    return path


def greys(split):
    """Returns the grey of each image of a split, by its row."""
    images = np.asarray(split.images[np.asarray(split.indices)])
    assert (images[:, :, :8] == images[:, :1, :1]).all()
    return images[:, 0, 0, 0].tolist()


def notes_about(data, root):
    """Returns the sentences that name the folder, not those about pixels."""
    return tuple(note for note in data.info.notes if str(root) in note)


def names_of(data, split):
    names = data.info.task.targets[0].class_names
    return [names[number] for number in np.asarray(split.labels["label"])[np.asarray(split.indices)]]


@pytest.fixture(params=["decoded", "streamed"])
def read(request, prepare):
    fields = {} if request.param == "decoded" else {"memory_gb": 0}
    return lambda **given: prepare(source="images", validation_fraction=0.25, **fields, **given)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Training", "Testing"),
        ("training_set", "test_set"),
        ("seg_train/seg_train", "seg_test/seg_test"),
        ("train", "test"),
        ("TRAIN-data", "Test images"),
    ],
)
def test_folders_named_for_splits_are_splits(train, test, tmp_path, read):
    for number, name in enumerate(TUMORS):
        for row in range(4):
            write_grey(tmp_path / "mri" / train / name / f"{row}.png", 10 * number + row)
        for row in range(2):
            write_grey(tmp_path / "mri" / test / name / f"{row}.png", 100 + 10 * number + row)
    data = read(path=str(tmp_path / "mri"))
    assert data.info.task.targets[0].class_names == TUMORS
    assert sorted(greys(data.train) + greys(data.validation)) == [10 * n + row for n in range(3) for row in range(4)]
    assert greys(data.test) == [100, 101, 110, 111, 120, 121]
    assert names_of(data, data.test) == [name for name in TUMORS for _ in range(2)]
    assert notes_about(data, tmp_path) == ()


@pytest.mark.parametrize("name", ["val", "valid", "dev", "Validation"])
def test_a_validation_folder_may_have_any_usual_name(name, tmp_path, read):
    for split in ("train", name):
        for number, label in enumerate(("cat", "dog")):
            for row in range(3):
                write_grey(tmp_path / "pets" / split / label / f"{row}.png", 50 * number + row + 10 * (split == name))
    data = read(path=str(tmp_path / "pets"), test_fraction=0.34)
    assert greys(data.validation) == [10, 11, 12, 60, 61, 62]


def test_a_class_called_train_stays_a_class(tmp_path, read):
    for number, label in enumerate(("bus", "car", "train")):
        for row in range(4):
            write_grey(tmp_path / "street" / label / f"{row}.png", 50 * number + row)
    assert read(path=str(tmp_path / "street")).info.task.targets[0].class_names == ("bus", "car", "train")


def test_a_folder_of_pictures_without_labels_is_left_out_in_words(tmp_path, read):
    for split in ("seg_train", "seg_test"):
        for number, label in enumerate(("sea", "street")):
            for row in range(4):
                write_grey(
                    tmp_path / "scenes" / split / label / f"{row}.png", 50 * number + row + 100 * (split == "seg_test")
                )
    write_grey(tmp_path / "scenes" / "seg_pred" / "1.png", 9)
    data = read(path=str(tmp_path / "scenes"))
    assert notes_about(data, tmp_path) == (
        f"{tmp_path / 'scenes' / 'seg_pred'} is left out: it has no labels by its name",
    )


def test_classes_that_all_hold_the_same_folders_are_doubted(tmp_path, read):
    for outer in ("first", "second"):
        for inner in ("benign", "malignant"):
            for row in range(4):
                grey = 10 * row + (outer == "first") + 100 * (inner == "benign")
                write_grey(tmp_path / "cells" / outer / inner / f"{row}.png", grey)
    data = read(path=str(tmp_path / "cells"))
    assert data.info.task.targets[0].class_names == ("first", "second")
    (note,) = notes_about(data, tmp_path)
    assert "holds the folders ['benign', 'malignant']; if these are the classes" in note


def test_every_ending_that_can_be_read_is_read_and_others_are_counted(tmp_path, read):
    suffixes = ("png", "JPG", "jfif", "jpe", "ppm", "pgm", "tga", "webp", "tif")
    for number, label in enumerate(("cat", "dog")):
        for row, suffix in enumerate(suffixes):
            write_grey(tmp_path / "pets" / label / f"{row}.{suffix}", 100 * number + row)
    for name in ("a.heic", "b.heic", "c.txt"):
        (tmp_path / "pets" / "cat" / name).write_bytes(b"no image")
    for name in ("Thumbs.db", ".DS_Store", "desktop.ini", "._0.png"):
        (tmp_path / "pets" / "dog" / name).write_bytes(b"of a system")
    for folder in ("@eaDir", "__MACOSX", ".ipynb_checkpoints"):
        write_grey(tmp_path / "pets" / folder / "0.png", 250)
        write_grey(tmp_path / "pets" / "cat" / folder / "0.png", 251)
    write_grey(tmp_path / "pets" / "logo.png", 252)
    data = read(path=str(tmp_path / "pets"), channels=1)
    everything = greys(data.train) + greys(data.validation) + greys(data.test)
    assert sorted(everything) == [100 * number + row for number in range(2) for row in range(len(suffixes))]
    assert data.info.task.targets[0].class_names == ("cat", "dog")
    root = tmp_path / "pets"
    assert notes_about(data, root) == (
        f"3 of 21 files below {root} are left out by their ending: .heic (2, such as cat/a.heic), "
        ".txt (1, such as cat/c.txt)",
        f"1 image(s) in {root} lie in no class folder and are left out: logo.png",
    )


def test_notes_follow_the_folder_also_where_the_cache_has_its_images(tmp_path, read):
    for number, label in enumerate(("cat", "dog")):
        for row in range(6):
            write_grey(tmp_path / "pets" / label / f"{row}.png", 100 * number + row)
    before = read(path=str(tmp_path / "pets"))
    (tmp_path / "pets" / "cat" / "x.heic").write_bytes(b"no image")
    after = read(path=str(tmp_path / "pets"))
    assert before.info.key == after.info.key
    assert [len(notes_about(data, tmp_path)) for data in (before, after)] == [0, 1]


def test_links_to_folders_are_not_followed_and_said(tmp_path, read):
    for number, label in enumerate(("cat", "dog")):
        for row in range(6):
            write_grey(tmp_path / "pets" / label / f"{row}.png", 100 * number + row)
    write_grey(tmp_path / "more" / "7.png", 200)
    (tmp_path / "pets" / "cat" / "more").symlink_to(tmp_path / "more")
    data = read(path=str(tmp_path / "pets"))
    assert 200 not in greys(data.train) + greys(data.validation) + greys(data.test)
    assert notes_about(data, tmp_path) == (
        f"1 symbolic link(s) to folders below {tmp_path / 'pets'} are not followed: cat/more",
    )


def test_a_test_split_may_lack_a_class_but_not_have_another(tmp_path, read):
    for number, label in enumerate(TUMORS):
        for row in range(4):
            write_grey(tmp_path / "mri" / "train" / label / f"{row}.png", 10 * number + row)
    write_grey(tmp_path / "mri" / "test" / "no_tumor" / "0.png", 200)
    data = read(path=str(tmp_path / "mri"))
    assert names_of(data, data.test) == ["no_tumor"]
    write_grey(tmp_path / "mri" / "test" / "pituitary" / "0.png", 201)
    with pytest.raises(DataError, match=r"data.test: the class folders \['pituitary'\] .* are none of training"):
        read(path=str(tmp_path / "mri"))


@pytest.mark.parametrize("names", [("Training", "Testing"), ("test", "val")])
@pytest.mark.parametrize("inner", ["", "cat/", "dog/"])
def test_folders_named_as_splits_without_a_training_split_are_no_classes(names, inner, tmp_path, made, prepare):
    if inner and "Training" in names:
        names = ("Testing", "Validation")
    for number, name in enumerate(names):
        (tmp_path / "photos" / name / inner).mkdir(parents=True)
        for row, pixels in enumerate(made.pictures(6, seed=number)):
            (tmp_path / "photos" / name / inner / f"{row}.png").write_bytes(made.encoded(pixels))
    with pytest.raises(DataError, match=r"are named as splits, \[.*\], but no training folder holds class folders"):
        prepare(source="images", path=str(tmp_path / "photos"))


def test_a_folder_in_a_class_that_cannot_be_listed_is_named(read, tmp_path, monkeypatch):
    root = tmp_path / "photos"
    for number, name in enumerate(("cat", "cat/inner", "dog", "dog/inner")):
        write_grey(root / name / f"{number}.png", 20 + 50 * number)
    list_folder, closed = os.scandir, root / "dog" / "inner"

    def scandir(folder):
        if str(folder) == str(closed):
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return list_folder(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(DataError, match=rf"data\.path: cannot list {re.escape(str(closed))}: Permission denied; let"):
        read(path=str(root))
