"""What a driver makes of requests: a record before anything acts, once, and an answer in words."""

from pathlib import Path
from typing import Any

import pytest
from driven_studies import drive, opened_of, spec_of

from orchestrator.journal.file import Journal, read_journal
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import (
    EpochReported,
    Record,
    SessionStarted,
    TrialHeld,
    TrialProposed,
    TrialStarted,
    TrialStopped,
)
from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.steering.decisions import decide
from orchestrator.steering.helm import Helm, PausedFromOutside
from orchestrator.steering.requests import (
    AddVariant,
    Annotate,
    Answer,
    KeepTrial,
    PauseStudy,
    Request,
    Star,
    StopTrial,
    ask,
    request_path,
    request_to_json,
    wait_for_answer,
)
from orchestrator.steering.words import steering_facts
from orchestrator.study.spec import StudySpec

SPEC = spec_of(trials=5, replicates=0)


class Desk:
    """A driver with five trials' room: t0000 has ended, t0001 waits at a rung, t0002 reported, t0003 has begun."""

    def __init__(self, root: Path, *, spec: StudySpec = SPEC, journal: Journal) -> None:
        self.folder, self.spec, self.said = RunFolder(root), spec, list[str]()
        self.recorder = Recorder(journal, state=fold(read_journal(journal.path)), folder=self.folder)
        self.helm = Helm(self.folder, recorder=self.recorder, since=1.0, notify=self.said.append)

    def asked(self, request: Request) -> Answer:
        """Returns the driver's answer to a request."""
        request_id = ask(self.folder, request)
        self.helm.poll(self.spec)
        answer = wait_for_answer(self.folder, request_id, seconds=0)
        assert answer is not None
        return answer

    @property
    def records(self) -> list[Record]:
        return list(read_journal(self.folder.journal))


def begun(spec: StudySpec = SPEC) -> list[Record]:
    proposer = Proposer(spec)
    records: list[Record] = [opened_of(spec), SessionStarted(driver_pid=1, slots=2, at=1.0)]
    for number in range(4):
        name, variant = f"t{number:04d}", proposer.propose(number)
        assert variant is not None
        records.append(TrialProposed(trial=name, number=number, variant=variant.to_json(), at=2.0))
        records.append(TrialStarted(trial=name, at=3.0))
        if number < 3:
            report = {"epoch": 1, "metrics": {"val_accuracy": 0.5}, "train_seconds": 1.0, "images_per_second": 1.0}
            records.append(EpochReported(trial=name, report={**report, "is_last": False}, worker={}, at=4.0))
    records.append(TrialStopped(trial="t0000", epoch=1, reason="asha: weak", at=5.0))
    records.append(TrialHeld(trial="t0001", epoch=1, reason="asha: waits", at=5.0))
    return records


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    with Journal(tmp_path / "journal.jsonl") as journal:
        for record in begun():
            journal.append(record)
        yield Desk(tmp_path, journal=journal)


def params_of(desk: Desk, name: str) -> dict[str, Any]:
    return dict(desk.recorder.trial(name).variant.params)


def test_every_request_becomes_one_record_and_its_file_goes_away(desk: Desk) -> None:
    before = len(desk.records)
    requests: dict[str, Request] = {
        "TrialStopAsked": StopTrial(trial="t0002"),
        "TrialKept": KeepTrial(trial="t0003"),
        "TrialStarred": Star(trial="t0000"),
        "AnnotationAdded": Annotate(trial="t0000", text="why so soon?"),
        "VariantAsked": AddVariant(params={"filters": 8, "dropout": 0.25}),
    }
    for number, (kind, request) in enumerate(requests.items(), start=1):
        answer = desk.asked(request)
        assert answer.is_done, answer
        assert (type(desk.records[-1]).__name__, len(desk.records)) == (kind, before + number)
        assert desk.said[-1] == f"asked from outside: {answer.text}"
    assert [path.name for path in desk.folder.requests.iterdir()] == ["answers"]
    state = fold(desk.records)
    assert state == desk.recorder.state
    assert [note.text for note in state.trials["t0000"].steering.annotations] == ["why so soon?"]
    assert state.trials["t0000"].steering.is_starred
    assert state.steering.kept == {"t0003"}
    assert [dict(variant.params) for variant in state.steering.asked] == [{"filters": 8, "dropout": 0.25}]


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (StopTrial(trial="t0002"), "t0002 ends after its next report, which is of epoch 2"),
        (StopTrial(trial="t0003"), "t0003 ends after its next report, which is of epoch 1"),
        (StopTrial(trial="t0001"), "t0001 ends at once, as it waits"),
        (
            KeepTrial(trial="t0001"),
            "early stopping lets t0001 go on, and leaves the rung at which it waits; budgets may still end it",
        ),
        (KeepTrial(trial="t0002", keep=False), "t0002 is not kept: early stopping decides already"),
        (Star(trial="t0002", starred=False), "t0002 has no star already"),
        (Annotate(text="x"), "the note about the study is in the journal"),
    ],
)
def test_answers_say_what_happens_now(desk: Desk, request_: Request, text: str) -> None:
    answer = desk.asked(request_)
    assert answer == Answer(is_done=True, text=text)


