"""Every source reads the labels of every target, whatever its kind, and a cache entry is theirs alone."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables.data.sources.digits import QUADRANTS, heavy_quarters
from trainables.data.splits.rows import SPLITS_TO_HOLD_OUT

COUNT = 60
SEX = np.arange(COUNT) % 3
AGE = np.arange(COUNT) * 0.5
BOX = np.random.default_rng(1).normal(size=(COUNT, 4)).astype(np.float32)
SIGNS = np.random.default_rng(2).integers(0, 2, (COUNT, 3)).astype(np.uint8)
TARGETS = {
    "sex": {},
    "age": {"kind": "regression", "column": "years"},
    "box": {"kind": "regression"},
    "signs": {"kind": "multilabel"},
}
COLUMNS = {"sex": SEX, "years": AGE, "box": BOX, "signs": SIGNS}


def write_npz(tmp_path, images):
    arrays = {f"{name}_train": values for name, values in COLUMNS.items()}
    np.savez(tmp_path / "a.npz", x_train=images, **arrays)
    return {"source": "npz", "path": str(tmp_path / "a.npz")}


def write_plain_npz(tmp_path, images):
    np.savez(tmp_path / "plain.npz", x=images, **COLUMNS)
    return {"source": "npz", "train": str(tmp_path / "plain.npz")}


def write_parquet(tmp_path, images):
    columns = {name: values.tolist() for name, values in COLUMNS.items()}
    columns["box"] = pa.array(columns["box"], pa.list_(pa.float32(), 4))
    table = pa.table({"image": images.tolist(), **columns})
    (tmp_path / "parts").mkdir()
    for part, rows in enumerate((table.slice(0, 25), table.slice(25))):
        pq.write_table(rows, tmp_path / "parts" / f"{part}.parquet")
    return {"source": "parquet", "train": str(tmp_path / "parts")}


def write_python(tmp_path, images):
    np.savez(
        tmp_path / "for_python.npz", x_train=images, **{f"{name}_train": column for name, column in COLUMNS.items()}
    )
    (tmp_path / "many_columns.py").write_text(
        "import pathlib, numpy as np\n"
        "def load():\n"
        "    return dict(np.load(pathlib.Path(__file__).parent / 'for_python.npz'))\n"
    )
    return {"source": "python", "function": "many_columns:load", "function_dir": str(tmp_path)}


WRITERS = [write_npz, write_plain_npz, write_parquet, write_python]


@pytest.mark.parametrize("write", WRITERS)
def test_labels_of_every_kind_are_read_as_they_were_written(write, tmp_path, made, prepare):
    data = prepare(targets=TARGETS, **write(tmp_path, made.pictures(COUNT)))
    labels = data.train.labels
    assert [(target.name, target.kind, target.size) for target in data.info.task.targets] == [
        ("sex", "classification", 3),
        ("age", "regression", 1),
        ("box", "regression", 4),
        ("signs", "multilabel", 3),
    ]
    assert {name: values.dtype.name for name, values in labels.items()} == {
        "sex": "int32",
        "age": "float32",
        "box": "float32",
        "signs": "uint8",
    }
    assert np.array_equal(labels["sex"], SEX)
    assert np.array_equal(labels["age"], AGE[:, None])
    assert np.array_equal(labels["box"], BOX)
    assert np.array_equal(labels["signs"], SIGNS)


def test_equal_labels_of_other_sources_have_the_same_fingerprint(tmp_path, made, prepare):
    infos = [prepare(targets=TARGETS, **write(tmp_path, made.pictures(COUNT))).info for write in WRITERS]
    assert len({info.fingerprint for info in infos}) == 1


def test_other_losses_weights_and_metrics_share_an_entry_and_other_columns_do_not(tmp_path, made, prepare):
    fields = write_npz(tmp_path, made.pictures(COUNT))
    plain = prepare(targets={"age": {"kind": "regression", "column": "years"}}, **fields).info
    heavy = {"kind": "regression", "column": "years", "loss": "huber", "weight": 3.0, "metrics": ["rmse"]}
    other = prepare(targets={"age": heavy}, **fields).info
    assert (other.key, other.fingerprint) == (plain.key, plain.fingerprint)
    assert (other.task.targets[0].loss, other.task.targets[0].weight, other.task.targets[0].metrics) == (
        "huber",
        3.0,
        ("rmse",),
    )
    for target in ({"kind": "regression", "column": "box"}, {"kind": "classification", "column": "sex"}):
        assert prepare(targets={"age": target}, **fields).info.key != plain.key
    assert prepare(targets={"years": {"kind": "regression"}}, **fields).info.key != plain.key


def test_carved_splits_keep_the_shares_of_the_first_classification(tmp_path, made, prepare):
    targets = {name: TARGETS[name] for name in ("age", "sex", "signs")}
    data = prepare(
        targets=targets, test_fraction=0.2, validation_fraction=0.25, **write_npz(tmp_path, made.pictures(COUNT))
    )
    for split, count in ((data.test, 4), (data.validation, 4), (data.train, 12)):
        assert np.bincount(split.labels["sex"][split.indices]).tolist() == [count] * 3


def test_splits_are_carved_where_there_is_no_classification(tmp_path, made, prepare):
    data = prepare(targets={"years": {"kind": "regression"}}, **write_npz(tmp_path, made.pictures(COUNT)))
    parts = np.concatenate([data.train.indices, data.validation.indices, data.test.indices])
    assert np.array_equal(np.sort(parts), np.arange(COUNT))
    assert len(SPLITS_TO_HOLD_OUT) == 2
    assert min(data.info.num_test, data.info.num_validation) >= 1


def test_a_limit_takes_the_first_labels_and_knows_the_flags_behind_it(tmp_path, made, prepare):
    labels = [["a"], ["b", "a"], []] * 19 + [["z"]] * 3
    pq.write_table(pa.table({"image": made.pictures(COUNT).tolist(), "it": labels}), tmp_path / "a.parquet")
    data = prepare(source="parquet", train=str(tmp_path / "a.parquet"), targets={"it": {"kind": "multilabel"}}, limit=9)
    assert data.info.task.targets[0].class_names == ("a", "b", "z")
    assert data.train.labels["it"].tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]] * 3


def test_hugging_face_names_of_a_list_of_classes_are_kept(tmp_path, made, prepare):
    feature = {"feature": {"names": ["red", "green", "blue"], "_type": "ClassLabel"}, "_type": "Sequence"}
    metadata = {"huggingface": json.dumps({"info": {"features": {"colours": feature}}})}
    table = pa.table({"image": made.pictures(9).tolist(), "colours": [[0], [1, 0], []] * 3})
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "a.parquet")
    data = prepare(source="parquet", train=str(tmp_path / "a.parquet"), targets={"colours": {"kind": "multilabel"}})
    assert data.info.task.targets[0].class_names == ("red", "green", "blue")
    assert data.train.labels["colours"].tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]] * 3


def test_files_whose_lists_have_other_lengths_are_one_list_of_names(tmp_path, made, prepare):
    (tmp_path / "parts").mkdir()
    for part, labels in enumerate(([[7], [3]] * 5, [[3, 5], [7, 5]] * 5)):
        table = pa.table({"image": made.pictures(10, seed=part).tolist(), "it": labels})
        pq.write_table(table, tmp_path / "parts" / f"{part}.parquet")
    data = prepare(source="parquet", train=str(tmp_path / "parts"), targets={"it": {"kind": "multilabel"}})
    assert data.info.task.targets[0].class_names == ("3", "5", "7")
    assert data.train.labels["it"][[0, 10]].tolist() == [[0, 0, 1], [1, 1, 0]]


def test_lists_of_a_split_may_happen_to_have_one_length(tmp_path, made, prepare):
    for seed, (name, labels) in enumerate((("train", [[7, 3], [3]] * 5), ("test", [[3], [7]] * 5))):
        table = pa.table({"image": made.pictures(10, seed=seed).tolist(), "it": labels})
        pq.write_table(table, tmp_path / f"{name}.parquet")
    files = {name: str(tmp_path / f"{name}.parquet") for name in ("train", "test")}
    data = prepare(source="parquet", targets={"it": {"kind": "multilabel"}}, **files)
    assert data.train.labels["it"][:2].tolist() == [[1, 1], [1, 0]]
    assert data.test.labels["it"][:2].tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("column", ["y_train", "age_train"])
def test_a_lone_target_finds_its_labels_under_its_own_name_or_the_usual_one(column, tmp_path, made, prepare):
    np.savez(tmp_path / "a.npz", x_train=made.pictures(COUNT), **{column: AGE})
    data = prepare(source="npz", path=str(tmp_path / "a.npz"), targets={"age": {"kind": "regression"}})
    assert np.array_equal(data.train.labels["age"][:, 0], AGE)


def test_class_names_come_by_column(tmp_path, made, prepare):
    names = {"sex_names": np.array(["f", "m", "x"]), "signs_names": np.array(["i", "j", "k"])}
    np.savez(tmp_path / "a.npz", x=made.pictures(COUNT), **COLUMNS, **names)
    data = prepare(source="npz", path=str(tmp_path / "a.npz"), targets=TARGETS)
    assert [target.class_names for target in data.info.task.targets] == [
        ("f", "m", "x"), (), (), ("i", "j", "k")
    ]  # fmt: skip


def test_digits_tell_ink_and_quadrants_of_their_own_pixels(prepare):
    targets = {"digit": {"column": "label"}, "ink": {"kind": "regression"}, "quadrants": {"kind": "multilabel"}}
    data = prepare(source="digits", targets=targets)
    pixels = data.train.images[..., 0].astype(np.float64)
    np.testing.assert_allclose(data.train.labels["ink"][:, 0], pixels.mean(axis=(1, 2)) / 255, rtol=1e-6)
    total = pixels.sum(axis=(1, 2))
    for place, rows, columns in ((0, 0, 0), (1, 0, 4), (2, 4, 0), (3, 4, 4)):
        part = pixels[:, rows : rows + 4, columns : columns + 4].sum(axis=(1, 2))
        assert np.array_equal(data.train.labels["quadrants"][:, place], part > total / 4)
    assert data.info.task.targets[2].class_names == QUADRANTS
    assert np.array_equal(data.train.labels["digit"], prepare(source="digits").train.labels["label"])
    assert data.info.task.targets[0].class_names == tuple("0123456789")


def test_a_blank_image_has_no_heavy_quarter():
    assert heavy_quarters(np.zeros((1, 8, 8), np.uint8)).tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize("target", [{}, {"column": "folder"}])
def test_class_folders_may_be_called_as_the_study_likes(target, tmp_path, made, prepare):
    root = made.write_folders(tmp_path / "photos")
    data = prepare(source="images", path=str(root), targets={"animal": target})
    assert (data.info.task.targets[0].name, data.info.task.targets[0].class_names) == ("animal", ("cat", "dog"))


@pytest.mark.parametrize("target", [{}, {"column": "label"}])
def test_a_keras_set_may_be_called_as_the_study_likes(target, tmp_path, monkeypatch, made, prepare):
    (tmp_path / "datasets").mkdir()
    x, y = made.pictures(50, channels=1)[..., 0], np.arange(50, dtype=np.uint8) % 10
    splits = {"x_train": x[:40], "y_train": y[:40], "x_test": x[40:], "y_test": y[40:]}
    np.savez(tmp_path / "datasets" / "mnist.npz", **splits)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    data = prepare(source="keras", name="mnist", targets={"number": target})
    assert (data.info.task.targets[0].name, data.info.num_test) == ("number", 10)
    assert data.info.task.targets[0].class_names == tuple("0123456789")
