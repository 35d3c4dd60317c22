"""How much each image counts, a column of every source that has columns: read right, or refused with file and row."""

import io
import json
import tarfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables.errors import DataError
from trainables.specs.data import DataSpec

COUNT = 40
#: In order, so that a limit takes rows from everywhere.
LABELS = np.arange(COUNT) * 3 // COUNT
#: Different for all images but those of weight 0.
WEIGHTS = np.where(np.arange(COUNT) % 5 == 0, 0.0, np.arange(COUNT) / 7.0)


def write_npz(tmp_path, made, weights):
    np.savez(tmp_path / "all.npz", x_train=made.pictures(COUNT), y_train=LABELS, w_train=weights)
    return {"source": "npz", "path": str(tmp_path / "all.npz")}


def write_parquet(tmp_path, made, weights):
    images = [made.encoded(image) for image in made.pictures(COUNT)]
    table = pa.table({"image": images, "label": LABELS, "w": weights})
    (tmp_path / "train").mkdir()
    pq.write_table(table[:25], tmp_path / "train" / "0.parquet")
    pq.write_table(table[25:], tmp_path / "train" / "1.parquet")
    return {"source": "parquet", "train": str(tmp_path / "train")}


def write_csv(tmp_path, made, weights):
    for row, image in enumerate(made.pictures(COUNT)):
        (tmp_path / f"{row}.png").write_bytes(made.encoded(image))
    rows = [f"{row},{LABELS[row]},{weights[row]}\n" for row in range(COUNT)]
    (tmp_path / "train.csv").write_text("image,label,w\n" + "".join(rows))
    return {"source": "csv", "train": str(tmp_path / "train.csv")}


def write_python(tmp_path, made, weights):
    np.savez(tmp_path / "kept.npz", x=made.pictures(COUNT), y=LABELS, w=weights)
    (tmp_path / "weighed_data.py").write_text(
        f"import numpy as np\ndef load():\n    return dict(np.load({str(tmp_path / 'kept.npz')!r}))\n"
    )
    return {"source": "python", "function": "weighed_data:load", "function_dir": str(tmp_path)}


def write_webdataset(tmp_path, made, weights):
    with tarfile.open(tmp_path / "train.tar", "w") as archive:
        for row, image in enumerate(made.pictures(COUNT)):
            about = {"label": int(LABELS[row]), "w": np.asarray(weights)[row].item()}
            for suffix, content in (("png", made.encoded(image)), ("json", json.dumps(about).encode())):
                member = tarfile.TarInfo(f"{row:03}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return {"source": "webdataset", "train": str(tmp_path / "train.tar"), "image_column": "png"}


def write_tfrecord(tmp_path, made, weights):
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(tmp_path / "a.tfrecord")) as writer:
        for row, image in enumerate(made.pictures(COUNT)):
            features = {
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[made.encoded(image)])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[LABELS[row]])),
                "w": tf.train.Feature(float_list=tf.train.FloatList(value=[weights[row]])),
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return {"source": "tfrecord", "train": str(tmp_path / "a.tfrecord")}


WRITERS = {
    "tfrecord": (write_tfrecord, "a.tfrecord record 7"),
    "npz": (write_npz, "all.npz: w_train row 7"),
    "parquet": (write_parquet, "0.parquet row 7"),
    "csv": (write_csv, "train.csv row 8"),
    "python": (write_python, "'weighed_data:load': w row 7"),
    "webdataset": (write_webdataset, "train.tar: 007"),
}


@pytest.mark.parametrize("source", WRITERS)
@pytest.mark.parametrize("limit", [None, 20])
def test_each_image_has_its_own_weight(tmp_path, made, prepare, source, limit):
    write, _ = WRITERS[source]
    fields = write(tmp_path, made, WEIGHTS)
    plain = prepare(**fields, limit=limit)
    data = prepare(**fields, limit=limit, sample_weight="w")
    pixels = made.pictures(COUNT)
    kept = [int(np.flatnonzero((pixels == image).all(axis=(1, 2, 3)))[0]) for image in data.train.images]
    assert len(kept) == (limit or COUNT)
    np.testing.assert_array_equal(data.train.weights, WEIGHTS.astype(np.float32)[kept])
    assert data.train.weights.dtype == np.float32
    assert data.validation.weights is None
    assert data.test.weights is None
    assert data.info.fingerprint != plain.info.fingerprint
    assert plain.train.weights is None
    counted = data.train.weights[data.train.indices]
    said = next(note for note in data.info.notes if "data.sample_weight" in note)
    assert said.startswith(f"data.sample_weight 'w': training images weigh 0 to {counted.max():g} in the ")
    assert f"{(counted == 0).sum()} of them ({(counted == 0).mean():.1%}) weigh nothing" in said
    assert not any("sample_weight" in note for note in plain.info.notes)


@pytest.mark.parametrize("source", WRITERS)
def test_a_wrong_weight_is_refused_with_file_row_and_value(tmp_path, made, prepare, source):
    write, place = WRITERS[source]
    fields = write(tmp_path, made, np.where(np.arange(COUNT) == 7, -0.5, WEIGHTS))
    with pytest.raises(DataError) as caught:
        prepare(**fields, sample_weight="w")
    assert f"{place}: data.sample_weight" in str(caught.value)
    assert f"is {'-0.5' if source != 'csv' else repr('-0.5')}, expected a finite number >= 0" in str(caught.value)


