"""Images kept in their formats are, pixel for pixel, the decoded ones, and never trusted when damaged."""

import os
from pathlib import Path

import numpy as np
import pytest

from trainables.data.cache.array_folder import write_manifest
from trainables.data.cache.encoded import EncodedRows, write_encoded
from trainables.data.cache.storage_choice import memory_budget_bytes
from trainables.data.images.images import Layout
from trainables.errors import DataError
from trainables.specs.data import DataSpec

SPLITS = ("train", "validation", "test")


def size_of(folder):
    return sum(path.stat().st_size for path in Path(folder).glob("*_bytes.npy"))


@pytest.fixture
def streamed(prepare, sources):
    """The Parquet file, encoded."""
    return prepare(**sources["png"], memory_gb=0)


@pytest.mark.parametrize("name", ["png", "mixed"])
def test_encoded_entry_has_pixels_labels_splits_and_fingerprint_of_the_decoded_one(name, prepare, sources):
    decoded, encoded = (prepare(**sources[name], memory_gb=budget) for budget in (1, 0))
    assert (decoded.info.storage, encoded.info.storage) == ("decoded", "encoded")
    assert encoded.info.key != decoded.info.key
    for field in ("fingerprint", "split_key", "task", "statistics", "decoded_bytes", "num_train"):
        assert getattr(encoded.info, field) == getattr(decoded.info, field), field
    for split in SPLITS:
        one, other = getattr(decoded, split), getattr(encoded, split)
        assert other.images.shape == one.images.shape
        np.testing.assert_array_equal(other.indices, one.indices)
        np.testing.assert_array_equal(other.images[other.indices], one.images[one.indices])
        np.testing.assert_array_equal(other.labels["label"], one.labels["label"])


def test_rows_come_in_any_order_and_as_often_as_asked(prepare, sources, streamed):
    decoded = prepare(**sources["png"])
    rows = np.array([5, 0, 89, 5, 41], np.int32)
    np.testing.assert_array_equal(streamed.train.images[rows], decoded.train.images[rows])
    assert streamed.train.images[rows[:0]].shape == (0, 12, 10, 3)


@pytest.mark.parametrize(
    ("source", "memory_gb", "storage"),
    [
        ("png", None, "decoded"),
        ("png", 32_400e-9, "decoded"),  # 90 images of 12 x 10 x 3 bytes, to the byte
        ("png", 32_399e-9, "encoded"),
        ("npz", 0, "decoded"),
        ("lists", 0, "decoded"),
    ],
)
def test_budget_decides_what_is_kept_and_arrays_stay_arrays(  # noqa: PLR0917
    source, memory_gb, storage, tmp_path, made, prepare, sources
):
    pixels, labels = made.pictures(20, channels=1), np.arange(20) % 2
    np.savez(tmp_path / "a.npz", x=pixels, y=labels)
    lists = made.write_parquet(tmp_path / "lists.parquet", images=pixels[..., 0].tolist(), labels=labels)
    fields = {
        **sources,
        "npz": {"source": "npz", "path": str(tmp_path / "a.npz")},
        "lists": {"source": "parquet", "train": str(lists)},
    }
    assert prepare(**fields[source], memory_gb=memory_gb).info.storage == storage


def test_without_a_budget_half_of_the_machines_memory_is_one(monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}.__getitem__)
    assert memory_budget_bytes(DataSpec(source="digits")) == 2_048_000
    assert memory_budget_bytes(DataSpec(source="digits", memory_gb=1.5)) == 1_500_000_000


def test_another_budget_finds_what_was_kept_before_without_looking_at_images(prepare, sources):
    infos = {budget: prepare(**sources["png"], memory_gb=budget).info for budget in (0, 1)}
    for budget, info in infos.items():
        stages = []
        again = prepare(**sources["png"], memory_gb=budget, progress=lambda stage, *_, told=stages: told.append(stage))
        assert again.info == info
        assert not any("looking" in stage or "decoding" in stage for stage in stages)


def test_what_the_driver_chose_holds_whatever_the_budget(tmp_path, sources):
    from trainables.data.cache.prepare import prepare_dataset

    for storage, budget in (("encoded", 9), ("decoded", 0)):
        spec = DataSpec(**sources["png"], memory_gb=budget, cache_dir=str(tmp_path / "cache"))
        assert prepare_dataset(spec, 0, storage=storage).storage == storage


