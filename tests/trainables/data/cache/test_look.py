"""The look before training, from the source to the prepared data set: both storages agree, nothing is decoded anew."""

import io
import re

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trainables.data.cache.dataset import contact_sheet
from trainables.data.cache.in_process import prepare_in_process
from trainables.data.cache.prepare import prepare_dataset
from trainables.errors import DataError
from trainables.specs.data import DataSpec


@pytest.fixture
def planted(tmp_path, made):
    """Writes 60 training and 20 test images: 5 copies in training, 4 test images of training, 3 blank."""

    def write(*, num_shared=4):
        train, test = made.pictures(60), made.pictures(20, seed=1)
        train[50:55], train[57:] = train[:5], 9
        test[20 - num_shared :] = train[25 : 25 + num_shared]
        labels = {"train": np.arange(60) % 3, "test": np.arange(20) % 2}
        labels["train"][50:55] = labels["train"][:5]
        for name, images in (("train", train), ("test", test)):
            made.write_parquet(
                tmp_path / f"{name}.parquet", images=[made.encoded(image) for image in images], labels=labels[name]
            )
        return {"source": "parquet", **{name: str(tmp_path / f"{name}.parquet") for name in ("train", "test")}}

    return write


def test_both_storages_find_what_was_planted_and_draw_the_same_sheet(planted, prepare):
    fields = planted()
    decoded, encoded = (prepare(**fields, memory_gb=size).info for size in (None, 0))
    assert (decoded.storage, encoded.storage) == ("decoded", "encoded")
    assert decoded.look == encoded.look
    assert decoded.notes == encoded.notes
    assert decoded.fingerprint == encoded.fingerprint
    assert contact_sheet(decoded) == contact_sheet(encoded)
    look = decoded.look
    assert look["images"] == {"train": 54, "validation": 6, "test": 20}
    assert look["blank"]["train"] + look["blank"]["validation"] == 3
    [shared] = [pair for pair in look["shared"] if (pair["in"], pair["split"]) == ("train", "test")]
    by_validation = next(pair for pair in look["shared"] if (pair["in"], pair["split"]) == ("validation", "test"))
    assert shared["images"] + by_validation["images"] == 4
    between = next(pair for pair in look["shared"] if (pair["in"], pair["split"]) == ("train", "validation"))
    assert look["repeated"]["train"] + look["repeated"]["validation"] + between["images"] == 5
    folder = "/".join(fields["test"].split("/")[-3:-1])
    assert shared["examples"][0][0].startswith(f"{folder}/test.parquet row ")
    assert shared["examples"][0][1].startswith(f"{folder}/train.parquet row ")
    assert "1 of 3 classes has no test image: '2'" in decoded.notes


def test_look_is_equal_whether_the_entry_is_new_or_found(planted, prepare):
    fields = planted()
    stages = []
    first = prepare(**fields).info
    again = prepare(**fields, progress=lambda stage, *_: stages.append(stage)).info
    assert again == first
    assert again.look == first.look
    assert not any("decoding" in stage for stage in stages)
    other = prepare(**fields, seed=1).info
    assert other.key == first.key
    assert other.look["images"] == first.look["images"]


def test_sheet_has_the_pixels_of_training_images_by_class(planted, prepare):
    data = prepare(**planted())
    sheet = np.asarray(Image.open(io.BytesIO(contact_sheet(data.info))))
    assert data.info.look["sheet"] == ["0", "1", "2"]
    rows = data.train.indices
    first = data.train.images[rows[data.train.labels["label"][rows] == 0][0]]
    cell = sheet[:72, 150 : 150 + 54]  # 8 rows of 6 pixels, each enlarged 9 times
    assert np.array_equal(cell[::9, ::9], first)


