"""The page of early stopping: who stood at which rung, what the cut-off was then, and what was decided."""

from collections.abc import Callable
from typing import Any

from nicegui import ui

from orchestrator.dashboard.answers.history_figures import rungs_figure
from orchestrator.dashboard.answers.rung_rows import rung_rows, rungs_of
from orchestrator.dashboard.answers.trial_rows import GridColumn
from orchestrator.dashboard.parts.figures import Figure
from orchestrator.dashboard.parts.frame import panel, run_path, say, show_run, trial_path
from orchestrator.dashboard.parts.grids import column, grid, put_rows, when_loaded
from orchestrator.dashboard.parts.live import Live, Pace
from orchestrator.dashboard.watching.followed import FollowedRun

_COLUMNS: tuple[tuple[GridColumn, dict[str, Any]], ...] = (
    (GridColumn(field="trial", title="trial"), {"width": 100, "pinned": True}),
    (GridColumn(field="bracket", title="bracket", is_number=True), {"width": 95}),
    (GridColumn(field="milestone", title="rung (epoch)", is_number=True), {"width": 120}),
    (GridColumn(field="value", title="value", is_number=True), {}),
    (GridColumn(field="rank", title="rank then", is_number=True), {"width": 105}),
    (GridColumn(field="num_there", title="of", is_number=True), {"width": 80}),
    (GridColumn(field="cutoff", title="cut-off then", is_number=True), {"width": 120}),
    (GridColumn(field="outcome", title="outcome"), {"width": 110}),
    (GridColumn(field="reason", title="reason"), {"width": 620}),
    (GridColumn(field="at", title="when (UTC)", is_number=True), {"form": "moment", "width": 170}),
)


def add_rungs_page(live: Live) -> None:
    """Adds the page."""

    @ui.page("/run/{key}/rungs", response_timeout=60)
    async def rungs(key: str, grid: str = "") -> None:
        await show_run(live, key, title="rungs", tab="Rungs", show=lambda run: _show(run, kept=grid))


def _show(run: FollowedRun, *, kept: str) -> Callable[[], None]:
    table = rungs_of(run)
    rule = f"Rule: {table.rule}. " if table else ""
    with panel("Rungs", note=f"{rule}A point a trial that stood there; its colour is what became of it."):
        plot = Figure("No trial has stood at a rung so far.")
    note = ui.label().classes("soft")
    say("A row a trial and rung; a trial's page has every decision about it.")
    columns = [
        column(item, link=trial_path(run, "") if item.field == "trial" else "", **more) for item, more in _COLUMNS
    ]
    url = f"/data{run_path(run)}/rungs.json"
    shown = grid(columns, row_id="id", url=url, kept=kept)

    sent = {row["id"]: row for row in rung_rows(run)}
    is_loaded: list[bool] = []

    def draw() -> None:
        now = rungs_of(run)
        plot.show(rungs_figure(now) if now else None)
        note.set_text(now.note if now else "The study file cannot be read, from which rungs follow.")
        if is_loaded:
            changed = [row for row in rung_rows(run) if sent.get(row["id"]) != row]
            sent.update({row["id"]: row for row in changed})
            put_rows(shown, changed, row_id="id")

    pace = Pace(draw)

    def loaded() -> None:
        is_loaded.append(True)
        pace.run()

    when_loaded(shown, loaded)
    pace.run()
    return pace.run
