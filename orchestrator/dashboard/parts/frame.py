"""The frame of every page: title, way back, tabs of a run, its headline; what is missing is said in a sentence."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, lru_cache
from html import escape
from importlib import resources
from typing import Any
from urllib.parse import quote

from nicegui import ui

from orchestrator.dashboard.parts.live import Live
from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.results.from_state import study_status

#: The pages of a run: what tabs call them, and where they are.
TABS = {
    "Study": "",
    "Trials": "/trials",
    "Parameters": "/parameters",
    "Rungs": "/rungs",
    "Fleet": "/fleet",
    "Models": "/models",
    "Decisions": "/decisions",
}
_CURRENT = ' aria-current="page"'


@cache
def _style() -> str:
    return (resources.files("orchestrator.dashboard.parts") / "dashboard.css").read_text("utf-8")


def run_path(run: FollowedRun, rest: str = "") -> str:
    """Returns the address of a run's page."""
    return f"/run/{quote(run.key, safe='')}{rest}"


def trial_path(run: FollowedRun, trial: str) -> str:
    """Returns the address of a trial's page."""
    return run_path(run, f"/trial/{quote(trial, safe='')}")


def record_path(run: FollowedRun, line: int | str) -> str:
    """Returns the address of a record of the run's journal: the page of decisions, with the record marked."""
    return run_path(run, f"/decisions?line={line}")


@contextmanager
def page_frame(title: str, *, run: FollowedRun | None = None, tab: str = "") -> Iterator[None]:
    """Yields the place of a page's content.

    Args:
        title: Of the browser's tab.
        run: Whose page it is; None: of no run.
        tab: Which of the run's pages it is; empty: none of those.
    """
    ui.page_title(f"{title} - convfleet")
    # Unlayered, so that it comes before what Quasar says of headings.
    ui.add_head_html(f"<style>{_style()}</style>")
    ui.link("Skip to content", "#content").classes("skip")
    with ui.element("header").classes("top"):
        ui.link("convfleet", "/").classes("brand")
        if run is not None:
            # One element: each takes the server as long as a page's numbers.
            nav = ui.html(_tabs_html(run.key, tab), tag="nav", sanitize=False).classes("tabs")
            nav.props('aria-label="Pages of the run"')
    with ui.element("main").classes("body").props('id="content"'):
        yield


@lru_cache(maxsize=1000)
def _tabs_html(key: str, tab: str) -> str:
    """Returns the links to a run's pages, the present one marked."""
    return "".join(
        f'<a href="/run/{quote(key, safe="")}{rest}"{_CURRENT if name == tab else ""}>{escape(name)}</a>'
        for name, rest in TABS.items()
    )


async def show_run(  # noqa: PLR0913 - a page's parts
    live: Live,
    key: str,
    *,
    title: str,
    tab: str,
    show: Callable[[FollowedRun], Callable[[], None] | None],
    needs_study: bool = True,
) -> None:
    """Builds a page of a run: its content now, or once its journal is read.

    Args:
        live: The runs.
        key: The run's.
        title: Of the page.
        tab: The page's among the run's.
        show: Builds the content, and returns what brings it up to date when the run has changed, if it can change.
        needs_study: Whether there is no content before the journal's first record.
    """  # fmt: skip
    run = live.runs.get(key)
    if run is None:
        await live.look()
        run = live.runs.get(key)
    if run is None:
        with page_frame("No such run"):
            _missing(live, key)
        return
    with page_frame(f"{run.key}: {title}", run=run, tab=tab):
        heading = ui.element("div")
        place = ui.element("div").classes("body").style("padding: 0")
        _Page(live=live, run=run, heading=heading, place=place, show=show, title=title, needs_study=needs_study).begin()


class _Page:
    """One open page of a run."""

    def __init__(self, *, live: Live, run: FollowedRun, title: str, needs_study: bool, **parts: Any) -> None:
        self._live, self._run, self._title, self._needs_study = live, run, title, needs_study
        self._heading, self._place, self._show = parts["heading"], parts["place"], parts["show"]
        self._update: Callable[[], None] | None = None
        self._is_shown = False
        self._headline: tuple[str, str] | None = None

    def begin(self) -> None:
        """Shows what is known, or that the journal is read; then follows the run."""
        if self._run.version:
            self.refresh()
        else:
            with self._place:
                ui.label("Reading the journal ...").classes("soft")
            ui.timer(0, self._read, once=True)
        self._live.watch(self._run, self.refresh)

    async def _read(self) -> None:
        await self._live.read(self._run)
        self.refresh()

    def refresh(self) -> None:
        """Shows the run as it is now."""
        self._show_heading()
        if not self._run.is_open and self._needs_study:
            self._place.clear()
            return
        if not self._is_shown:
            self._place.clear()
            with self._place:
                self._update = self._show(self._run)
            self._is_shown = True
        elif self._update is not None:
            self._update()

    def _show_heading(self) -> None:
        run = self._run
        status = study_status(run.state, is_alive=run.is_alive) if run.is_open else "not readable"
        if self._headline == (status, run.problem):
            return
        self._headline = status, run.problem
        self._heading.clear()
        with self._heading:
            with ui.element("div").classes("controls"):
                with ui.element("h1"):
                    ui.label(f"{run.key}: {self._title}")
                state_pill(status)
            if run.problem:
                ui.label(run.problem).classes("bad").props('role="alert"')


def state_pill(state: str) -> None:
    """Shows a state as a coloured word."""
    ui.label(state).classes(f"pill {state.replace(' ', '-')}")


@contextmanager
def panel(title: str, *, note: str = "") -> Iterator[None]:
    """Yields a section of a page, with a heading and, under it, a sentence that explains it."""
    with ui.element("section").classes("panel").props(f'aria-label="{_quoted(title)}"'):
        ui.html(escape(title), tag="h2", sanitize=False)
        if note:
            ui.label(note).classes("soft")
        yield


def cards_html(values: Mapping[str, tuple[str, str]]) -> str:
    """Returns the most important numbers as one piece of HTML: name, value, and a few words below.

    One element instead of twenty, which each page would make anew for every record; the text is the same for all pages.
    """
    return "".join(
        f'<div><div class="name">{escape(name)}</div><div class="value">{escape(value)}</div>'
        f'<div class="soft">{escape(words)}</div></div>'
        for name, (value, words) in values.items()
    )


class Refilled:
    """A place whose content is made anew where what it shows has changed, and only then.

    Args:
        fill: Makes the content of what is shown.
    """

    def __init__(self, fill: Callable[[Any], None]) -> None:
        self._place, self._fill = ui.element("div"), fill
        self._shown: list[Any] = []

    def show(self, values: Any) -> None:
        """Shows values, which compare as equal where their content would be the same."""
        if self._shown == [values]:
            return
        self._shown = [values]
        self._place.clear()
        with self._place:
            self._fill(values)


def facts(values: Mapping[str, object]) -> None:
    """Shows names and their values in two columns."""
    with ui.element("div").classes("facts"):
        for name, value in values.items():
            ui.label(name)
            ui.label(str(value))


def say(sentence: str) -> None:
    """Shows a sentence in the place of what is missing."""
    ui.label(sentence).classes("soft")


def _missing(live: Live, key: str) -> None:
    with ui.element("h1"):
        ui.label("No such run")
    say(f"This dashboard has no run that is called {key!r}.")
    for run in live.runs.all[:20]:
        ui.link(run.key, run_path(run))


def _quoted(text: str) -> str:
    """Returns a text for an attribute that NiceGUI parses."""
    return text.replace("\\", "").replace('"', "'")
