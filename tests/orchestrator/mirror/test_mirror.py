"""A run that is copied to a storage: whole in the end, never in the study's way, and held by one driver."""

import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

from orchestrator.errors import RunFolderError, StudyFailedError, StudyPausedError
from orchestrator.journal.file import Journal
from orchestrator.mirror import lock as remote_lock
from orchestrator.mirror import mirror as mirror_module
from orchestrator.mirror.journal import JournalUploader, RemoteJournal, read_remote_journal
from orchestrator.mirror.lock import HEARTBEAT, RemoteLock, TakenOverError, storage_owner
from orchestrator.mirror.mirror import Mirror, mirrored, open_mirror
from orchestrator.mirror.places import remote_of
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import parse_study
from trainables.errors import RemoteError
from trainables.files import remote as remote_module
from trainables.files.remote import RemoteFolder
from trainables.files.whole import write_whole


@pytest.fixture(autouse=True)
def no_heartbeats(monkeypatch):
    """Locks that a test leaves as dead drivers do are not renewed behind its back."""
    monkeypatch.setattr(remote_lock, "HEARTBEAT_SECONDS", 3600.0)


@pytest.fixture
def place(tmp_path):
    return f"file://{tmp_path}/elsewhere"


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(tmp_path / "runs" / "swept")
    made.root.mkdir(parents=True)
    return made


@pytest.fixture
def spec_at(tmp_path, place):
    def make(uri=place):
        study = {"name": "swept", "data": {"source": "digits"}, "space": "cnn-small", "storage": uri}
        return parse_study(study, base=tmp_path)

    return make


@pytest.fixture
def idle_mirror(folder, place):
    """A mirror without its thread, its storage and its lock."""
    told = []
    remote = remote_of(folder, place)
    lock = RemoteLock(remote, owner=storage_owner(folder, now=time.time()))
    lock.claim()
    journal = JournalUploader(folder.journal, remote=remote, known=RemoteJournal())
    yield Mirror(folder, remote=remote, journal=journal, lock=lock, notify=told.append), remote, lock
    lock.release()


@pytest.fixture
def outage(monkeypatch):
    """While it is set, the storage takes nothing but heartbeats; tries follow each other at once."""
    is_out, real = threading.Event(), remote_module._whole
    monkeypatch.setattr(mirror_module, "_PERIOD_SECONDS", 0.01)

    def refuse(filesystem, path):
        if is_out.is_set() and not Path(path).name.startswith("driver"):
            raise RemoteError(f"{path}: nobody answers")
        return real(filesystem, path)

    monkeypatch.setattr(remote_module, "_whole", refuse)
    return is_out


def fill(folder):
    """Makes everything that a run folder may hold, but for the journal."""
    pictures = (folder.augmented, folder.contact_sheet, folder.references)
    for path in (folder.study, folder.environment, folder.trials, folder.epochs, folder.report, *pictures):
        write_whole(path, path.name * 9)
    write_whole(folder.failure("t0005"), "a traceback")
    for name in ("model.keras", "saved_model/saved_model.pb", "manifest.json"):
        write_whole(folder.exports / "1-t0003" / name, name * 7)
    for name in ("state.safetensors", "history.json", "manifest.json"):
        write_whole(folder.checkpoints / "t0003" / "epoch-0009" / name, name * 5)
    write_whole(folder.exports / ".2-t0001.draft" / "model.keras", "half")


def copied(remote):
    return {name for name in remote.files() if not name.startswith("journal/")}


def wanted(folder):
    paths = [path for path in folder.root.rglob("*") if path.is_file() and path != folder.journal]
    names = [path.relative_to(folder.root).as_posix() for path in paths]
    return {name for name in names if not any(part.startswith(".") for part in name.split("/"))}


def check_whole(folder, remote):
    assert read_remote_journal(remote).data == folder.journal.read_bytes()
    assert copied(remote) == wanted(folder)
    for name in copied(remote):
        assert remote.read(name) == (folder.root / name).read_bytes(), name


