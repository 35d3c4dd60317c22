"""Files appear whole, with the permissions and the durability that their writer asks for."""

import os
from pathlib import Path

import pytest

from trainables.files.whole import replace_file, write_whole


@pytest.fixture
def open_umask():
    """A umask that takes nothing away from a new file's permissions."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_file_belongs_to_its_owner_alone_unless_a_mode_is_given(tmp_path: Path) -> None:
    write_whole(tmp_path / "new" / "driver.json", "{}")
    replace_file(tmp_path / "marks.json", b"{}", is_durable=False)
    replace_file(tmp_path / "picture.png", b"PNG", is_durable=False, mode=0o644)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    assert modes == {"new": 0o700, "driver.json": 0o600, "marks.json": 0o600, "picture.png": 0o644}


def test_mode_holds_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        replace_file(tmp_path / "picture.png", b"PNG", is_durable=False, mode=0o644)
    finally:
        os.umask(before)
    assert (tmp_path / "picture.png").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("is_durable", [True, False])
def test_durable_file_is_flushed_before_it_takes_its_name_and_another_is_not_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_durable: bool
) -> None:
    path = tmp_path / "state"
    flushed = []
    monkeypatch.setattr("trainables.files.whole.os.fsync", lambda handle: flushed.append(path.exists()))
    replace_file(path, "new", is_durable=is_durable)
    assert flushed == [False] * is_durable
    assert path.read_bytes() == b"new"


def test_file_in_a_missing_folder_is_made_by_write_whole_alone(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        replace_file(tmp_path / "run" / "picture.png", b"PNG", is_durable=False)
    assert not (tmp_path / "run").exists()
    write_whole(tmp_path / "run" / "study.yaml", "name: digits")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["study.yaml"]
