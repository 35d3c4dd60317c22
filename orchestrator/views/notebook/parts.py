"""The parts of what cells show, as HTML: every text of a study is escaped."""

from collections.abc import Iterable, Sequence

from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.journal.trial import TrialState
from orchestrator.replicates.from_state import board_labels, replicated
from orchestrator.replicates.words import mean_in_words, progress_in_words
from orchestrator.results import words
from orchestrator.results.from_state import best_so_far, count_states, placed, seconds_left, varying_parameters
from orchestrator.results.image_shares import ImageShares, interval_in_words
from orchestrator.results.ranking import Placed
from orchestrator.text import duration, number, one_line
from orchestrator.views.report.markup import Cell, Markup, empty, pill, table, text
from orchestrator.views.terminal.front_view import plain_ranks

#: The best trials that a cell shows, and the trials at work.
NUM_BEST, _NUM_RUNNING = 5, 8
#: Colours that are visible on a light and on a dark page; text has the notebook's own colour.
_CSS = """
.convfleet { font-size: 14px; line-height: 1.5; max-width: 1100px; }
.convfleet p { margin: 2px 0; }
.convfleet .soft, .convfleet .empty, .convfleet th { opacity: 0.7; }
.convfleet progress { width: 260px; vertical-align: middle; accent-color: #2e86de; }
.convfleet .scroll { overflow-x: auto; margin: 6px 0; }
.convfleet table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; margin: 0; }
.convfleet th, .convfleet td { text-align: left; padding: 2px 14px 2px 0; white-space: nowrap; }
.convfleet th { font-weight: 500; }
.convfleet th.number, .convfleet td.number { text-align: right; }
.convfleet .pill { font-weight: 600; color: #8b93a1; }
.convfleet .completed, .convfleet .finished { color: #1fa37a; }
.convfleet .stopped, .convfleet .running { color: #2e86de; }
.convfleet .failed { color: #e4572e; } .convfleet .infeasible { color: #b45fd6; }
.convfleet .paused, .convfleet .interrupted, .convfleet .held { color: #d99a00; }
.convfleet code { white-space: pre; }
"""


def whole(parts: Iterable[str]) -> str:
    """Returns parts as the content of a cell's output; the style concerns this content alone."""
    return f'<div class="convfleet"><style>{_CSS}</style>\n{"".join(parts)}</div>'


def paragraph(content: str, *, is_soft: bool = False) -> Markup:
    """Returns a line; what is no markup is escaped."""
    kind = ' class="soft"' if is_soft else ""
    return Markup(f"<p{kind}>{text(content)}</p>\n")


def heading(state: StudyState, *, status: str) -> Markup:
    """Returns the study's name, what it looks for, and its state."""
    header = state.header
    name, wanted = text(one_line(header.study)), text(words.wanted(header))
    return paragraph(Markup(f'<b>{name}</b> {pill(status)} <span class="soft">{wanted}</span>'))


def bar(state: StudyState, *, elapsed_seconds: float) -> Markup:
    """Returns how many trials have ended, and how long the others take."""
    again, searched, header = progress_in_words(state), search_alone(state), state.header
    done = searched.num_ended + sum(trial.epoch / header.max_epochs for trial in searched.unfinished)
    # Nobody knows how many replicates follow.
    left = None if again or state.finished else seconds_left(searched, elapsed=elapsed_seconds)
    said = [
        f"{searched.num_ended} of {header.num_trials} trials ended",
        *filter(None, [again]),
        f"{duration(elapsed_seconds)} elapsed",
        *([f"about {duration(left)} left"] if left else []),
    ]
    drawn = Markup(f'<progress value="{done:.3f}" max="{max(1, header.num_trials)}"></progress> ')
    return paragraph(Markup(drawn + text(", ".join(said))))


def counts(state: StudyState) -> Markup:
    """Returns how many trials are in each state."""
    found = count_states(search_alone(state).trials.values())
    return paragraph(words.state_counts_in_words(found), is_soft=True)