def test_run_ends_byte_for_byte_elsewhere_although_requests_fail_and_are_slow(folder, object_store, make_sweep):
    told = []
    mirror = open_mirror(folder, object_store.uri(), notify=told.append)
    object_store.faults.error_share, object_store.faults.slow_share, object_store.faults.slow_seconds = 0.6, 0.3, 0.05
    with Journal(folder.journal) as journal:
        for record in make_sweep():
            journal.append(record)
    fill(folder)
    assert mirror.close() == ""
    assert object_store.faults.num_failed > 3
    object_store.faults.error_share = 0.0
    check_whole(folder, remote_of(folder, object_store.uri()))


def test_study_goes_on_while_the_storage_is_gone_and_says_so_once(folder, place, make_sweep, outage):
    told = []
    records = make_sweep()
    outage.set()
    with Journal(folder.journal) as journal:
        for record in records:
            journal.append(record)
    mirror = open_mirror(folder, place, notify=told.append)
    while mirror.num_failures < 3:
        time.sleep(0.01)
    assert len(told) == 1
    assert told[0].startswith(f"storage {place}/swept: not reachable since 20")
    assert f"{len(records)} records" in told[0]
    assert "the study goes on, nothing is lost while this machine stands" in told[0]
    outage.clear()
    assert mirror.close() == ""
    assert told[-1].endswith("reachable again, everything until now is there")
    check_whole(folder, remote_of(folder, place))


def test_session_that_cannot_complete_says_how_to(folder, spec_at, make_sweep, outage, monkeypatch):
    monkeypatch.setattr(mirror_module, "GIVE_UP_SECONDS", 0.0)
    spec = spec_at()
    place = spec.storage.uri

    def work(error=None):
        with mirrored(folder, spec, notify=lambda text: None), Journal(folder.journal) as journal:
            outage.set()
            for record in make_sweep():
                journal.append(record)
            if error is not None:
                raise error

    next_step = rf"could not be uploaded .*; everything is whole in .*; upload it with: convfleet resume {folder.root}"
    with pytest.raises(StudyFailedError, match=rf"storage {place}/swept: 100 records .*{next_step}"):
        work()
    outage.clear()
    folder.journal.unlink()
    with pytest.raises(StudyPausedError, match=rf"(?s)interrupted.*{next_step}"):
        work(StudyPausedError("interrupted"))
    outage.clear()
    with mirrored(folder, spec, notify=lambda text: None):
        pass
    check_whole(folder, remote_of(folder, place))


def test_long_outage_leaves_a_session_that_ends_its_time_to_complete(folder, place, make_sweep, outage):
    def notify(text):
        if text.startswith("completing"):
            mirror._failing_since -= 3600.0
            threading.Timer(1.0, outage.clear).start()

    mirror = open_mirror(folder, place, notify=notify)
    outage.set()
    with Journal(folder.journal) as journal:
        for record in make_sweep():
            journal.append(record)
        while mirror._failing_since is None:
            time.sleep(0.01)
    assert mirror.close() == ""
    check_whole(folder, remote_of(folder, place))


def test_fault_of_our_own_is_told_and_does_not_hang_the_end(folder, spec_at, make_sweep, monkeypatch):
    monkeypatch.setattr(mirror_module, "GIVE_UP_SECONDS", 0.0)

    def work():
        with mirrored(folder, spec_at(), notify=lambda text: None), Journal(folder.journal) as journal:
            monkeypatch.setattr(Mirror, "flush", lambda self, is_last: 1 / 0)
            journal.append(make_sweep()[0])

    with pytest.raises(StudyFailedError, match=r"1 records .* could not be uploaded \(division by zero\)"):
        work()


@pytest.mark.parametrize("uri", ["s3://{missing}/runs?{options}", "s3://{bucket}/runs?{options}&colour=red"])
def test_storage_that_cannot_be_used_is_an_error_before_anything_is_done(folder, object_store, uri, spec_at):
    options = object_store.uri().partition("?")[2]
    place = uri.format(missing="no-such-bucket", bucket=object_store.bucket, options=options)
    with pytest.raises(RunFolderError, match=r"storage s3://.*/runs/swept: cannot be used .*; check the URI, the cred"):
        open_mirror(folder, place, notify=lambda text: None)