def test_variant_whose_place_the_search_took_meanwhile_is_answered_with_what_to_do(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposer = Proposer(SPEC)
    *_, last = (proposer.propose(number) for number in range(5))
    assert last is not None

    def late(*arguments: Any, **named: Any) -> Any:
        decision = decide(*arguments, **named)
        desk.recorder.append(TrialProposed(trial="t0004", number=4, variant=last.to_json(), at=6.0))
        return decision

    monkeypatch.setattr("orchestrator.steering.helm.decide", late)
    words = "1 that no trial has yet, as the search took the last place first; resume with --set search.trials=6"
    answer = desk.asked(AddVariant(params={"filters": 8, "dropout": 0.25}))
    assert answer == Answer(is_done=True, text=f"added: {words}")
    assert dict(steering_facts(desk.recorder.state))["added"] == words


@pytest.mark.parametrize(
    ("request_", "text"),
    [
        (StopTrial(trial="t0070"), "trial: no trial has the name 't0070'; the study has t0000 to t0003; did you mean"),
        (StopTrial(trial="t0000"), "trial: t0000 has ended already (stopped after epoch 1: asha: weak); only a trial"),
        (KeepTrial(trial="t0000"), "trial: t0000 has ended already (stopped after epoch 1: asha: weak); only a trial"),
        (Annotate(trial="x", text="y"), "trial: no trial has the name 'x'; the study has t0000 to t0003"),
        (AddVariant(params={}), "variant.params.filters: expected one of 4, 8, 16, 32, got nothing"),
        (
            AddVariant(params={"filters": 8, "dropout": 0.9}),
            "variant.params.dropout: expected a number from 0.0 to 0.5, got 0.9",
        ),
        (
            AddVariant(params={"filters": 8, "droput": 0.1, "dropout": 0.1}),
            "variant.params.droput: no parameter has this name; did you mean 'dropout'?",
        ),
    ],
)
def test_refusals_say_what_was_received_and_how_to_mend_it(desk: Desk, request_: Request, text: str) -> None:
    before = desk.records
    answer = desk.asked(request_)
    assert (answer.is_done, answer.text[: len(text)]) == (False, text)
    assert desk.records == before
    assert desk.said == []


def test_variant_is_added_once_and_only_while_the_study_has_room(desk: Desk) -> None:
    known, added = params_of(desk, "t0002"), AddVariant(params={"filters": 8, "dropout": 0.25})
    assert desk.asked(AddVariant(params=known)).text == "params: t0002 has this variant already; change a value"
    assert desk.asked(added).is_done
    assert desk.asked(added).text.startswith("params: somebody asked for this variant before, and it is tried next")
    assert desk.asked(AddVariant(params={"filters": 8, "dropout": 0.5})) == Answer(
        is_done=False,
        text="search.trials: the study has proposed all of its 5 trials, and an added variant takes the place of one; "
        "pause it, and resume it with --set search.trials=6",
    )


def test_replicate_is_not_stopped_by_hand(tmp_path: Path) -> None:
    spec = spec_of(trials=3, replicates=2, leaders=1)
    records = drive(tmp_path / "driven", spec)
    at = next(at for at, item in enumerate(records) if isinstance(item, TrialProposed) and item.replicate_of)
    with Journal(tmp_path / "journal.jsonl") as journal:
        for record in records[: at + 1]:
            journal.append(record)
        desk = Desk(tmp_path, spec=spec, journal=journal)
        answer = desk.asked(StopTrial(trial="t0003"))
    assert answer.text.startswith(
        "trial: t0003 trains the variant of t0001 again: cut short, it would count for nothing"
    )


def test_driver_that_dies_between_record_and_removal_does_not_act_twice(desk: Desk) -> None:
    for request in (Annotate(text="once"), Star(trial="t0000"), AddVariant(params={"filters": 8, "dropout": 0.25})):
        request_id = ask(desk.folder, request)
        desk.helm.poll(desk.spec)
        before = desk.records
        # The file as it was before its removal; the next driver finds it.
        request_path(desk.folder, request_id).write_text(request_to_json(request))
        desk.helm.poll(desk.spec)
        assert desk.records == before
        assert not request_path(desk.folder, request_id).exists()
        answer = wait_for_answer(desk.folder, request_id, seconds=0)
        assert answer == Answer(is_done=True, text="the journal has this request already")


def test_record_of_a_request_that_the_journal_has_changes_nothing(desk: Desk) -> None:
    desk.asked(Annotate(text="once"))
    desk.asked(KeepTrial(trial="t0002"))
    records = desk.records
    twice = fold([*records, *records[-2:]])
    assert twice.steering == fold(records).steering
    assert twice.trials == fold(records).trials


def test_pause_is_in_the_journal_before_the_session_ends(desk: Desk) -> None:
    request_id = ask(desk.folder, PauseStudy())
    note_id = ask(desk.folder, Annotate(text="enough for today"))
    with pytest.raises(PausedFromOutside, match="paused from outside"):
        desk.helm.poll(desk.spec)
    assert [type(record).__name__ for record in desk.records[-2:]] == ["PauseAsked", "AnnotationAdded"]
    for each in (request_id, note_id):
        answer = wait_for_answer(desk.folder, each, seconds=0)
        assert answer is not None
        assert answer.is_done


def test_pause_of_an_earlier_session_does_not_pause_this_one(desk: Desk) -> None:
    desk.folder.requests.mkdir()
    request_id = "00000000000900000000-0000000a"
    request_path(desk.folder, request_id).write_text(request_to_json(PauseStudy()))
    desk.helm.poll(desk.spec)
    answer = wait_for_answer(desk.folder, request_id, seconds=0)
    assert answer is not None
    assert answer.text.startswith("this pause was asked for before the driver began")
    assert not answer.is_done
