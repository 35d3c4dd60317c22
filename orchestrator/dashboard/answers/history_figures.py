"""Rungs, and what workers' seconds were spent on, as plotly's JSON."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from orchestrator.history.fleet_timeline import FleetTimeline
from orchestrator.history.rung_entries import RungEntry
from orchestrator.history.rung_table import RungTable
from orchestrator.views.report.figures import NEUTRAL, RANK_COLOURS
from orchestrator.views.report.history_section import KIND_COLOURS

_OUTCOMES = {
    "went on": RANK_COLOURS[2],
    "promoted": RANK_COLOURS[2],
    "completed": RANK_COLOURS[2],
    "stopped": RANK_COLOURS[0],
    "failed": RANK_COLOURS[3],
    "waits": RANK_COLOURS[4],
}


def rungs_figure(table: RungTable) -> dict[str, Any] | None:
    """Returns who stood at each rung with which value, and the cut-offs of those moments; None without a rung."""
    entries = sorted(table.entries, key=lambda entry: (entry.bracket, entry.milestone))
    if not entries:
        return None
    several = len(table.brackets) > 1
    places = {
        entry: f"bracket {entry.bracket}, epoch {entry.milestone:g}" if several else f"epoch {entry.milestone:g}"
        for entry in entries
    }
    by_outcome = defaultdict(list)
    for entry in entries:
        by_outcome[entry.outcome].append(entry)
    traces = [_outcome(outcome, found, places=places) for outcome, found in by_outcome.items()]
    layout = {
        "height": 440,
        "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
        "boxmode": "overlay",
        "xaxis": {"type": "category", "categoryorder": "array", "categoryarray": list(dict.fromkeys(places.values()))},
        "yaxis": {"title": {"text": escape(table.metric)}},
    }
    return {"data": [*traces, _cutoffs(entries, places=places)], "layout": layout}


def _outcome(outcome: str, entries: Sequence[RungEntry], *, places: Mapping[RungEntry, str]) -> dict[str, Any]:
    """Returns trials of one outcome as points that do not hide each other: boxes without the boxes."""
    return {
        "type": "box",
        "name": outcome,
        "x": [places[entry] for entry in entries],
        "y": [entry.value for entry in entries],
        "text": [
            f"<b>{escape(entry.trial)}</b>, rank {entry.rank} of {entry.num_there} then<br>{escape(entry.reason)}"
            for entry in entries
        ],
        "boxpoints": "all",
        "jitter": 0.6,
        "pointpos": 0,
        "fillcolor": "rgba(0,0,0,0)",
        "line": {"color": "rgba(0,0,0,0)"},
        "marker": {"color": _OUTCOMES.get(outcome, NEUTRAL), "size": 8, "opacity": 0.8},
        "hoveron": "points",
        "hovertemplate": "%{text}<br>%{y:.4f}<extra></extra>",
    }


def _cutoffs(entries: Sequence[RungEntry], *, places: Mapping[RungEntry, str]) -> dict[str, Any]:
    by_time = sorted((entry for entry in entries if entry.cutoff is not None), key=lambda entry: entry.at)
    last = {places[entry]: entry.cutoff for entry in by_time}
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "last cut-off",
        "x": list(last),
        "y": list(last.values()),
        "marker": {"symbol": "line-ew-open", "size": 46, "color": NEUTRAL, "line": {"width": 2}},
        "hovertemplate": "cut-off %{y:.4f}<extra></extra>",
    }


def seconds_figure(timeline: FleetTimeline) -> dict[str, Any] | None:
    """Returns what the workers' seconds were spent on, the most first; None without a second."""
    found = sorted(((seconds, kind) for kind, seconds in timeline.seconds.items() if seconds > 0))
    if not found:
        return None
    total = sum(seconds for seconds, _ in found)
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": [escape(kind) for _, kind in found],
        "x": [seconds for seconds, _ in found],
        "text": [f"{seconds:.1f} s, {100 * seconds / total:.1f} %" for seconds, _ in found],
        "marker": {"color": [KIND_COLOURS.get(kind, NEUTRAL) for _, kind in found]},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    layout = {
        "height": 80 + 30 * len(found),
        "margin": {"l": 110, "r": 20, "t": 10, "b": 40},
        "xaxis": {"title": {"text": "seconds, all workers together"}},
        "yaxis": {"type": "category"},
        "showlegend": False,
    }
    return {"data": [trace], "layout": layout}
