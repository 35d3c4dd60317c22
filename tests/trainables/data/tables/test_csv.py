"""Tables beside folders of images give exactly the pixels and labels that they name."""

import gzip

import numpy as np
import pytest

from trainables.data.tables.reading import read_table


@pytest.fixture
def competition(tmp_path, made):
    """Writes images 000.png, 001.png, ... into a folder and a table beside; returns the settings and the pixels."""

    def write(text, *, count=12, file="train.csv", folder="train_images", **fields):
        (tmp_path / folder).mkdir(exist_ok=True)
        pixels = made.pictures(count)
        for row, image in enumerate(pixels):
            (tmp_path / folder / f"{row:03}.png").write_bytes(made.encoded(image))
        (tmp_path / file).write_bytes(text if isinstance(text, bytes) else text.encode())
        settings = {"train": str(tmp_path / file), "images": str(tmp_path / folder)}
        return {"source": "csv", "image_column": "id", **settings, **fields}, pixels

    return write


def table(rows, *, header="id,label", end="\n"):
    return end.join([header, *rows]) + end


def rows_of(count, *, name="{:03}", labels=("cat", "dog", "emu")):
    return [f"{name.format(row)},{labels[row % len(labels)]}" for row in range(count)]


@pytest.mark.parametrize(
    "text",
    [
        table(rows_of(12)),
        table(rows_of(12, name="{:03}.png")),
        table(rows_of(12), end="\r\n"),
        table(rows_of(12), end="\r"),
        "\ufeff" + table(rows_of(12)),
        table(rows_of(12)).replace(",", ";"),
        table(rows_of(12)).replace(",", "\t"),
        table(rows_of(12)).replace(",", " , "),
        table([f'"{row.replace(",", chr(34) + "," + chr(34))}"' for row in rows_of(12)], header='"id","label"'),
        table([f"{row},x,y" for row in rows_of(12)], header="id,label,note,note"),
        table([f'"two\nlines",{row}' for row in rows_of(12)], header="note,id,label"),
        gzip.compress(table(rows_of(12)).encode(), mtime=0),
        table(rows_of(12)).removesuffix("\n"),
        table(rows_of(12), end="\n\n"),
    ],
)
def test_any_way_to_write_a_table_gives_the_same_images_and_labels(text, competition, prepare_both):
    fields, pixels = competition(text)
    data = prepare_both(fields)
    assert np.array_equal(data.train.images, pixels)
    assert data.info.task.targets[0].class_names == ("cat", "dog", "emu")
    assert data.train.labels["label"].tolist() == [row % 3 for row in range(12)]


def test_quoted_line_ends_are_read_wherever_a_large_table_is_cut(tmp_path):
    note, count = "one" + "\n" * 300 + "two", 20_000
    rows = "".join(f'{row},"{note}",{row % 2}\n' for row in range(count))
    (tmp_path / "t.csv").write_text(f"id,note,label\n{rows}")
    found = read_table(tmp_path / "t.csv", role="train", columns={"id": "image_column", "label": "label_column"})
    assert found.columns["id"] == [str(row) for row in range(count)]
    assert found.columns["label"] == [str(row % 2) for row in range(count)]


