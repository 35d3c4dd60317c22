"""A file or a folder suggests the data section that reads it; where nothing fits, or several things, words say so."""

import gzip
import io
import struct
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from trainables.data.cache.sources import SOURCES
from trainables.data.guess.places import guess_place
from trainables.errors import DataError
from trainables.progress import no_progress
from trainables.specs.data import DataSpec

SIDE = 6


def png(shade: int = 0) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((SIDE, SIDE), shade, np.uint8)).save(file, "png")
    return file.getvalue()


def pictures(folder: Path, *, count: int = 4) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number}.png").write_bytes(png(40 * number + len(folder.name)))
    return folder


def classes(root: Path) -> None:
    for name in ("cat", "dog"):
        pictures(root / name)


def splits(root: Path) -> None:
    for split in ("train", "val", "test"):
        classes(root / split)


def wrapped(root: Path) -> None:
    classes(root / "archive" / "flowers")


def masks(root: Path) -> None:
    pictures(root / "images")
    pictures(root / "masks")
    for number in range(4):
        Image.fromarray(np.eye(SIDE, dtype=np.uint8)).save(root / "masks" / f"{number}.png")


def idx(root: Path) -> None:
    images, labels = np.zeros((4, SIDE, SIDE), np.uint8), np.array([0, 1, 0, 1], np.uint8)
    for name, array in (("train-images-idx3-ubyte.gz", images), ("train-labels-idx1-ubyte.gz", labels)):
        header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
        (root / name).write_bytes(gzip.compress(header + array.tobytes()))


def cifar(root: Path) -> None:
    (root / "batches.meta.txt").write_text("\n".join(f"c{number}" for number in range(10)))
    for number in range(1, 6):
        (root / f"data_batch_{number}.bin").write_bytes(bytes([number % 2]) + bytes(3072))
    (root / "test_batch.bin").write_bytes(bytes(3073))


def npz(root: Path, **arrays: Any) -> None:
    labels = {"y_train": np.array([0, 1, 0, 1]), **arrays}
    np.savez(root / "shapes.npz", x_train=np.zeros((4, SIDE, SIDE), np.uint8), **labels)


def parquet(root: Path, *, name: str = "train.parquet", shade: int = 0, **columns: Any) -> None:
    labels = {"label": [0, 1] * 4, **columns}
    pq.write_table(pa.table({"image": [png(shade + number) for number in range(8)], **labels}), root / name)


def two_parquet(root: Path) -> None:
    parquet(root, name="train-00000-of-00002.parquet")
    parquet(root, name="train-00001-of-00002.parquet", shade=10)
    parquet(root, name="test-00000-of-00001.parquet", shade=20)


def parquet_and_notes(root: Path) -> None:
    for shade, name in enumerate(("train-a", "train-b", "test")):
        parquet(root, name=f"{name}.parquet", shade=10 * shade)
    (root / "train-notes.md").write_text("notes")


