"""Fetching a run from a storage, and names that are free on this machine and in the storage."""

import json
import shutil

import pytest

from orchestrator.errors import InputError, RunFolderError
from orchestrator.journal.file import Journal
from orchestrator.journal.reading import load_state, read_state
from orchestrator.journal.records import StudyPaused
from orchestrator.mirror.fetch import fetched_run
from orchestrator.mirror.mirror import open_mirror
from orchestrator.mirror.places import is_driver_elsewhere, remote_of, taken_elsewhere
from orchestrator.runs.folder import make_run_folder, new_run_folder
from orchestrator.runs.lock import driver_lock
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_study, parse_study
from trainables.files.manifests import fingerprints
from trainables.files.whole import write_whole


@pytest.fixture
def place(tmp_path):
    return f"file://{tmp_path}/elsewhere"


@pytest.fixture
def spec(tmp_path, place):
    study = {"name": "swept", "data": {"source": "digits"}, "space": "cnn-small", "storage": place}
    return parse_study(study, base=tmp_path)


@pytest.fixture
def kept(tmp_path, place, spec, make_sweep):
    """A finished run with one export, copied to a storage; returns its folder."""
    folder = make_run_folder(tmp_path / "first" / "swept", study_yaml=spec.to_yaml())
    with Journal(folder.journal) as journal:
        for record in make_sweep(study_id=spec.study_id):
            journal.append(record)
    write_whole(folder.trials, "a table")
    write_whole(folder.failure("t0008"), "a traceback")
    write_whole(folder.exports / "1-t0003" / "model.keras", "a model")
    files = fingerprints(folder.exports / "1-t0003")
    write_whole(folder.exports / "1-t0003" / "manifest.json", json.dumps({"files": files}))
    mirror = open_mirror(folder, place, notify=lambda text: None)
    assert mirror.close() == ""
    return folder


def names(folder):
    found = [path.relative_to(folder.root).as_posix() for path in folder.root.rglob("*") if path.is_file()]
    return {name for name in found if not name.startswith(".")}


def test_run_that_is_elsewhere_alone_tells_the_same_here(kept, place, tmp_path):
    root = fetched_run(f"{place}/swept", runs=tmp_path / "second", with_files=True)
    assert root == tmp_path / "second" / "swept"
    assert load_state(RunFolder(root)) == load_state(kept)
    assert names(RunFolder(root)) == names(kept)
    assert load_study(root / "study.yaml").study_id == load_study(kept.study).study_id
    assert root.stat().st_mode & 0o777 == 0o700


def test_one_look_brings_no_exports(kept, place, tmp_path):
    root = fetched_run(f"{place}/swept", runs=tmp_path / "second")
    assert names(RunFolder(root)) == {"study.yaml", "journal.jsonl", "trials.parquet"}


def test_run_that_was_copied_elsewhere_goes_on_there(kept, place, tmp_path):
    shutil.copytree(tmp_path / "elsewhere", tmp_path / "moved")
    root = fetched_run(f"file://{tmp_path}/moved/swept", runs=tmp_path / "second")
    assert load_study(root / "study.yaml").storage.uri == f"file://{tmp_path}/moved"


def test_shorter_journal_here_is_completed_and_a_longer_one_kept(kept, place):
    whole = kept.journal.read_bytes()
    kept.journal.write_bytes(whole[:5000])
    fetched_run(f"{place}/swept", runs=kept.root.parent)
    assert kept.journal.read_bytes() == whole
    with Journal(kept.journal) as journal:
        journal.append(StudyPaused(reason="later", at=1760000600.0))
    fetched_run(f"{place}/swept", runs=kept.root.parent)
    assert read_state(kept).paused.reason == "later"


def test_folder_of_another_run_is_refused_and_left_alone(kept, place, tmp_path, spec, make_opened):
    other = make_run_folder(tmp_path / "second" / "swept", study_yaml=spec.to_yaml())
    with Journal(other.journal) as journal:
        journal.append(make_opened(study="another"))
    before = other.journal.read_bytes()
    with pytest.raises(
        RunFolderError, match=r"second/swept and file://.*/swept are not the same run.* after 0 records"
    ):
        fetched_run(f"{place}/swept", runs=tmp_path / "second")
    assert other.journal.read_bytes() == before


def test_folder_with_a_driver_at_work_is_not_touched(kept, place):
    whole = kept.journal.read_bytes()
    kept.journal.write_bytes(whole[:5000])
    with driver_lock(kept):
        assert fetched_run(f"{place}/swept", runs=kept.root.parent) == kept.root
    assert kept.journal.read_bytes() == whole[:5000]


BAD = {
    "{place}/swep": (RunFolderError, r"elsewhere/swep: no such run; give the storage.uri of its study and its name"),
    "ftp://host/x": (InputError, r"RUN: must begin with one of s3://.*, got 'ftp://host/x'"),
    "s3://key:hunter2@bucket/x": (InputError, r"RUN: credentials do not belong here"),
    "s3://bucket": (InputError, r"s3://bucket: must end with the name of a run, such as s3://bucket/runs/quickstart"),
    "file:///tmp/%2e%2e": (InputError, r"must end with the name of a run"),
}


@pytest.mark.parametrize(("uri", "expected"), BAD.items(), ids=BAD)
def test_uri_that_is_no_run_is_told(uri, expected, place, tmp_path):
    with pytest.raises(expected[0], match=expected[1]) as error:
        fetched_run(uri.format(place=place), runs=tmp_path / "second")
    assert "hunter2" not in str(error.value)
    assert not (tmp_path / "second").exists()


def test_damaged_export_elsewhere_is_not_brought_here(kept, place, tmp_path):
    remote_of(kept, place).write("exports/1-t0003/model.keras", b"damaged")
    root = fetched_run(f"{place}/swept", runs=tmp_path / "second", with_files=True)
    assert not list((root / "exports").iterdir())


def test_new_run_takes_a_name_that_is_free_here_and_elsewhere(kept, place, spec, tmp_path):
    runs = tmp_path / "second"
    assert (
        new_run_folder(runs, name=spec.name, study_yaml=spec.to_yaml(), is_taken=taken_elsewhere(place)).root.name
        == "swept-2"
    )
    assert (
        new_run_folder(runs, name=spec.name, study_yaml=spec.to_yaml(), is_taken=taken_elsewhere(None)).root.name
        == "swept"
    )
    assert (
        new_run_folder(runs, name=spec.name, study_yaml=spec.to_yaml(), is_taken=taken_elsewhere(place)).root.name
        == "swept-3"
    )


def test_driver_elsewhere_is_seen_while_it_is_heard_from(kept, place):
    assert not is_driver_elsewhere(f"{place}/swept")
    assert not is_driver_elsewhere(str(kept.root))
    mirror = open_mirror(kept, place, notify=lambda text: None)
    assert is_driver_elsewhere(f"{place}/swept")
    mirror.close()
    assert not is_driver_elsewhere(f"{place}/swept")
