"""Asking a run that no driver is at work on: what is allowed is written, and the study stays as it was."""

import shutil
from pathlib import Path

import pytest
import yaml
from made_exports import REAL_RUN

from orchestrator.errors import InputError, RunFolderError
from orchestrator.journal.file import Journal
from orchestrator.journal.reading import read_state
from orchestrator.journal.steering_records import AnnotationAdded
from orchestrator.mirror.journal import read_remote_journal
from orchestrator.results.from_state import count_states, elapsed_seconds, spent, study_status
from orchestrator.runs.lock import driver_lock
from orchestrator.runs.paths import RunFolder
from orchestrator.steering.requests import (
    AddVariant,
    Annotate,
    KeepTrial,
    PauseStudy,
    Request,
    Star,
    StopTrial,
    TagStudy,
)
from orchestrator.steering.steer import steer, steer_directly
from orchestrator.steering.words import steering_facts, steering_json
from trainables.files.remote import RemoteFolder

RUNS = REAL_RUN.parent


@pytest.fixture(params=["finished", "interrupted"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> RunFolder:
    shutil.copytree(RUNS / request.param, tmp_path / request.param)
    return RunFolder(tmp_path / request.param)


def seen(folder: RunFolder) -> tuple[object, ...]:
    state = read_state(folder)
    seconds = state.clock.seconds(state.last_at)
    status = study_status(state, is_alive=False)
    return status, elapsed_seconds(state), seconds, spent(state), count_states(state.trials.values(), is_alive=False)


def test_stars_and_notes_are_kept_and_the_study_is_as_finished_or_paused_as_before(folder: RunFolder) -> None:
    before, content = seen(folder), folder.journal.read_bytes()
    assert steer(folder, Star(trial="t0000")).text == "t0000 has a star"
    assert steer(folder, Annotate(trial="t0000", text="look\nagain")).is_done
    assert steer(folder, Annotate(text="of the study")).text == "the note about the study is in the journal"
    assert seen(folder) == before
    assert folder.journal.read_bytes().startswith(content)
    state = read_state(folder)
    assert [(name, value.partition(", ")[2][25:] or value) for name, value in steering_facts(state)] == [
        ("stars", "t0000"),
        ("note", "look again"),
        ("note", "of the study"),
    ]
    content = steering_json(state)["steering"]
    assert content["starred"] == ["t0000"]
    assert [(note["trial"], note["text"]) for note in content["notes"]] == [
        ("t0000", "look\nagain"),
        (None, "of the study"),
    ]
    assert steer(folder, Star(trial="t0000", starred=False)).text == "t0000 has no star"
    assert not read_state(folder).trials["t0000"].steering.is_starred
    assert not folder.driver.exists()
    assert not folder.requests.exists()


def test_tags_are_given_once_and_taken_away_and_the_study_is_as_finished_or_paused_as_before(folder: RunFolder) -> None:
    before = seen(folder)
    assert steer(folder, TagStudy(tags=["baseline", "for the paper"])).text == (
        "the study has the tags baseline, for the paper"
    )
    content = folder.journal.read_bytes()
    assert steer(folder, TagStudy(tags=["baseline"])).text == "the study has these tags already"
    assert folder.journal.read_bytes() == content
    assert steer(folder, TagStudy(tags=["2026", "baseline"])).is_done
    assert read_state(folder).steering.tags == ["baseline", "for the paper", "2026"]
    assert dict(steering_facts(read_state(folder)))["tags"] == "baseline, for the paper, 2026"
    assert steering_json(read_state(folder))["steering"]["tags"] == ["baseline", "for the paper", "2026"]
    assert steer(folder, TagStudy(tags=["basline"], tagged=False)).text.startswith("the study has none of these tags")
    for tag in ("baseline", "2026"):
        steer(folder, TagStudy(tags=[tag], tagged=False))
    assert steer(folder, TagStudy(tags=["for the paper"], tagged=False)).text == "the study has no tag"
    assert read_state(folder).steering.tags == []
    assert seen(folder) == before


def test_study_has_no_more_tags_than_readers_can_use(folder: RunFolder) -> None:
    assert steer(folder, TagStudy(tags=[f"tag {number}" for number in range(50)])).is_done
    with pytest.raises(InputError, match="tags: a study has at most 50, and this one has 50; take some away with"):
        steer(folder, TagStudy(tags=["one more"]))
    assert steer(folder, TagStudy(tags=["tag 3"])).is_done


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (PauseStudy(), "no driver is at work on this run: there is nothing to pause"),
        (AddVariant(params={"filters": 4}), "no driver is at work on this run: resume the study, then add the variant"),
        (Star(trial="t0099"), "trial: no trial has the name 't0099'; the study has t0000"),
        (Annotate(text="\x07"), "text: must be plain text, got the control character '\\x07' at place 1"),
    ],
)
def test_what_needs_a_driver_is_refused_in_words(folder: RunFolder, request_: Request, problem: str) -> None:
    before = folder.journal.read_bytes()
    with pytest.raises(InputError) as caught:
        steer(folder, request_)
    assert str(caught.value).startswith(problem)
    assert folder.journal.read_bytes() == before


