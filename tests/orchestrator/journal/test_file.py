"""The journal forgets nothing that it was told and admits nothing that it was not."""

import errno
import json
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import JournalError
from orchestrator.journal.file import Journal, read_journal
from orchestrator.journal.records import (
    EpochReported,
    Record,
    StudyFinished,
    TrialProposed,
    TrialStopped,
    record_from_json,
    record_to_json,
)
from orchestrator.journal.study_state import fold

FINITE = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
VALUES: dict[object, st.SearchStrategy[Any]] = {
    int: st.integers(),
    bool: st.booleans(),
    str: st.text(),
    float: FINITE,
    Mapping[str, Any]: st.dictionaries(st.text(), JSON, max_size=4),
    Sequence[float]: st.lists(FINITE, max_size=4),
    Sequence[int]: st.lists(st.integers(), max_size=4),
    Sequence[str]: st.lists(st.text(), max_size=4),
    Sequence[Mapping[str, Any]]: st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=3),
    Mapping[str, float]: st.dictionaries(st.text(), FINITE, max_size=4),
}
KINDS = get_args(Record)

RECORDS: list[Record] = [
    TrialProposed(trial="t0000", number=0, variant={"family": "sequential", "params": {"a": [1, "ü\n"]}}, at=1.0),
    EpochReported(trial="t0000", report={"epoch": 1, "metrics": {"loss": 0.1}}, worker={"node": "n"}, at=2.5),
    TrialStopped(trial="t0000", epoch=1, reason='outside the best "third"\n', at=3.0),
    StudyFinished(at=4.0),
]
NEWS = StudyFinished(at=5.0)


def records_of(kind: type[Record]) -> st.SearchStrategy[Record]:
    return st.builds(kind, **{field.name: VALUES[field.type] for field in fields(kind)})


def write(path: Path, records: list[Record]) -> bytes:
    with Journal(path) as journal:
        for record in records:
            journal.append(record)
    return path.read_bytes()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_record_of_every_kind_is_read_as_it_was_written(
    tmp_path: Path, kind: type[Record], data: st.DataObject
) -> None:
    record = data.draw(records_of(kind))
    path = tmp_path / "journal.jsonl"
    path.unlink(missing_ok=True)
    content = write(path, [record])
    assert list(read_journal(path)) == [record]
    assert content.count(b"\n") == 1, "a record is one line, whatever texts are in it"


def test_record_is_with_the_operating_system_when_append_returns(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        for count, record in enumerate(RECORDS, start=1):
            journal.append(record)
            assert list(read_journal(journal.path)) == RECORDS[:count]


def test_file_cut_anywhere_reads_as_its_whole_records(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    content = write(path, RECORDS)
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        assert list(read_journal(path)) == RECORDS[: content[:length].count(b"\n")]


def test_next_writer_cuts_off_a_torn_tail_and_loses_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    content = write(path, RECORDS)
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        write(path, [NEWS])
        assert list(read_journal(path)) == [*RECORDS[: content[:length].count(b"\n")], NEWS]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "Expecting value"),
        (b"{}", "expected a record of a known type, got None"),
        (b"[]", "expected a record of a known type, got []"),
        (b"7", "expected a record of a known type, got 7"),
        (b'{"type": "trial_dreamt", "at": 1.0}', "got 'trial_dreamt'"),
        (b'{"type": ["study_finished"], "at": 1.0}', "got ['study_finished']"),
        (b'{"type": "study_finished"}', "'study_finished' lacks fields"),
        (b'{"type": "study_fini', "Unterminated string"),
        (b"\x80", "can't decode"),
        (b"[" * 100_000, "recursion"),
    ],
    ids=["empty", "no type", "list", "number", "unknown", "type is a list", "no fields", "torn", "bytes", "endless"],
)
def test_damaged_middle_line_is_an_error_that_names_it(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "journal.jsonl"
    lines = write(path, RECORDS).splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], line + b"\n", *lines[2:]]))
    records = read_journal(path)
    assert [next(records), next(records)] == RECORDS[:2]
    with pytest.raises(JournalError) as caught:
        next(records)
    message = str(caught.value)
    assert message.startswith(f"{path}, line 3: not a record (")
    assert reason in message
    assert "2 records before it are whole; the journal was changed by something else, or its disk" in message
    assert f"`convfleet repair {tmp_path}` keep what is whole" in message


def test_every_changed_byte_is_found_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    content = write(path, RECORDS)
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        number = content[:place].count(b"\n") + 1
        if place == len(content) - 1:
            assert list(read_journal(path)) == RECORDS[:-1], "without its line break the last line is a torn one"
            continue
        with pytest.raises(JournalError, match=rf"line {number}: not a record \(.* {number - 1} records before it"):
            list(read_journal(path))


