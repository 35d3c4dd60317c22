"""Progress: a view in terminals, lines in files and pipes; the summary and the status after it."""

import re
import sys
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.journal.records import (
    SessionStarted,
    StudyPaused,
    TrialFailed,
    TrialStarted,
    TrialStopped,
    WorkerLost,
)
from orchestrator.journal.study_state import StudyState, fold
from orchestrator.results.from_state import best_so_far, elapsed_seconds, export_path, seconds_left
from orchestrator.results.tables import trials_table
from orchestrator.runs.paths import RunFolder
from orchestrator.text import duration
from orchestrator.views.terminal.progress import LiveProgress, PlainProgress, make_progress
from trainables.reports import EpochReport

CONTROL = re.compile(r"[^\x20-\x7e\n]")


def console(*, is_terminal=False, width=120):
    return Console(file=StringIO(), width=width, height=40, force_terminal=is_terminal, color_system=None)


def printed(target):
    return target.file.getvalue()


def drawn(state, *, now, elapsed_seconds=60.0, width=120):
    """Returns what the live view shows, without control codes and runs of spaces."""
    target = console(is_terminal=True, width=width)
    with LiveProgress(target) as progress:
        progress.update(state, now=now, elapsed_seconds=elapsed_seconds)
    return re.sub(r" +", " ", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", printed(target)))


@pytest.fixture
def tell():
    """Returns a function that updates one PlainProgress with a state and returns its new lines."""
    target = console()
    progress = PlainProgress(target)

    def told(state, elapsed_seconds=10.0):
        before = len(printed(target))
        progress.update(state, now=state.last_at, elapsed_seconds=elapsed_seconds)
        return printed(target)[before:].splitlines()

    return told


def test_console_decides_which_progress_it_gets(monkeypatch):
    assert isinstance(make_progress(console()), PlainProgress)
    monkeypatch.setattr(Console, "encoding", "utf-8")
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(make_progress(console(is_terminal=True)), LiveProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_progress(console(is_terminal=True)), PlainProgress)


def test_plain_progress_tells_each_event_once(begin, tell, make_reported):
    state = fold(begin())
    assert tell(state) == [
        "t0000 started: sequential filters=8 optimizer=adam learning_rate=0.0001 activation=relu batch_norm=true",
        "t0001 started: residual filters=32 optimizer=sgd learning_rate=0.01259 activation=elu momentum=0.81",
    ]
    assert tell(state) == []
    state.apply(make_reported(0, 1, at=110.0, value=0.912))
    state.apply(make_reported(0, 2, at=112.0, value=0.9))
    assert tell(state) == [
        "t0000 epoch 1/9 val_accuracy 0.912 (best 0.912)",
        "t0000 epoch 2/9 val_accuracy 0.9 (best 0.912)",
    ]


def test_plain_progress_tells_how_and_why_trials_end(begin, tell, make_reported):
    state = fold(begin())
    tell(state)
    state.apply(make_reported(0, 1, at=110.0, value=0.5))
    state.apply(TrialStopped(trial="t0000", epoch=1, reason="not among the best third", at=110.0))
    state.apply(TrialFailed(trial="t0001", kind="diverged", reason="the loss is\nnan \x1b[31m", at=111.0))
    assert tell(state, elapsed_seconds=11.0) == [
        "t0000 epoch 1/9 val_accuracy 0.5 (best 0.5)",
        "t0000 stopped after epoch 1: not among the best third",
        "t0001 failed (diverged): the loss is nan [31m",
        "2 of 4 trials ended after 11 s, about 10 s left",
    ]
    assert tell(state) == []


def test_plain_progress_tells_infeasible_and_completed_trials(begin, tell, make_reported):
    state = fold(begin(max_epochs=9))
    tell(state)
    state.apply(TrialFailed(trial="t0001", kind="infeasible", reason="no pixel is left", at=105.0))
    for epoch in range(1, 10):
        state.apply(make_reported(0, epoch, at=110.0 + epoch, value=epoch / 10 if epoch < 8 else 0.3))
    lines = tell(state)
    assert lines[0] == "t0001 is infeasible: no pixel is left"
    assert "t0000 completed: best val_accuracy 0.7 at epoch 7" in lines


def test_lower_is_better_when_the_study_says_so(begin, tell, make_reported):
    state = fold(begin(metric="val_loss", mode="min"))
    tell(state)
    state.apply(make_reported(0, 1, at=110.0, value=0.5))
    state.apply(make_reported(0, 2, at=111.0, value=0.4))
    assert tell(state)[-1] == "t0000 epoch 2/9 val_loss 0.85 (best 0.75)"
    assert best_so_far(state)[1].epoch == 1
    state.apply(make_reported(1, 1, at=112.0, value=0.6))
    assert best_so_far(state)[0].name == "t0001"


def test_lost_worker_and_going_on_are_told(begin, tell, make_reported):
    state = fold([*begin(), make_reported(0, 1, at=110.0, value=0.5)])
    tell(state)
    state.apply(WorkerLost(trial="t0000", reason="killed by the kernel", at=111.0))
    state.apply(TrialStarted(trial="t0000", at=112.0))
    assert tell(state) == ["t0000 lost its worker: killed by the kernel", "t0000 goes on after epoch 1"]


def test_events_of_earlier_sessions_are_no_news(begin, tell, make_reported):
    state = fold([*begin(), make_reported(0, 1, at=110.0, value=0.5), StudyPaused(reason="interrupted", at=111.0)])
    state.apply(SessionStarted(driver_pid=2, slots=2, at=500.0))
    assert tell(state) == []
    state.apply(TrialStarted(trial="t0000", at=501.0))
    assert tell(state) == ["t0000 goes on after epoch 1"]


def test_trial_that_a_resumed_session_stops_is_its_news_though_the_training_ended_before(begin, tell, make_reported):
    state = fold([*begin(), make_reported(0, 1, at=110.0, value=0.5), StudyPaused(reason="interrupted", at=111.0)])
    state.apply(SessionStarted(driver_pid=2, slots=2, at=500.0))
    state.apply(TrialStopped(trial="t0000", epoch=1, reason="weak", at=500.5))
    assert tell(state)[0] == "t0000 stopped after epoch 1: weak"
    assert state.trials["t0000"].ended_at == 110.0
    assert trials_table(state)["ended_at"][0].as_py() == datetime.fromtimestamp(110.0, UTC)


def test_report_that_is_half_folded_in_is_told_later(begin, tell):
    state = fold(begin(max_epochs=1))
    tell(state)
    report = EpochReport(epoch=1, metrics={"val_accuracy": 0.5}, train_seconds=1.0, images_per_second=1.0, is_last=True)
    state.trials["t0000"].reports.append(report)
    state.changes.append("t0000")  # of the record before
    assert tell(state) == []
    drawn(state, now=110.0)
    state.trials["t0000"].reported_at.append(109.0)
    state.changes.append("t0000")
    assert [line.split(":")[0] for line in tell(state)[:2]] == [
        "t0000 epoch 1/1 val_accuracy 0.5 (best 0.5)",
        "t0000 completed",
    ]


def test_plain_progress_tells_what_came_after_the_last_update_when_it_ends(begin, make_reported):
    target, state = console(), fold(begin())
    with PlainProgress(target) as progress:
        progress.message("starting Ray")
        progress.update(state, now=101.0, elapsed_seconds=1.0)
        state.apply(make_reported(0, 1, at=110.0, value=0.5))
    assert printed(target).startswith("starting Ray\n")
    assert printed(target).endswith("t0000 epoch 1/9 val_accuracy 0.5 (best 0.5)\n")


def test_plain_progress_never_writes_control_codes_nor_breaks_lines(make_sweep):
    target = Console(file=StringIO(), width=20, force_terminal=True)
    with PlainProgress(target) as progress:
        progress.message("[red]reading\x1b[2J data")
        state = StudyState()
        for record in make_sweep():
            state.apply(record)
            progress.update(state, now=record.at, elapsed_seconds=1.0)
    assert not CONTROL.search(printed(target))
    assert printed(target).startswith("[red]reading[2J data\n")
    assert all(re.match(r"\[red\]|t\d{4} |\d+ of 14 ", line) for line in printed(target).splitlines())


def test_log_that_knows_few_letters_gets_question_marks_instead_of_an_error(begin, tmp_path):
    with (tmp_path / "log").open("w", encoding="ascii") as file:
        PlainProgress(Console(file=file)).message("reading größe")
    assert (tmp_path / "log").read_text() == "reading gr??e\n"


def test_live_view_shows_running_trials_best_counts_and_time(begin, make_reported):
    records = [
        *begin(),
        make_reported(0, 1, at=110.0, value=0.8),
        make_reported(0, 2, at=120.0, value=0.7),
        make_reported(1, 1, at=121.0, value=0.6, gpus=0.5, gpu_ids=["0"]),
    ]
    shown = drawn(fold(records), now=131.0, elapsed_seconds=31.0)
    assert "cifar10-small highest val_accuracy (validation)" in shown
    assert "0 of 4 trials ended 31 s elapsed" in shown
    assert " left" not in shown
    assert "2 waiting 2 running 0 completed 0 stopped 0 infeasible 0 failed" in shown
    assert "best so far: t0000 val_accuracy 0.8 at epoch 1 (sequential" in shown
    assert re.search(r"t0000 sequential filters=8 .* 2/9 0\.7 0\.8 cpu x1 30 s 4000", shown)
    assert re.search(r"t0001 residual filters=32 .* 1/9 0\.6 0\.6 gpu 0 \(0\.5\) 30 s 4001", shown)


def test_live_view_of_an_empty_study_says_so(make_opened):
    shown = drawn(fold([make_opened()]), now=1.0)
    assert "0 of 14 trials ended" in shown
    assert "no report yet" in shown
    assert "no trial is running" in shown


def test_live_view_fits_many_trials_into_the_terminal(make_opened, make_proposed):
    records = [make_opened(num_trials=100), SessionStarted(driver_pid=1, slots=100, at=0.0)]
    for number in range(100):
        records += [make_proposed(number, at=1.0), TrialStarted(trial=f"t{number:04d}", at=1.0)]
    shown = drawn(fold(records), now=2.0)
    assert "t0027" in shown
    assert "t0028" not in shown
    assert "and 72 more" in shown


def test_narrow_terminal_keeps_what_matters_most(begin, make_reported):
    state = fold([*begin(), make_reported(0, 1, at=110.0, value=0.8)])
    assert re.search(r"t0000 sequential filters=.* 1/9 0\.8 0\.8 cpu x1\s", drawn(state, now=120.0, width=80))


def test_names_are_shown_as_they_are(begin):
    assert "[red]a[/red]" in drawn(fold(begin(study="[red]a[/red]")), now=102.0)


def test_stage_stays_as_a_line_once_it_is_over(begin):
    target = console(is_terminal=True)
    with LiveProgress(target) as progress:
        progress.message("reading data")
        progress.message("starting Ray")
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", printed(target)).splitlines()
    assert "reading data" in lines
    assert "starting Ray" in lines


def test_counts_of_one_stage_replace_each_other_in_a_terminal():
    target = console(is_terminal=True)
    with LiveProgress(target) as progress:
        for done in (1, 2, 3):
            progress.message(f"reading: {done} of 3")
        progress.message("starting Ray")
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "\n", printed(target)).splitlines()
    assert "reading: 3 of 3" in lines
    assert "reading: 1 of 3" not in lines


