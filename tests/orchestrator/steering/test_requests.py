"""Requests as files: what is asked arrives, and nothing that lies in the folder ends a driver."""

import json
import os
from pathlib import Path

import pytest

from orchestrator.errors import InputError
from orchestrator.runs.paths import RunFolder
from orchestrator.steering.inbox import Inbox
from orchestrator.steering.requests import (
    LARGEST_BYTES,
    AddVariant,
    Annotate,
    Answer,
    KeepTrial,
    PauseStudy,
    Request,
    Star,
    StopTrial,
    TagStudy,
    ask,
    check_request,
    new_request_id,
    request_from_json,
    request_path,
    request_to_json,
    wait_for_answer,
    withdraw,
)

REQUESTS = [
    StopTrial(trial="t0007"),
    KeepTrial(trial="t0007", keep=False),
    AddVariant(params={"filters": 16, "shape": [1, 2], "learning_rate": 1e-3}),
    PauseStudy(),
    Annotate(text="slow, but steady:\n\u00e9 \u2603"),
    Star(trial="t0001"),
    TagStudy(tags=["baseline", "for the paper"], tagged=False),
]


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda item: type(item).__name__)
def test_request_is_the_same_after_its_file(request_: Request) -> None:
    assert request_from_json(request_to_json(request_)) == request_


def test_driver_reads_what_is_asked_in_order_and_the_answer_comes_back_once(folder: RunFolder) -> None:
    ids = [ask(folder, item) for item in REQUESTS]
    inbox = Inbox(folder)
    arrived = list(inbox.arrived())
    assert [(item.request_id, item.request) for item in arrived] == list(zip(ids, REQUESTS, strict=True))
    assert wait_for_answer(folder, ids[0], seconds=0) is None
    inbox.answer(arrived[0], Answer(is_done=True, text="it ends"))
    assert wait_for_answer(folder, ids[0], seconds=0) == Answer(is_done=True, text="it ends")
    assert wait_for_answer(folder, ids[0], seconds=0) is None
    assert [item.request_id for item in inbox.arrived()] == ids[1:]


def test_request_is_taken_back_once(folder: RunFolder) -> None:
    request_id = ask(folder, PauseStudy())
    assert withdraw(folder, request_id)
    assert not withdraw(folder, request_id)
    assert list(Inbox(folder).arrived()) == []


def test_folder_that_is_missing_or_a_link_holds_no_request(folder: RunFolder, tmp_path: Path) -> None:
    assert list(Inbox(folder).arrived()) == []
    other = RunFolder(tmp_path / "other")
    ask(other, PauseStudy())
    folder.requests.symlink_to(other.requests)
    assert list(Inbox(folder).arrived()) == []


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "a request is a JSON object, got something else"),
        (b"\xff\xfe\x00", "a request is a JSON object, got something else"),
        (b"[" * 50_000, "a request is a JSON object, got something else"),
        (b"[]", "a request is a JSON object with schema 1, got []"),
        (b'{"schema": 2}', "a request is a JSON object with schema 1, got {'schema': 2}"),
        (b'{"schema": 1, "kind": ["x"]}', "kind: expected one of stop_trial, keep_trial, add_variant"),
        (b'{"schema": 1, "kind": "stop_trial"}', "stop_trial: expected the keys trial; wrong or missing: ['trial']"),
        (b'{"schema": 1, "kind": "pause_study", "now": true}', "pause_study: expected the keys none; wrong or"),
        (b'{"schema": 1, "kind": "star", "trial": "t1", "starred": 1}', "starred: expected true or false, got 1"),
        (b'{"schema": 1, "kind": "stop_trial", "trial": ""}', "trial: expected the name of a trial such as t0007"),
        (b'{"schema": 1, "kind": "add_variant", "params": {"a": NaN}}', "a request is a JSON object, got something"),
        (b"x" * (LARGEST_BYTES + 1), "a request has at most 64,000 bytes, got 64,001"),
    ],
)
def test_damaged_request_is_answered_with_the_reason(folder: RunFolder, content: bytes, problem: str) -> None:
    request_id = new_request_id()
    folder.requests.mkdir()
    request_path(folder, request_id).write_bytes(content)
    inbox = Inbox(folder)
    (arrived,) = inbox.arrived()
    assert (arrived.request, arrived.problem[: len(problem)]) == (None, problem)
    inbox.answer(arrived, Answer(is_done=False, text=arrived.problem))
    assert list(inbox.arrived()) == []