def test_rows_keep_the_order_of_the_table_and_names_may_lead_into_folders(tmp_path, made, competition, prepare_both):
    names = [f"{row:03}" for row in range(9, -1, -1)] + ["deep/er/010.png", "deep/011"]
    fields, pixels = competition(table([f"{name},{'ab'[row % 2]}" for row, name in enumerate(names)]))
    for name in ("deep/er/010.png", "deep/011.png"):
        (tmp_path / "train_images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "train_images" / name[-7:]).rename(tmp_path / "train_images" / name)
    assert np.array_equal(prepare_both(fields).train.images, pixels[[9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 10, 11]])


def test_ids_stay_text_whatever_they_look_like(tmp_path, made, prepare):
    names = ["7", "07", "007", "1e3", "Ab", "aB", "NA", "null", "x.y", "0x1f", "-1", "3.0"]
    for row, image in enumerate(made.pictures(12)):
        (tmp_path / f"{names[row]}.png").write_bytes(made.encoded(image))
    (tmp_path / "t.csv").write_text(
        table([f"{name},{row % 2}" for row, name in enumerate(names)], header="image,label")
    )
    data = prepare(source="csv", train=str(tmp_path / "t.csv"))
    assert np.array_equal(data.train.images, made.pictures(12))


@pytest.mark.parametrize(
    ("labels", "names", "numbers"),
    [
        (("10", "9", "2"), ("2", "9", "10"), [2, 1, 0]),
        (("1.0", "0.0", "2"), ("0", "1", "2"), [1, 0, 2]),
        (("07", "7", "10"), ("07", "10", "7"), [0, 2, 1]),
        (("True", "False", "True"), ("False", "True"), [1, 0, 1]),
        (("1", "2", "other"), ("1", "2", "other"), [0, 1, 2]),
        (("a b", "a;b", "a"), ("a", "a b", "a;b"), [1, 2, 0]),
        (("none", "None", "-"), ("-", "None", "none"), [2, 1, 0]),
    ],
)
def test_classes_are_numbers_only_where_every_value_is_one(labels, names, numbers, competition, prepare):
    fields, _ = competition(table(rows_of(12, labels=labels)))
    data = prepare(**fields)
    assert data.info.task.targets[0].class_names == names
    assert data.train.labels["label"].tolist()[:3] == numbers


def test_labels_of_all_splits_are_numbers_or_none_is(tmp_path, competition, prepare):
    fields, _ = competition(table(rows_of(12, labels=("1", "2", "other"))))
    (tmp_path / "test.csv").write_text(table(rows_of(4, labels=("1", "2"))))
    data = prepare(**fields, test=str(tmp_path / "test.csv"), allow_overlap=True)
    assert data.test.labels["label"].tolist() == [0, 1, 0, 1]


def test_folder_of_images_may_be_named_by_split_or_lie_beside_each_table(tmp_path, made, competition, prepare):
    text = table(rows_of(12))
    fields, _ = competition(text, folder="train_images")
    (tmp_path / "test_images").mkdir()
    others = made.pictures(6, seed=5)
    for row, image in enumerate(others):
        (tmp_path / "test_images" / f"{row:03}.png").write_bytes(made.encoded(image))
        (tmp_path / f"{row:03}.png").write_bytes(made.encoded(image))
    (tmp_path / "test.csv").write_text(table(rows_of(6)))
    by_split = prepare(**{**fields, "images": str(tmp_path / "{split}_images"), "test": str(tmp_path / "test.csv")})
    assert np.array_equal(by_split.test.images, others)
    assert np.array_equal(by_split.train.images, made.pictures(12))
    beside = prepare(source="csv", image_column="id", train=str(tmp_path / "test.csv"))
    assert np.array_equal(beside.train.images, others)


def test_targets_of_every_kind_come_from_columns(competition, prepare_both):
    rows = [
        f"{row:03},{row % 2},{'a|b' if row % 3 else 'b' if row % 2 else ''},{row / 4},{row},{row % 2},{1 - row % 2}"
        for row in range(12)
    ]
    targets = {
        "spots": {"kind": "multilabel", "columns": ["left", "right"]},
        "tags": {"kind": "multilabel"},
        "size": {"kind": "regression"},
        "corner": {"kind": "regression", "columns": ["size", "y"]},
        "side": {"columns": ["left", "right"]},
        "sick": {},
    }
    fields, _ = competition(table(rows, header="id,sick,tags,size,y,left,right"), targets=targets, label_separator="|")
    data = prepare_both(fields)
    described = {target.name: (target.kind, target.size, target.class_names) for target in data.info.task.targets}
    assert described == {
        "spots": ("multilabel", 2, ("left", "right")),
        "tags": ("multilabel", 2, ("a", "b")),
        "size": ("regression", 1, ()),
        "corner": ("regression", 2, ()),
        "side": ("classification", 2, ("left", "right")),
        "sick": ("classification", 2, ("0", "1")),
    }
    labels = data.train.labels
    assert labels["spots"].tolist() == [[row % 2, 1 - row % 2] for row in range(12)]
    assert labels["side"].tolist() == [1 - row % 2 for row in range(12)]
    assert labels["tags"].tolist() == [[int(row % 3 > 0), int(row % 3 > 0 or row % 2)] for row in range(12)]
    assert labels["size"].tolist() == [[row / 4] for row in range(12)]
    assert labels["corner"].tolist() == [[row / 4, row] for row in range(12)]
    assert any("rows with nothing in column 'tags' set no flag: 2 (row 1, 7)" in note for note in data.info.notes)


def test_an_example_may_have_images_of_several_columns(competition, prepare_both):
    rows = [f"{row:03},{11 - row:03},{row % 2}" for row in range(12)]
    fields, pixels = competition(table(rows, header="left,right,label"), inputs=("left", "right"))
    fields.pop("image_column")
    assert np.array_equal(prepare_both(fields).train.images, np.concatenate([pixels, pixels[::-1]], axis=3))


def test_limit_keeps_every_class_of_a_sorted_table(competition, prepare):
    rows = sorted(rows_of(12), key=lambda row: row.rpartition(",")[2])
    fields, pixels = competition(table(rows), limit=6)
    data = prepare(**fields)
    assert data.train.labels["label"].tolist() == [0, 0, 1, 1, 2, 2]
    assert np.array_equal(data.train.images, pixels[[0, 3, 1, 4, 2, 5]])


def test_rows_that_say_the_same_again_and_files_that_no_row_names_are_left_out_with_a_note(
    tmp_path, competition, prepare
):
    rows = rows_of(12)
    fields, pixels = competition(table([*rows[:10], rows[3], rows[0].replace("000", "000.png")]))
    (tmp_path / "train_images" / "Thumbs.db").write_bytes(b"")
    data = prepare(**fields)
    assert np.array_equal(data.train.images, pixels[:10])
    assert data.info.notes[:2] == (
        f"{tmp_path}/train.csv: rows that repeat earlier ones are left out: 2 (row 11, 12)",
        f"{tmp_path}/train_images: images that no table names are left out: 2 (010.png, 011.png)",
    )


def test_equal_tables_and_images_share_an_entry_and_other_columns_do_not(tmp_path, competition, prepare):
    rows = [f"{row:03},{row % 3},{row % 2}" for row in range(12)]
    fields, _ = competition(table(rows, header="id,label,other"))
    first = prepare(**fields).info
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "train_images").rename(tmp_path / "elsewhere" / "pictures")
    (tmp_path / "train.csv").rename(tmp_path / "elsewhere" / "t.csv")
    moved = {"train": str(tmp_path / "elsewhere" / "t.csv"), "images": str(tmp_path / "elsewhere" / "pictures")}
    assert prepare(**{**fields, **moved}).info.key == first.key
    other = prepare(**{**fields, **moved, "label_column": "other"}).info
    assert (other.key == first.key, other.task.targets[0].size) == (False, 2)
    (tmp_path / "elsewhere" / "pictures" / "000.png").write_bytes(
        (tmp_path / "elsewhere" / "pictures" / "001.png").read_bytes()
    )
    assert prepare(**{**fields, **moved}).info.key != first.key


def test_the_columns_of_a_target_and_the_separator_decide_the_entry(competition, prepare):
    rows = [f"{row:03},{row % 2},{1 - row % 2},{'a|b c' if row % 2 else 'a'}" for row in range(12)]
    fields, _ = competition(table(rows, header="id,left,right,tags"))
    keys, names = set(), []
    for columns in (["left", "right"], ["right", "left"]):
        info = prepare(**fields, targets={"spots": {"kind": "multilabel", "columns": columns}}).info
        keys.add(info.key)
        names.append(info.task.targets[0].class_names)
    for separator in ("|", " "):
        info = prepare(**fields, targets={"tags": {"kind": "multilabel"}}, label_separator=separator).info
        keys.add(info.key)
        names.append(info.task.targets[0].class_names)
    assert names == [("left", "right"), ("right", "left"), ("a", "b c"), ("a", "a|b", "c")]
    assert len(keys) == 4
