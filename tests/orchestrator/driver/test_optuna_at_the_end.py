"""A run whose trials cannot be written for Optuna's tools ends as any other, and says so."""

from types import SimpleNamespace

from orchestrator.driver.runner import _write_for_optuna
from orchestrator.journal.records import StudyOpened
from orchestrator.journal.study_state import StudyState
from orchestrator.runs.paths import RunFolder
from search_spaces import space_from_mapping


def session_in(folder, said: list[str]) -> SimpleNamespace:
    opened = StudyOpened(
        schema=1, study="s", seed=0, metric="val_accuracy", mode="max", max_epochs=2, num_trials=3, at=1.0
    )
    return SimpleNamespace(
        folder=RunFolder(folder),
        recorder=SimpleNamespace(state=StudyState(opened=opened)),
        spec=SimpleNamespace(space=space_from_mapping({"family": "sequential"})),
        notify=said.append,
    )


def test_the_file_lies_in_the_run_folder(tmp_path) -> None:
    said: list[str] = []
    _write_for_optuna(session_in(tmp_path, said))
    assert (tmp_path / "optuna.journal").is_file()
    assert said == []


def test_what_keeps_it_from_being_written_is_said(tmp_path) -> None:
    said: list[str] = []
    (tmp_path / "optuna.journal").mkdir()
    _write_for_optuna(session_in(tmp_path, said))
    assert len(said) == 1
    assert said[0].startswith("optuna.journal is not written: ")
    assert "Is a directory" in said[0]
