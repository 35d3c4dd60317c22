"""Plotly's figures on the dashboard's background, in its colours."""

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from orchestrator.dashboard.parts.frame import say

_HEIGHT = 420
_GRID = {"gridcolor": "rgba(128,128,128,0.22)", "zerolinecolor": "rgba(128,128,128,0.4)"}
#: No button sends a figure's data to a server of plotly's.
_CONFIG = {"displaylogo": False, "showSendToCloud": False, "plotlyServerURL": "", "responsive": True,
           "modeBarButtonsToRemove": ["select2d", "lasso2d"]}  # fmt: skip


def themed(figure: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a figure without a background of its own; CSS gives its text the page's colour."""
    layout = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "uirevision": "same",
              "modebar": {"bgcolor": "rgba(0,0,0,0)"}, **figure["layout"]}  # fmt: skip
    axes = [name for name in layout if name.startswith(("xaxis", "yaxis"))] or ["xaxis", "yaxis"]
    layout |= {name: {**_GRID, **layout.get(name, {})} for name in axes}
    # A tuple: NiceGUI wraps each list and each dict of a list, to see who changes it, which takes longer than all else.
    return {"data": tuple(figure["data"]), "layout": layout, "config": _CONFIG}


class Figure:
    """A place for a figure that may come later, or change; a sentence stands there while there is none.

    Args:
        missing: The sentence.
    """

    def __init__(self, missing: str) -> None:
        self._missing = missing
        self._place = ui.element("div").style("width: 100%; min-width: 0")
        self._plot: ui.plotly | None = None
        self._is_empty = False
        self._shown: Mapping[str, Any] | None = None

    def show(self, figure: Mapping[str, Any] | None) -> None:
        """Draws a figure, or says that there is none; one that is drawn already is not sent again."""
        if figure is not None and figure == self._shown:
            return
        self._shown = figure
        if figure is not None and self._plot is not None:
            self._plot.style(f"height: {figure['layout'].get('height', _HEIGHT)}px")
            self._plot.update_figure(themed(figure))
            return
        if figure is None and self._is_empty:
            return
        self._place.clear()
        self._plot, self._is_empty = None, figure is None
        with self._place:
            if figure is None:
                say(self._missing)
            else:
                height = figure["layout"].get("height", _HEIGHT)
                self._plot = ui.plotly(themed(figure)).style(f"width: 100%; height: {height}px")
