"""Several runs side by side: best so far by what was spent, and the settings in which they differ."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Annotated, Any

from fastapi import Query
from nicegui import ui

from orchestrator.analysis.progress import Improvement, best_so_far_steps
from orchestrator.dashboard.answers.study_rows import study_row
from orchestrator.dashboard.answers.trial_rows import GridColumn
from orchestrator.dashboard.parts.figures import Figure
from orchestrator.dashboard.parts.frame import page_frame, panel, say
from orchestrator.dashboard.parts.grids import column, grid, put_rows
from orchestrator.dashboard.parts.live import Live, Pace
from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.dashboard.watching.settings import differing_settings
from orchestrator.views.report.figures import RANK_COLOURS

_COSTS = {
    "seconds": "seconds of work",
    "num_epochs": "epochs trained",
    "core_seconds": "core-seconds",
    "num_trials": "trials",
}
_ROWS = ("state", "best", "best_trial", "done", "stopped", "failed", "planned", "epochs", "train_seconds", "elapsed")


def add_compare_page(live: Live) -> None:
    """Adds the page."""

    @ui.page("/compare", response_timeout=60)
    async def compare(run: Annotated[list[str] | None, Query()] = None) -> None:
        await live.look()
        runs = [found for key in dict.fromkeys(run or ()) if (found := live.runs.get(key)) is not None]
        for item in runs:
            await live.read(item)
        with page_frame("Compare"):
            refresh = _show([item for item in runs if item.is_open])
        if refresh is not None:
            # Of all runs, as a page watches one or all; those of others change nothing here.
            live.watch(None, refresh)


def _show(runs: Sequence[FollowedRun]) -> Callable[[], None] | None:
    with ui.element("h1"):
        ui.label("Compare")
    if len(runs) < 2:
        say("Select two or more runs on the page of studies.")
        return None
    with panel("Best so far", note="The best value of the main objective, by what each run had spent with it."):
        choice = ui.toggle(_COSTS, value="seconds").props("no-caps dense")
        place = Figure("No report yet.")
        choice.on_value_change(lambda event: place.show(best_figure(runs, cost=event.value)))
        place.show(best_figure(runs, cost="seconds"))
    with panel("Results"):
        results = _by_run(_results(runs), runs)
    with panel("Settings that differ", note="From the study files; what all runs have alike is left out."):
        rows = differing_settings(runs)
        if rows:
            _by_run(rows, runs)
        else:
            say("The study files are the same.")

    def draw() -> None:
        place.show(best_figure(runs, cost=choice.value))
        put_rows(results, _by_place(_results(runs), runs), row_id="what")

    pace, versions = Pace(draw), [run.version for run in runs]

    def refresh() -> None:
        nonlocal versions
        if (now := [run.version for run in runs]) != versions:
            versions = now
            pace.run()

    return refresh


def _results(runs: Sequence[FollowedRun]) -> list[dict[str, str]]:
    return [{"what": name, **{run.key: _shown(study_row(run).get(name)) for run in runs}} for name in _ROWS]


def best_figure(runs: Sequence[FollowedRun], *, cost: str) -> dict[str, Any] | None:
    """Returns the best value so far of each run as a line; None without a report.

    Args:
        runs: Open ones.
        cost: What the axis shows, a field of `Improvement`.
    """
    traces = []
    for place, run in enumerate(runs):
        steps: list[Improvement] = _steps(run)
        if steps:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "lines+markers",
                    "name": escape(run.key),
                    "x": [getattr(step, cost) for step in steps],
                    "y": [step.value for step in steps],
                    "text": [f"{step.trial} at epoch {step.epoch}" for step in steps],
                    "line": {"shape": "hv", "color": RANK_COLOURS[place % len(RANK_COLOURS)]},
                    "hovertemplate": "%{text}: %{y:.4f}<extra></extra>",
                }
            )
    if not traces:
        return None
    metrics = " or ".join(dict.fromkeys(run.state.header.metric for run in runs))
    layout = {
        "height": 420,
        "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
        "xaxis": {"title": {"text": _COSTS[cost]}},
        "yaxis": {"title": {"text": escape(f"best {metrics}")}},
        "showlegend": True,
    }
    return {"data": traces, "layout": layout}


def _steps(run: FollowedRun) -> list[Improvement]:
    return run.answer("best so far", lambda: best_so_far_steps(run.state))


def _by_run(rows: Sequence[Mapping[str, Any]], runs: Sequence[FollowedRun]) -> ui.aggrid:
    first = column(GridColumn(field="what", title=""), width=240, pinned=True)
    others = [{**column(GridColumn(field=f"run.{place}", title=run.key), width=240)} for place, run in enumerate(runs)]
    height = f"{min(70 + 42 * (len(rows) + 1), 560)}px"
    return grid([first, *others], row_id="what", rows=_by_place(rows, runs), height=height)


def _by_place(rows: Sequence[Mapping[str, Any]], runs: Sequence[FollowedRun]) -> list[dict[str, Any]]:
    """Returns rows whose fields name a run by its place: its own name may be any text."""
    return [
        {"what": row["what"], **{f"run.{place}": row.get(run.key, "") for place, run in enumerate(runs)}}
        for row in rows
    ]


def _shown(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
