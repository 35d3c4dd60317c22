"""Data grids: columns that can be chosen, sorted and filtered, kept in the address; rows that change in place."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nicegui import ui

from orchestrator.dashboard.answers.trial_rows import GridColumn

#: Numbers as people read them, and moments; a cell's value stays what it is for sorting, filters and copies.
_NUMBER = (
    "p => p.value == null ? '' : Number.isInteger(p.value) ? String(p.value) : String(Number(p.value.toPrecision(4)))"
)
_MOMENT = "p => p.value == null ? '' : new Date(1000 * p.value).toISOString().slice(0, 19).replace('T', ' ')"
_DURATION = (
    "p => { if (p.value == null) return ''; const s = Math.round(p.value), h = Math.floor(s / 3600), "
    "m = Math.floor(s / 60) % 60; return h ? `${h} h ${String(m).padStart(2, '0')} min` : m ? `${m} min "
    "${String(s % 60).padStart(2, '0')} s` : `${s} s`; }"
)
FORMATS = {"number": _NUMBER, "moment": _MOMENT, "duration": _DURATION}
#: A link whose text is the cell's value; the browser makes the text, so that nothing in it is markup.
_LINK = (
    "p => {{ const a = document.createElement('a'); a.textContent = p.value ?? ''; "
    "a.href = {base} + encodeURIComponent(p.value ?? ''); return a; }}"
)
#: Tags, each a button that filters its column by it.
_TAGS = (
    "p => { const all = document.createElement('span'); for (const tag of (p.value || '').split(', ').filter(t => t)) "
    "{ const b = document.createElement('button'); b.type = 'button'; b.className = 'chip'; b.textContent = tag; "
    "b.title = `Show the runs with the tag ${tag}`; b.onclick = () => p.api.setColumnFilterModel(p.column, "
    "{filterType: 'text', type: 'contains', filter: tag}).then(() => p.api.onFilterChanged()); all.append(b); } "
    "return all; }"
)
#: Sorting, filters and columns go into the address, so that a link or a reload shows the same.
_KEEP = (
    "p => { const u = new URL(location.href), s = {f: p.api.getFilterModel(), c: p.api.getColumnState().map(c => "
    "({colId: c.colId, hide: c.hide, sort: c.sort, sortIndex: c.sortIndex}))}; "
    "u.searchParams.set('grid', JSON.stringify(s)); history.replaceState(history.state, '', u); "
    "if (p.api.getDisplayedRowCount()) p.api.hideOverlay(); else p.api.showNoRowsOverlay(); }"
)
#: Rows come by a request of their own, once for all pages that show them.
_FETCH = "const r = await fetch({url}); if (r.ok) p.api.setGridOption('rowData', await r.json());"
#: What the address kept.
_READY = (
    "async p => {{ {fetch} const s = {state}; if (s) {{ p.api.applyColumnState({{state: s.c ?? []}}); "
    "p.api.setFilterModel(s.f ?? null); }} const m = p.api.getRowNode({marked}); "
    "if (m) p.api.ensureNodeVisible(m, 'middle'); }}"
)
#: One row looks different.
_MARKED = "p => p.data && String(p.data[{field}]) === {marked} ? 'marked' : undefined"
#: Of rows that the grid has already, none is added twice.
_PUT = (
    "const a = getElement({element})?.api, rows = {data}, has = r => a.getRowNode(String(r[{field}])); "
    "if (a) a.applyTransactionAsync({{update: rows.filter(has), add: rows.filter(r => !has(r))}});"
)
#: Columns that are there already stay as the reader has them.
_ADD_COLUMNS = (
    "const a = getElement({element})?.api; if (a) a.setGridOption('columnDefs', [...a.getColumnDefs(), ...{columns}]);"
)
_MOST_STATE_LETTERS = 8000
#: How long a filter waits for the next letter; AG Grid's own wait is half a second.
_DEBOUNCE_MILLISECONDS = 50


def column(
    item: GridColumn, *, link: str = "", form: str = "", width: int | None = None, pinned: bool = False
) -> dict[str, Any]:
    """Returns a column of a grid.

    Args:
        item: What it shows.
        link: What the addresses of its cells begin with; empty: cells are no links.
        form: One of `FORMATS`, or `tags` of texts; empty: numbers where they are.
        width: In pixels.
        pinned: Whether it stays where the others are scrolled.
    """
    found: dict[str, Any] = {
        "field": item.field,
        "colId": item.field,
        "headerName": item.title,
        "hide": not item.is_shown,
        "filter": "agNumberColumnFilter" if item.is_number else "agTextColumnFilter",
        "cellDataType": "number" if item.is_number else "text",
    }
    if item.is_number:
        found |= {"type": "numericColumn", ":valueFormatter": FORMATS[form or "number"]}
    if form == "tags":
        found[":cellRenderer"] = _TAGS
    if link:
        found[":cellRenderer"] = _LINK.format(base=json.dumps(link))
    if width:
        found["width"] = width
    if pinned:
        found["pinned"] = "left"
    return found


def grid(  # noqa: PLR0913 - what a grid is made of
    columns: Sequence[Mapping[str, Any]],
    *,
    row_id: str,
    rows: Iterable[Mapping[str, Any]] | None = None,
    url: str = "",
    kept: str = "",
    selects: bool = False,
    marked: str = "",
    height: str = "60vh",
) -> ui.aggrid:
    """Returns a grid.

    Args:
        columns: Made by `column`.
        row_id: The field that names a row.
        rows: The rows; None: they come from `url`.
        url: Where the rows are, as JSON.
        kept: What an earlier address kept of sorting, filters and columns, as JSON.
        selects: Whether rows can be selected.
        marked: The name of a row that is marked and scrolled to; empty: none is.
        height: In CSS's units.
    """  # fmt: skip
    options: dict[str, Any] = {
        "columnDefs": [dict(item) for item in columns],
        "defaultColDef": {
            "sortable": True,
            "resizable": True,
            "floatingFilter": True,
            "minWidth": 70,
            "width": 130,
            "filterParams": {"debounceMs": _DEBOUNCE_MILLISECONDS},
        },
        ":getRowId": f"p => String(p.data[{json.dumps(row_id)}])",
        "suppressFieldDotNotation": True,
        "animateRows": False,
        "overlayNoRowsTemplate": "<span>No row passes the filters.</span>",
        ":onFilterChanged": _KEEP,
        ":onSortChanged": _KEEP,
        ":onColumnVisible": _KEEP,
        "enableCellTextSelection": True,
    }
    if selects:
        options["rowSelection"] = {"mode": "multiRow"}
    fetch = _FETCH.format(url=json.dumps(url)) if url else ""
    options[":onGridReady"] = _READY.format(fetch=fetch, state=_state(kept), marked=json.dumps(marked))
    if marked:
        options[":getRowClass"] = _MARKED.format(field=json.dumps(row_id), marked=json.dumps(marked))
    if not url:
        options["rowData"] = [dict(row) for row in rows or ()]
    return ui.aggrid(options, auto_size_columns=False).style(f"height: {height}")


def column_choice(
    items: Sequence[GridColumn], shown: ui.aggrid
) -> Callable[[Sequence[GridColumn], Sequence[Mapping[str, Any]]], None]:
    """Shows a list of a grid's columns, of which readers choose those that are shown.

    Args:
        items: The columns.
        shown: The grid.

    Returns:
        What adds columns to the grid and the list, from what they show and what `column` made of it.
    """
    titles = {item.field: item.title for item in items}

    def choose(event: Any) -> None:
        wanted = set(event.value)
        shown.run_grid_method("setColumnsVisible", [name for name in titles if name in wanted], True)
        shown.run_grid_method("setColumnsVisible", [name for name in titles if name not in wanted], False)

    now = [item.field for item in items if item.is_shown]
    choice = ui.select(titles, value=now, multiple=True, label="Columns", on_change=choose)
    choice.props("dense options-dense").style("min-width: 160px; max-width: 320px")

    def add(new: Sequence[GridColumn], columns: Sequence[Mapping[str, Any]]) -> None:
        shown.client.run_javascript(_ADD_COLUMNS.format(element=shown.id, columns=_as_script(columns)))
        titles.update({item.field: item.title for item in new})
        choice.set_options(dict(titles), value=[*choice.value, *(item.field for item in new if item.is_shown)])

    return add


def _as_script(columns: Iterable[Mapping[str, Any]]) -> str:
    """Returns columns as JavaScript; what a key with a colon before it has is a function of `column`'s own.

    >>> _as_script([{"field": "a", ":cellRenderer": "p => p.value"}])
    '[{"field": "a", "cellRenderer": p => p.value}]'
    """
    texts = (
        ", ".join(
            f"{json.dumps(name.removeprefix(':'))}: {value if name.startswith(':') else json.dumps(value)}"
            for name, value in item.items()
        )
        for item in columns
    )
    return f"[{', '.join(f'{{{text}}}' for text in texts)}]"


def search_field(shown: ui.aggrid) -> None:
    """Shows a field whose words the rows of a grid have, in any of its columns."""

    def search(event: Any) -> None:
        shown.run_grid_method("setGridOption", "quickFilterText", event.value or "")

    ui.input("Search", on_change=search).props("dense clearable debounce=200").style("min-width: 200px")


def put_rows(shown: ui.aggrid, rows: Sequence[Mapping[str, Any]], *, row_id: str) -> None:
    """Changes rows in place, and adds those that are new; sorting and filters hold.

    Args:
        shown: The grid.
        rows: Whole rows.
        row_id: The field that names a row.
    """
    if rows:
        data, field = json.dumps(list(rows)), json.dumps(row_id)
        shown.client.run_javascript(_PUT.format(element=shown.id, data=data, field=field))


def when_loaded(shown: ui.aggrid, catch_up: Callable[[], None]) -> None:
    """Calls `catch_up` once the grid has the rows that it fetches: what has changed meanwhile may not be among them."""
    done: list[bool] = []

    def loaded() -> None:
        if not done:
            done.append(True)
            catch_up()

    shown.on("rowDataUpdated", loaded, args=[])


def _state(kept: str) -> str:
    """Returns what an address kept, as JSON that is safe inside a script; null where it is none."""
    try:
        found = json.loads(kept[:_MOST_STATE_LETTERS]) if kept else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        return "null"
    whole: dict[str, Any] = {"f": found.get("f") if isinstance(found.get("f"), dict) else None,
             "c": found.get("c") if isinstance(found.get("c"), list) else []}  # fmt: skip
    return json.dumps(whole)
