"""Wrong tables are refused with the file's name, the row, and how to mend it."""

import gzip

import pytest

from trainables.errors import DataError

GOOD = "image,label\na,0\nb,1\nc,0\nd,1\n"
LISTS = {"targets": {"label": {"kind": "multilabel"}}}
NUMBERS = {"targets": {"label": {"kind": "regression"}}}
ONE_OF = {"targets": {"label": {"columns": ["x", "y"]}}}


@pytest.fixture
def refused(tmp_path, made, prepare):
    """Prepares a table beside images a.png, b.png, c.png, d.png and d.gif's sort; returns the error."""

    def run(text, **fields):
        (tmp_path / "pictures").mkdir()
        for name, image in zip(("a.png", "b.png", "c.png", "d.png", "in/e.png"), made.pictures(5), strict=True):
            (tmp_path / "pictures" / name).parent.mkdir(exist_ok=True)
            (tmp_path / "pictures" / name).write_bytes(made.encoded(image))
        if text is not None:
            (tmp_path / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        settings = {"train": str(tmp_path / "t.csv"), "images": str(tmp_path / "pictures"), **fields}
        with pytest.raises(DataError) as caught:
            prepare(source="csv", **settings)
        message = str(caught.value)
        assert str(tmp_path) in message
        return message.replace(f"{tmp_path}/", "")

    return run


@pytest.mark.malformed
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "data.train: cannot read t.csv: No such file or directory; check the path"),
        (b"", "data.train: t.csv is empty; write a header and a row for each image"),
        (" \n\n", "data.train: t.csv is empty"),
        (b"\xef\xbb\xbf", "data.train: t.csv is empty"),
        ("image,label\n", "data.train: t.csv has a header and no rows; add a row for each image"),
        ("a,0\nb,1\nc,0\n", "data.image_column: t.csv has no column 'image', its first line has ['a', '0']; name one"),
        ("img,label\na,0\n", "data.image_column: t.csv has no column 'image', its first line has ['img', 'label']"),
        ("image,Label\na,0\n", "data.label_column: t.csv has no column 'label', its first line has ['image', 'Label']"),
        ("image,lable\na,0\n", "did you mean 'lable'?"),
        ("image,label,label\na,0,1\n", "data.label_column: t.csv has 2 columns 'label'; rename all but one"),
        ("image;label;image\na;0;1\n", "data.image_column: t.csv has 2 columns 'image'"),
        ("image:label\na:0\n", "t.csv has no column 'image', its first line has ['image:label']"),
        ("image,label\na,0\nb\n", "t.csv: is not a whole table: CSV parse error: Expected 2 columns, got 1: b; give"),
        ("image,label\na,0\nb,1,2\n", "Expected 2 columns, got 3: b,1,2"),
        ('image,label\na,0\n"b,1\nc,0\n', "t.csv: is not a whole table: CSV parse error"),
        (GOOD.encode("utf-16"), "data.train: t.csv is not text in UTF-8 (UTF-16?); save it as CSV in UTF-8"),
        (GOOD.encode("utf-16-le"), "data.train: t.csv is not text in UTF-8 (UTF-16?)"),
        ("image,label\na,ä\n".encode("latin-1"), "data.train: t.csv line 2 is not text in UTF-8: byte 0xe4; save the"),
        (b"PK\x03\x04rest", "data.train: t.csv is an Excel workbook or a ZIP archive, expected CSV or TSV; save it as"),
        (b"PAR1rest", "data.train: t.csv is a Parquet file, expected CSV or TSV"),
        (gzip.compress(GOOD.encode(), mtime=0)[:-9], "data.train: t.csv is not a whole gzip file"),
        (b"\x1f\x8bnothing", "data.train: t.csv is not a whole gzip file"),
        (GOOD.replace("a,", ","), "t.csv row 1: column 'image': the image's name is empty; write it or remove the row"),
        (GOOD.replace("a,", "../pictures/a.png,"), "row 1: column 'image': '../pictures/a.png' leads out of the"),
        (GOOD.replace("a,", "in\\..\\a.png,"), "leads out of the folder of images by '..'"),
        (GOOD.replace("a,", "/etc/hostname,"), "row 1: column 'image': '/etc/hostname' is an absolute path; write the"),
        (GOOD.replace("a,", "C:\\a.png,"), "'C:\\\\a.png' is an absolute path"),
        (GOOD.replace("a,", "https://host/a.png,"), "'https://host/a.png' is a URL; copy the image into the folder"),
        (GOOD.replace("a,", "A,"), "has 'a.png', which differs in case; write the names alike"),
        (GOOD.replace("a,", "e,"), "the folder has 'in/e.png'; write the path below the folder in the table"),
        (GOOD.replace("a,", "in\\e.png,"), "write paths with / instead of \\"),
        (GOOD.replace("a,", "in,"), "1 of 4 images that column 'image' names are not in pictures: 'in' (row 1); add"),
        (GOOD.replace("a,", f"{'a' * 300},"), "1 of 4 images that column 'image' names are not in pictures"),
        (GOOD + "a,1\n", "t.csv row 5: a.png has other labels than in row 1; give every image one row"),
        (GOOD.replace("a,0", "a,"), "column 'label' has no value in 1 of 4 rows (row 1; the first is ''); label them"),
        (GOOD.replace(",0", ",NaN"), "column 'label' has no value in 2 of 4 rows (row 1, 3; the first is 'NaN')"),
        (GOOD.replace(",1", ",0.5"), "expected whole-number labels, got 0.5"),
        (GOOD.replace(",1", ",-1"), "expected labels >= 0, got -1"),
        (GOOD.replace(",1", ",0"), "expected at least two classes, got only 0 in 4 labels"),
    ],
)  # fmt: skip
def test_wrong_tables_are_refused_in_words(text, message, refused):
    assert message in refused(text)


