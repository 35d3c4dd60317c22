"""The section of a study's front: its trials, all trials by two objectives, and the hypervolume over the trials."""

from collections.abc import Sequence
from html import escape
from typing import Any

from orchestrator.journal.study_state import StudyState
from orchestrator.results.from_state import hypervolumes, placed
from orchestrator.results.ranking import Placed
from orchestrator.text import number
from orchestrator.views.report.figures import NEUTRAL, RANK_COLOURS
from orchestrator.views.report.markup import Cell, Markup, empty, figure, section, table
from orchestrator.views.report.sections import Findings

_NOTE = (
    "No trial of the front is better than another of it in one objective and none worse. A trial's values are those of "
    "its best epoch by the first objective, and its costs."
)


def front_section(findings: Findings) -> Markup:
    """Returns the front, with a figure for two objectives, and its hypervolume; no section for one objective."""
    goals = findings.state.header.goals
    if len(goals) == 1:
        return Markup("")
    state = findings.state
    volumes = hypervolumes(state)
    front = [item for item in placed(state) if item.front == 1]
    if not front or volumes is None:
        return section("Front", empty("No trial has ended with a value of every objective yet."))
    names = [goal.metric for goal in goals]
    rows: list[list[Cell]] = [[item.trial.name, *item.values, item.report.epoch] for item in front]
    corner = ", ".join(f"{name} {number(value)}" for name, value in zip(names, volumes.reference, strict=True))
    parts = [table(["trial", *names, "epoch"], rows, numeric=[*names, "epoch"])]
    if (plot := objectives_figure(state)) is not None:
        parts.insert(0, figure("front", plot))
    if (plot := hypervolume_figure(state)) is not None:
        parts.append(figure("hypervolume", plot))
    note = f"{_NOTE} The hypervolume is {number(volumes.volumes[-1])}, measured from {corner}."
    return section("Front", *parts, note=note)


def objectives_figure(state: StudyState) -> dict[str, Any] | None:
    """Returns every trial by its two objectives, those of the front joined by a line; None for another number."""
    names, board = [goal.metric for goal in state.header.goals], placed(state)
    if len(names) != 2 or not any(item.front == 1 for item in board):
        return None
    whole = [item for item in board if item.front is not None]
    front = sorted((item for item in whole if item.front == 1), key=lambda item: item.values[1] or 0.0)
    others = [item for item in whole if item.front != 1]
    traces = [
        _points(others, name="other trials", mode="markers", colour=NEUTRAL),
        _points(front, name="front", mode="lines+markers", colour=RANK_COLOURS[0]),
    ]
    layout = {
        "height": 440,
        "margin": {"l": 70, "r": 20, "t": 36, "b": 50},
        "hovermode": "closest",
        "xaxis": {"title": {"text": escape(names[1])}},
        "yaxis": {"title": {"text": escape(names[0])}},
    }
    return {"data": traces, "layout": layout}


def _points(items: Sequence[Placed], *, name: str, mode: str, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": mode,
        "name": name,
        "x": [item.values[1] for item in items],
        "y": [item.values[0] for item in items],
        "text": [item.trial.name for item in items],
        "marker": {"size": 9, "color": colour},
        "line": {"color": colour, "width": 1.5},
        "hovertemplate": "<b>%{text}</b><br>%{x}<br>%{y}<extra></extra>",
    }


def hypervolume_figure(state: StudyState) -> dict[str, Any] | None:
    """Returns the hypervolume after each trial that ended with a result; None without one."""
    found = hypervolumes(state)
    if found is None:
        return None
    trials, volumes = found.trials, found.volumes
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": list(range(1, len(trials) + 1)),
        "y": list(volumes),
        "text": list(trials),
        "line": {"color": RANK_COLOURS[1], "shape": "hv"},
        "hovertemplate": "after <b>%{text}</b>: %{y}<extra></extra>",
    }
    layout = {
        "height": 300,
        "margin": {"l": 70, "r": 20, "t": 20, "b": 50},
        "xaxis": {"title": {"text": "trials that ended with a result"}, "tickformat": "d"},
        "yaxis": {"title": {"text": "hypervolume"}},
    }
    return {"data": [trace], "layout": layout}
