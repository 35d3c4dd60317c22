"""Each event reaches a tracker once: whatever ends a call, and whatever becomes of the journal in between."""

from collections import Counter

import pytest
from tracked_runs import EXTENDED, FINISHED, ListTracker, values_of, write_run

from orchestrator.errors import RunFolderError, TrackerError
from orchestrator.journal.records import SessionStarted
from orchestrator.runs.paths import RunFolder
from orchestrator.trackers import tracking
from orchestrator.trackers.cursor import one_sender, read_cursor
from orchestrator.trackers.following import FIRST_WAIT_SECONDS, follow, once
from orchestrator.trackers.tracking import TrackerFacts, Tracking

EPOCHS = sorted(values_of(FINISHED, "val_accuracy"))


@pytest.fixture
def lists(monkeypatch):
    """A tracker of each name, as the one that `track` finds; few records go out at a time."""
    made = {name: ListTracker() for name in ("mlflow", "wandb")}
    facts = {name: TrackerFacts(make=lambda _, name=name: made[name], package="json") for name in made}
    monkeypatch.setattr(tracking, "TRACKERS", facts)
    monkeypatch.setattr("orchestrator.trackers.following.TRACKERS", facts)
    monkeypatch.setattr(tracking, "RECORDS_A_STEP", 10)
    return made


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run")


def send(run, *names):
    return once({name: lambda name=name: Tracking(run, tracker=name) for name in names or ("mlflow",)})


@pytest.mark.parametrize("after", [0, 1, 7, 40, 41, 42, 43, 60, 100])
def test_a_call_that_fails_after_some_events_is_made_up_for_by_the_next(run, lists, after):
    lists["mlflow"].fails_after = after
    with pytest.raises(TrackerError, match="list: does not answer"):
        send(run)
    lists["mlflow"].fails_after = None
    (progress,) = send(run)
    assert sorted(lists["mlflow"].epochs) == EPOCHS
    assert progress.records == len(FINISHED)


@pytest.mark.parametrize("written", [1, 4])
def test_a_call_that_dies_between_the_tracker_and_its_cursor_sends_nothing_twice(run, lists, written, monkeypatch):
    calls = []

    def dies(folder, cursor, *, tracker):
        calls.append(cursor)
        if len(calls) > written:
            raise KeyboardInterrupt
        write(folder, cursor, tracker=tracker)

    write = tracking.write_cursor
    monkeypatch.setattr(tracking, "write_cursor", dies)
    with pytest.raises(KeyboardInterrupt):
        send(run)
    monkeypatch.setattr(tracking, "write_cursor", write)
    send(run)
    assert sorted(lists["mlflow"].epochs) == EPOCHS


def test_a_second_call_sends_nothing(run, lists):
    first, second = send(run), send(run)
    assert (first[0].new_records, second[0].new_records) == (len(FINISHED), 0)
    assert second[0].records == len(FINISHED)
    assert sorted(lists["mlflow"].epochs) == EPOCHS


def test_an_extended_study_goes_on_in_the_same_place(run, lists):
    send(run)
    write_run(run.root, EXTENDED)
    send(run)
    assert sorted(lists["mlflow"].epochs) == sorted(values_of(EXTENDED, "val_accuracy"))
    assert set(lists["mlflow"].added.values()) == {1}


@pytest.mark.parametrize("kept", range(0, len(FINISHED), 9))
def test_a_journal_that_grows_between_calls_is_sent_once(tmp_path, lists, kept):
    run = write_run(tmp_path / "run", FINISHED[: kept + 1])
    send(run)
    write_run(run.root)
    send(run)
    assert sorted(lists["mlflow"].epochs) == EPOCHS


def test_a_lost_cursor_makes_nothing_double_even_if_the_call_after_it_fails_too(run, lists):
    send(run)
    run.tracker("mlflow").unlink()
    lists["mlflow"].fails_after = 60
    with pytest.raises(TrackerError):
        send(run)
    assert 0 < read_cursor(run, tracker="mlflow").after.number < len(FINISHED)
    lists["mlflow"].fails_after = None
    send(run)
    assert Counter(lists["mlflow"].epochs) == Counter(EPOCHS)