@pytest.mark.parametrize(
    ("order", "number"),
    [((0, 2, 3), 2), ((0, 2, 1, 3), 2), ((0, 1, 1, 2, 3), 3), ((1, 2, 3), 1)],
    ids=["taken out", "changed places", "told twice", "beginning taken out"],
)
def test_whole_lines_in_another_order_are_no_journal(tmp_path: Path, order: tuple[int, ...], number: int) -> None:
    path = tmp_path / "journal.jsonl"
    lines = write(path, RECORDS).splitlines(keepends=True)
    path.write_bytes(b"".join(lines[place] for place in order))
    with pytest.raises(JournalError, match=rf"line {number}: not a record \(its checksum is wrong: .* is missing"):
        list(read_journal(path))


def test_journal_of_an_older_version_is_told_by_its_schema_not_its_checksums(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    opened = {"type": "study_opened", "schema": 1, "study": "s", "seed": 0, "metric": "m", "mode": "max"}
    line = json.dumps({**opened, "max_epochs": 1, "num_trials": 1, "at": 0.0})
    path.write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(JournalError, match="has schema 1, expected 2"):
        fold(read_journal(path))


def test_nothing_is_written_through_a_link_or_into_a_file_without_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "notes.txt"
    elsewhere.write_text("no line break", encoding="utf-8")
    (tmp_path / "journal.jsonl").symlink_to(elsewhere)
    with pytest.raises(JournalError, match="is a link"):
        Journal(tmp_path / "journal.jsonl")
    assert elsewhere.read_text(encoding="utf-8") == "no line break"
    monkeypatch.setattr("orchestrator.journal.checksums.LONGEST_LINE_BYTES", 1000)
    endless = tmp_path / "endless.jsonl"
    write(endless, RECORDS)
    with endless.open("ab") as file:
        file.truncate(1_000_000)
    with pytest.raises(JournalError, match="its end has a line of more than"):
        Journal(endless)
    with pytest.raises(JournalError, match="a line of more than"):
        list(read_journal(endless))
    assert endless.stat().st_size == 1_000_000


def test_pipe_in_place_of_a_journal_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "journal.jsonl")
    with pytest.raises(JournalError, match=r"journal\.jsonl: is not a file"):
        list(read_journal(tmp_path / "journal.jsonl"))


def test_missing_journal_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match=r"none\.jsonl: cannot be read \(No such file or directory\)"):
        list(read_journal(tmp_path / "none.jsonl"))


@pytest.mark.parametrize("is_told", [True, False], ids=["the system says so", "the system wrote less"])
def test_full_disk_leaves_whole_lines_and_the_journal_usable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_told: bool
) -> None:
    real_write = os.write

    def half_write(file: int, data: bytes) -> int:
        written = real_write(file, data[: len(data) // 2])
        if is_told:
            raise OSError(errno.ENOSPC, "No space left on device")
        return written

    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(RECORDS[0])
        before = journal.path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr("orchestrator.journal.file.os.write", half_write)
            with pytest.raises(OSError, match="No space left" if is_told else r"wrote \d+ of \d+ bytes"):
                journal.append(RECORDS[1])
        assert journal.path.read_bytes() == before
        journal.append(RECORDS[2])
    assert list(read_journal(journal.path)) == [RECORDS[0], RECORDS[2]]


def test_value_that_json_cannot_hold_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        with pytest.raises(ValueError, match="not JSON compliant"):
            journal.append(StudyFinished(at=float("nan")))
        assert journal.path.read_bytes() == b""


def test_field_of_a_later_version_is_ignored() -> None:
    assert record_from_json({**record_to_json(NEWS), "mood": "good"}) == NEWS


def test_field_with_a_default_may_be_missing() -> None:
    record = record_from_json({"type": "trial_failed", "trial": "t0000", "kind": "diverged", "reason": "", "at": 1.0})
    assert record_to_json(record)["worker"] == {}


def test_record_names_its_kind_first(tmp_path: Path) -> None:
    lines = write(tmp_path / "journal.jsonl", RECORDS).splitlines()
    names = [next(iter(json.loads(line).items())) for line in lines]
    assert names == [
        ("type", "trial_proposed"),
        ("type", "epoch_reported"),
        ("type", "trial_stopped"),
        ("type", "study_finished"),
    ]


def test_journal_is_its_owners_alone_and_can_be_closed_twice(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "journal.jsonl")
    journal.close()
    journal.close()
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
