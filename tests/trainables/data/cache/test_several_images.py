"""Several images an example lie side by side in the channels, from whatever source, in the order of their names."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables.data.images.arrays import ArrayImages, array_images
from trainables.data.images.images import Layout
from trainables.data.images.side_by_side import SideBySide, side_by_side
from trainables.errors import DataError

COUNT = 30
LABELS = np.arange(COUNT) % 3
INPUTS = ("left", "right")


@pytest.fixture
def pairs(made):
    return made.pictures(COUNT, seed=1), made.pictures(COUNT, seed=2)


def write_npz(tmp_path, left, right, made):
    np.savez(tmp_path / "a.npz", left_train=left, right_train=right, y_train=LABELS)
    return {"source": "npz", "path": str(tmp_path / "a.npz")}


def write_parquet(tmp_path, left, right, made):
    # One column of files, one of pixels: what comes in batches of other sizes must still be paired.
    table = pa.table({"left": [made.encoded(image) for image in left], "right": right.tolist(), "label": LABELS})
    pq.write_table(table, tmp_path / "a.parquet")
    return {"source": "parquet", "train": str(tmp_path / "a.parquet")}


def write_python(tmp_path, left, right, made):
    np.savez(tmp_path / "pairs.npz", left=left, right=right, y=LABELS, labels=LABELS)
    (tmp_path / "pairs_of.py").write_text(
        "import pathlib, numpy as np\n"
        "def load():\n"
        "    return dict(np.load(pathlib.Path(__file__).parent / 'pairs.npz'))\n"
    )
    return {"source": "python", "function": "pairs_of:load", "function_dir": str(tmp_path)}


WRITERS = [write_npz, write_parquet, write_python]


@pytest.mark.parametrize("write", WRITERS)
def test_each_input_has_its_own_channels(write, tmp_path, made, pairs, prepare):
    data = prepare(inputs=INPUTS, **write(tmp_path, *pairs, made))
    task = data.info.task
    assert (task.inputs, task.input_shape, task.stored_channels) == (INPUTS, (8, 6, 3), 6)
    assert np.array_equal(data.train.images, np.concatenate(pairs, axis=3))
    assert np.array_equal(data.train.labels["label"], LABELS)


def test_sources_agree_on_fingerprint_and_the_order_of_names_counts(tmp_path, made, pairs, prepare):
    fields = [write(tmp_path, *pairs, made) for write in WRITERS]
    infos = [prepare(inputs=INPUTS, **given).info for given in fields]
    turned = prepare(inputs=INPUTS[::-1], **fields[0]).info
    assert len({info.fingerprint for info in infos}) == 1
    assert turned.key != infos[0].key
    assert turned.fingerprint != infos[0].fingerprint


def test_statistics_are_by_stored_channel_of_the_training_split(tmp_path, made, pairs, prepare):
    data = prepare(inputs=INPUTS, **write_npz(tmp_path, *pairs, made))
    pixels = np.concatenate(pairs, axis=3)[data.train.indices].astype(np.float64)
    np.testing.assert_allclose(data.info.statistics.means, pixels.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(data.info.statistics.deviations, pixels.std(axis=(0, 1, 2)))


def test_grey_beside_colour_becomes_colour_and_sizes_become_one(tmp_path, made, prepare):
    left, right = made.pictures(COUNT, channels=1), made.pictures(COUNT, height=12, width=9)
    fields = write_npz(tmp_path, left, right, made)
    with pytest.raises(DataError, match=r"data.image_size: the images have 2 different sizes .*left_train is 8x6, "):
        prepare(inputs=INPUTS, **fields)
    data = prepare(inputs=INPUTS, image_size=(8, 6), **fields)
    assert data.train.images.shape == (COUNT, 8, 6, 6)
    assert np.array_equal(data.train.images[..., :3], np.repeat(left, 3, axis=3))


def test_batches_of_other_sizes_are_paired_image_by_image(made):
    left, right = made.pictures(10, seed=1), made.pictures(10, seed=2)

    def cut(images, sizes):
        return ArrayImages("x", count=10, pieces=lambda: np.split(images, np.cumsum(sizes)))

    images = SideBySide({"left": cut(left, [3, 4]), "right": cut(right, [1, 1, 7])})
    batches = list(images.batches(Layout(height=8, width=6, channels=3)))
    assert np.array_equal(np.concatenate(batches), np.concatenate([left, right], axis=3))
    assert len(images) == 10


def test_other_numbers_of_images_are_told(made):
    parts = {"left": array_images(made.pictures(3), where="l"), "right": array_images(made.pictures(2), where="r")}
    with pytest.raises(DataError, match=r"a: left has 3 images but right has 2; give every example an image of each"):
        side_by_side(parts, where="a")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"left_train": 6, "y_train": LABELS}, "has left_train but not right_train; add right_train"),
        ({"left_train": 6, "rigth_train": 6, "y_train": LABELS}, "add right_train; did you mean 'rigth_train'?"),
        ({"left": 6, "right": 6, "y": LABELS[:6], "left_test": 6, "y_test": LABELS[:6]}, "has left_test but not ri"),
        ({"x": 6, "y": LABELS[:6]}, "has y but not left; add left"),
        ({"left": 6, "right": 5, "y": LABELS[:6]}, "left has 6 images but right has 5; give every example an image"),
    ],
)  # fmt: skip
def test_wrong_arrays_are_told(arrays, message, tmp_path, made, prepare):
    made_arrays = {name: made.pictures(value) if isinstance(value, int) else value for name, value in arrays.items()}
    np.savez(tmp_path / "a.npz", **made_arrays)
    with pytest.raises(DataError) as caught:
        prepare(source="npz", path=str(tmp_path / "a.npz"), inputs=INPUTS)
    assert message in str(caught.value)


def test_an_unreadable_image_and_a_missing_column_are_named(tmp_path, made, prepare):
    good = [made.encoded(image) for image in made.pictures(6)]
    pq.write_table(pa.table({"left": good, "right": [*good[:5], b"torn"], "label": LABELS[:6]}), tmp_path / "a.parquet")
    fields = {"source": "parquet", "train": str(tmp_path / "a.parquet")}
    with pytest.raises(DataError, match=r"a.parquet row 5: cannot be read as an image"):
        prepare(inputs=INPUTS, **fields)
    with pytest.raises(DataError, match=r"data.inputs: .* has no single column 'rights', .*; did you mean 'right'\?"):
        prepare(inputs=("left", "rights"), **fields)


def test_images_in_image_formats_may_be_kept_so_and_decode_to_the_same_rows(tmp_path, made, pairs, prepare):
    columns = {name: [made.encoded(image) for image in images] for name, images in zip(INPUTS, pairs, strict=True)}
    # Photos of other sizes in the second column: they are resized, and come in batches of their own.
    columns["right"][::3] = [made.encoded(image) for image in made.pictures(10, height=16, width=12, seed=3)]
    pq.write_table(pa.table({**columns, "label": LABELS}), tmp_path / "a.parquet")
    fields = {"source": "parquet", "train": str(tmp_path / "a.parquet"), "inputs": INPUTS, "image_size": (8, 6)}
    decoded, encoded = (prepare(**fields, memory_gb=budget) for budget in (1, 0))
    assert (decoded.info.storage, encoded.info.storage) == ("decoded", "encoded")
    assert encoded.info.fingerprint == decoded.info.fingerprint
    rows = np.array([29, 0, 3, 3, 17], np.int32)
    np.testing.assert_array_equal(encoded.train.images[rows], decoded.train.images[rows])