def test_another_place_and_an_emptied_one_get_everything(run, lists):
    send(run)
    lists["mlflow"].place = "another list"
    lists["mlflow"].rows[:] = [("t0099", 1, ("loss",))]
    send(run)
    assert sorted(lists["mlflow"].epochs) == EPOCHS
    lists["mlflow"].rows.clear()
    send(run)
    assert sorted(lists["mlflow"].epochs) == EPOCHS


def test_a_repaired_journal_that_goes_on_otherwise_tells_no_epoch_twice(run, lists):
    send(run)
    lines = run.journal.read_bytes().splitlines(keepends=True)
    run.journal.write_bytes(b"".join(lines[:40]))
    send(run)
    write_run(run.root)
    send(run)
    assert sorted(lists["mlflow"].epochs) == EPOCHS


def test_a_journal_that_is_another_one_since_is_sent_anew(run, lists):
    send(run)
    run.journal.unlink()
    other = [*FINISHED[:40], SessionStarted(driver_pid=1, slots=2, at=FINISHED[39].at), *FINISHED[40:]]
    write_run(run.root, other)
    (progress,) = send(run)
    assert progress.new_records == len(other)
    assert sorted(lists["mlflow"].epochs) == EPOCHS


def test_a_cursor_that_cannot_be_read_says_what_to_do(run, lists):
    send(run)
    run.tracker("mlflow").write_text('{"schema": 7}', encoding="utf-8")
    with pytest.raises(RunFolderError, match=r"mlflow\.json: cannot be read \(schema 7, expected 1\); remove it"):
        send(run)


def test_two_calls_at_the_same_time_are_refused(run):
    with (
        one_sender(run, tracker="mlflow"),
        one_sender(run, tracker="wandb"),
        pytest.raises(RunFolderError, match="another `convfleet track` sends it to mlflow already"),
        one_sender(run, tracker="mlflow"),
    ):
        pass


@pytest.mark.parametrize("name", ["trackers", "tensorboard"])
def test_a_link_in_the_run_folder_is_not_followed(run, lists, tmp_path, name):
    (tmp_path / "elsewhere").mkdir()
    (run.root / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunFolderError, match=rf"{name}: is a link"):
        send(run)
    assert list((tmp_path / "elsewhere").iterdir()) == []


class Hours:
    """A clock, a wait that moves it, and a journal that grows with it."""

    def __init__(self, run: RunFolder, *, looks: int) -> None:
        self.now, self.looks, self.run = 0.0, looks, run
        self.waited: list[float] = []

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.waited.append(seconds)
        write_run(self.run.root, FINISHED[: 10 * len(self.waited)])

    def is_over(self) -> bool:
        if len(self.waited) < self.looks:
            return False
        write_run(self.run.root)
        return True


def test_a_tracker_that_is_away_holds_up_no_other_and_is_asked_again_ever_later(tmp_path, lists):
    run = write_run(tmp_path / "run", FINISHED[:5])
    lists["wandb"].fails_after = 0
    hours, told = Hours(run, looks=40), []
    opened = {name: lambda name=name: Tracking(run, tracker=name) for name in lists}
    with pytest.raises(TrackerError, match=r"\Alist: does not answer\Z"):
        follow(opened, is_over=hours.is_over, wait=hours.wait, clock=hours, notify=told.append)
    assert told == ["list: does not answer"]
    assert sorted(lists["mlflow"].epochs) == EPOCHS
    assert lists["wandb"].epochs == []
    # 40 looks are less than 75 s: it was asked at 0, 5, 15 and 35 s, and at the end.
    assert lists["wandb"].num_asked == 5
    lists["wandb"].fails_after = None
    send(run, "wandb")
    assert sorted(lists["wandb"].epochs) == EPOCHS


def test_a_tracker_that_comes_back_while_it_is_followed_lacks_nothing(tmp_path, lists):
    run = write_run(tmp_path / "run", FINISHED[:5])
    lists["mlflow"].fails_after = 12
    hours = Hours(run, looks=12)

    def notify(text: str) -> None:
        lists["mlflow"].fails_after = None

    opened = {"mlflow": lambda: Tracking(run, tracker="mlflow")}
    (progress,) = follow(opened, is_over=hours.is_over, wait=hours.wait, clock=hours, notify=notify)
    assert sorted(lists["mlflow"].epochs) == EPOCHS
    assert progress.records == len(FINISHED)
    assert FIRST_WAIT_SECONDS in hours.waited