class ClosedTerminal(StringIO):
    """Fails from some moment on, like one whose window was closed."""

    is_closed = False

    def write(self, text):
        if self.is_closed:
            raise OSError(5, "Input/output error")
        return super().write(text)


# The thread of rich that draws ends with the error, too.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("is_closed_before_a_stage", [False, True])
def test_study_goes_on_when_its_terminal_is_gone(is_closed_before_a_stage, begin):
    file = ClosedTerminal()
    target = Console(file=file, width=120, height=40, force_terminal=True, color_system=None)
    with LiveProgress(target) as progress:
        drawing = progress._live._refresh_thread
        progress.message("reading the data")
        if not is_closed_before_a_stage:
            progress.update(fold(begin()), now=110.0, elapsed_seconds=10.0)
        file.is_closed = True
        progress.message("exporting the best models")
        progress.update(fold(begin()), now=111.0, elapsed_seconds=11.0)
        progress.message("done")
    drawing.join()  # Its error appears in this test.


def test_counts_of_one_stage_do_not_flood_a_log():
    target, seconds = console(), iter(range(0, 1000, 4))
    progress = PlainProgress(target, clock=lambda: next(seconds) / 2)
    for done in range(1, 9):
        progress.message(f"reading: {done} of 8")
    progress.message("exporting t0001")
    progress.message("exporting t0002")
    lines = printed(target).splitlines()
    assert lines[0] == "reading: 1 of 8"
    assert lines[-3:] == ["reading: 8 of 8", "exporting t0001", "exporting t0002"]
    assert 4 <= len(lines) <= 6


