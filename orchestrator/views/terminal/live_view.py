"""The view of a study at work in a terminal, built from its state and drawn by rich."""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from orchestrator.journal.records import StudyOpened
from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.journal.trial import Trial, TrialState
from orchestrator.replicates.words import progress_in_words
from orchestrator.results import words
from orchestrator.results.from_state import best_so_far, count_states, seconds_left, varying_parameters
from orchestrator.text import duration, number, one_line

STATE_STYLES = {
    TrialState.WAITING: "dim",
    TrialState.RUNNING: "cyan",
    TrialState.PAUSED: "yellow",
    TrialState.HELD: "yellow",
    TrialState.COMPLETED: "green",
    TrialState.STOPPED: "blue",
    TrialState.INFEASIBLE: "magenta",
    TrialState.FAILED: "bold red",
}
#: The width in columns from which tables show everything; narrower terminals get fewer columns.
WIDE = 110
#: Terminal lines kept free for everything but the running trials.
_LINES_AROUND = 12


def live_view(state: StudyState, *, console: Console, now: float, elapsed_seconds: float) -> RenderableType:
    """Returns the whole view: headline, bar, counts, best trial, running trials."""
    trials = list(state.trials.values())
    return Group(
        headline(state.header),
        _bar(state, elapsed_seconds=elapsed_seconds),
        counts_line(count_states(search_alone(state).trials.values()), num_trials=state.header.num_trials),
        best_line(state),
        running_table(console, trials, header=state.header, now=now, num_rows=max(3, console.height - _LINES_AROUND)),
    )


def headline(header: StudyOpened) -> Text:
    """Returns the study's name and its objective."""
    wanted = words.wanted(header)
    return Text.assemble((one_line(header.study), "bold"), "  ", (wanted, "dim"))


def counts_line(counts: dict[TrialState, int], *, num_trials: int) -> Text:
    """Returns how many trials are in each state; trials not proposed yet count as waiting."""
    known = sum(counts.values())
    shown = counts | {TrialState.WAITING: counts[TrialState.WAITING] + max(0, num_trials - known)}
    line = Text()
    for state, count in shown.items():
        if count or state not in (TrialState.PAUSED, TrialState.HELD):
            line.append(f"{count} {state.value}  ", style=STATE_STYLES[state] if count else "dim")
    return line


def best_line(state: StudyState) -> Text:
    """Returns the best usable trial so far."""
    best = best_so_far(state)
    if best is None:
        has_reports = any(trial.reports for trial in list(state.trials.values()))
        why = "no trial keeps to the constraints yet" if state.header.constraints and has_reports else "no report yet"
        return Text(f"best so far: {why}", style="dim")
    trial, report = best
    metric = state.header.metric
    varying = varying_parameters(list(state.trials.values()))
    return Text.assemble(
        "best so far: ",
        (trial.name, "bold green"),
        f" {metric} ",
        (number(report.metrics[metric]), "bold green"),
        f" at epoch {report.epoch} ",
        (f"({_described(trial, names=varying)})", "dim"),
        no_wrap=True,
        overflow="ellipsis",
    )


def running_table(
    console: Console, trials: Sequence[Trial], *, header: StudyOpened, now: float, num_rows: int
) -> RenderableType:
    """Returns the trials that are with a worker, at most `num_rows` of them, one a line."""
    running = [trial for trial in trials if trial.state is TrialState.RUNNING]
    if not running:
        return Text("no trial is running", style="dim")
    varying = varying_parameters(trials)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    for heading in ("running", "family"):
        table.add_column(heading, no_wrap=True)
    table.add_column("parameters", no_wrap=True, overflow="ellipsis", ratio=1)
    for heading in ("epoch", header.metric, "best"):
        table.add_column(heading, no_wrap=True, justify="right")
    for heading in ("device", "for", "worker")[: 3 if console.width >= WIDE else 1]:
        table.add_column(heading, no_wrap=True)
    for trial in running[:num_rows]:
        row = _running_row(trial, header=header, now=now, varying=varying)
        table.add_row(*row[: len(table.columns)])
    num_hidden = len(running) - num_rows
    return Group(table, Text(f"and {num_hidden} more", style="dim")) if num_hidden > 0 else table


def _running_row(trial: Trial, *, header: StudyOpened, now: float, varying: Sequence[str]) -> list[Text]:
    best = trial.best_report(**header.ranking)
    latest = trial.reports[-1].metrics.get(header.metric) if trial.reports else None
    started = trial.started_at[-1] if trial.started_at else now
    return [
        Text(trial.name, style=STATE_STYLES[TrialState.RUNNING]),
        Text(trial.variant.family),
        Text(words.parameters(trial.variant.params, names=varying), style="dim"),
        Text(f"{trial.epoch}/{header.max_epochs}"),
        Text(number(latest)),
        Text(number(best.metrics[header.metric] if best else None), style="green"),
        Text(words.device(trial.worker)),
        Text(duration(now - started)),
        Text(number(trial.worker.get("worker_pid")), style="dim"),
    ]


def _bar(state: StudyState, *, elapsed_seconds: float) -> RenderableType:
    header, again = state.header, progress_in_words(state)
    state = search_alone(state)
    num_ended = state.num_ended
    under_way = sum(trial.epoch / header.max_epochs for trial in state.unfinished)
    # Nobody knows how many replicates follow.
    left = None if again else seconds_left(state, elapsed=elapsed_seconds)
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(
        ProgressBar(total=max(1, header.num_trials), completed=num_ended + under_way, width=40),
        Text(f"{num_ended} of {header.num_trials} trials ended{f', {again}' if again else ''}"),
        Text(f"{duration(elapsed_seconds)} elapsed"),
        Text(f"about {duration(left)} left" if left is not None else "", style="dim"),
    )
    return table


def _described(trial: Trial, *, names: Sequence[str]) -> str:
    return f"{trial.variant.family} {words.parameters(trial.variant.params, names=names)}".strip()
