"""A run folder belongs to one run, to its owner's eyes and to one driver at a time."""

import json
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cluster.environment import record_environment
from orchestrator.cluster.resources import NodeResources
from orchestrator.driver.runner import discard_if_unused
from orchestrator.errors import InputError, JournalError, RunFolderError
from orchestrator.journal.file import Journal
from orchestrator.journal.reading import load_state
from orchestrator.journal.records import Record, SessionStarted
from orchestrator.runs.folder import make_run_folder, new_run_folder, open_run_folder
from orchestrator.runs.lock import driver_lock, is_driver_alive
from orchestrator.runs.paths import RunFolder, trial_name
from orchestrator.study.loading import load_study, packaged_studies, parse_study
from orchestrator.study.spec import StudySpec
from trainables.files.whole import write_whole

HOLDER = """
import sys
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def spec() -> StudySpec:
    return load_study("quickstart")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def write(folder: RunFolder, records: list[Record]) -> None:
    with Journal(folder.journal) as journal:
        for record in records:
            journal.append(record)


@contextmanager
def another_driver(folder: RunFolder) -> Iterator[subprocess.Popen[str]]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder.lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    try:
        yield holder
    finally:
        holder.kill()
        holder.communicate()


def test_runs_of_one_study_are_numbered(tmp_path: Path, spec: StudySpec) -> None:
    names = [new_run_folder(tmp_path / "runs", name=spec.name, study_yaml=spec.to_yaml()).root.name for _ in range(3)]
    assert names == ["quickstart", "quickstart-2", "quickstart-3"]


def test_folder_that_is_already_there_is_never_taken_over(tmp_path: Path, spec: StudySpec) -> None:
    (tmp_path / "quickstart").mkdir()
    (tmp_path / "quickstart-2").write_text("a file", encoding="utf-8")
    assert new_run_folder(tmp_path, name=spec.name, study_yaml=spec.to_yaml()).root.name == "quickstart-3"
    with pytest.raises(FileExistsError):
        make_run_folder(tmp_path / "quickstart", study_yaml=spec.to_yaml())
    assert list((tmp_path / "quickstart").iterdir()) == []


def test_folder_that_ray_would_clear_is_refused(tmp_path: Path, spec: StudySpec) -> None:
    runs = tmp_path / "session_1/runtime_resources/working_dir_files/_ray_pkg_1/runs"
    with pytest.raises(RunFolderError, match=r"temporary folder of Ray's.*--runs /mnt/shared/runs"):
        new_run_folder(runs, name=spec.name, study_yaml=spec.to_yaml())
    assert not runs.exists()


def test_only_the_owner_may_look_inside(tmp_path: Path, spec: StudySpec, make_sweep: Any) -> None:
    folder = new_run_folder(tmp_path / "runs", name=spec.name, study_yaml=spec.to_yaml())
    write(folder, make_sweep())
    write_whole(folder.failure("t0000"), "Traceback")
    record_environment(folder, nodes=[NodeResources(cpus=2, gpus=0)], address=None)
    assert mode_of(folder.root) == 0o700
    for path in (folder.study, folder.journal, folder.environment, folder.failure("t0000")):
        assert mode_of(path) == 0o600, path


@pytest.mark.parametrize("name", packaged_studies())
def test_expanded_study_is_read_back_as_the_same_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    spec = load_study(name)
    folder = new_run_folder(tmp_path, name=spec.name, study_yaml=spec.to_yaml())
    # From wherever it is resumed.
    monkeypatch.chdir(tmp_path.parent)
    assert load_study(folder.study) == spec


def test_expanded_study_keeps_paths_conditions_and_steps(tmp_path: Path) -> None:
    (tmp_path / "train.npz").touch()
    spec = parse_study(
        {
            "name": "s",
            "data": {"source": "npz", "train": "train.npz", "image_size": [8, 8], "augment": {"flip": "both"}},
            "space": {
                "family": {"choice": ["sequential", "residual"]},
                "params": {
                    "num_blocks": {"int": [1, 3], "when": {"family": "sequential"}},
                    "dropout": {"float": [0, 0.5], "step": 0.1},
                    "learning_rate": {"float": ["1e-4", 0.1], "log": True},
                },
            },
            "objective": {"metric": "val_loss"},
        },
        base=tmp_path,
    )
    folder = new_run_folder(tmp_path / "runs", name=spec.name, study_yaml=spec.to_yaml())
    read = load_study(folder.study)
    assert read == spec
    assert (read.data.train, read.objective.mode) == (str(tmp_path / "train.npz"), "min")


def test_runs_folder_that_is_a_file_is_an_input_error(tmp_path: Path, spec: StudySpec) -> None:
    (tmp_path / "runs").touch()
    for runs in (tmp_path / "runs", tmp_path / "runs" / "deeper"):
        with pytest.raises(InputError, match="choose another place with --runs"):
            new_run_folder(runs, name=spec.name, study_yaml=spec.to_yaml())


def test_lock_held_by_another_process_is_an_error_that_says_so(tmp_path: Path, spec: StudySpec) -> None:
    folder = new_run_folder(tmp_path, name=spec.name, study_yaml=spec.to_yaml())
    with another_driver(folder) as holder:
        assert is_driver_alive(folder)
        with (
            pytest.raises(RunFolderError, match=r"another convfleet is at work on it.*`convfleet status"),
            driver_lock(folder),
        ):
            pytest.fail("two drivers at work")
        holder.kill()
        holder.wait()
        # The operating system frees the lock of a driver that died.
        assert not is_driver_alive(folder)
        with driver_lock(folder):
            assert is_driver_alive(folder)


def test_folder_without_a_lock_has_no_driver(tmp_path: Path) -> None:
    assert not is_driver_alive(RunFolder(tmp_path))
    assert list(tmp_path.iterdir()) == [], "a look leaves nothing behind"


def test_run_without_a_trial_is_discarded_and_any_other_is_kept(
    tmp_path: Path, spec: StudySpec, make_sweep: Callable[..., list[Record]]
) -> None:
    records = make_sweep()
    for num_records in (0, 2, 3):
        folder = new_run_folder(tmp_path, name=spec.name, study_yaml=spec.to_yaml())
        write(folder, records[:num_records])
        discard_if_unused(folder)
        assert folder.root.exists() is (num_records == 3)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("journal.jsonl", "is not a run folder, it has no journal.jsonl; give one that `convfleet run` made"),
        ("study.yaml", "is not a run folder, it has no study.yaml; give one that `convfleet run` made"),
        ("", "no such run folder; give a folder such as runs/quickstart; runs there: other"),
    ],
)
def test_folder_that_is_no_run_is_refused(tmp_path: Path, spec: StudySpec, missing: str, message: str) -> None:
    make_run_folder(tmp_path / "other", study_yaml=spec.to_yaml())
    root = tmp_path / "this"
    if missing:
        write(make_run_folder(root, study_yaml=spec.to_yaml()), [])
        (root / missing).unlink()
    with pytest.raises(RunFolderError) as caught:
        open_run_folder(root)
    assert str(caught.value) == f"{root}: {message}"


def test_state_of_an_opened_run_is_the_fold_of_its_journal(
    tmp_path: Path, spec: StudySpec, make_sweep: Callable[..., list[Record]]
) -> None:
    folder = new_run_folder(tmp_path, name=spec.name, study_yaml=spec.to_yaml())
    write(folder, make_sweep())
    assert len(load_state(open_run_folder(folder.root)).trials) == 14


def test_journal_that_contradicts_itself_is_an_error_with_its_path(tmp_path: Path, spec: StudySpec) -> None:
    folder = new_run_folder(tmp_path, name=spec.name, study_yaml=spec.to_yaml())
    write(folder, [SessionStarted(driver_pid=1, slots=1, at=0.0)])
    with pytest.raises(JournalError) as caught:
        load_state(folder)
    assert str(caught.value).startswith(f"{folder.journal}: record 1 cannot be true (the first record does not open")


def test_empty_journal_is_an_input_error_that_names_the_way_on(tmp_path: Path, spec: StudySpec) -> None:
    folder = new_run_folder(tmp_path, name=spec.name, study_yaml=spec.to_yaml())
    write(folder, [])
    with pytest.raises(InputError, match=r"no record yet.*`convfleet resume .*` begins the study"):
        load_state(folder)


def test_environment_has_an_entry_a_session_even_after_damage(tmp_path: Path, spec: StudySpec) -> None:
    folder = new_run_folder(tmp_path, name=spec.name, study_yaml=spec.to_yaml())
    for address in (None, "node-a:6379"):
        record_environment(folder, nodes=[NodeResources(cpus=2, gpus=1)], address=address)
    sessions = json.loads(folder.environment.read_text(encoding="utf-8"))["sessions"]
    assert [session["address"] for session in sessions] == ["local", "node-a:6379"]
    assert sessions[0]["nodes"] == [{"cpus": 2, "gpus": 1}]
    folder.environment.write_text("{", encoding="utf-8")
    record_environment(folder, nodes=[], address=None, data={"storage": "encoded"})
    (session,) = json.loads(folder.environment.read_text(encoding="utf-8"))["sessions"]
    assert session["data"] == {"storage": "encoded"}
    (aside,) = folder.root.glob("environment-damaged-*.json")
    assert aside.read_text(encoding="utf-8") == "{", "what was damaged is set aside, not thrown away"


def test_a_run_may_go_on_with_another_memory_budget_but_not_with_other_data(spec: StudySpec) -> None:
    def study_id(**data: Any) -> str:
        return spec.model_copy(update={"data": spec.data.model_copy(update=data)}).study_id

    assert study_id(memory_gb=0.0) == study_id(memory_gb=None) == spec.study_id
    assert study_id(limit=50) != spec.study_id


def test_file_that_cannot_be_written_whole_leaves_the_old_one_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "report.html"
    write_whole(path, "old")

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("trainables.files.whole.os.fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_names_on_disk_are_pinned() -> None:
    folder = RunFolder(Path("runs/s"))
    names = ["study", "environment", "journal", "lock", "trials", "epochs", "checkpoints", "failures", "exports"]
    assert [getattr(folder, name).name for name in [*names, "references", "report", "optuna"]] == [
        "study.yaml",
        "environment.json",
        "journal.jsonl",
        ".driver.lock",
        "trials.parquet",
        "epochs.parquet",
        "checkpoints",
        "failures",
        "exports",
        "references.json",
        "report.html",
        "optuna.journal",
    ]
    assert folder.failure(trial_name(7)).as_posix() == "runs/s/failures/t0007.txt"
    assert folder.export(rank=2, trial=trial_name(12345)).as_posix() == "runs/s/exports/2-t12345"
