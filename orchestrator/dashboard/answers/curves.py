"""Learning curves of the dashboard as plotly's JSON: chosen trials, smoothed, by epoch or by time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial
from orchestrator.views.report.figures import NEUTRAL, RANK_COLOURS

#: What the axis of time may be.
TIMES = ("epoch", "training seconds", "since the study began, seconds")
#: More lines than these are drawn as one trace without names.
MOST_NAMED = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveChoice:
    """What is drawn.

    Attributes:
        metric: Of the curves.
        top: So many of the best trials; 0: all.
        by: `trial` or `family`, which colours go by.
        smoothing: The weight of the value before, from 0 to below 1.
        is_log: Whether values stand on a logarithmic axis.
        time: One of `TIMES`.
    """

    metric: str
    top: int = 10
    by: str = "trial"
    smoothing: float = 0.0
    is_log: bool = False
    time: str = TIMES[0]


def curves_figure(state: StudyState, choice: CurveChoice, *, ranks: Mapping[str, int]) -> dict[str, Any] | None:
    """Returns the chosen curves; None without a report of the metric.

    Args:
        state: The study.
        choice: What is drawn.
        ranks: The rank of each trial with a result.
    """
    # Lists: another thread may add to the state meanwhile.
    found = list(state.trials.values())
    trials = [trial for trial in found if any(choice.metric in item.metrics for item in trial.reports)]
    trials.sort(key=lambda trial: (ranks.get(trial.name, len(ranks) + 1), trial.number))
    chosen = trials[: choice.top] if choice.top else trials
    if not chosen:
        return None
    families = list(dict.fromkeys(trial.variant.family for trial in found))
    if len(chosen) > MOST_NAMED:
        traces = [_joined(chosen, choice=choice, state=state)]
    else:
        colours = {
            trial.name: RANK_COLOURS[(families.index(trial.variant.family) if choice.by == "family" else place)
                                     % len(RANK_COLOURS)]
            for place, trial in enumerate(chosen)
        }  # fmt: skip
        traces = [_line(trial, choice=choice, state=state, colour=colours[trial.name]) for trial in reversed(chosen)]
    layout = {
        "height": 420,
        "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
        "hovermode": "closest",
        "legend": {"traceorder": "reversed"},
        "xaxis": {"title": {"text": choice.time}},
        "yaxis": {"title": {"text": escape(choice.metric)}, "type": "log" if choice.is_log else "linear"},
    }
    return {"data": traces, "layout": layout}


def smoothed(values: Sequence[float], weight: float) -> list[float]:
    """Returns an exponential mean that does not lag at the start, as readers of TensorBoard know it.

    >>> smoothed([1.0, 3.0], 0.0), [round(value, 3) for value in smoothed([1.0, 3.0], 0.5)]
    ([1.0, 3.0], [1.0, 2.333])
    """
    found, last, debias = [], 0.0, 0.0
    for value in values:
        last = last * weight + (1 - weight) * value
        debias = debias * weight + (1 - weight)
        found.append(last / debias)
    return found


def _points(trial: Trial, *, choice: CurveChoice, state: StudyState) -> tuple[list[float], list[float]]:
    at, values, seconds, began = [], [], 0.0, began_at(trial, state)
    for report, moment in zip(list(trial.reports), list(trial.reported_at), strict=False):
        seconds += report.train_seconds
        if choice.metric in report.metrics:
            at.append({TIMES[0]: report.epoch, TIMES[1]: seconds, TIMES[2]: moment - began}[choice.time])
            values.append(report.metrics[choice.metric])
    return at, smoothed(values, choice.smoothing)


def began_at(trial: Trial, state: StudyState) -> float:
    """Returns when the study began, by the clock of a trial's reports, in seconds since 1970.

    Another run recorded the reports of a reused trial, before this study or while it was under way: its curve begins
    where this study took the trial over, and takes as long as it did then.
    """
    first = trial.started_at or trial.reported_at
    if not trial.reused_from or not first:
        return state.header.at
    return first[0] - (trial.proposed_at - state.header.at)


def _line(trial: Trial, *, choice: CurveChoice, state: StudyState, colour: str) -> dict[str, Any]:
    at, values = _points(trial, choice=choice, state=state)
    name = f"{trial.name} ({trial.variant.family})" if choice.by == "family" else trial.name
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escape(name),
        "x": at,
        "y": values,
        "line": {"color": colour, "width": 2},
        "marker": {"size": 4},
        "opacity": 0.5 if trial.stop is not None else 1.0,
        "hovertemplate": f"<b>{escape(name)}</b><br>%{{x}}: %{{y:.4f}}<extra></extra>",
    }


def _joined(trials: Sequence[Trial], *, choice: CurveChoice, state: StudyState) -> dict[str, Any]:
    """Returns many curves as one trace with gaps between them, which a browser draws at once."""
    at: list[float | None] = []
    values: list[float | None] = []
    names: list[str] = []
    for trial in trials:
        found = _points(trial, choice=choice, state=state)
        at += [*found[0], None]
        values += [*found[1], None]
        names += [trial.name] * (len(found[0]) + 1)
    return {
        "type": "scattergl",
        "mode": "lines",
        "name": f"{len(trials)} trials",
        "x": at,
        "y": values,
        "text": names,
        "line": {"color": NEUTRAL, "width": 1},
        "opacity": 0.5,
        "hovertemplate": "<b>%{text}</b><br>%{x}: %{y:.4f}<extra></extra>",
    }