def test_no_colour_where_the_user_wants_none(begin, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    target = Console(file=StringIO(), width=120, force_terminal=True)
    with LiveProgress(target) as progress:
        progress.update(fold(begin()), now=102.0, elapsed_seconds=1.0)
    assert not re.search(r"\x1b\[(3|9)\d", printed(target))


def test_time_left_is_unknown_until_a_trial_has_ended(begin, make_reported):
    state = fold([*begin(), make_reported(0, 1, at=110.0, value=0.5)])
    assert seconds_left(state, elapsed=10.0) is None


def test_time_left_follows_from_the_work_done_by_all_slots(begin, make_reported):
    state = fold([*begin(), make_reported(0, 1, at=110.0, value=0.5)])
    state.apply(TrialStopped(trial="t0000", epoch=1, reason="weak", at=110.0))
    # One trial took 9 s beside another on two slots: 18 s a trial, three trials to go on two slots.
    assert seconds_left(state, elapsed=10.0) == pytest.approx(18.0 * 3 / 2)


def test_time_that_a_study_waited_for_its_first_worker_is_not_expected_again(begin, make_reported):
    state = fold([*begin(), make_reported(0, 1, at=110.0, value=0.5)])
    state.trials["t0000"].started_at[:] = [401.0]
    state.trials["t0001"].started_at[:] = [401.0]
    state.apply(TrialStopped(trial="t0000", epoch=1, reason="weak", at=410.0))
    assert seconds_left(state, elapsed=310.0) == pytest.approx(18.0 * 3 / 2)


def test_time_left_is_at_least_that_of_the_longest_trial(begin, make_reported):
    state = fold(
        [*begin(num_trials=2), *(make_reported(0, epoch, at=101.0 + epoch, value=0.5) for epoch in range(1, 10))]
    )
    # The other trial has all its epochs to go, and a second slot does not make it faster.
    assert seconds_left(state, elapsed=10.0) == pytest.approx(18.0)


def test_time_between_sessions_does_not_count_as_elapsed(begin, make_reported):
    state = fold([*begin(), make_reported(0, 1, at=130.0, value=0.5), StudyPaused(reason="interrupted", at=140.0)])
    assert elapsed_seconds(state) == 40.0
    state.apply(SessionStarted(driver_pid=2, slots=2, at=1000.0))
    state.apply(TrialStarted(trial="t0000", at=1005.0))
    assert elapsed_seconds(state) == 45.0  # 40 before, 5 since: what was shown never becomes less


@pytest.mark.parametrize("root", ["runs/x", "/elsewhere/x"])
def test_export_is_found_wherever_its_run_folder_lies(make_sweep, root):
    item = fold(make_sweep()).exports[0]
    assert export_path(item, folder=RunFolder(Path(root))) == Path(root) / "exports/1-t0003"


def test_best_trial_is_one_that_can_be_used(make_sweep):
    state = fold(make_sweep())
    state.trials["t0003"].failure = TrialFailed(trial="t0003", kind="diverged", reason="nan", at=1.0)
    assert best_so_far(state)[0].name == "t0007"


@pytest.mark.parametrize(
    ("seconds", "told"), [(9.96, "10 s"), (59.7, "1 min 00 s"), (3599.8, "1 h 00 min"), (-1, "0.0 s")]
)
def test_durations_never_show_sixty_of_anything(seconds, told):
    assert duration(seconds) == told


class ClosedPipe(StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError(text)


def test_study_goes_on_when_nobody_reads_its_progress_any_more(make_sweep, monkeypatch):
    monkeypatch.setattr(Console, "on_broken_pipe", lambda self: sys.exit(1))  # as rich does, without closing stdout
    records = make_sweep()
    with PlainProgress(Console(file=ClosedPipe(), width=120)) as progress:
        progress.message("starting")
        for count in (3, len(records)):
            progress.update(fold(records[:count]), now=1.0, elapsed_seconds=1.0)
