"""The sections of the report on what happened: the rungs as they were judged, and what each worker did when."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

from orchestrator.errors import OrchestratorError
from orchestrator.history.fleet_bars import FleetBar, fleet_bars
from orchestrator.history.fleet_timeline import FleetTimeline, fleet_timeline
from orchestrator.history.rung_entries import (
    COMPLETED,
    FAILED,
    OUTCOMES,
    PROMOTED,
    STOPPED,
    WAITS,
    WENT_ON,
    RungEntry,
)
from orchestrator.history.rung_table import JudgedRung, RungTable, rung_table
from orchestrator.history.wall_time import wall_parts
from orchestrator.journal.study_state import StudyState
from orchestrator.runs.paths import RunFolder
from orchestrator.study.loading import load_policy
from orchestrator.study.spec import Policy
from orchestrator.text import duration, moment
from orchestrator.views.report.figures import NEUTRAL, RANK_COLOURS
from orchestrator.views.report.markup import Cell, Markup, bullets, empty, figure, section, table
from orchestrator.views.report.sections import Findings

#: Rungs that the figure shows, the ones with most trials, and rows of the table, the last ones.
_MOST_PANELS, _MOST_ROWS = 9, 2000
#: Bars of all workers: about 60 bytes of the page each.
_MOST_BARS = 5000
_NUM_COLUMNS = 3
_ROW_PIXELS = 250
_LANE_PIXELS, _MOST_PIXELS = 22, 900
_OUTCOME_COLOURS = {
    WENT_ON: RANK_COLOURS[2],
    STOPPED: NEUTRAL,
    WAITS: RANK_COLOURS[4],
    PROMOTED: RANK_COLOURS[1],
    COMPLETED: RANK_COLOURS[3],
    FAILED: RANK_COLOURS[0],
}
KIND_COLOURS = {
    "train": "#2e86de",
    "validate": "#1fa37a",
    "checkpoint": "#d99a00",
    "trace": "#b45fd6",
    "build": "#6d7ae0",
    "import": "#9aa3b2",
    "data": "#5fb3b3",
    "start": "#c3c9d4",
    "idle": "#dfe3ea",
    "report": "#a08060",
    "other": "#7d8590",
    "lost": "#c02b2b",
    "failed": "#e4572e",
    "running": "#7db1ff",
}
_RUNGS_NOTE = (
    "A trial is judged when it comes to a rung, with those that were there before: the line is the cut-off that each "
    "one met. What became of a trial is what the journal says."
)
_FLEET_NOTE = (
    "A line a worker process. The bars follow from the seconds that reports account for, laid out backwards from the "
    "moment at which each report came; short ones are joined and have the colour of what took most of their time."
)


_WALL_NOTE = (
    "Seconds from the begin of the command; parts may pass at the same time. What comes after this page is missing."
)


def rungs_section(findings: Findings) -> Markup:
    """Returns the rungs of the study, with a figure and every decision; no section for a rule without rungs."""
    found = rung_table(findings.state, spec=_policy(findings.folder))
    entries = found.entries if found is not None else []
    if found is None or not entries:
        return Markup("")
    headings = ["rung", "trial", found.metric, "rank", "cut-off", "became", "reason"]
    shown = entries[-_MOST_ROWS:]
    rows: list[list[Cell]] = [
        [
            _rung_name(entry.bracket, entry.milestone, has_several=len(found.brackets) > 1),
            entry.trial,
            entry.value,
            f"{entry.rank} of {entry.num_there}",
            entry.cutoff,
            entry.outcome,
            entry.reason,
        ]
        for entry in shown
    ]
    left = len(entries) - len(shown)
    parts = [figure("rungs", _panels(found)), table(headings, rows, numeric=[found.metric, "rank", "cut-off"])]
    if left:
        parts.append(empty(f"{left:,} earlier rows are left out."))
    return section("Rungs", *parts, note=f"{_RUNGS_NOTE} The rule is {found.rule}.")


def fleet_section(findings: Findings) -> Markup:
    """Returns what each worker did when; no section without a report of a worker."""
    timeline = fleet_timeline(findings.state)
    plot = workers_figure(timeline)
    if plot is None:
        return Markup("")
    return section("Workers over time", figure("fleet", plot), bullets(_said(timeline)), note=_FLEET_NOTE)


def wall_section(findings: Findings) -> Markup:
    """Returns what the last session spent its wall time on; no section for runs of versions that kept nothing of it."""
    parts = wall_parts(findings.state, folder=findings.folder)
    if not parts:
        return Markup("")
    rows: list[list[Cell]] = [[part.name, part.begin, part.end, part.end - part.begin] for part in parts]
    headings = ["part", "from, s", "to, s", "seconds"]
    return section("The last session's wall time", table(headings, rows, numeric=headings[1:]), note=_WALL_NOTE)


def rungs_plot(state: StudyState, *, folder: RunFolder) -> dict[str, Any] | None:
    """Returns a plot of each rung as it was judged; None for a rule without rungs, and before a trial came to one.

    Args:
        state: The study.
        folder: Its run folder, whose study file has the rule.
    """
    found = rung_table(state, spec=_policy(folder))
    return _panels(found) if found is not None and found.entries else None


def fleet_plot(state: StudyState) -> dict[str, Any] | None:
    """Returns what each worker did when, a line a worker; None without a report of a worker."""
    return workers_figure(fleet_timeline(state))


def _policy(folder: RunFolder) -> Policy | None:
    """Returns the sections of the run's study file that rungs follow from; None where they cannot be read."""
    if not folder.study.is_file():
        return None
    try:
        return load_policy(folder.study)
    except OrchestratorError:
        return None


