"""The figures of a run's analysis as plotly's JSON."""

from collections.abc import Sequence
from html import escape
from typing import Any

from orchestrator.analysis.effects import Effect, Pair
from orchestrator.analysis.importance import ParameterImportance
from orchestrator.analysis.progress import Improvement
from orchestrator.views.report.figures import NEUTRAL, RANK_COLOURS

_CLEAR, _UNCLEAR = RANK_COLOURS[1], NEUTRAL
#: The effects of so many parameters are drawn; all of them are in the table.
_NUM_EFFECTS = 6
_NUM_COLUMNS = 3
_ROW_PIXELS = 240


def importance_bars(items: Sequence[ParameterImportance]) -> dict[str, Any] | None:
    """Returns a bar a parameter with its interval, most important on top; None without a number."""
    known = [item for item in reversed(items) if item.share is not None]
    if not known:
        return None
    ends = [(item.share or 0.0, item.low or 0.0, item.high or 0.0) for item in known]
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": [escape(item.name) for item in known],
        "x": [share for share, _, _ in ends],
        "marker": {"color": [_CLEAR if item.is_clear else _UNCLEAR for item in known]},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [high - share for share, _, high in ends],
            "arrayminus": [share - low for share, low, _ in ends],
        },
        "hovertemplate": "%{y}: %{x:.3f}<extra></extra>",
    }
    layout = {
        "height": 90 + 28 * len(known),
        "margin": {"l": 140, "r": 20, "t": 16, "b": 50},
        "xaxis": {"title": {"text": "share of the differences between trials"}, "range": [0, 1]},
        "yaxis": {"type": "category"},
    }
    return {"data": [trace], "layout": layout}


def effect_plots(effects: Sequence[Effect], *, metric: str) -> dict[str, Any] | None:
    """Returns a small plot a parameter, of the mean of each value with its interval; None without effects."""
    shown = effects[:_NUM_EFFECTS]
    if not shown:
        return None
    num_rows = -(-len(shown) // _NUM_COLUMNS)
    traces: list[dict[str, Any]] = []
    axes: dict[str, Any] = {}
    titles: list[dict[str, Any]] = []
    for place, effect in enumerate(shown):
        suffix = "" if place == 0 else str(place + 1)
        traces.append(_effect(effect, suffix=suffix))
        titles.append(_title(effect.parameter, suffix=suffix))
        axes[f"xaxis{suffix}"] = {"type": "category", "tickangle": 0, "tickfont": {"size": 10.5}}
        axes[f"yaxis{suffix}"] = {} if place % _NUM_COLUMNS else {"title": {"text": escape(f"mean {metric}")}}
        if place:
            axes[f"yaxis{suffix}"]["matches"] = "y"
    layout = {
        "height": 60 + _ROW_PIXELS * num_rows,
        "margin": {"l": 60, "r": 20, "t": 50, "b": 50},
        "annotations": titles,
        "showlegend": False,
        "grid": {"rows": num_rows, "columns": min(len(shown), _NUM_COLUMNS), "pattern": "independent", "ygap": 0.45},
        **axes,
    }
    return {"data": traces, "layout": layout}


def pair_map(pair: Pair, *, metric: str, mode: str) -> dict[str, Any]:
    """Returns the means of two parameters together as a map of colours, the best the lightest."""
    first, second = pair.parameters
    trace = {
        "type": "heatmap",
        "x": [escape(label) for label in pair.columns],
        "y": [escape(label) for label in pair.rows],
        "z": [list(row) for row in pair.means],
        "customdata": [list(row) for row in pair.num_trials],
        "colorscale": "Viridis",
        "reversescale": mode == "min",
        "colorbar": {"title": {"text": escape(f"mean {metric}")}},
        "hovertemplate": "%{y}, %{x}: %{z:.4f}, %{customdata} trials<extra></extra>",
        "hoverongaps": False,
    }
    layout = {
        "height": 380,
        "margin": {"l": 150, "r": 20, "t": 16, "b": 60},
        "xaxis": {"title": {"text": escape(second)}, "type": "category"},
        "yaxis": {"title": {"text": escape(first)}, "type": "category"},
    }
    return {"data": [trace], "layout": layout}


def progress_steps(steps: Sequence[Improvement], *, metric: str) -> dict[str, Any] | None:
    """Returns the best value so far against epochs, and by a button against other costs; None without reports."""
    if not steps:
        return None
    costs: dict[str, list[float]] = {
        "epochs trained": [step.num_epochs for step in steps],
        "trials": [step.num_trials for step in steps],
        "seconds": [step.seconds for step in steps],
        "core-seconds": [step.core_seconds for step in steps],
    }
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": costs["epochs trained"],
        "y": [step.value for step in steps],
        "line": {"shape": "hv", "color": _CLEAR},
        "text": [f"{escape(step.trial)} at epoch {step.epoch}" for step in steps],
        "hovertemplate": "%{text}: %{y:.4f}<extra></extra>",
    }
    buttons = [
        {"label": name, "method": "update", "args": [{"x": [spent]}, {"xaxis.title.text": name}]}
        for name, spent in costs.items()
    ]
    menu = {"type": "buttons", "direction": "right", "buttons": buttons, "x": 0, "xanchor": "left", "y": 1.2}
    layout = {
        "height": 360,
        "margin": {"l": 60, "r": 20, "t": 70, "b": 50},
        "updatemenus": [menu],
        "xaxis": {"title": {"text": "epochs trained"}},
        "yaxis": {"title": {"text": escape(f"best {metric}")}},
    }
    return {"data": [trace], "layout": layout}


def _title(parameter: str, *, suffix: str) -> dict[str, Any]:
    """Returns the name of a parameter above its plot."""
    place = {"xref": f"x{suffix} domain", "yref": f"y{suffix} domain", "x": 0.5, "y": 1.0, "yanchor": "bottom"}
    return {"text": f"<b>{escape(parameter)}</b>", "showarrow": False, **place}


def _effect(effect: Effect, *, suffix: str) -> dict[str, Any]:
    means = [item.mean for item in effect.bins]
    labels = [escape(item.label) for item in effect.bins]
    return {
        "type": "scatter",
        "mode": "lines+markers" if effect.is_ordered else "markers",
        # Ranges on several lines, so that they have room.
        "x": [label.replace(" to ", "<br>to<br>") for label in labels] if effect.is_ordered else labels,
        "y": means,
        "xaxis": f"x{suffix}",
        "yaxis": f"y{suffix}",
        "line": {"color": _CLEAR},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [(item.high if item.high is not None else item.mean) - item.mean for item in effect.bins],
            "arrayminus": [item.mean - (item.low if item.low is not None else item.mean) for item in effect.bins],
        },
        "customdata": [item.num_trials for item in effect.bins],
        "hovertemplate": "%{x}: %{y:.4f}, %{customdata} trials<extra></extra>",
    }
