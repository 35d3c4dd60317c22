"""The section of a study's front: its trials, all trials by two objectives, and the hypervolume over the trials."""

from collections.abc import Sequence
from html import escape
from typing import Any

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
    board, volumes = placed(findings.state), hypervolumes(findings.state)
    front = [item for item in board if item.front == 1]
    if not front or volumes is None:
        return section("Front", empty("No trial has ended with a value of every objective yet."))
    names = [goal.metric for goal in goals]
    rows: list[list[Cell]] = [[item.trial.name, *item.values, item.report.epoch] for item in front]
    corner = ", ".join(f"{name} {number(value)}" for name, value in zip(names, volumes.reference, strict=True))
    parts = [table(["trial", *names, "epoch"], rows, numeric=[*names, "epoch"])]
    if len(goals) == 2:
        parts.insert(0, figure("front", _scatter(board, names=names)))
    parts.append(figure("hypervolume", _line(volumes.trials, volumes.volumes)))
    note = f"{_NOTE} The hypervolume is {number(volumes.volumes[-1])}, measured from {corner}."
    return section("Front", *parts, note=note)


def _scatter(board: Sequence[Placed], *, names: Sequence[str]) -> dict[str, Any]:
    """Returns every trial by its two objectives, those of the front joined by a line."""
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


def _line(trials: Sequence[str], volumes: Sequence[float]) -> dict[str, Any]:
    """Returns the hypervolume after each trial that ended with a result."""
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