def test_trials_of_a_paused_study_are_stopped_and_kept_for_when_it_is_resumed(tmp_path: Path) -> None:
    shutil.copytree(RUNS / "interrupted", tmp_path / "interrupted")
    folder = RunFolder(tmp_path / "interrupted")
    assert steer(folder, KeepTrial(trial="t0000")).is_done
    assert steer(folder, StopTrial(trial="t0000")).text == "t0000 ends as soon as the study is resumed"
    trial = read_state(folder).trials["t0000"]
    assert (trial.state.value, trial.steering.is_kept, trial.steering.stop_after) == ("paused", True, trial.epoch)
    assert not trial.has_ended


def test_driver_that_is_at_work_but_does_not_look_leaves_the_request_waiting(folder: RunFolder) -> None:
    with driver_lock(folder):
        answer = steer(folder, Star(trial="t0000"), seconds=0)
        assert (answer.is_done, answer.is_waiting) == (False, True)
        assert answer.text.startswith("the driver has not answered within 0 s: it looks while trials train")
        assert len(list(folder.requests.glob("*.json"))) == 1
        with pytest.raises(RunFolderError, match="another convfleet is at work on it"):
            steer_directly(folder, Star(trial="t0000"))


def test_run_of_a_storage_gets_the_note_there_as_well(tmp_path: Path) -> None:
    shutil.copytree(RUNS / "interrupted", tmp_path / "runs" / "interrupted")
    folder, storage = RunFolder(tmp_path / "runs" / "interrupted"), f"file://{tmp_path}/storage"
    study = yaml.safe_load(folder.study.read_text())
    folder.study.write_text(yaml.safe_dump({**study, "storage": {**study.get("storage", {}), "uri": storage}}))
    assert steer(folder, Annotate(text="also there")).is_done
    remote = RemoteFolder.open(f"{storage}/interrupted")
    assert read_remote_journal(remote).data == folder.journal.read_bytes()


def test_driver_that_died_before_its_answer_has_a_note_written_once(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    lives = [True, False]

    def die(folder: RunFolder, request_id: str, *, seconds: float) -> None:
        with driver_lock(folder) as lock, Journal(folder.journal, check=lock.check) as journal:
            journal.append(AnnotationAdded(request=request_id, trial="", text="look", at=1.8e9))

    monkeypatch.setattr("orchestrator.steering.steer.is_driver_alive", lambda folder: lives.pop(0))
    monkeypatch.setattr("orchestrator.steering.steer.wait_for_answer", die)
    assert steer(folder, Annotate(text="look")).is_done
    assert [note.text for note in read_state(folder).steering.annotations] == ["look"]
    assert list(folder.requests.glob("*.json")) == []
