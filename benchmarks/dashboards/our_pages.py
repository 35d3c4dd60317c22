"""What a reader of `convfleet dashboard` waits for, and what its server takes meanwhile."""

import time
from pathlib import Path

from dashboards.browsers import TYPE, Browser, browser, middle
from dashboards.growing import growing, without_end
from dashboards.servers import Server, convfleet_dashboard

#: What can be seen once a page is of use.
TRIALS = {"rows": "document.querySelectorAll('.ag-center-cols-container .ag-row').length > 5"}
STUDY = {
    "headline": "document.querySelector('.cards .value')?.textContent.trim()",
    "curves": "document.querySelectorAll('.js-plotly-plot').length > 1 && "
    "[...document.querySelectorAll('.js-plotly-plot')].every(e => e.querySelector('.scatterlayer .trace path'))",
}
_FIRST_ROW = """return document.querySelector('.ag-center-cols-container .ag-row[row-index="0"]')?.textContent"""
_SORT = "[...document.querySelectorAll('.ag-header-cell-text')].find(e => e.textContent === '%s').click()"
_INPUT = (
    TYPE + "type([...document.querySelectorAll('.ag-floating-filter input')].find(e => !e.disabled && e.offsetParent "
    "&& e.ariaLabel.toLowerCase().startsWith('%s ')), '%s')"
)
_MB = 1e6


def our_rows(run: Path, *, seconds: float, tries: int, log: Path) -> list[tuple[str, str]]:
    """Returns what was measured, by name."""
    with convfleet_dashboard(run, log=log) as server:
        before = server.memory_mb()
        _, reading = server.get(f"/data/run/{run.name}/study.yaml")
        found = [
            ("server listens after, s", f"{server.start_seconds:.1f}"),
            (f"journal of {(run / 'journal.jsonl').stat().st_size / _MB:.0f} MB is read in, s", f"{reading:.1f}"),
            ("memory before and after that, MB", f"{before:.0f}, {server.memory_mb():.0f}"),
        ]
        with browser() as window:
            found += _first_paints(window, server, run, tries=tries)
            found += _changes(window, server, run, tries=tries)
            found += [("memory after all these pages, MB", f"{server.memory_mb():.0f}")]
            found += [("CPU of the server, one page of a run that has ended, %", _idle(server, seconds))]
    return found + _live(run, seconds=seconds, log=log)


def _first_paints(window: Browser, server: Server, run: Path, *, tries: int) -> list[tuple[str, str]]:
    window.open(server.link)
    found = []
    for page, path, things in (("trials", "/trials", TRIALS), ("study", "", STUDY)):
        address = f"{server.address}/run/{run.name}{path}"
        times = [window.seen(address, things) for _ in range(tries + 1)]
        for name in things:
            first, later = times[0][name], [item[name] for item in times[1:]]
            found.append((f"page of {page}, {name}: first visit, s", f"{first:.2f}"))
            found.append((f"page of {page}, {name}: later, s", middle(later, digits=2)))
    return found


def _changes(window: Browser, server: Server, run: Path, *, tries: int) -> list[tuple[str, str]]:
    window.seen(f"{server.address}/run/{run.name}/trials", TRIALS)
    # Each click gives another order: up, down, none.
    sorts = [
        window.change_ms(_SORT % name, text=_FIRST_ROW)
        for name in ("val_accuracy", "train seconds", "rank")[:tries]
        for _ in range(2)
    ]
    found = [("sort by a column, ms", middle(sorts, digits=0))]
    # Each leaves another row alone.
    for kind, name, texts in (("text", "trial", ("t0003", "t0012")), ("number", "rank", ("5", "12"))):
        times = [window.change_ms(_INPUT % (name, text), text=_FIRST_ROW) for _ in range(tries) for text in texts]
        window.change_ms(_INPUT % (name, ""), text=_FIRST_ROW)
        found.append((f"filter by {kind}, ms", middle(times, digits=0)))
    return found


def _live(run: Path, *, seconds: float, log: Path) -> list[tuple[str, str]]:
    """Returns what pages of a run cost that goes on."""
    found = []
    target = run.parent / f"{run.name}-live"
    lines = without_end(run, target, lines=int(4 * seconds) + 100)
    with convfleet_dashboard(target, log=log) as server, browser() as window:
        server.get(f"/data/run/{target.name}/study.yaml")
        window.open(server.link)
        pages = (("trials", "/trials", TRIALS), ("study", "", STUDY))
        # Before anything is new: what a growing run leaves to be worked out later would count as idle.
        for page, path, things in pages:
            window.seen(f"{server.address}/run/{target.name}{path}", things)
            found.append((f"CPU of the server, page of {page} of a run that pauses, %", _idle(server, seconds)))
        for page, path, things in pages:
            window.seen(f"{server.address}/run/{target.name}{path}", things)
            with growing(target, lines, seconds=1.0):
                share = _idle(server, seconds)
            found.append((f"CPU of the server, page of {page}, a record a second, %", share))
        found.append(("memory after that, MB", f"{server.memory_mb():.0f}"))
    return found


def _idle(server: Server, seconds: float) -> str:
    # What the page's own start took comes to rest.
    time.sleep(5)
    before, began = server.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return f"{100 * (server.cpu_seconds() - before) / (time.monotonic() - began):.2f}"
