"""The key `track` of a study file: what it takes, and what it leaves as it was."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.errors import StudyFileError
from orchestrator.runs.paths import RunFolder
from orchestrator.study import spec as spec_module
from orchestrator.study.loading import load_study

STUDY: dict[str, Any] = {"name": "mine", "data": {"source": "digits"}, "space": "cnn-small"}


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Has these packages, and no other ones, be installed for the check of trackers."""
    found = type("Found", (), {"origin": "somewhere"})
    monkeypatch.setattr(spec_module, "find_spec", lambda name: found() if name in names else None)


@pytest.mark.parametrize(
    ("track", "names"),
    [
        ({"to": "mlflow"}, ("mlflow",)),
        ({"to": ["tensorboard", "mlflow", "tensorboard"]}, ("tensorboard", "mlflow")),
        ({"to": []}, ()),
        ({}, ()),
    ],
)
def test_trackers_are_named_by_a_text_or_a_list(
    track: dict[str, Any], names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, "tensorboard", "mlflow")
    assert load_study({**STUDY, "track": track}).track.names == names


def test_study_without_trackers_expands_as_ever_and_with_them_it_is_the_same_study(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed(monkeypatch, "wandb")
    plain, tracked = load_study(STUDY), load_study({**STUDY, "track": {"to": "wandb"}})
    assert "track" not in yaml.safe_load(plain.to_yaml())
    assert yaml.safe_load(tracked.to_yaml()) == {**yaml.safe_load(plain.to_yaml()), "track": {"to": ["wandb"]}}
    assert plain.study_id == tracked.study_id
    assert load_study(yaml.safe_load(tracked.to_yaml())).track == tracked.track


@pytest.mark.parametrize(
    ("track", "problem"),
    [
        ({"to": "mlfow"}, "study: track.to[0]: "),
        ({"at": "mlflow"}, "study: track.at: "),
        (
            {"to": ["mlflow", "wandb"]},
            "study: track.to[1]: 'wandb' needs wandb, which is not installed; pip install 'convfleet[wandb]'",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    track: dict[str, Any], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, "mlflow")
    with pytest.raises(StudyFileError) as caught:
        load_study({**STUDY, "track": track})
    assert str(caught.value).startswith(problem)


def test_run_that_began_goes_on_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch)
    folder = RunFolder(tmp_path)
    folder.study.write_text(yaml.safe_dump({**STUDY, "track": {"to": "wandb"}}))
    with pytest.raises(StudyFileError, match="'wandb' needs wandb"):
        load_study(folder.study)
    folder.journal.touch()
    assert load_study(folder.study).track.names == ("wandb",)