WRONG = [
    (np.where(np.arange(COUNT) == 3, np.nan, 1.0), "w_train row 3: data.sample_weight 'w' is nan, expected a finite"),
    (
        np.where(np.arange(COUNT) > 3, np.inf, 1.0),
        "row 4: data.sample_weight 'w' is inf, expected a finite number >= 0",
    ),
    (np.where(np.arange(COUNT) > 3, np.inf, 1.0), "the image's weight in the loss (36 such rows); correct it"),
    (np.where(np.arange(COUNT) == 5, 1e39, 1.0), "row 5: data.sample_weight 'w' is 1e+39, expected a finite number"),
    (np.where(np.arange(COUNT) == 5, 1e-60, 1.0), "row 5: data.sample_weight 'w' is 1e-60, expected a finite number"),
    (np.array(["1"] * (COUNT - 1) + ["much"]), "row 39: data.sample_weight 'w' is 'much', expected a finite number"),
    (np.array(["1"] * (COUNT - 1) + [""]), "row 39: data.sample_weight 'w' is '', expected a finite number"),
    (np.ones((COUNT, 2)), "data.sample_weight 'w': expected one weight an image (40), got shape (40, 2)"),
    (np.ones(COUNT - 1), "data.sample_weight 'w': expected one weight an image (40), got shape (39,)"),
    (np.ones(COUNT, np.complex64), "data.sample_weight 'w': expected numbers, got dtype complex64"),
    (np.zeros(COUNT), "data.sample_weight: all 29 training images have the weight 0, so none would count; give"),
]


@pytest.mark.parametrize(("weights", "words"), WRONG, ids=range(len(WRONG)))
def test_weights_that_are_none_are_refused(tmp_path, made, prepare, weights, words):
    fields = write_npz(tmp_path, made, weights)
    with pytest.raises(DataError) as caught:
        prepare(**fields, sample_weight="w")
    assert words in str(caught.value)


def test_texts_and_whole_numbers_are_weights_too(tmp_path, made, prepare):
    for number, weights in enumerate((np.arange(COUNT), np.arange(COUNT).astype(str), np.arange(COUNT)[:, None])):
        (tmp_path / str(number)).mkdir()
        data = prepare(**write_npz(tmp_path / str(number), made, weights), sample_weight="w")
        np.testing.assert_array_equal(data.train.weights, np.arange(COUNT, dtype=np.float32))


@pytest.mark.parametrize("source", WRITERS)
def test_a_column_that_is_not_there_is_refused_with_a_near_one(tmp_path, made, prepare, source):
    fields = WRITERS[source][0](tmp_path, made, WEIGHTS)
    with pytest.raises(DataError, match="ww"):
        prepare(**fields, sample_weight="ww")


def test_splits_of_the_source_need_no_weights(tmp_path, made, prepare):
    images = made.pictures(COUNT)
    np.savez(tmp_path / "train.npz", x=images, y=LABELS, w=WEIGHTS)
    np.savez(tmp_path / "test.npz", x=255 - images, y=LABELS)
    files = {split: str(tmp_path / f"{split}.npz") for split in ("train", "test")}
    data = prepare(source="npz", **files, sample_weight="w")
    np.testing.assert_array_equal(data.train.weights, WEIGHTS.astype(np.float32))
    assert data.test.weights is None


def test_a_row_that_repeats_an_image_may_not_give_it_another_weight(tmp_path, made, prepare):
    fields = write_csv(tmp_path, made, WEIGHTS)
    table = tmp_path / "train.csv"
    table.write_text(table.read_text() + f"4,{LABELS[4]},9.0\n")
    with pytest.raises(DataError, match=r"train.csv row 41: 4.png has other labels or another weight than in row 5"):
        prepare(**fields, sample_weight="w")
    assert len(prepare(**fields).train.images) == COUNT


def test_weights_are_kept_alike_decoded_and_encoded(tmp_path, made, prepare_both):
    data = prepare_both({**write_parquet(tmp_path, made, WEIGHTS), "sample_weight": "w"})
    np.testing.assert_array_equal(data.train.weights, WEIGHTS.astype(np.float32))


def test_other_weights_are_other_data(tmp_path, made, prepare):
    first = prepare(**write_npz(tmp_path, made, WEIGHTS), sample_weight="w").info
    second = prepare(**write_npz(tmp_path, made, WEIGHTS + 1.0), sample_weight="w").info
    assert first.fingerprint != second.fingerprint
    assert first.key != second.key


@pytest.mark.parametrize("source", ["digits", "images"])
def test_sources_without_columns_refuse_it(source):
    path = {"path": "photos"} if source == "images" else {}
    with pytest.raises(ValueError, match="sample_weight: belongs to source 'npz' or 'parquet' or 'csv'"):
        DataSpec(source=source, sample_weight="w", **path)


def test_weights_stay_beside_their_images_in_folds_of_groups(tmp_path, made, prepare):
    np.savez(
        tmp_path / "g.npz", x_train=made.pictures(COUNT), y_train=LABELS, w_train=WEIGHTS, g_train=np.arange(COUNT) // 2
    )
    fields = {
        "source": "npz",
        "path": str(tmp_path / "g.npz"),
        "sample_weight": "w",
        "group": "g",
        "folds": 2,
        "test_fraction": 0.3,
    }
    for fold in (1, 2):
        data = prepare(**fields, fold=fold)
        np.testing.assert_array_equal(data.train.weights, WEIGHTS.astype(np.float32))