def best_in_words(state: StudyState) -> str:
    """Returns the best trial so far as text, also one that is still training."""
    best, metric = best_so_far(state), state.header.metric
    when = "best so far" if state.finished is None else "best"
    if best is None:
        has_reports = any(trial.reports for trial in list(state.trials.values()))
        is_kept = not (state.header.constraints and has_reports)
        return f"{when}: {'no report yet' if is_kept else 'no trial keeps to the constraints yet'}"
    trial, report = best
    names = varying_parameters(list(state.trials.values()))
    variant = f"{trial.variant.family} {words.parameters(trial.variant.params, names=names)}".strip()
    return f"{when}: {trial.name} {metric} {number(report.metrics[metric])} at epoch {report.epoch} ({variant})"


def best_trials(state: StudyState, *, shares: ImageShares) -> Markup:
    """Returns the table of the best trials that completed or were stopped.

    Args:
        state: The study, also while it runs.
        shares: The metrics that are shares of images, which have intervals.
    """
    board = placed(state, k=NUM_BEST)
    if not board:
        return empty("No trial has ended with a result yet.")
    metric, again = state.header.metric, {item.trial: item for item in replicated(state)}
    intervals = [shares.interval(metric, item.report.metrics[metric]) for item in board]
    others = [goal.metric for goal in state.header.goals[1:]]
    shown = [*(["95 %"] if any(intervals) else []), *(["replicates' mean"] if again else []), *others]
    numbers = [f"best {metric}", *shown, "at epoch", "epochs"]
    varying = varying_parameters(list(state.trials.values()))
    rows: list[list[Cell]] = [
        [
            label,
            item.trial.name,
            pill(item.trial.state.value),
            item.report.metrics[metric],
            *([interval_in_words(interval)] if any(intervals) else []),
            *([mean_in_words(again.get(item.trial.name))] if again else []),
            *item.values[1:],
            item.report.epoch,
            item.trial.epoch,
            f"{item.trial.variant.family} {words.parameters(item.trial.variant.params, names=varying)}",
        ]
        for label, interval, item in zip(_labels(state, board, shares=shares), intervals, board, strict=True)
    ]
    return table(["rank", "trial", "state", *numbers, "variant"], rows, numeric=["rank", *numbers])


def running_trials(state: StudyState, *, now: float) -> Markup:
    """Returns the table of the trials that are with a worker.

    Args:
        state: The study while it runs.
        now: Seconds since 1970.
    """
    header, trials = state.header, list(state.trials.values())
    running = [trial for trial in trials if trial.state is TrialState.RUNNING]
    if not running:
        return Markup("")
    names, rows = varying_parameters(trials), list[list[Cell]]()
    for trial in running[:_NUM_RUNNING]:
        latest = trial.reports[-1].metrics.get(header.metric) if trial.reports else None
        started = trial.started_at[-1] if trial.started_at else now
        variant = f"{trial.variant.family} {words.parameters(trial.variant.params, names=names)}"
        row: list[Cell] = [trial.name, f"{trial.epoch}/{header.max_epochs}", latest, duration(now - started), variant]
        rows.append(row)
    more = len(running) - len(rows)
    below = paragraph(f"and {more} more", is_soft=True) if more > 0 else ""
    numbers = ["epoch", header.metric, "for"]
    return Markup(table(["running", *numbers, "variant"], rows, numeric=numbers) + below)


def _labels(state: StudyState, board: Sequence[Placed], *, shares: ImageShares) -> list[str]:
    header = state.header
    if header.objectives:
        return plain_ranks(board)
    ranked = {item.trial.name: item.report.metrics[header.metric] for item in board}
    broken = {item.trial.name for item in board if item.broken}
    return board_labels(ranked, again=replicated(state), metric=header.metric, shares=shares, broken=broken)