def test_arrays_that_another_node_has_encoded_are_refused(tmp_path, made):
    from trainables.data.cache.prepare import prepare_dataset

    np.savez(tmp_path / "a.npz", x=made.pictures(6), y=np.arange(6) % 2)
    spec = DataSpec(source="npz", path=str(tmp_path / "a.npz"), cache_dir=str(tmp_path / "cache"))
    with pytest.raises(DataError, match="train images come as arrays here, expected files in image formats"):
        prepare_dataset(spec, 0, storage="encoded")


def test_images_larger_than_their_pixels_are_shrunk_once_without_loss(tmp_path, made, prepare):
    images = [made.encoded(image) for image in made.pictures(12, height=64, width=64)]
    path = made.write_parquet(tmp_path / "a.parquet", images=images, labels=np.arange(12) % 2)
    fields = {"source": "parquet", "train": str(path), "image_size": (16, 16)}
    decoded, encoded = (prepare(**fields, memory_gb=budget) for budget in (1, 0))
    rows = np.arange(12)
    np.testing.assert_array_equal(encoded.train.images[rows], decoded.train.images[rows])
    assert size_of(encoded.info.folder) < 1.4 * decoded.info.decoded_bytes < sum(map(len, images)) / 10


def test_unreadable_image_is_told_before_any_trial(tmp_path, made, prepare):
    images = [made.encoded(image) for image in made.pictures(6)]
    images[4] = images[4][:-30]
    path = made.write_parquet(tmp_path / "a.parquet", images=images, labels=np.arange(6) % 2)
    with pytest.raises(DataError, match=r"a.parquet row 4: cannot be read as an image: .*; replace or remove it"):
        prepare(source="parquet", train=str(path), memory_gb=0)


def change_bytes(path, place, content):
    with path.open("r+b") as file:
        file.seek(place, os.SEEK_SET if place >= 0 else os.SEEK_END)
        file.write(content)


def test_image_that_was_damaged_on_disk_is_told_with_its_row(streamed):
    folder = Path(streamed.info.folder)
    offsets = np.load(folder / "train_offsets.npy")
    header = (folder / "train_bytes.npy").stat().st_size - offsets[-1]
    change_bytes(folder / "train_bytes.npy", int(header + offsets[7]), b"no image")
    rows = np.array([6, 8])
    assert streamed.train.images[rows].shape == (2, 12, 10, 3)
    message = (
        rf"cached data set {folder} is damaged: the image in train_bytes.npy row 7 cannot be read any more "
        r"\(it is not a whole image in a known format\); remove this folder and resume, which rebuilds it"
    )
    with pytest.raises(DataError, match=message):
        streamed.train.images[np.array([6, 7])]


@pytest.mark.parametrize("content", [-1, 0, 2**40])
@pytest.mark.parametrize("place", [-8, -16])
def test_offsets_that_do_not_fit_are_refused_when_opened(content, place, streamed):
    from trainables.data.cache.dataset import open_dataset

    path = Path(streamed.info.folder) / "train_offsets.npy"
    change_bytes(path, place, np.int64(content).tobytes())
    with pytest.raises(DataError, match=r"is damaged: train_offsets.npy does not fit train_bytes.npy; remove"):
        open_dataset(streamed.info)


def test_rebuilding_leaves_open_images_alone(prepare, sources, streamed):
    rows = np.arange(90)
    before = streamed.train.images[rows]
    (Path(streamed.info.folder) / "train_offsets.npy").unlink()
    again = prepare(**sources["png"], memory_gb=0)
    np.testing.assert_array_equal(streamed.train.images[rows], before)
    np.testing.assert_array_equal(again.train.images[rows], before)


def test_rows_of_several_images_come_side_by_side(tmp_path, made):
    left, right = made.pictures(5, seed=1), made.pictures(5, seed=2)

    class Pairs:
        num_bytes = 0

        def __len__(self):
            return 5

        def survey(self, survey):
            raise NotImplementedError

        def batches(self, layout):
            raise NotImplementedError

        def encoded_batches(self, layout):
            contents = [made.encoded(image) for pair in zip(left, right, strict=True) for image in pair]
            yield contents, np.concatenate([left, right], axis=-1)

    layout = Layout(height=8, width=6, channels=3)
    arrays, pixels = write_encoded(tmp_path, "train", Pairs(), layout=layout, on_batch=lambda _: None)
    write_manifest(tmp_path, {"arrays": arrays, "pixels": {"train_images": pixels}})
    rows = EncodedRows(tmp_path, "train", manifest={"arrays": arrays, "pixels": {"train_images": pixels}})
    assert rows.shape == (5, 8, 6, 6)
    np.testing.assert_array_equal(rows[np.array([3, 0])], np.concatenate([left, right], axis=-1)[[3, 0]])
