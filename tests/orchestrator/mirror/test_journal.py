"""The journal in the storage: the same bytes after every record, and the longer of two journals wins."""

import random

import pytest

from orchestrator.errors import JournalError, RunFolderError
from orchestrator.journal.file import Journal, read_journal
from orchestrator.journal.study_state import fold
from orchestrator.mirror.journal import (
    SEGMENT_BYTES,
    JournalUploader,
    RemoteJournal,
    read_remote_journal,
    segment_name,
    take_longer,
)
from orchestrator.runs.paths import RunFolder
from trainables.files.remote import RemoteFolder


@pytest.fixture
def remote(tmp_path):
    return RemoteFolder.open(f"file://{tmp_path}/elsewhere/run")


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def lines(count, *, width=40):
    return b"".join(b"%06d %s\n" % (number, b"x" * width) for number in range(count))


def upload(folder, remote):
    JournalUploader(folder.journal, remote=remote, known=read_remote_journal(remote)).flush()


def test_what_is_elsewhere_equals_the_journal_after_every_record(folder, remote, make_sweep):
    uploader = JournalUploader(folder.journal, remote=remote, known=RemoteJournal())
    with Journal(folder.journal) as journal:
        for record in make_sweep():
            journal.append(record)
            uploader.flush()
            assert read_remote_journal(remote).data == folder.journal.read_bytes()
    assert len(remote.files()) == 1


def test_torn_last_line_stays_here_until_it_is_whole(folder, remote):
    folder.root.mkdir()
    folder.journal.write_bytes(b'{"whole": 1}\n{"to')
    uploader = JournalUploader(folder.journal, remote=remote, known=RemoteJournal())
    uploader.flush()
    assert read_remote_journal(remote).data == b'{"whole": 1}\n'
    with folder.journal.open("ab") as file:
        file.write(b'rn": 2}\n')
    assert uploader.num_waiting() == 1
    uploader.flush()
    assert (read_remote_journal(remote).data, uploader.num_waiting()) == (folder.journal.read_bytes(), 0)


def test_long_journal_lies_in_few_segments_whatever_the_steps_it_grew_in(folder, remote):
    folder.root.mkdir()
    seed = random.randrange(10_000)
    print(f"seed {seed}")
    generator, whole = random.Random(seed), lines(30_000)
    uploader, end = JournalUploader(folder.journal, remote=remote, known=RemoteJournal()), 0
    while end < len(whole):
        end += generator.choice([1, 300, 5_000, 400_000])
        folder.journal.write_bytes(whole[:end])
        if generator.random() < 0.2:  # another session
            uploader = JournalUploader(folder.journal, remote=remote, known=read_remote_journal(remote))
        uploader.flush()
        data = read_remote_journal(remote).data
        assert data == whole[: whole[:end].rfind(b"\n") + 1]
    assert len(remote.files()) <= len(whole) / SEGMENT_BYTES + 1


def test_longer_journal_is_taken_from_there_and_tells_the_same_state(folder, remote, tmp_path, make_sweep):
    with Journal(folder.journal) as journal:
        for record in make_sweep():
            journal.append(record)
    upload(folder, remote)
    whole = folder.journal.read_bytes()
    other = RunFolder(tmp_path / "other")
    for here in (b"", whole[: whole.find(b"\n", 900) + 1], whole[:1000], whole):
        other.root.mkdir(exist_ok=True)
        other.journal.write_bytes(here)
        assert take_longer(other, remote).data == whole
        assert other.journal.read_bytes() == whole
        assert fold(read_journal(other.journal)) == fold(read_journal(folder.journal))


def test_longer_journal_here_is_kept(folder, remote):
    folder.root.mkdir()
    folder.journal.write_bytes(lines(3))
    upload(folder, remote)
    folder.journal.write_bytes(lines(5))
    assert take_longer(folder, remote).data == lines(3)
    assert folder.journal.read_bytes() == lines(5)


def test_journals_that_differ_are_refused_and_left_alone(folder, remote):
    folder.root.mkdir()
    folder.journal.write_bytes(lines(5))
    upload(folder, remote)
    folder.journal.write_bytes(lines(3) + b"something else\n")
    with pytest.raises(RunFolderError, match=r"are not the same run: their journals differ after 3 records"):
        take_longer(folder, remote)
    assert folder.journal.read_bytes() == lines(3) + b"something else\n"
    assert read_remote_journal(remote).data == lines(5)


def test_missing_segment_is_told(folder, remote):
    folder.root.mkdir()
    folder.journal.write_bytes(lines(20_000))
    upload(folder, remote)
    second = sorted(remote.files())[1]
    remote.delete(second)
    with pytest.raises(JournalError, match=f"{second} is missing"):
        read_remote_journal(remote)


def test_segments_that_another_driver_left_inside_of_ours_do_not_matter(folder, remote):
    folder.root.mkdir()
    folder.journal.write_bytes(lines(200))
    upload(folder, remote)
    remote.write(segment_name(47), b"of a driver that stopped\n")
    assert take_longer(folder, remote).data == lines(200)
    assert list(remote.files()) == [segment_name(0)]
