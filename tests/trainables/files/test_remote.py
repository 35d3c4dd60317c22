"""Files of a folder in storage appear whole, on file systems that replace files and on those that refuse to."""

from pathlib import Path
from typing import Any

import pytest
from pyarrow import fs

from trainables.errors import RemoteError
from trainables.files.remote import RemoteFolder


class Refusing:
    """This machine's file system with HDFS's name and its rule: a file is moved onto no other."""

    type_name = "hdfs"

    def __init__(self) -> None:
        self._local = fs.LocalFileSystem()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._local, name)

    def move(self, source: str, target: str) -> None:
        if Path(target).exists():
            raise FileExistsError(target)
        Path(source).rename(target)


@pytest.fixture(params=[fs.LocalFileSystem, Refusing])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> RemoteFolder:
    return RemoteFolder(request.param(), str(tmp_path), uri=f"file://{tmp_path}")


def test_file_is_replaced_and_no_draft_stays(folder: RemoteFolder, tmp_path: Path) -> None:
    folder.write("t0001/marks.json", b"old")
    folder.write("t0001/marks.json", b"new")
    assert folder.read("t0001/marks.json") == b"new"
    assert list(folder.files()) == ["t0001/marks.json"]
    assert [path.name for path in (tmp_path / "t0001").iterdir()] == ["marks.json"]


def test_file_that_is_not_there_is_deleted_without_an_error(folder: RemoteFolder) -> None:
    folder.delete("t0001/marks.json")
    folder.write("t0001/marks.json", b"{}")
    folder.delete("t0001/marks.json")
    assert folder.read("t0001/marks.json") is None


def test_refusal_names_the_place_and_the_reason(tmp_path: Path) -> None:
    (tmp_path / "t0001").write_text("a file where a folder should be", encoding="utf-8")
    folder = RemoteFolder(fs.LocalFileSystem(), str(tmp_path), uri=f"file://{tmp_path}")
    with pytest.raises(
        RemoteError, match=f"^file://{tmp_path}/t0001/marks.json: .*non-directory entry exists"
    ) as caught:
        folder.write("t0001/marks.json", b"{}")
    assert not caught.value.is_lasting
