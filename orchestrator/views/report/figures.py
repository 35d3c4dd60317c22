"""The figures of the report as plotly's JSON; the page's script adds the colours of text and grid."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pyarrow as pa

from orchestrator.journal.trial import TrialState
from orchestrator.results import from_tables, words
from orchestrator.text import number

#: The best trials' colours by rank, each visible on a light and on a dark page.
RANK_COLOURS = ("#e4572e", "#2e86de", "#1fa37a", "#b45fd6", "#d99a00")
NEUTRAL = "#8b93a1"
#: Colours of the parallel coordinates, worst to best.
_SCALE = [[0.0, "#9aa3b2"], [0.5, "#2e86de"], [1.0, "#e4572e"]]
_AXIS_PIXELS = 100
_NOT_SET = "not set"


def learning_curves(trials: pa.Table, *, epochs: pa.Table, board: pa.Table, metric: str) -> dict[str, Any] | None:
    """Returns the objective by epoch, a line a trial; None without reports.

    The best trials are coloured and named, stopped ones dim.
    """
    lines = from_tables.curves(epochs, metric)
    if not lines:
        return None
    ranks = dict(zip(board["trial"].to_pylist(), board["rank"].to_pylist(), strict=True))
    rows = [row for row in trials.to_pylist() if row["trial"] in lines]
    # Plotly draws the last line on top, so the best trials come last.
    unranked = len(rows) + 1
    rows.sort(key=lambda row: -ranks.get(row["trial"], unranked))
    traces = [_curve(row, line=lines[row["trial"]], rank=ranks.get(row["trial"])) for row in rows]
    num_epochs = max(at[-1] for at, _ in lines.values())
    layout = {
        "height": 440,
        "margin": {"l": 60, "r": 20, "t": 36, "b": 50},
        "hovermode": "closest",
        "legend": {"traceorder": "reversed"},
        "xaxis": {"title": {"text": "epoch"}, "tickformat": "d", "dtick": max(1, -(-num_epochs // 12))},
        "yaxis": {"title": {"text": escape(words.with_split(metric))}},
    }
    return {"data": traces, "layout": layout}


def parallel_coordinates(board: pa.Table, *, metric: str, mode: str) -> dict[str, Any] | None:
    """Returns the ranked trials as lines through their parameters and best value; None if no figure results."""
    axes = [_axis("family", board["family"].to_pylist())] if len(set(board["family"].to_pylist())) > 1 else []
    axes += [
        _axis(name.removeprefix(from_tables.PARAMETER_PREFIX), board[name].to_pylist())
        for name in from_tables.varying_columns(board)
    ]
    if board.num_rows < 2 or not axes:
        return None
    values = board[f"best_{metric}"].to_pylist()
    axes.append({"label": _label(f"best {metric}"), "values": values})
    line = {"color": values, "colorscale": _SCALE, "reversescale": mode == "min"}
    fonts = {"labelfont": {"size": 13}, "tickfont": {"size": 12}}
    trace = {"type": "parcoords", "dimensions": axes, "line": line, **fonts}
    layout = {
        "height": 440,
        "margin": {"l": 90, "r": 80, "t": 60, "b": 30},
        "width": _AXIS_PIXELS * len(axes) + 150,
    }
    return {"data": [trace], "layout": layout}


def plotly_figure(plot: Mapping[str, Any]) -> Any:
    """Returns a figure's JSON as a `plotly.graph_objects.Figure`, which notebooks draw by themselves."""
    # Late: no report needs it, and it takes a second.
    import plotly.graph_objects as go

    return go.Figure(plot)


def _curve(row: Mapping[str, Any], *, line: tuple[list[int], list[float]], rank: int | None) -> dict[str, Any]:
    is_named = rank is not None and rank <= len(RANK_COLOURS)
    is_stopped = row["state"] == TrialState.STOPPED
    colour = RANK_COLOURS[rank - 1] if is_named and rank is not None else NEUTRAL
    params = [
        f"{escape(name.removeprefix(from_tables.PARAMETER_PREFIX))}={escape(number(value))}"
        for name, value in row.items()
        if name.startswith(from_tables.PARAMETER_PREFIX) and value is not None
    ]
    message = "<br>".join([f"<b>{row['trial']}</b> {row['state']}, {escape(row['family'])}", *params])
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": f"{rank}. {row['trial']}" if is_named else row["trial"],
        "showlegend": is_named,
        "x": line[0],
        "y": line[1],
        "line": {"color": colour, "width": 2.5 if is_named else 1.3},
        "marker": {"size": 5 if is_named else 4},
        "opacity": 0.4 if is_stopped else 1.0,
        "hovertemplate": f"{message}<br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
    }


def _axis(name: str, values: Sequence[Any]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    is_numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
    axis = _numeric_axis(values) if is_numeric else _categorical_axis(values)
    return {"label": _label(name + (" (log)" if is_numeric and _is_log(known) else "")), **axis}


def _categorical_axis(values: Sequence[Any]) -> dict[str, Any]:
    names = [number(value) or _NOT_SET for value in values]
    ticks = sorted(set(names), key=lambda name: (name != _NOT_SET, name))
    return {
        "values": [ticks.index(name) for name in names],
        "tickvals": list(range(len(ticks))),
        "ticktext": [_short(tick) for tick in ticks],
        "range": [-0.3, len(ticks) - 0.7] if len(ticks) > 1 else [-1, 1],
    }


def _numeric_axis(values: Sequence[float | None]) -> dict[str, Any]:
    """Returns a numeric axis; trials without a value lie on a tick of their own below the others."""
    known = sorted({float(value) for value in values if value is not None})
    is_log = _is_log(known)
    low, high = _scaled(known[0], is_log=is_log), _scaled(known[-1], is_log=is_log)
    ticks = _ticks(known, is_log=is_log)
    tickvals, ticktext = [_scaled(tick, is_log=is_log) for tick in ticks], [number(tick) for tick in ticks]
    below = low - 0.2 * ((high - low) or 1.0)
    if any(value is None for value in values):
        tickvals, ticktext = [below, *tickvals], [_NOT_SET, *ticktext]
    return {
        "values": [below if value is None else _scaled(float(value), is_log=is_log) for value in values],
        "tickvals": tickvals,
        "ticktext": ticktext,
    }


def _ticks(known: Sequence[float], *, is_log: bool) -> list[float]:
    """Returns where an axis is marked: each value if they are few, else the ends and round values between."""
    if len(known) <= 6:
        return list(known)
    if is_log:
        first, last = math.ceil(math.log10(known[0])), math.floor(math.log10(known[-1]))
        return sorted({known[0], known[-1], *(10.0**power for power in range(first, last + 1))})
    ticks = [known[0] + (known[-1] - known[0]) * index / 4 for index in range(5)]
    return [float(round(tick)) for tick in ticks] if all(value.is_integer() for value in known) else ticks


def _is_log(known: Sequence[float]) -> bool:
    return bool(known) and min(known) > 0 and max(known) / min(known) >= 100


def _scaled(value: float, *, is_log: bool) -> float:
    return math.log10(value) if is_log else value


def _label(label: str) -> str:
    return escape(_short(label))


def _short(label: str) -> str:
    """Returns a label short enough for an axis, not escaped: plotly shows ticks of parallel coordinates as they are."""
    return label if len(label) <= 24 else f"{label[:23]}…"
