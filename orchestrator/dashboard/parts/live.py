"""Keeps open pages up to date: looks at journals while somebody looks at their pages, and tells pages of changes."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from nicegui import Client, background_tasks, ui

from orchestrator.dashboard.answers.study_rows import study_row
from orchestrator.dashboard.answers.trial_rows import trial_grid_rows
from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.dashboard.watching.runs import WatchedRuns

logger = logging.getLogger(__name__)

#: How often journals are looked at.
POLL_SECONDS = 0.4
#: How often folders are looked at for new runs.
_LOOK_SECONDS = 5.0
#: How often a storage is asked for what is new.
_FETCH_SECONDS = 15.0
#: So many records are applied before other pages are answered.
_MOST_RECORDS = 200
#: News take a twentieth of a core, with more than a few open pages a fortieth; the last bounds how long they wait.
_WAITS_PER_WORK, _FEW_PAGES, _WAITS_OF_MANY, _LONGEST_REST_SECONDS = 19.0, 10, 39.0, 15.0
_SHORTEST_WAIT_SECONDS, _WAITS_PER_LONG_WORK = 0.5, 19.0


class Pace:
    """Keeps work that takes long to a twentieth of a core; what comes too early is done a little later.

    Args:
        work: Brings a part of a page up to date.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        self._work, self._next_at, self._is_waiting = work, 0.0, False

    def run(self) -> None:
        """Does the work, now or as soon as it may be done again."""
        began = time.monotonic()
        if began >= self._next_at:
            before = time.thread_time()
            self._work()
            took = time.thread_time() - before
            self._next_at = time.monotonic() + max(_SHORTEST_WAIT_SECONDS, _WAITS_PER_LONG_WORK * took)
        elif not self._is_waiting:
            self._is_waiting = True
            ui.timer(self._next_at - began + 0.01, self._run_late, once=True)

    def _run_late(self) -> None:
        self._is_waiting = False
        self.run()


@dataclass(eq=False, kw_only=True)
class Viewer:
    """An open page.

    Attributes:
        client: The browser's page.
        run: The run that it shows; None: all runs.
        refresh: Shows what has changed.
        shown: The version of the run that the page shows.
    """

    client: Client
    run: FollowedRun | None
    refresh: Callable[[], None]
    shown: int = -1

    def catch_up(self) -> None:
        """Shows what changed before the browser was connected, or while it slept; nothing where nothing did."""
        if self.run is None or self.run.version != self.shown:
            self.show()

    def show(self) -> None:
        """Shows the run, or all runs, as they are now."""
        version = self.run.version if self.run is not None else -1
        with self.client:
            self.refresh()
        self.shown = version


