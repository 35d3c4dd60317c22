"""The page of all runs: which there are, how far each is, and which to compare."""

from typing import Any
from urllib.parse import urlencode

from nicegui import ui

from orchestrator.dashboard.answers.study_rows import study_row
from orchestrator.dashboard.answers.trial_rows import GridColumn
from orchestrator.dashboard.parts.frame import page_frame, say
from orchestrator.dashboard.parts.grids import column, grid, put_rows, search_field
from orchestrator.dashboard.parts.live import Live

_COLUMNS: tuple[tuple[GridColumn, dict[str, Any]], ...] = (
    (GridColumn(field="run", title="run"), {"link": "/run/", "width": 220, "pinned": True}),
    (GridColumn(field="state", title="state"), {}),
    (GridColumn(field="tags", title="tags"), {"form": "tags", "width": 180}),
    (GridColumn(field="problem", title="problem"), {"width": 170}),
    (GridColumn(field="best", title="best", is_number=True), {}),
    (GridColumn(field="best_trial", title="best trial", is_shown=False), {}),
    (GridColumn(field="done", title="done", is_number=True), {"width": 90}),
    (GridColumn(field="stopped", title="stopped", is_number=True), {"width": 95}),
    (GridColumn(field="running", title="running", is_number=True), {"width": 95}),
    (GridColumn(field="waiting", title="waiting", is_number=True), {"width": 95}),
    (GridColumn(field="failed", title="failed", is_number=True), {"width": 90}),
    (GridColumn(field="planned", title="planned", is_number=True), {"width": 95}),
    (GridColumn(field="elapsed", title="elapsed", is_number=True), {"form": "duration"}),
    (GridColumn(field="left", title="left", is_number=True), {"form": "duration"}),
    (GridColumn(field="train_seconds", title="training", is_number=True), {"form": "duration"}),
    (GridColumn(field="epochs", title="epochs", is_number=True), {"width": 95}),
    (GridColumn(field="epochs_saved", title="epochs saved", is_number=True, is_shown=False), {}),
    (GridColumn(field="exports", title="exports", is_number=True), {"width": 95}),
    (GridColumn(field="started", title="started (UTC)", is_number=True), {"form": "moment", "width": 170}),
    (GridColumn(field="objective", title="objective"), {"width": 260}),
    (GridColumn(field="study", title="study", is_shown=False), {}),
)


def add_studies_page(live: Live) -> None:
    """Adds the page."""

    @ui.page("/", response_timeout=60)
    async def studies(grid: str = "") -> None:
        await live.look()
        with page_frame("Studies"):
            _Studies(live, kept=grid)


class _Studies:
    """The open page."""

    def __init__(self, live: Live, *, kept: str) -> None:
        self._live = live
        #: The version of each run's row that the browser has.
        self._shown: dict[str, int] = {}
        with ui.element("div").classes("controls"):
            with ui.element("h1"):
                ui.label("Studies")
            search = ui.element("div")
            ui.button("Compare", on_click=self._compare).props("outline dense no-caps").tooltip(
                "Select two or more runs first"
            )
        self._troubles = ui.element("div")
        self._told: dict[str, str] = {}
        if not live.runs.all:
            say("No run was found here yet; one that `convfleet run` begins appears by itself.")
        columns = [column(item, **more) for item, more in _COLUMNS]
        rows = [study_row(run) for run in live.runs.all if run.version]
        self._shown = {run.key: run.version for run in live.runs.all if run.version}
        self._grid = grid(columns, row_id="run", rows=rows, kept=kept, selects=True, height="75vh")
        with search:
            search_field(self._grid)
        ui.timer(0, self._read_all, once=True)
        live.watch(None, self.refresh)

    async def _read_all(self) -> None:
        for run in self._live.runs.all:
            if not run.version:
                await self._live.read(run)
                self.refresh()

    def refresh(self) -> None:
        """Shows the runs that are new or have changed."""
        if (troubles := dict(self._live.runs.troubles)) != self._told:
            self._told = troubles
            self._troubles.clear()
            with self._troubles:
                for text in troubles.values():
                    ui.label(text).classes("bad").props('role="alert"')
        changed = [run for run in self._live.runs.all if run.version and self._shown.get(run.key) != run.version]
        self._shown |= {run.key: run.version for run in changed}
        put_rows(self._grid, list(map(study_row, changed)), row_id="run")

    async def _compare(self) -> None:
        rows = await self._grid.get_selected_rows()
        if len(rows) < 2:
            ui.notify("Select two or more runs in the table first.")
            return
        ui.navigate.to(f"/compare?{urlencode([('run', row['run']) for row in rows])}")
