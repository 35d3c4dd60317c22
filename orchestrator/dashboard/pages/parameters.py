"""The page of a run's parameters: what mattered, what each value did, and trials by two quantities."""

import asyncio
from collections.abc import Callable
from html import escape
from typing import Any

from nicegui import ui

from orchestrator.analysis.analysis import Analysis, analysis_of
from orchestrator.dashboard.answers.trial_rows import trial_columns, trial_grid_rows
from orchestrator.dashboard.parts.figures import Figure
from orchestrator.dashboard.parts.frame import panel, say, show_run
from orchestrator.dashboard.parts.live import Live
from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.results.from_tables import leaderboard
from orchestrator.results.image_shares import image_shares
from orchestrator.results.tables import trials_table
from orchestrator.views.report import analysis_figures
from orchestrator.views.report.figures import NEUTRAL, RANK_COLOURS, parallel_coordinates
from orchestrator.views.report.front_section import hypervolume_figure, objectives_figure

#: More lines than these are a blot; the best ones are drawn.
MOST_LINES = 1000


def add_parameters_page(live: Live) -> None:
    """Adds the page."""

    @ui.page("/run/{key}/parameters", response_timeout=60)
    async def parameters(key: str) -> None:
        await show_run(live, key, title="parameters", tab="Parameters", show=_show)


def _show(run: FollowedRun) -> Callable[[], None] | None:
    if len(run.state.header.goals) > 1:
        with panel("Front", note="Trials that no other one beats in every objective, and how much they dominate."):
            Figure("No trial has ended with a value of every objective yet.").show(objectives_figure(run.state))
            Figure("").show(hypervolume_figure(run.state))
    note = "A line a trial. Drag along an axis to keep only the lines through that range; double-click to undo."
    with panel("Parallel coordinates", note=f"{note} The best {MOST_LINES:,} at most."):
        lines = Figure("Shown once two trials that differ in a parameter have ended with a result.")
    scatter = _Scatter(run)
    with panel(
        "Importance", note="The share of the differences between trials that each parameter explains, with 95 %."
    ):
        importance = ui.element("div").style("width: 100%")
    with panel("Effects", note="The mean of the objective for each value or range of a parameter, with 95 %."):
        effects = Figure("Shown once enough trials have a value.")
        pair = Figure("")
    stale = ui.element("div").classes("controls")

    async def draw() -> None:
        stale.clear()
        scatter.refresh()
        lines.show(await asyncio.to_thread(run.answer, "parallel", lambda: _parallel(run)))
        analysis = await asyncio.to_thread(run.answer, "analysis", lambda: _analysis(run))
        effects.show(analysis_figures.effect_plots(analysis.effects, metric=analysis.metric))
        pair.show(_pair(analysis))
        importance.clear()
        with importance:
            if analysis.importance.reason:
                say(analysis.importance.reason)
            Figure("").show(analysis_figures.importance_bars(analysis.importance.parameters))

    def refresh() -> None:
        stale.clear()
        with stale:
            ui.button("More trials have reported: draw again", on_click=draw).props("outline dense no-caps")

    ui.timer(0, draw, once=True)
    return refresh


def _analysis(run: FollowedRun) -> Analysis:
    return analysis_of(run.state, shares=image_shares(run.folder))


def _pair(analysis: Analysis) -> dict[str, Any] | None:
    if analysis.pair is None:
        return None
    return analysis_figures.pair_map(analysis.pair, metric=analysis.metric, mode=analysis.mode)


def _parallel(run: FollowedRun) -> dict[str, Any] | None:
    header = run.state.header
    board = leaderboard(trials_table(run.state), **header.ranking, k=MOST_LINES)
    figure = parallel_coordinates(board, metric=header.metric, mode=header.mode)
    if figure is not None:
        # The panel scrolls; a width of its own would not follow the page's.
        figure["layout"]["width"] = max(figure["layout"]["width"], 700)
    return figure


class _Scatter:
    """Trials as points by two quantities that readers choose."""

    def __init__(self, run: FollowedRun) -> None:
        self._run = run
        axes = _axes(run)
        params = [item.field for item in trial_columns(run) if item.is_number and item.field.startswith("param.")]
        with panel("Scatter", note="A point a trial; points keep the state's colour."):
            with ui.element("div").classes("controls"):
                self._x = self._select(axes, params[0] if params else next(iter(axes)), "Across")
                objective = f"metric.{run.state.header.metric}"
                self._y = self._select(axes, objective if objective in axes else next(iter(axes)), "Up")
                self._log_x = ui.switch("log across", on_change=self.draw)
                self._log_y = ui.switch("log up", on_change=self.draw)
            self._figure = Figure("No trial has both.")
        self.draw()

    def _select(self, options: dict[str, str], value: str, label: str) -> ui.select:
        return (
            ui.select(options, value=value, label=label, on_change=self.draw)
            .props("dense options-dense")
            .style("min-width: 160px")
        )

    def refresh(self) -> None:
        """Draws the points again; what has come since can be chosen then."""
        for choice in (self._x, self._y):
            choice.set_options({**choice.options, **_axes(self._run)})
        self.draw()

    def draw(self) -> None:
        """Draws the points."""
        x, y = self._x.value, self._y.value
        rows = [row for row in trial_grid_rows(self._run) if row.get(x) is not None and row.get(y) is not None]
        states = dict.fromkeys(row["state"] for row in rows)
        colours = {"completed": RANK_COLOURS[2], "stopped": RANK_COLOURS[1], "failed": RANK_COLOURS[0]}
        traces = [
            {
                "type": "scattergl" if len(rows) > MOST_LINES else "scatter",
                "mode": "markers",
                "name": state,
                "x": [_text(row[x]) for row in rows if row["state"] == state],
                "y": [_text(row[y]) for row in rows if row["state"] == state],
                "text": [escape(row["trial"]) for row in rows if row["state"] == state],
                "marker": {"size": 8, "color": colours.get(state, NEUTRAL), "opacity": 0.75},
                "hovertemplate": "<b>%{text}</b><br>%{x}<br>%{y}<extra></extra>",
            }
            for state in states
        ]
        layout = {
            "height": 420,
            "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
            "xaxis": {"title": {"text": escape(x.partition(".")[2] or x)}, **_axis(self._log_x.value)},
            "yaxis": {"title": {"text": escape(y.partition(".")[2] or y)}, **_axis(self._log_y.value)},
            "showlegend": True,
        }
        self._figure.show({"data": traces, "layout": layout} if rows else None)


def _axes(run: FollowedRun) -> dict[str, str]:
    """Returns what axes may show: numbers, parameters of any kind, and the family."""
    columns = trial_columns(run)
    numbers = {item.field: item.title for item in columns if item.is_number and item.field != "rank"}
    others = {item.field: item.title for item in columns if not item.is_number}
    return {**numbers, **{name: title for name, title in others.items() if name.startswith(("param.", "family"))}}


def _text(value: Any) -> Any:
    """Returns a value as plotly takes it, which reads markup in texts."""
    return escape(value) if isinstance(value, str) else value


def _axis(is_log: bool) -> dict[str, str]:
    return {"type": "log"} if is_log else {}