@dataclass(kw_only=True)
class Live:
    """The runs, the pages that show them, and whether pages may steer.

    Attributes:
        runs: The runs of the dashboard.
        is_read_only: Whether steering is switched off.
        viewers: The open pages.
    """

    runs: WatchedRuns
    is_read_only: bool = False
    viewers: list[Viewer] = field(default_factory=list)

    def watch(self, run: FollowedRun | None, refresh: Callable[[], None]) -> None:
        """Calls `refresh` in the page that is being built whenever its run changes, for as long as it is open.

        Args:
            run: The run, of which the page has what is known now; None: all runs.
            refresh: Shows what has changed.
        """
        version = run.version if run is not None else -1
        viewer = Viewer(client=ui.context.client, run=run, refresh=refresh, shown=version)
        self.viewers.append(viewer)
        viewer.client.on_connect(viewer.catch_up)
        viewer.client.on_delete(lambda: self.viewers.remove(viewer) if viewer in self.viewers else None)

    async def read(self, run: FollowedRun) -> bool:
        """Reads what a run's journal has, and returns whether anything changed.

        Files are read on a thread, as that may take seconds; the state that pages show changes on this one alone.
        """
        await asyncio.to_thread(run.read)
        changed = run.take(most=_MOST_RECORDS)
        while run.has_more:
            await asyncio.sleep(0)
            changed |= run.take(most=_MOST_RECORDS)
        return changed

    async def look(self) -> None:
        """Looks for new runs."""
        await asyncio.to_thread(self.runs.look)

    def begin(self) -> None:
        """Begins to read all runs, and to follow those that pages show; the server's start calls it."""
        background_tasks.create(self._read_all(), name="read runs")
        background_tasks.create(self._follow(), name="follow runs")
        background_tasks.create(self._fetch(), name="fetch runs")

    async def _read_all(self) -> None:
        """Reads each run once, so that no page waits for it later; the one that changed last comes first."""
        await self.look()
        for run in sorted(self.runs.all, key=_changed_at, reverse=True):
            if not run.version:
                await self.read(run)
                if run.is_open:
                    await asyncio.to_thread(_work_out, run)

    async def _fetch(self) -> None:
        """Brings copies of runs that lie in a storage up to date while somebody looks, and new ones to this machine."""
        is_first = True
        while True:
            if is_first or any(viewer.run is None for viewer in self.viewers):
                for uri in await asyncio.to_thread(self.runs.new_in_stores):
                    await asyncio.to_thread(self.runs.bring, uri)
                    await self.look()
            # All of them once: whether a driver is at work on them elsewhere decides what pages offer.
            for run in self.runs.all if is_first else self._watched():
                if run.uri:
                    await asyncio.to_thread(self.runs.ask_elsewhere, run)
                    if run.state.finished is None or run.is_elsewhere:
                        await asyncio.to_thread(self.runs.fetch_again, run)
            is_first = False
            await asyncio.sleep(_FETCH_SECONDS)

    def _watched(self) -> list[FollowedRun]:
        """Returns the runs that open pages show."""
        watched = {viewer.run for viewer in self.viewers}
        return self.runs.all if None in watched else [run for run in watched if run is not None]

    async def _follow(self) -> None:
        look_at = 0.0
        while True:
            work = 0.0
            if self.viewers:
                if (now := time.monotonic()) >= look_at and any(viewer.run is None for viewer in self.viewers):
                    await self.look()
                    look_at = now + _LOOK_SECONDS
                changed = {run for run in self._watched() if await self.read(run)}
                # Of the cores, not by the clock: this server waits for its turn where workers want them all.
                began = time.process_time()
                await self._show(changed)
                work = time.process_time() - began
            await asyncio.sleep(rest_seconds(work, num_pages=len(self.viewers)))

    async def _show(self, changed: Collection[FollowedRun]) -> None:
        """Brings the open pages of runs that have changed up to date."""
        for run in changed:
            if run.is_open:
                # On a thread: other pages are answered meanwhile, and these have it ready.
                await asyncio.to_thread(_work_out, run)
        for viewer in list(self.viewers):
            if viewer.client.has_socket_connection and (viewer.run in changed or (viewer.run is None and changed)):
                _refresh(viewer)
                # Requests of other pages come between.
                await asyncio.sleep(0)


def rest_seconds(work: float, *, num_pages: int) -> float:
    """Returns how long to rest after so many seconds of a core for bringing open pages up to date.

    >>> rest_seconds(0.0, num_pages=1), rest_seconds(0.25, num_pages=1), rest_seconds(0.25, num_pages=50)
    (0.4, 4.75, 9.75)
    """
    waits = _WAITS_PER_WORK if num_pages <= _FEW_PAGES else _WAITS_OF_MANY
    return min(_LONGEST_REST_SECONDS, max(POLL_SECONDS, waits * work))


def _changed_at(run: FollowedRun) -> float:
    """Returns when a journal last changed, seconds since 1970; 0 where that is not known."""
    try:
        return run.folder.journal.stat().st_mtime
    except OSError:
        return 0.0


def _work_out(run: FollowedRun) -> None:
    """Works out what most pages show, and a large run takes long for; one that cannot be shown stops no other."""
    try:
        trial_grid_rows(run)
        study_row(run)
    except Exception:
        logger.exception("run=%s not worked out", run.key)


def _refresh(viewer: Viewer) -> None:
    """Brings a page up to date; one that cannot be shown keeps no other page from it."""
    try:
        viewer.show()
    except Exception:
        logger.exception("run=%s page not brought up to date", viewer.run.key if viewer.run else "all")
