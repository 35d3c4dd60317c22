"""A damaged journal is cut where the damage begins, never elsewhere, and nothing of it is thrown away."""

import json
import stat
import zlib
from pathlib import Path

import pytest

from orchestrator.errors import JournalError, RunFolderError
from orchestrator.journal.file import Journal, read_journal
from orchestrator.journal.reading import load_state
from orchestrator.journal.repair import repair_run
from orchestrator.runs.folder import make_run_folder
from orchestrator.runs.lock import driver_lock
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_study


@pytest.fixture
def folder(tmp_path: Path, make_sweep) -> RunFolder:
    made = make_run_folder(tmp_path / "run", study_yaml=load_study("quickstart").to_yaml())
    with Journal(made.journal) as journal:
        for record in make_sweep():
            journal.append(record)
    return made


def damage(path: Path, *, line: int) -> bytes:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = lines[line - 1].replace(b"1", b"7", 1)
    path.write_bytes(b"".join(lines))
    return path.read_bytes()


def test_journal_is_cut_before_the_first_damaged_line_and_kept_as_it_was(folder: RunFolder) -> None:
    whole = list(read_journal(folder.journal))
    damage(folder.journal, line=30)
    before = damage(folder.journal, line=20)
    repair = repair_run(folder.root)
    assert list(read_journal(folder.journal)) == whole[:19]
    assert (repair.num_kept, repair.num_cut) == (19, len(whole) - 19)
    assert repair.copy is not None
    assert repair.copy.read_bytes() == before
    assert {stat.S_IMODE(path.stat().st_mode) for path in (repair.copy, folder.journal)} == {0o600}
    told = "\n".join(repair.lines())
    assert f"damage   {folder.journal}, line 20: not a record (its checksum is wrong" in told
    assert "the reports 9 of t0003" in told or "9 of t0006" in told
    assert f"convfleet resume {folder.root}" in told
    with Journal(folder.journal) as journal:
        journal.append(whole[19])
    assert list(read_journal(folder.journal)) == whole[:20], "what is written next follows what was kept"


def test_second_repair_changes_nothing_and_another_damage_gets_a_copy_of_its_own(folder: RunFolder) -> None:
    damage(folder.journal, line=20)
    repair_run(folder.root)
    content = folder.journal.read_bytes()
    assert repair_run(folder.root).lines() == [f"{folder.journal}: whole, 19 records; nothing was changed"]
    assert folder.journal.read_bytes() == content
    damage(folder.journal, line=5)
    assert repair_run(folder.root).copy == folder.root / "journal-damaged-2.jsonl"


def test_journal_without_any_whole_record_begins_anew(folder: RunFolder) -> None:
    damage(folder.journal, line=1)
    assert repair_run(folder.root).num_kept == 0
    with pytest.raises(RunFolderError, match=r"`convfleet resume .*` begins the study"):
        load_state(folder)


def test_record_that_contradicts_those_before_is_damage_whatever_its_checksum(folder: RunFolder) -> None:
    whole = list(read_journal(folder.journal))
    with Journal(folder.journal) as journal:
        journal.append(whole[0])
    repair = repair_run(folder.root)
    assert repair.damage == f"record {len(whole) + 1}: the study is opened twice"
    assert list(read_journal(folder.journal)) == whole


def test_endless_tail_is_cut_off(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(read_journal(folder.journal))
    monkeypatch.setattr("orchestrator.journal.checksums.LONGEST_LINE_BYTES", 5000)
    with folder.journal.open("ab") as file:
        file.truncate(100_000)
    repair = repair_run(folder.root)
    assert "a line of more than" in repair.damage
    assert list(read_journal(folder.journal)) == whole


@pytest.mark.parametrize("change", [{"schema": 9}, {"type": "trial_dreamt"}], ids=["schema", "kind of record"])
def test_journal_of_another_version_is_not_cut(folder: RunFolder, change: dict[str, object]) -> None:
    lines = folder.journal.read_bytes().splitlines()
    content = {**json.loads(lines[0]), **change}
    del content["crc"]
    body = json.dumps(content).encode()[:-1]
    folder.journal.write_bytes(b"\n".join([b'%b,"crc":"%08x"}' % (body, zlib.crc32(body)), *lines[1:], b""]))
    before = folder.journal.read_bytes()
    with pytest.raises(JournalError, match="this is no damage: another version of convfleet wrote it"):
        repair_run(folder.root)
    assert folder.journal.read_bytes() == before


def test_journal_that_a_driver_writes_is_left_alone(folder: RunFolder) -> None:
    with driver_lock(folder), pytest.raises(RunFolderError, match="another convfleet is at work"):
        repair_run(folder.root)