@pytest.mark.parametrize("memory_gb", [None, 0])
def test_a_test_split_of_training_images_is_refused_every_time_until_the_key_insists(memory_gb, planted, prepare):
    fields = planted(num_shared=20) | {"memory_gb": memory_gb}
    for _ in range(2):
        with pytest.raises(
            DataError, match=r"data: (1[0-9]|20) of 20 test images are training images as well \(\S*test"
        ):
            prepare(**fields)
    insisted = prepare(**fields, allow_overlap=True).info
    assert insisted.num_test == 20
    assert any("of 20 test images are training images as well" in note for note in insisted.notes)


def test_copies_that_carving_parts_are_said(tmp_path, made, prepare):
    images = np.repeat(made.pictures(10), 6, axis=0)
    np.savez(tmp_path / "a.npz", x=images, y=np.repeat(np.arange(10) % 2, 6))
    notes = prepare(source="npz", path=str(tmp_path / "a.npz")).info.notes
    assert any("training images repeat another one of that split" in note for note in notes)
    shared = r"12 of 12 test images are training images as well \(a.npz: x\[\d+\] is a.npz: x\[\d+\]; "
    assert any(re.match(shared, note) for note in notes)


@pytest.mark.parametrize("pixels", [np.zeros((12, 4, 4)), np.full((12, 4, 4, 3), 0.5)])
def test_images_that_are_all_blank_and_equal_are_refused(pixels, tmp_path, prepare):
    np.savez(tmp_path / "a.npz", x=pixels, y=np.arange(12) % 2)
    with pytest.raises(DataError, match=r"data: all \d training images are blank and equal"):
        prepare(source="npz", path=str(tmp_path / "a.npz"))
    assert prepare(source="npz", path=str(tmp_path / "a.npz"), allow_overlap=True).info.num_train > 1


def test_sizes_that_need_a_word_are_noted(tmp_path, made, prepare):
    images = [made.encoded(made.pictures(1, height=40, width=40, seed=seed)[0]) for seed in range(12)]
    images[5] = made.encoded(made.pictures(1, height=2, width=2)[0])
    made.write_parquet(tmp_path / "a.parquet", images=images, labels=np.arange(12) % 2)
    notes = prepare(source="parquet", train=str(tmp_path / "a.parquet"), image_size=(32, 32)).info.notes
    line = "a.parquet row 5 is 2x2) is much smaller than most, which are about 40x40"
    assert [note.startswith("1 of 12 images (") and note.endswith(line) for note in notes].count(True) == 1
    assert str(tmp_path) not in " ".join(notes)


def test_several_inputs_are_one_picture_and_stand_side_by_side(tmp_path, made, prepare):
    left, right = made.pictures(30, channels=1), made.pictures(30, channels=1, seed=1)
    left[20:] = left[0]  # equal alone, different with the other input
    columns = {name: [made.encoded(image) for image in images] for name, images in (("left", left), ("right", right))}
    pq.write_table(pa.table({**columns, "label": np.arange(30) % 2}), tmp_path / "a.parquet")
    fields = {"source": "parquet", "train": str(tmp_path / "a.parquet"), "inputs": ("left", "right")}
    infos = [prepare(**fields, memory_gb=size).info for size in (None, 0)]
    assert sum(infos[0].look["repeated"].values()) == 0
    assert infos[0].look == infos[1].look
    assert contact_sheet(infos[0]) == contact_sheet(infos[1])
    assert Image.open(io.BytesIO(contact_sheet(infos[0]))).width == 150 + 8 * (108 + 4) - 4


def test_a_target_without_classes_gives_a_sheet_without_names(tmp_path, made, prepare):
    np.savez(tmp_path / "a.npz", x=made.pictures(30), age=np.arange(30) / 30)
    info = prepare(source="npz", path=str(tmp_path / "a.npz"), targets={"age": {"kind": "regression"}}).info
    assert info.look["sheet"] == ["", "", ""]
    assert info.look["targets"] == []


def test_look_reaches_the_caller_of_the_child_process(planted, tmp_path):
    spec = DataSpec(**planted(), cache_dir=str(tmp_path / "cache"))
    info = prepare_in_process(spec, 0)
    assert info == prepare_dataset(spec, 0)
    assert info.look["images"]["test"] == 20
