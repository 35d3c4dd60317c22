"""A model as a picture: its layers from the images down, each with its output's shape and its parameters."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from orchestrator.views.report.figures import NEUTRAL, RANK_COLOURS

_HEIGHT_PIXELS = 26


def layers_figure(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Returns a bar a layer, as wide as it has parameters; None for a model without layers.

    Args:
        rows: As `FleetModel.layers` returns them.
    """
    if not rows:
        return None
    names = [f"{place}. {row.get('name')} ({row.get('class')})" for place, row in enumerate(rows, start=1)]
    numbers = [row.get("parameters") or 0 for row in rows]
    texts = [f"{_shape(row.get('output'))}, {number:,}" for row, number in zip(rows, numbers, strict=True)]
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": [escape(name) for name in names],
        "x": numbers,
        "text": [escape(text) for text in texts],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": [RANK_COLOURS[1] if row.get("trainable", True) else NEUTRAL for row in rows]},
        "hovertemplate": "%{y}<br>%{text} parameters<extra></extra>",
    }
    layout = {
        "height": 70 + _HEIGHT_PIXELS * len(rows),
        "margin": {"l": 260, "r": 170, "t": 10, "b": 40},
        "xaxis": {"title": {"text": "parameters"}, "rangemode": "tozero"},
        "yaxis": {"type": "category", "autorange": "reversed"},
        "showlegend": False,
    }
    return {"data": [trace], "layout": layout}


def _shape(output: Any) -> str:
    """Returns a shape as text.

    >>> _shape([None, 8, 8, 16]), _shape(None)
    ('? x 8 x 8 x 16', '?')
    """
    if not isinstance(output, list | tuple):
        return "?" if output is None else str(output)
    return " x ".join("?" if size is None else str(size) for size in output)
