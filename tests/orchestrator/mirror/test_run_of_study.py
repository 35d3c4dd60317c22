"""The run that a study goes on with: in the folder of runs or the storage, under the study's name, and no other one."""

import shutil

import pytest
import yaml

from orchestrator.errors import RunFolderError
from orchestrator.journal.file import Journal
from orchestrator.mirror.mirror import open_mirror
from orchestrator.mirror.run_of_study import outlast_last_driver, run_of_study
from orchestrator.runs.folder import make_run_folder
from orchestrator.runs.owner import Owner, write_owner
from orchestrator.study.loading import load_study, parse_study

STUDY = {"name": "swept", "data": {"source": "digits"}, "space": "cnn-small", "search": {"algorithm": "random"}}


def spec_of(base, **changes):
    return parse_study({**STUDY, **changes}, base=base)


@pytest.fixture
def make_run(tmp_path, make_sweep):
    """Makes a run of a study, unfinished unless asked for."""

    def make(spec, *, num_records=None, **opened):
        folder = make_run_folder(tmp_path / "runs" / spec.name, study_yaml=spec.to_yaml())
        with Journal(folder.journal) as journal:
            for record in make_sweep(study_id=spec.study_id, **opened)[:num_records]:
                journal.append(record)
        return folder

    return make


def test_study_without_a_run_has_none(tmp_path):
    assert run_of_study(spec_of(tmp_path), runs=tmp_path / "runs") is None


def test_run_of_the_study_is_found_and_says_whether_it_is_finished(tmp_path, make_run):
    spec = spec_of(tmp_path)
    folder = make_run(spec, num_records=2)
    found = run_of_study(spec, runs=tmp_path / "runs")
    assert (found.folder, found.has_begun, found.is_finished) == (folder, True, False)
    shutil.rmtree(folder.root)
    make_run(spec)
    assert run_of_study(spec, runs=tmp_path / "runs").is_finished


def test_run_of_another_study_is_refused_with_the_ways_on(tmp_path, make_run):
    make_run(spec_of(tmp_path), num_records=2)
    with pytest.raises(RunFolderError, match=r"is the run of another study .* another name.*--runs.*convfleet resume"):
        run_of_study(spec_of(tmp_path, seed=8), runs=tmp_path / "runs")


def test_what_is_no_run_is_refused(tmp_path):
    (tmp_path / "runs" / "swept").mkdir(parents=True)
    with pytest.raises(RunFolderError, match="is not a run folder"):
        run_of_study(spec_of(tmp_path), runs=tmp_path / "runs")


def test_run_whose_images_decided_numbers_is_still_that_of_the_study_as_it_was_given(tmp_path, make_run):
    given = spec_of(tmp_path, schedule={"max_epochs": "auto"})
    resolved = given.model_copy(update={"schedule": given.schedule.model_copy(update={"max_epochs": 6})})
    make_run(resolved, num_records=2, given=given.study_id)
    found = run_of_study(given, runs=tmp_path / "runs")
    assert found.spec.schedule.max_epochs == 6
    with pytest.raises(RunFolderError, match="another study"):
        run_of_study(spec_of(tmp_path, schedule={"max_epochs": "auto"}, seed=1), runs=tmp_path / "runs")


def test_extended_run_keeps_its_trials_and_is_still_the_studys(tmp_path, make_run):
    given, extended = spec_of(tmp_path), spec_of(tmp_path, search={"algorithm": "random", "trials": 60})
    make_run(extended, num_records=2, given=given.study_id)
    assert run_of_study(given, runs=tmp_path / "runs").spec.num_trials == 60


def test_moved_study_goes_on_with_its_new_paths_and_its_new_resources(tmp_path, make_run):
    for name in ("old", "new"):
        (tmp_path / name / "images").mkdir(parents=True)
        (tmp_path / name / "nets.py").write_text("def stop():\n    return None\n")
    changes = {
        "data": {"source": "images", "path": "images", "image_size": [8, 8]},
        "callbacks": "nets:stop",
    }
    folder = make_run(spec_of(tmp_path / "old", **changes), num_records=2)
    shutil.rmtree(tmp_path / "old")
    moved = spec_of(tmp_path / "new", **changes, resources={"retries": 0}, export={"top": 1})
    found = run_of_study(moved, runs=tmp_path / "runs")
    folder.study.write_text(found.study_yaml)
    loaded = load_study(folder.study)
    assert loaded.study_id == moved.study_id
    assert loaded.data.path == str(tmp_path / "new" / "images")
    assert (loaded.study_dir, loaded.resources.retries, loaded.export.top) == (str(tmp_path / "new"), 0, 1)


def test_run_whose_driver_died_before_its_first_record_begins_with_the_study_as_given(tmp_path):
    make_run_folder(tmp_path / "runs" / "swept", study_yaml=spec_of(tmp_path, seed=5).to_yaml())
    found = run_of_study(spec_of(tmp_path), runs=tmp_path / "runs")
    assert not found.has_begun
    assert yaml.safe_load(found.study_yaml)["seed"] == 0


def test_run_that_the_storage_alone_has_is_fetched(tmp_path, make_run):
    place = f"file://{tmp_path}/elsewhere"
    spec = spec_of(tmp_path, storage=place)
    folder = make_run(spec)
    mirror = open_mirror(folder, place, notify=lambda text: None)
    assert mirror.close() == ""
    shutil.rmtree(folder.root)
    found = run_of_study(spec, runs=tmp_path / "fresh")
    assert found.is_finished
    assert found.folder.journal.is_file()


def waits_of(folder, *, heartbeat, beats=()):
    """Returns how often it was waited for a driver of another machine, which is heard of at some of the waits."""
    times, said = [0.0], []
    owner = Owner(token="x", host="elsewhere", boot="another", pid=7, heartbeat=heartbeat)
    write_owner(folder, owner)

    def sleep(seconds):
        times.append(times[-1] + seconds)
        if len(times) in beats:
            write_owner(folder, owner.heard_of(at=times[-1]))

    outlast_last_driver(folder, uri=None, notify=said.append, sleep=sleep, clock=lambda: times[-1])
    return len(times) - 1, said


def test_driver_of_another_machine_is_outlasted_and_the_user_is_told(tmp_path, make_run):
    folder = make_run(spec_of(tmp_path), num_records=2)
    count, (said,) = waits_of(folder, heartbeat=-20.0)
    assert count == 40
    assert "elsewhere (pid 7) was at work on it lately; waiting" in said


def test_driver_that_is_heard_of_is_not_waited_for(tmp_path, make_run):
    folder = make_run(spec_of(tmp_path), num_records=2)
    assert waits_of(folder, heartbeat=-20.0, beats=(5,))[0] == 4


def test_dead_driver_is_not_waited_for(tmp_path, make_run):
    folder = make_run(spec_of(tmp_path), num_records=2)
    assert waits_of(folder, heartbeat=-90.0) == (0, [])