def test_second_driver_is_told_who_is_at_work_until_the_first_is_silent(folder, place, tmp_path):
    lock = RemoteLock(remote_of(folder, place), owner=storage_owner(folder, now=time.time()))
    lock.claim()
    other = RunFolder(tmp_path / "elsewhere-too" / "swept")
    other.root.mkdir(parents=True)
    message = rf"another convfleet is at work on it \(process {os.getpid()} on .*, in {folder.root}, last heard from "
    with pytest.raises(RunFolderError, match=message):
        open_mirror(other, place, notify=lambda text: None)
    heartbeat = tmp_path / "elsewhere" / "swept" / HEARTBEAT
    before = heartbeat.stat().st_mtime - 61
    os.utime(heartbeat, (before, before))
    assert open_mirror(other, place, notify=lambda text: None).close() == ""


def test_next_driver_of_the_same_run_folder_need_not_wait_for_a_dead_one(folder, place):
    lock = RemoteLock(remote_of(folder, place), owner=storage_owner(folder, now=time.time()))
    lock.claim()  # and never released: its driver was killed, and with it went the lock of the run folder
    assert open_mirror(folder, place, notify=lambda text: None).close() == ""


def test_driver_that_was_taken_over_stops_and_writes_nothing_more(idle_mirror, folder, make_sweep):
    mirror, remote, lock = idle_mirror
    with Journal(folder.journal) as journal:
        for record in make_sweep():
            journal.append(record)
    taken = json.dumps({"owner": "other", "host": "node-b", "folder": "/runs/swept", "pid": 17}).encode()
    remote.write(HEARTBEAT, taken)
    with pytest.raises(TakenOverError):
        lock.renew()  # its heartbeat is due
    mirror.start()
    problem = mirror.close()
    assert "process 17 on node-b, in /runs/swept took this run over while nothing was heard from here" in problem
    with pytest.raises(StudyFailedError, match="process 17 on node-b, in /runs/swept took this run over"):
        mirror.check()
    assert read_remote_journal(remote).data == b""
    assert remote.read(HEARTBEAT) == taken


def test_study_that_ends_before_its_first_trial_leaves_nothing_elsewhere(folder, place, spec_at, make_opened):
    with mirrored(folder, spec_at(place), notify=lambda text: None), Journal(folder.journal) as journal:
        journal.append(make_opened())
    assert remote_of(folder, place).files() == {}


def test_export_whose_rank_another_model_took_is_removed_elsewhere(idle_mirror, folder, make_sweep):
    mirror, remote, _ = idle_mirror
    with Journal(folder.journal) as journal:
        for record in make_sweep():
            journal.append(record)
    fill(folder)
    shutil.copytree(folder.exports / "1-t0003", folder.exports / "2-t0001")
    mirror.flush(is_last=True)
    shutil.move(folder.exports / "1-t0003", folder.exports / "1-t0006")
    shutil.rmtree(folder.exports / "2-t0001")
    mirror.flush(is_last=True)
    files = ("model.keras", "saved_model/saved_model.pb", "manifest.json")
    # Nothing took the second rank, so the mirror does not remove it from the storage.
    assert set(remote.files("exports")) == {f"exports/{at}/{name}" for at in ("1-t0006", "2-t0001") for name in files}


def test_run_folder_that_lost_everything_is_never_taken_for_a_reason_to_delete(idle_mirror, folder, make_sweep):
    mirror, remote, _ = idle_mirror
    with Journal(folder.journal) as journal:
        for record in make_sweep():
            journal.append(record)
    fill(folder)
    mirror.flush(is_last=True)
    before = remote.files().keys()
    for path in (folder.exports, folder.checkpoints, folder.failures):
        shutil.rmtree(path)
    folder.report.unlink()
    mirror.flush(is_last=True)
    assert remote.files().keys() == before


def test_checkpoints_of_the_run_folder_are_uploaded_when_other_nodes_need_them(idle_mirror, folder):
    mirror, remote, _ = idle_mirror
    fill(folder)
    mirror.upload_checkpoints()
    names = {f"checkpoints/t0003/epoch-0009/{name}" for name in ("state.safetensors", "history.json", "manifest.json")}
    # Nothing else, until the study has a trial.
    assert remote.files().keys() == names | {HEARTBEAT}


def test_study_without_a_uri_has_no_mirror(folder, spec_at):
    with mirrored(folder, spec_at({}), notify=lambda text: None) as mirror:
        assert mirror is None


def test_folder_elsewhere_is_one_of_pyarrows():
    with pytest.raises(Exception, match="Unrecognized filesystem type"):
        RemoteFolder.open("ftp://host/runs")
