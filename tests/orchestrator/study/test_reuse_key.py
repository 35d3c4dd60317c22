"""The key `reuse` of a study file: folders of earlier runs, told with the other mistakes where they are none."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import StudyFileError
from orchestrator.runs.folder import make_run_folder
from orchestrator.study.loading import load_study, parse_study
from orchestrator.study.spec import StudySpec


def study(base: Path, **changes: Any) -> StudySpec:
    return parse_study(
        {"name": "s", "data": {"source": "digits"}, "space": {"family": "sequential"}, **changes}, base=base
    )


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Returns the folder of a run that has begun."""
    folder = make_run_folder(tmp_path / "old", study_yaml=study(tmp_path).to_yaml())
    folder.journal.touch()
    return folder.root


def test_reuse_is_no_part_of_what_a_study_is(old: Path, tmp_path: Path) -> None:
    plain, reusing = study(tmp_path), study(tmp_path, reuse="old")
    assert reusing.study_id == plain.study_id
    assert reusing.reuse == (str(old),)


@pytest.mark.parametrize(
    ("reuse", "message"),
    [
        ("olt", r"study: reuse: no such file or folder, got 'olt', which is .*/olt; did you mean 'old'\?"),
        (["old", "gone"], "reuse: no such file or folder, got 'gone', which is .*/gone"),
        (".", "reuse: is not a run folder, got '.', which is .*; give one that `convfleet run` made"),
        ("", "reuse: expected a path, got ''"),
        (7, "reuse: must be a list, got 7; for example reuse: runs/old"),
        ([7], r"reuse\[0\]: must be a valid string, got 7"),
    ],
)
def test_run_that_is_not_there_is_told_with_the_other_mistakes(
    old: Path, tmp_path: Path, reuse: object, message: str
) -> None:
    with pytest.raises(StudyFileError, match=message):
        study(tmp_path, reuse=reuse)


def test_path_on_the_command_line_starts_at_the_current_folder(
    old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "s.yaml").write_text(
        "name: s\ndata: {source: digits}\nspace: {family: sequential}\n", encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    for override in ("reuse=old", "reuse=[old]"):
        assert load_study("elsewhere/s.yaml", overrides=[override]).reuse == (str(old),)
