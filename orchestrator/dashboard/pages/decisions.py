"""The page of a run's journal in words: what happened, when, and why."""

from collections.abc import Callable
from typing import Any

from nicegui import ui

from orchestrator.dashboard.answers.decision_rows import MOST_DECISIONS, NewDecisions, decision_at, decision_row
from orchestrator.dashboard.answers.trial_rows import GridColumn
from orchestrator.dashboard.parts.frame import panel, record_path, run_path, say, show_run, trial_path
from orchestrator.dashboard.parts.grids import column, grid, put_rows, when_loaded
from orchestrator.dashboard.parts.live import Live
from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.history.decisions import DECISION_KINDS
from orchestrator.text import moment

_COLUMNS: tuple[tuple[GridColumn, dict[str, Any]], ...] = (
    (GridColumn(field="line", title="line", is_number=True), {"width": 90}),
    (GridColumn(field="at", title="when (UTC)", is_number=True), {"form": "moment", "width": 170}),
    (GridColumn(field="kind", title="kind"), {"width": 160}),
    (GridColumn(field="trial", title="trial"), {"width": 100}),
    (GridColumn(field="text", title="what happened"), {"width": 900}),
)


#: A journal has no more records than this many digits say.
_MOST_DIGITS = 12


def add_decisions_page(live: Live) -> None:
    """Adds the page."""

    @ui.page("/run/{key}/decisions", response_timeout=60)
    async def decisions(key: str, grid: str = "", line: str = "") -> None:
        show = lambda run: _show(run, kept=grid, line=line)  # noqa: E731 - a page's content
        await show_run(live, key, title="decisions", tab="Decisions", show=show, needs_study=False)


def _show(run: FollowedRun, *, kept: str, line: str) -> Callable[[], None]:
    links = {"trial": trial_path(run, ""), "line": record_path(run, "")}
    columns = [column(item, link=links.get(item.field, ""), **more) for item, more in _COLUMNS]
    if line:
        _record(run, line)
    say(
        f"The journal in words, oldest first, the last {MOST_DECISIONS:,} records; the line is the record's in "
        "journal.jsonl, and a link to it that shows somebody else the same."
    )
    with ui.element("div").classes("controls"):
        place = ui.element("div")
        ui.link("journal.jsonl", f"/data{run_path(run)}/journal.jsonl")
    shown = grid(
        columns, row_id="line", url=f"/data{run_path(run)}/decisions.json", kept=kept, marked=line, height="75vh"
    )
    with place:
        ui.select(
            {"": "all", **DECISION_KINDS}, value="", label="Kind", on_change=lambda event: _filter(shown, event.value)
        ).props("dense options-dense").style("min-width: 200px")
    new = NewDecisions(run)
    is_loaded: list[bool] = []

    def refresh() -> None:
        if is_loaded:
            put_rows(shown, list(map(decision_row, new.since_last())), row_id="line")

    def loaded() -> None:
        is_loaded.append(True)
        refresh()

    when_loaded(shown, loaded)
    return refresh


def _record(run: FollowedRun, line: str) -> None:
    """Shows the record of the address by itself: it may be older than those of the table."""
    number = int(line) if line.isdecimal() and len(line) < _MOST_DIGITS else 0
    found = decision_at(run, number)
    with panel(f"Record {number}" if found else "No such record"):
        if found is None:
            shown = line if len(line) < _MOST_DIGITS else f"{line[:_MOST_DIGITS]}..."
            say(f"The journal has no record {shown!r}; it has {run.num_records:,} so far.")
            return
        with ui.element("div").classes("controls"):
            ui.label(moment(found.at)).classes("soft")
            ui.label(DECISION_KINDS.get(found.kind, found.kind)).classes("soft")
            if found.trial:
                ui.link(found.trial, trial_path(run, found.trial))
        ui.label(found.text)


def _filter(shown: ui.aggrid, kind: str) -> None:
    model: dict[str, Any] | None = {"filterType": "text", "type": "equals", "filter": kind} if kind else None
    shown.run_grid_method("setFilterModel", {"kind": model} if model else None)
