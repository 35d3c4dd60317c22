"""Splits as a study asks for them: by group, by order and by fold, from every source that has columns."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from trainables.data.cache.dataset import open_dataset
from trainables.data.cache.prepare import prepare_dataset, prepare_folds
from trainables.errors import DataError
from trainables.specs.data import DataSpec

COUNT = 60
LABELS = np.arange(COUNT) % 3
PATIENTS = np.array([f"p{row // 4:02}" for row in range(COUNT)])
#: Days of a month in no order, two rows a day.
DAYS = np.random.default_rng(5).permutation(COUNT) // 2
DATES = np.datetime64("2024-01-01") + DAYS.astype("timedelta64[D]")


def write_npz(tmp_path, made):
    np.savez(
        tmp_path / "all.npz", x_train=made.pictures(COUNT), y_train=LABELS, patient_train=PATIENTS, day_train=DATES
    )
    return {"source": "npz", "path": str(tmp_path / "all.npz")}


def write_parquet(tmp_path, made):
    images = [made.encoded(image) for image in made.pictures(COUNT)]
    columns = {"image": images, "label": LABELS, "patient": pa.array(PATIENTS).dictionary_encode(), "day": DATES}
    table = pa.table(columns)
    (tmp_path / "train").mkdir()
    pq.write_table(table[:25], tmp_path / "train" / "0.parquet")
    pq.write_table(table[25:], tmp_path / "train" / "1.parquet")
    return {"source": "parquet", "train": str(tmp_path / "train")}


def write_csv(tmp_path, made):
    for row, image in enumerate(made.pictures(COUNT)):
        (tmp_path / f"{row}.png").write_bytes(made.encoded(image))
    rows = [f"{row},{LABELS[row]},{PATIENTS[row]},{DATES[row]}\n" for row in range(COUNT)]
    (tmp_path / "train.csv").write_text("image,label,patient,day\n" + "".join(rows))
    return {"source": "csv", "train": str(tmp_path / "train.csv")}


def write_python(tmp_path, made):
    np.savez(tmp_path / "kept.npz", x=made.pictures(COUNT), y=LABELS, patient=PATIENTS, day=DAYS)
    (tmp_path / "split_data.py").write_text(
        f"import numpy as np\ndef load():\n    return dict(np.load({str(tmp_path / 'kept.npz')!r}))\n"
    )
    return {"source": "python", "function": "split_data:load", "function_dir": str(tmp_path)}


BAD_COLUMNS = [
    (np.array(["a", "", "b"] * 20), {"group": "c"}, "20 of 60 images have no value (the first is image 1)"),
    (
        np.where(np.arange(60) == 7, np.nan, 1.0),
        {"group": "c"},
        "1 of 60 images have no value (the first is image 7)",
    ),
    (np.ones((60, 2)), {"group": "c"}, "expected one value an image (60), got shape (60, 2)"),
    (np.ones(60, np.complex64), {"group": "c"}, "expected whole numbers, text or dates, got dtype complex64"),
    (np.array(["1", "2", "x"] * 20), {"order": "c"}, "has 'x' (value 3), expected numbers throughout, or dates"),
    (np.array(["2024-01-01", "2024-13-01"] * 30), {"order": "c"}, "has '2024-13-01' (value 2)"),
    (
        np.array(["2024-01-01T00:00:00", "2024-01-01T00:00:00+01:00"] * 30),
        {"order": "c"},
        "has times with and without a zone",
    ),
    (np.ones(60), {"order": "c"}, "no test split can be held out, as all 60 training images left have one value"),
    (
        np.array(["one"] * 60),
        {"group": "c"},
        "data.test_fraction: none of the 1 groups in training can be held out",
    ),
    (
        np.arange(60) % 2,
        {"group": "c", "folds": 3, "fold": 1},
        "got 3 folds of 1 groups in training; use fewer folds",
    ),
]
WRITERS = pytest.mark.parametrize("write", [write_npz, write_parquet, write_csv, write_python])


def rows_of(data):
    return [np.asarray(split.indices) for split in (data.train, data.validation, data.test)]


def note(data, beginning):
    (found,) = [text for text in data.info.notes if text.startswith(beginning)]
    return found


@WRITERS
def test_no_group_is_in_two_splits(write, tmp_path, made, prepare):
    data = prepare(**write(tmp_path, made), group="patient", seed=3)
    rows = rows_of(data)
    assert sorted(np.concatenate(rows)) == list(range(COUNT))
    groups = [set(PATIENTS[part]) for part in rows]
    assert sum(map(len, groups)) == 15
    assert [len(part) for part in rows] == [44, 4, 12]
    assert note(data, "data.group") == (
        "data.group 'patient': no group is in two splits; 11 in train (73.3% of the images), 1 in validation (6.7% of "
        "the images), 3 in test (20.0% of the images)"
    )


@WRITERS
def test_later_images_are_held_out(write, tmp_path, made, prepare):
    data = prepare(**write(tmp_path, made), order="day", seed=3)
    train, validation, test = (DAYS[part] for part in rows_of(data))
    assert sorted(np.concatenate([train, validation, test])) == sorted(DAYS)
    assert train.max() < validation.min()
    assert validation.max() < test.min()
    assert [len(train), len(validation), len(test)] == [44, 4, 12]
    assert "data.order 'day': the splits follow each other: train (73.3%), then validation" in note(data, "data.order")


@WRITERS
@pytest.mark.parametrize("group", [None, "patient"])
def test_folds_take_turns_as_validation_and_share_the_test_split(write, group, tmp_path, made, prepare):
    fields = {**write(tmp_path, made), **({"group": group} if group else {})}
    opened = [rows_of(prepare(**fields, folds=4, fold=fold, seed=3)) for fold in (1, 2, 3, 4)]
    tests = {tuple(test) for _, _, test in opened}
    assert len(tests) == 1
    assert sorted([*np.concatenate([validation for _, validation, _ in opened]), *tests.pop()]) == list(range(COUNT))
    for train, validation, test in opened:
        assert sorted([*train, *validation, *test]) == list(range(COUNT))
        if group:
            assert not set(PATIENTS[train]) & set(PATIENTS[validation])


def test_folds_of_one_study_share_the_decoded_images(tmp_path, made, prepare):
    fields = write_npz(tmp_path, made)
    first, second = (prepare(**fields, folds=2, fold=fold) for fold in (1, 2))
    assert first.info.key == second.info.key
    assert first.info.split_key != second.info.split_key
    assert note(first, "data.folds") == "data.folds: validation is fold 1 of 2"


@WRITERS
@pytest.mark.parametrize("group", [None, "patient"])
def test_folds_of_a_leader_and_its_search_validate_every_image_once(write, group, tmp_path, made):
    fields = {**write(tmp_path, made), **({"group": group} if group else {})}
    spec = DataSpec(**fields, folds=4, fold=2, cache_dir=str(tmp_path / "cache"))
    infos = prepare_folds(spec, 3, folds=(3, 4, 1))
    opened = [rows_of(open_dataset(info)) for info in infos]
    (test,) = {tuple(test) for _, _, test in opened}
    assert sorted([*np.concatenate([held for _, held, _ in opened]), *test]) == list(range(COUNT))
    for train, held, _ in opened:
        assert sorted([*train, *held, *test]) == list(range(COUNT))
        assert not group or not set(PATIENTS[train]) & set(PATIENTS[held])
        counts = np.bincount(LABELS[held], minlength=3)
        assert group or counts.max() - counts.min() <= 1
    # All are rows of the same decoded images, and those that a study of this fold alone has.
    assert len({(info.key, info.folder) for info in infos}) == 1
    assert len({info.fingerprint for info in infos}) == 4
    alone = prepare_dataset(spec.model_copy(update={"fold": 4}), 3)
    assert (alone.split_key, alone.fingerprint, alone.statistics) == (
        infos[2].split_key,
        infos[2].fingerprint,
        infos[2].statistics,
    )


@pytest.mark.parametrize(
    ("labels", "group", "message"),
    [
        (
            np.where(np.arange(COUNT) < 3, 2, np.arange(COUNT) % 2),
            None,
            r"got \d of class '2' for 4 folds, so fold \d validates on none; use fewer folds, give more images of it",
        ),
        (
            np.where(PATIENTS == "p03", 2, np.arange(COUNT) % 2),
            "patient",
            r"got 4 of class '2' for 4 folds, so fold \d (validates|trains) on none",
        ),
    ],
)
def test_class_that_some_fold_lacks_is_refused_where_all_folds_take_turns(labels, group, message, tmp_path, made):
    pictures = made.pictures(COUNT)
    # A test split of its own, which takes none of the class.
    kept = {"x_test": pictures[:9], "y_test": np.arange(9) % 3, "patient_test": np.repeat("q", 9)}
    np.savez(tmp_path / "few.npz", x_train=pictures, y_train=labels, patient_train=PATIENTS, **kept)
    spec = DataSpec(
        source="npz", path=str(tmp_path / "few.npz"), group=group, folds=4, fold=1, cache_dir=str(tmp_path / "cache"),
        allow_overlap=True,
    )  # fmt: skip
    prepare_dataset(spec, 3)
    with pytest.raises(DataError, match=r"data.folds: expected images of every class in every fold, " + message):
        prepare_folds(spec, 3, folds=(2, 3, 4))


def test_splits_without_these_settings_are_those_of_before(prepare):
    data = prepare(source="digits", seed=7)
    digest = hashlib.sha256(b"".join(part.tobytes() for part in rows_of(data))).hexdigest()
    assert (data.info.split_key, digest[:16]) == ("b73f9dafa7c9831d", "077628b22c40e4f6")


def test_given_splits_that_share_a_group_are_refused(tmp_path, made, prepare):
    np.savez(
        tmp_path / "a.npz",
        x_train=made.pictures(20), y_train=LABELS[:20], patient_train=PATIENTS[:20],
        x_test=made.pictures(20, seed=1), y_test=LABELS[:20], patient_test=PATIENTS[14:34],
    )  # fmt: skip
    fields = {"source": "npz", "path": str(tmp_path / "a.npz")}
    with pytest.raises(DataError) as caught:
        prepare(**fields, group="patient")
    assert str(caught.value) == (
        "data.group: 2 of the groups in column 'patient' are in the train and in the test split, such as 'p03', 'p04'; "
        "move each group's images into one split, or remove data.group"
    )
    assert prepare(**fields).info.num_test == 20


def test_given_test_split_must_come_after_the_training_images(tmp_path, made, prepare):
    np.savez(tmp_path / "train.npz", x=made.pictures(20), y=LABELS[:20], day=np.arange(20))
    arrays = {"x": made.pictures(20, seed=1), "y": LABELS[:20]}
    np.savez(tmp_path / "test.npz", **arrays, day=np.arange(18, 38))
    np.savez(tmp_path / "later.npz", **arrays, day=np.arange(19, 39))
    fields = {"source": "npz", "train": str(tmp_path / "train.npz"), "order": "day"}
    with pytest.raises(
        DataError, match=r"in column 'day' the test split begins at '18', before the end of the train.*'19'"
    ):
        prepare(**fields, test=str(tmp_path / "test.npz"))
    data = prepare(**fields, test=str(tmp_path / "later.npz"))
    assert rows_of(data)[1].tolist() == [18, 19]


@pytest.mark.parametrize("case", BAD_COLUMNS)
def test_columns_of_no_use_are_refused_in_words(case, tmp_path, made, prepare):
    values, fields, message = case
    np.savez(tmp_path / "a.npz", x=made.pictures(60), y=LABELS, c=values)
    with pytest.raises(DataError) as caught:
        prepare(source="npz", path=str(tmp_path / "a.npz"), **fields)
    assert message in str(caught.value)


def test_text_that_is_numbers_or_times_is_ordered_as_such(tmp_path, made, prepare):
    numbers = np.arange(95, 155)
    times = [f"2024-01-01T00:00:00+{hours:02}:00" for hours in range(12) for _ in range(5)]
    np.savez(tmp_path / "a.npz", x=made.pictures(60), y=LABELS, number=numbers.astype(str), time=np.array(times))
    fields = {"source": "npz", "path": str(tmp_path / "a.npz")}
    assert rows_of(prepare(**fields, order="number"))[2].tolist() == list(range(48, 60))
    # Midnight comes earliest where clocks are furthest ahead.
    assert rows_of(prepare(**fields, order="time"))[2].tolist() == list(range(10))


def test_missing_array_is_named_with_what_there_is(tmp_path, made, prepare):
    np.savez(tmp_path / "a.npz", x_train=made.pictures(60), y_train=LABELS, patients_train=PATIENTS)
    with pytest.raises(
        DataError, match=r"data.group: .*a.npz: has no array patient_train, its arrays are .*did you mean"
    ):
        prepare(source="npz", path=str(tmp_path / "a.npz"), group="patient")


def test_one_class_before_the_held_out_images_is_refused(tmp_path, made, prepare):
    labels = (np.arange(60) >= 40).astype(int)
    np.savez(tmp_path / "a.npz", x=made.pictures(60), y=labels, day=np.arange(60))
    with pytest.raises(DataError, match=r"data.order: the first 36 images, those left for training, are of one class"):
        prepare(source="npz", path=str(tmp_path / "a.npz"), order="day", test_fraction=0.4)


def test_folds_beside_a_validation_split_are_refused(tmp_path, made, prepare):
    np.savez(tmp_path / "a.npz", x=made.pictures(60), y=LABELS, x_val=made.pictures(9), y_val=LABELS[:9])
    with pytest.raises(DataError, match=r"data.folds: the source has a validation split of its own, got 5 folds"):
        prepare(source="npz", path=str(tmp_path / "a.npz"), folds=5, fold=2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"source": "digits", "group": "a"},
            "group: belongs to source 'npz' or 'parquet' or 'csv' or 'webdataset' or 'tfrecord' or 'python', got 'a'",
        ),
        ({"group": "a", "order": "b"}, "order: splits follow one rule, got 'b' beside group 'a'; remove one of them"),
        ({"order": "a", "folds": 3, "fold": 1}, "folds: all but the last fold would train on images that come after"),
        ({"folds": 3}, "fold: folds needs it, got nothing; say which of them is the validation split"),
        ({"fold": 3}, "folds: fold needs it, got nothing; say how many there are"),
        ({"folds": 3, "fold": 4}, "fold: expected one of the 3 folds, counted from 1, got 4"),
        ({"folds": 3, "fold": 1, "validation_fraction": 0.2}, "a fold is the validation split, got 0.2 beside folds 3"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(fields, message):
    with pytest.raises(ValidationError) as caught:
        DataSpec(**{"source": "npz", "path": "a.npz", **fields})
    assert message in str(caught.value)
