"""The page of a run's trials: a grid with every parameter, metric and cost."""

from collections.abc import Callable
from typing import Any

from nicegui import ui

from orchestrator.dashboard.answers.trial_rows import ChangedTrials, GridColumn, trial_columns
from orchestrator.dashboard.parts.frame import run_path, say, show_run, trial_path
from orchestrator.dashboard.parts.grids import column, column_choice, grid, put_rows, when_loaded
from orchestrator.dashboard.parts.live import Live
from orchestrator.dashboard.watching.followed import FollowedRun

_MOMENTS = ("started", "ended")
_WIDTHS = {"trial": 100, "state": 110, "rank": 80, "epochs": 90, "reason": 360, "notes": 300}


def add_trials_page(live: Live) -> None:
    """Adds the page."""

    @ui.page("/run/{key}/trials", response_timeout=60)
    async def trials(key: str, grid: str = "") -> None:
        await show_run(live, key, title="trials", tab="Trials", show=lambda run: _show(run, kept=grid))


def _show(run: FollowedRun, *, kept: str) -> Callable[[], None]:
    items = trial_columns(run)
    columns = [_column(run, item) for item in items]
    with ui.element("div").classes("controls"):
        choice = ui.element("div")
        ui.link("CSV", f"/data{run_path(run)}/trials.csv")
        ui.link("Parquet", f"/data{run_path(run)}/trials.parquet")
    say("Click a heading to sort, type below it to filter; the address keeps both, and the columns.")
    shown = grid(columns, row_id="trial", url=f"/data{run_path(run)}/trials.json", kept=kept, height="72vh")
    with choice:
        add_columns = column_choice(items, shown)
    changed, known = ChangedTrials(run), {item.field for item in items}
    is_loaded: list[bool] = []

    def refresh() -> None:
        if not is_loaded:
            return
        # Of metrics that a first report brings, and of parameters of a family that nobody had tried.
        if new := [item for item in trial_columns(run) if item.field not in known]:
            known.update(item.field for item in new)
            add_columns(new, [_column(run, item) for item in new])
        put_rows(shown, changed.since_last(), row_id="trial")

    def loaded() -> None:
        is_loaded.append(True)
        refresh()

    when_loaded(shown, loaded)
    return refresh


def _column(run: FollowedRun, item: GridColumn) -> dict[str, Any]:
    return column(
        item,
        link=trial_path(run, "") if item.field == "trial" else "",
        form="moment" if item.field in _MOMENTS else "",
        width=_WIDTHS.get(item.field),
        pinned=item.field == "trial",
    )