def test_what_is_no_file_is_answered_or_moved_aside_and_waits_for_nobody(folder: RunFolder, tmp_path: Path) -> None:
    folder.requests.mkdir()
    secret = tmp_path / "secret"
    secret.write_text(request_to_json(PauseStudy()))
    request_path(folder, new_request_id()).symlink_to(secret)
    os.mkfifo(request_path(folder, new_request_id()))
    request_path(folder, new_request_id()).mkdir()
    (folder.requests / "notes.txt").write_text("mine")
    (folder.requests / ".x.json.abc.tmp").write_text("a draft")
    inbox = Inbox(folder)
    arrived = list(inbox.arrived())
    assert [item.request for item in arrived] == [None, None, None]
    for item in arrived:
        inbox.answer(item, Answer(is_done=False, text=item.problem))
    assert list(inbox.arrived()) == []
    assert (folder.requests / "foreign" / "notes.txt").read_text() == "mine"
    assert json.loads(secret.read_text())["kind"] == "pause_study"


def test_driver_looks_at_a_hundred_files_at_a_time(folder: RunFolder) -> None:
    for _ in range(101):
        request_id = new_request_id()
        folder.requests.mkdir(exist_ok=True)
        request_path(folder, request_id).write_text(request_to_json(PauseStudy()))
    assert len(list(Inbox(folder).arrived())) == 100


def test_answers_that_nobody_read_for_a_day_go_away(folder: RunFolder) -> None:
    request_id, inbox = ask(folder, PauseStudy()), Inbox(folder)
    (arrived,) = inbox.arrived()
    inbox.answer(arrived, Answer(is_done=True, text="yes"))
    written = (folder.requests / "answers" / f"{request_id}.json").stat().st_mtime
    inbox.forget_old_answers(now=written + 86_000)
    assert wait_for_answer(folder, request_id, seconds=0) is not None
    inbox.answer(arrived, Answer(is_done=True, text="yes"))
    inbox.forget_old_answers(now=written + 86_500)
    assert wait_for_answer(folder, request_id, seconds=0) is None


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (Annotate(text=""), "text: must have at least one character that shows, got none"),
        (Annotate(text="x" * 2001), "text: must have at most 2,000 characters, got 2,001; shorten it"),
        (Annotate(text="a\x1b[2J"), r"text: must be plain text, got the control character '\x1b' at place 2"),
        (Annotate(text="a\ud800"), r"text: must be plain text, got the control character '\ud800' at place 2"),
        (Annotate(text="a\u202eb"), r"text: must be plain text, got the control character '\u202e' at place 2"),
        (TagStudy(tags=[]), "tags: expected 1 to 50 of them, got 0"),
        (TagStudy(tags="baseline"), "tags: expected a list of texts, got 'baseline'"),
        (TagStudy(tags=[1]), "tags: each must be a text, got int; put it in quotes"),
        (TagStudy(tags=["a,b"]), "tags: each must have no comma, which stands between tags, got 'a,b'"),
        (TagStudy(tags=["a\nb"]), "tags: each must be one line without blanks around it or several in a row"),
        (TagStudy(tags=["x" * 61]), "tags: each must have at most 60 characters, got 61; shorten it"),
        (TagStudy(tags=["\x1b"]), r"tags: each must be plain text, got the control character '\x1b' at place 1"),
        (StopTrial(trial="t" * 101), "trial: expected the name of a trial such as t0007"),
        (AddVariant(params={str(number): 1 for number in range(1001)}), "params: expected at most 1,000 names"),
    ],
)
def test_request_that_no_driver_can_honour_is_refused_where_it_is_made(request_: Request, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        check_request(request_)
    assert str(caught.value).startswith(problem)


def test_request_of_too_many_bytes_is_not_written(folder: RunFolder) -> None:
    with pytest.raises(InputError, match="a request has at most 64,000 bytes"):
        ask(folder, AddVariant(params={"filters": "x" * 64_000}))
    assert not folder.requests.exists()
    with pytest.raises(InputError, match="params: expected numbers, texts"):
        ask(folder, AddVariant(params={"filters": float("nan")}))