def _rung_name(bracket: int, milestone: float, *, has_several: bool) -> str:
    epoch = f"epoch {milestone:g}"
    return f"bracket {bracket}, {epoch}" if has_several else epoch


def _panels(found: RungTable) -> dict[str, Any]:
    """Returns a plot a rung: the trials in the order in which they came, and the cut-off that each one met."""
    rungs = [rung for bracket in found.brackets for rung in bracket.rungs if rung.entries]
    largest = sorted(rungs, key=lambda rung: -len(rung.entries))[:_MOST_PANELS]
    shown = [rung for rung in rungs if rung in largest]
    traces: list[dict[str, Any]] = []
    axes: dict[str, Any] = {}
    titles: list[dict[str, Any]] = []
    named: set[str] = set()
    for place, rung in enumerate(shown):
        suffix = "" if place == 0 else str(place + 1)
        traces += _rung_traces(rung, suffix=suffix, named=named)
        name = _rung_name(rung.bracket, rung.milestone, has_several=len(found.brackets) > 1)
        domain = {"xref": f"x{suffix} domain", "yref": f"y{suffix} domain", "x": 0.5, "y": 1.0, "yanchor": "bottom"}
        titles.append({"text": f"<b>{escape(name)}</b>", "showarrow": False, **domain})
        axes[f"xaxis{suffix}"] = {"tickformat": "d"}
        axes[f"yaxis{suffix}"] = {} if place % _NUM_COLUMNS else {"title": {"text": escape(found.metric)}}
    num_rows, num_columns = -(-len(shown) // _NUM_COLUMNS), min(len(shown), _NUM_COLUMNS)
    layout = {
        "height": 90 + _ROW_PIXELS * num_rows,
        "margin": {"l": 60, "r": 20, "t": 40, "b": 60},
        "annotations": titles,
        "hovermode": "closest",
        "legend": {"orientation": "h", "y": -0.12},
        "grid": {"rows": num_rows, "columns": num_columns, "pattern": "independent", "ygap": 0.3},
        **axes,
    }
    return {"data": traces, "layout": layout}


def _rung_traces(rung: JudgedRung, *, suffix: str, named: set[str]) -> Iterator[dict[str, Any]]:
    """Yields the cut-offs of a rung and its trials by what became of them; a name is in the legend once."""
    axes = {"type": "scatter", "xaxis": f"x{suffix}", "yaxis": f"y{suffix}"}
    numbered = list(enumerate(rung.entries, start=1))
    met = [(number, entry.cutoff) for number, entry in numbered if entry.cutoff is not None]
    if met:
        yield {
            **axes,
            **_legend("cut-off", named),
            "mode": "lines",
            "x": [number for number, _ in met],
            "y": [_brief(cutoff) for _, cutoff in met],
            "line": {"shape": "hv", "color": RANK_COLOURS[0], "width": 1.3},
            "hoverinfo": "skip",
        }
    for outcome in OUTCOMES:
        points = [(number, entry) for number, entry in numbered if entry.outcome == outcome]
        if points:
            yield {
                **axes,
                **_legend(outcome, named),
                "mode": "markers",
                "x": [number for number, _ in points],
                "y": [_brief(entry.value) for _, entry in points],
                "text": [_hover(entry) for _, entry in points],
                "marker": {"size": 7, "color": _OUTCOME_COLOURS[outcome]},
                "hovertemplate": "%{text}<extra></extra>",
            }


def _legend(name: str, named: set[str]) -> dict[str, Any]:
    is_first = name not in named
    named.add(name)
    return {"name": name, "legendgroup": name, "showlegend": is_first}


def _hover(entry: RungEntry) -> str:
    return f"<b>{escape(entry.trial)}</b> {entry.value:.4g}, {entry.rank} of {entry.num_there}"


def _brief(value: float) -> float:
    """Returns a number that takes few letters in the page."""
    return float(f"{value:.6g}")


def workers_figure(timeline: FleetTimeline) -> dict[str, Any] | None:
    """Returns a line a worker and a bar for each of its times, by minutes since the first; None without any."""
    if not timeline.spans:
        return None
    bars = fleet_bars(timeline, most=_MOST_BARS)
    kinds = [kind for kind in KIND_COLOURS if any(bar.kind == kind for bar in bars)]
    kinds += sorted({bar.kind for bar in bars} - set(kinds))
    traces = [_bars_of(kind, [bar for bar in bars if bar.kind == kind], start=timeline.start) for kind in kinds]
    names = [escape(lane.name) for lane in timeline.lanes]
    step = -(-len(names) // max(1, _MOST_PIXELS // _LANE_PIXELS))
    layout = {
        "height": 150 + min(_MOST_PIXELS, _LANE_PIXELS * len(names)),
        "margin": {"l": 140, "r": 20, "t": 60, "b": 50},
        "barmode": "overlay",
        "bargap": 0.15,
        "hovermode": "closest",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
        "xaxis": {"title": {"text": escape(f"minutes since {moment(timeline.start)}")}},
        "yaxis": {
            "autorange": "reversed",
            "tickvals": list(range(0, len(names), step)),
            "ticktext": names[::step],
            "showgrid": False,
        },
    }
    return {"data": traces, "layout": layout}


def _bars_of(kind: str, bars: Sequence[FleetBar], *, start: float) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "name": escape(kind),
        "y": [bar.lane for bar in bars],
        "base": [round((bar.start - start) / 60, 3) for bar in bars],
        "x": [round((bar.end - bar.start) / 60, 4) for bar in bars],
        "text": [_trials(bar) for bar in bars],
        "textposition": "none",
        "marker": {"color": KIND_COLOURS.get(kind, NEUTRAL)},
        "hovertemplate": f"{escape(kind)}, %{{text}}: %{{x}} min<extra></extra>",
    }


def _trials(bar: FleetBar) -> str:
    first, *others = bar.trials
    return escape(f"{first} and {len(others)} more" if others else first)


def _said(timeline: FleetTimeline) -> Iterator[str]:
    """Yields what stopping saved, what was lost with workers, and what the bars leave out."""
    saved, losses = timeline.saved, timeline.losses
    if saved.num_stopped:
        yield (
            f"Stopping {saved.num_stopped} weak trials early saved {saved.epochs} epochs, an estimated "
            f"{duration(saved.seconds)} of workers' time."
        )
    if losses:
        workers = "1 worker was" if len(losses) == 1 else f"{len(losses)} workers were"
        yield (
            f"{workers} lost, with {duration(sum(loss.seconds for loss in losses))} of work since their last reports; "
            f"trials were taken up again {timeline.num_retries} times."
        )
    if timeline.cut_seconds >= 1:
        yield (
            f"{duration(timeline.cut_seconds)} are in no bar: seconds ahead of a session's begin, or of a trial's "
            "start, where clocks disagree or an earlier worker had spent them."
        )