@pytest.mark.malformed
@pytest.mark.parametrize(
    ("text", "fields", "message"),
    [
        (GOOD.replace(",1", ",x y"), LISTS, "t.csv row 2: column 'label' has 'x y', which may be one label or several"),
        (GOOD.replace(",1", ",x|y"), LISTS, "set label_separator: '|' if that parts labels, else a sign that no label"),
        (GOOD.replace(",1", ",x x"), {**LISTS, "label_separator": " "}, "names a flag twice"),
        (GOOD.replace(",1", ",high"), NUMBERS, "t.csv row 2: column 'label' has 'high', expected a number; convert it"),
        (GOOD.replace(",", ";").replace(";1", ";0,5"), NUMBERS, "has '0,5', expected a number; write a point for the"),
        (GOOD.replace(",1", ",inf"), NUMBERS, "has 'inf', expected a number"),
        (GOOD.replace(",1", ",null"), NUMBERS, "column 'label' has no value in 2 of 4 rows (row 2, 4; the first is"),
        (GOOD, ONE_OF, "data.targets.label: t.csv has no column 'x', its first line has ['image', 'label']"),
        ("image,x,y\na,0,1\nb,1,1\n", ONE_OF, "row 2: expected exactly one of ['x', 'y'] to be 1, got ['x', 'y'] (1"),
        ("image,x,y\na,0,1\nb,0,0\n", ONE_OF, "to be 1, got [] (1 such rows); use kind: multilabel"),
        ("image,x,y\na,0,1\nb,0.3,0.7\n", ONE_OF, "row 2: column 'x' has '0.3', expected 0 or 1; mark what is set"),
        (GOOD, {"images": "nowhere"}, "data.images: cannot list nowhere: No such file or directory; give the folder"),
        (GOOD, {"inputs": ("image", "other")}, "data.inputs: t.csv has no column 'other'"),
    ],
)  # fmt: skip
def test_labels_that_do_not_fit_their_kind_are_refused_in_words(text, fields, message, tmp_path, refused):
    if "images" in fields:
        fields = {"images": str(tmp_path / fields["images"])}
    assert message in refused(text, **fields)


@pytest.mark.malformed
def test_all_missing_files_are_counted_and_the_first_ten_are_named(refused):
    text = "image,label\na,0\n" + "".join(f"{number:03},1\n" for number in range(25))
    named = ", ".join(f"'{number:03}' (row {number + 2})" for number in range(10))
    assert f"t.csv: 25 of 26 images that column 'image' names are not in pictures: {named} and 15 more;" in refused(
        text
    )


@pytest.mark.malformed
def test_a_name_that_two_files_have_is_refused(tmp_path, made, refused):
    (tmp_path / "pictures").mkdir()
    for name in ("a.jpg", "a.PNG"):
        (tmp_path / "pictures" / name).write_bytes(b"")
    (tmp_path / "pictures").rename(tmp_path / "others")
    message = refused(GOOD, images=str(tmp_path / "others"))
    assert "t.csv row 1: column 'image': 'a' may be a.PNG or a.jpg in others; write the ending in the table" in message


@pytest.mark.malformed
def test_a_file_that_is_no_image_is_named(tmp_path, made, refused):
    (tmp_path / "others").mkdir()
    for name in "abcd":
        (tmp_path / "others" / f"{name}.png").write_bytes(made.encoded(made.pictures(1)[0]))
    (tmp_path / "others" / "c.png").write_bytes(b"no image")
    assert "others/c.png: cannot be read as an image" in refused(GOOD, images=str(tmp_path / "others"))


@pytest.mark.malformed
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"images/a.png": b"", "train.csv": b""}, "got only 'images'; "),
        ({"images/a.png": b"", "train.TSV": b""}, "got only 'images'; "),
        ({"a.png": b"", "train.csv": b""}, ": has no class folders; "),
    ],
)
def test_class_folders_beside_a_table_name_the_way_out(content, message, tmp_path, prepare):
    for name, data in content.items():
        (tmp_path / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "set" / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        prepare(source="images", path=str(tmp_path / "set"))
    assert f"{message}the table {list(content)[1]} lies beside: with source: csv, train: that file" in str(caught.value)