def tars(root: Path) -> None:
    for name in ("train-0.tar", "train-1.tar"):
        with tarfile.open(root / name, "w") as archive:
            for number in range(4):
                for ending, content in (("png", png(number)), ("cls", str(number % 2).encode())):
                    member = tarfile.TarInfo(f"{number}.{ending}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))


def table(root: Path, header: str, rows: list[str], *, name: str = "train.csv", folder: str = "images") -> None:
    pictures(root / folder, count=len(rows))
    lines = [header, *(row.replace("#", str(number)) for number, row in enumerate(rows))]
    (root / name).write_text("\n".join(lines) + "\n")


def csv_of(header: str, *rows: str, **changes: str) -> Callable[[Path], None]:
    return lambda root: table(root, header, list(rows), **changes)


#: By what lies there: how to make it, what to give, the data section; `<>` is the folder.
CASES: dict[str, tuple[Callable[[Path], None], str, dict[str, Any]]] = {
    "class folders": (classes, "", {"source": "images", "path": "<>"}),
    "class folders of splits": (splits, "", {"source": "images", "path": "<>"}),
    "class folders in a lone folder": (wrapped, "", {"source": "images", "path": "<>/archive/flowers"}),
    "images beside masks": (
        masks,
        "",
        {
            "source": "images",
            "path": "<>/images",
            "masks": "<>/masks",
            "targets": {"mask": {"kind": "mask"}},
        },
    ),
    "MNIST's files": (idx, "", {"source": "idx", "path": "<>"}),
    "one of MNIST's files": (
        idx,
        "train-images-idx3-ubyte.gz",
        {"source": "idx", "train": "<>/train-images-idx3-ubyte.gz"},
    ),
    "CIFAR's files": (cifar, "", {"source": "cifar_binary", "path": "<>"}),
    "a NumPy archive": (npz, "shapes.npz", {"source": "npz", "path": "<>/shapes.npz"}),
    "a NumPy archive in a folder": (npz, "", {"source": "npz", "path": "<>/shapes.npz"}),
    "a NumPy archive of numbers": (
        lambda root: npz(root, y_train=np.array([0.5, 1.25, 3.0, 4.0])),
        "",
        {"source": "npz", "path": "<>/shapes.npz", "targets": {"label": {"kind": "regression"}}},
    ),
    "a NumPy archive of flags": (
        lambda root: npz(root, y_train=np.array([[0, 1], [1, 1], [0, 0], [1, 0]], np.uint8)),
        "",
        {"source": "npz", "path": "<>/shapes.npz", "targets": {"label": {"kind": "multilabel"}}},
    ),
    "a NumPy archive of masks": (
        lambda root: npz(root, y_train=np.tile(np.eye(SIDE, dtype=np.uint8), (4, 1, 1))),
        "",
        {"source": "npz", "path": "<>/shapes.npz", "targets": {"label": {"kind": "mask"}}},
    ),
    "a Parquet file": (parquet, "train.parquet", {"source": "parquet", "train": "<>/train.parquet"}),
    "Parquet files of splits": (
        two_parquet,
        "",
        {"source": "parquet", "train": "<>/train-0000*.parquet", "test": "<>/test-00000-of-00001.parquet"},
    ),
    "Parquet files beside others of their names": (
        parquet_and_notes,
        "",
        {"source": "parquet", "train": "<>/train-*.parquet", "test": "<>/test.parquet"},
    ),
    "a Parquet file with a measure": (
        lambda root: parquet(root, label=[0.5 * number for number in range(8)]),
        "",
        {"source": "parquet", "train": "<>/train.parquet", "targets": {"label": {"kind": "regression"}}},
    ),
    "a Parquet file with patients": (
        lambda root: parquet(root, patient_id=["a", "a", "b", "b", "c", "c", "d", "d"]),
        "",
        {"source": "parquet", "train": "<>/train.parquet", "group": "patient_id"},
    ),
    "a Parquet file with masks": (
        lambda root: parquet(root, mask=[png()] * 8),
        "",
        {"source": "parquet", "train": "<>/train.parquet", "targets": {"mask": {"kind": "mask"}}},
    ),
    "tar archives": (tars, "", {"source": "webdataset", "train": "<>/train-*.tar"}),
    "a table beside a folder": (
        csv_of("id,breed", "#,pug", "#,cat", "#,pug", "#,cat"),
        "",
        {
            "source": "csv",
            "train": "<>/train.csv",
            "image_column": "id",
            "images": "<>/images",
            "label_column": "breed",
        },
    ),
    "a table of patients": (
        csv_of("image,patient,grade", "#.png,ann,low", "#.png,ann,high", "#.png,bob,low", "#.png,eve,high"),
        "train.csv",
        {
            "source": "csv",
            "train": "<>/train.csv",
            "images": "<>/images",
            "label_column": "grade",
            "group": "patient",
        },
    ),
    "a table of flags, one in each row": (
        csv_of("image,wet,dry", "#.png,1,0", "#.png,0,1", "#.png,1,0", "#.png,0,1"),
        "train.csv",
        {
            "source": "csv",
            "train": "<>/train.csv",
            "images": "<>/images",
            "targets": {"label": {"kind": "classification", "columns": ["wet", "dry"]}},
        },
    ),
    "a table of flags": (
        csv_of("image,wet,cold", "#.png,1,1", "#.png,0,1", "#.png,1,0", "#.png,0,0"),
        "train.csv",
        {
            "source": "csv",
            "train": "<>/train.csv",
            "images": "<>/images",
            "targets": {"label": {"kind": "multilabel", "columns": ["wet", "cold"]}},
        },
    ),
    "a table of several labels a row": (
        csv_of("image,label", "#.png,wet|cold", "#.png,wet", "#.png,cold", "#.png,wet"),
        "train.csv",
        {
            "source": "csv",
            "train": "<>/train.csv",
            "images": "<>/images",
            "targets": {"label": {"kind": "multilabel"}},
            "label_separator": "|",
        },
    ),
    "a table of measures": (
        csv_of("image,weight", "#.png,1.5", "#.png,2.5", "#.png,3", "#.png,4"),
        "train.csv",
        {
            "source": "csv",
            "train": "<>/train.csv",
            "images": "<>/images",
            "targets": {"label": {"kind": "regression", "column": "weight"}},
        },
    ),
}


def filled(expected: Any, root: Path) -> Any:
    if isinstance(expected, dict):
        return {key: filled(value, root) for key, value in expected.items()}
    return expected.replace("<>", str(root)) if isinstance(expected, str) else expected


@pytest.mark.parametrize("case", CASES)
def test_what_lies_there_suggests_the_section_that_reads_it(case: str, tmp_path: Path) -> None:
    make, given, expected = CASES[case]
    make(tmp_path)
    guess = guess_place(tmp_path / given)
    assert dict(guess.data) == filled(expected, tmp_path)
    assert guess.reasons.keys() <= guess.data.keys()
    # And the source reads it.
    raw = SOURCES[expected["source"]](DataSpec.model_validate(dict(guess.data)), no_progress).read()
    assert len(raw.splits["train"].images) >= 4


def several_tables(root: Path) -> None:
    for name in ("a.csv", "b.csv"):
        table(root, "image,label", ["#.png,cat", "#.png,dog"], name=name)


def classes_and_archive(root: Path) -> None:
    classes(root)
    npz(root)


def run_folder(root: Path) -> None:
    (root / "journal.jsonl").touch()
    (root / "study.yaml").touch()


REFUSALS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "nothing": (lambda root: None, "none", r"none: no such file or folder; relative paths start at"),
    "an empty folder": (lambda root: None, "", r": is empty; put the pictures of each class into a folder"),
    "pictures without classes": (
        pictures,
        "",
        r": 4 pictures lie in the folder itself, and nothing says what they show",
    ),
    "other files": (lambda root: (root / "a.docx").touch(), "", r"no file of a source .* 1 files \(.docx\); put the"),
    "a document": (
        lambda root: (root / "a.docx").touch(),
        "a.docx",
        r"a.docx: is a document, .*; give a folder of class",
    ),
    "a spreadsheet": (lambda root: (root / "a.xlsx").touch(), "a.xlsx", r"is a spreadsheet: save it as CSV in UTF-8"),
    "an archive": (lambda root: (root / "a.zip").touch(), "a.zip", r"is an archive: unpack it, and give the folder$"),
    "a picture": (pictures, "1.png", r"1.png: is one image, which nothing can be learned from; give a folder"),
    "a study file": (
        lambda root: (root / "a.yaml").touch(),
        "a.yaml",
        r"is a study file by its ending: `convfleet run`",
    ),
    "a run": (run_folder, "", r"is the folder of a run; go on with it: `convfleet resume "),
    "several tables": (several_tables, "", r"holds 2 tables \(a.csv, b.csv\), and no single one is named for training"),
    "class folders and an archive": (
        classes_and_archive,
        "",
        r"may be read in several ways: class folders, NumPy archive shapes.npz; give one of the files",
    ),
    "files that no pattern parts from others": (
        lambda root: [parquet(root, name=name) for name in ("a-train.parquet", "b-train.parquet", "c-test.parquet")],
        "",
        r"no pattern names these 2 files and no other: a-train.parquet, b-train.parquet, ...; put the files of each",
    ),
    "a table of several columns": (
        csv_of("image,colour,size", "#.png,red,small", "#.png,blue,large"),
        "",
        r"several columns may be the label: colour, size; name it with --label size",
    ),
    "a table without images": (
        csv_of("name,label", "x,red", "y,blue"),
        "",
        r"no column holds images or names of image files that lie there, its columns are \['name', 'label'\]",
    ),
    "a NumPy archive without labels": (
        lambda root: np.savez(root / "a.npz", x_train=np.zeros((2, 4, 4))),
        "a.npz",
        r"expected arrays x_train and y_train, or x and y, got \['x_train'\]",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_guessed_is_refused_with_the_way_out(case: str, tmp_path: Path) -> None:
    make, given, message = REFUSALS[case]
    make(tmp_path)
    with pytest.raises(DataError, match=message):
        guess_place(tmp_path / given)


def test_user_names_the_column_of_the_labels(tmp_path: Path) -> None:
    table(tmp_path, "image,colour,size", ["#.png,red,small", "#.png,blue,large"])
    assert guess_place(tmp_path, label="size").data["label_column"] == "size"
    with pytest.raises(DataError, match=r"--label weight: .* no such column, its columns are \['image', 'colour'"):
        guess_place(tmp_path, label="weight")
    classes(tmp_path / "folders")
    with pytest.raises(DataError, match=r"--label size: source images has no columns to choose from"):
        guess_place(tmp_path / "folders", label="size")


def test_table_beside_class_folders_is_left_out_with_a_word(tmp_path: Path) -> None:
    classes(tmp_path)
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    guess = guess_place(tmp_path)
    assert guess.data["source"] == "images"
    assert guess.notes[0].startswith(f"{tmp_path}/notes.csv lies beside the class folders and is not read")
