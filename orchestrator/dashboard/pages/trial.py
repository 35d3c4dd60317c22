"""The page of one trial: its parameters against the best, its curves, its model, and every decision about it."""

import asyncio
import math
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from nicegui import ui

from orchestrator.dashboard.answers.decision_rows import decisions_of_trial
from orchestrator.dashboard.answers.layers_figure import layers_figure
from orchestrator.dashboard.answers.trial_rows import GridColumn
from orchestrator.dashboard.parts.figures import Figure
from orchestrator.dashboard.parts.frame import facts, panel, record_path, run_path, say, show_run, state_pill
from orchestrator.dashboard.parts.grids import column, grid
from orchestrator.dashboard.parts.live import Live, Pace
from orchestrator.dashboard.parts.steering import TrialButtons
from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.errors import OrchestratorError
from orchestrator.fleet.run import FleetRun
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import Trial
from orchestrator.results.from_state import best_so_far, state_of
from orchestrator.text import moment, number, size_in_words
from orchestrator.views.report.figures import RANK_COLOURS

_LAYERS = ("name", "class", "output", "parameters", "trainable")
_MOST_TRACEBACK_LETTERS = 20_000


def add_trial_page(live: Live) -> None:
    """Adds the page."""

    @ui.page("/run/{key}/trial/{name}", response_timeout=60)
    async def trial(key: str, name: str) -> None:
        await show_run(live, key, title=f"trial {name}", tab="", show=lambda run: _show(run, name, live))


def _show(run: FollowedRun, name: str, live: Live) -> Callable[[], None] | None:
    if name not in run.state.trials:
        say(f"This run has no trial that is called {name!r}.")
        ui.link("All trials", run_path(run, "/trials"))
        return None
    head = ui.element("div").style("width: 100%")
    steering = TrialButtons(run, name, live)
    with panel("Curves", note="Of every metric; those that begin with val_ are of the validation split."):
        plot = Figure("No report yet.")
    with panel("Parameters", note="Beside those of the study's best trial; what differs is marked."):
        params = ui.element("div")
    _model(run, name)
    with panel("Checkpoints"):
        kept = ui.element("div")
    if run.folder.augmented.is_file():
        with panel("Augmented samples", note="Training images of the study, the original on the left."):
            ui.image(f"/data{run_path(run)}/augmented.png").props('alt="Training images, original and augmented"')
    with panel("Decisions", note="Every record of the journal about this trial."):
        words = ui.element("div")

    def draw() -> None:
        if (trial := run.state.trials.get(name)) is None:
            return
        plot.show(_curves(trial))
        _refill(params, lambda: _parameters(trial, run))
        _refill(kept, lambda: _checkpoints(trial, run))
        _refill(words, lambda: _decisions(trial, run))

    refresh = _refreshing(run, name, head=head, steering=steering, draw=draw)
    refresh()
    return refresh


def _refreshing(
    run: FollowedRun, name: str, *, head: ui.element, steering: TrialButtons, draw: Callable[[], None]
) -> Callable[[], None]:
    """Returns what brings the page up to date: its headline always, the rest where the trial has changed."""
    pace, num_shown = Pace(draw), 0
    state: StudyState | None = None

    def refresh() -> None:
        nonlocal state, num_shown
        trial = run.state.trials.get(name)
        if trial is None:
            # Repaired, or fetched anew: the rest of the page is what the journal of before had.
            _refill(head, lambda: say(f"The journal has no trial {name!r} any more; what it had before is below."))
            return
        _refill(head, lambda: _head(trial, run))
        steering.refresh()
        changes = run.state.changes
        if run.state is not state or name in changes[num_shown:]:
            pace.run()
        state, num_shown = run.state, len(changes)

    return refresh


def _refill(place: ui.element, fill: Callable[[], None]) -> None:
    place.clear()
    with place:
        fill()


def _head(trial: Trial, run: FollowedRun) -> None:
    best = trial.best_report(**run.state.header.ranking)
    metric = run.state.header.metric
    with ui.element("div").classes("controls"):
        state_pill(state_of(trial, is_alive=run.is_alive).value)
        if trial.steering.is_starred:
            ui.label("★").props('aria-label="starred"')
        if trial.steering.is_kept:
            ui.label("kept from being stopped").classes("soft")
    rows: dict[str, object] = {}
    if best is not None:
        rows[f"best {metric}"] = f"{number(best.metrics[metric])} at epoch {best.epoch}"
    rows["epochs"] = trial.num_epochs
    if trial.reports:
        rows["cost"] = ", ".join(f"{name} {number(value)}" for name, value in trial.reports[0].cost.items())
    if trial.reason:
        rows["reason"] = trial.reason
    if trial.worker:
        rows["last worker"] = f"{trial.worker.get('node', '')}, process {trial.worker.get('worker_pid', '')}"
    for name, text in _lineage(trial).items():
        rows[name] = text
    facts(rows)
    for item in trial.steering.annotations:
        ui.label(f"Note: {item.text}").style("white-space: pre-wrap")
    for note in trial.notes:
        say(f"{note.kind}: {note.text}")
    path = run.folder.failure(trial.name)
    if trial.failure is not None and path.is_file():
        with ui.expansion("Traceback").props('aria-label="Traceback"'):
            ui.label(_text_of(path)).classes("plain")


def _lineage(trial: Trial) -> Mapping[str, str]:
    found = {
        "goes on from": f"{trial.parent} at epoch {trial.from_epoch}" if trial.parent else "",
        "took the place of": trial.replaces,
        "its place was taken by": trial.replaced_by,
        "replicate of": trial.replicate_of,
        "trained in another run": trial.reused_from,
    }
    return {name: text for name, text in found.items() if text}


def _text_of(path: Any) -> str:
    try:
        text: str = path.read_text("utf-8", errors="replace")
    except OSError as exc:
        return f"The traceback cannot be read: {exc.strerror}"
    return text[-_MOST_TRACEBACK_LETTERS:]


def _curves(trial: Trial) -> dict[str, Any] | None:
    reports = list(trial.reports)
    names = dict.fromkeys(name for report in reports for name in report.metrics)
    bases = list(dict.fromkeys(name.removeprefix("val_") for name in names))
    if not reports:
        return None
    traces: list[dict[str, Any]] = []
    num_rows = math.ceil(len(bases) / 2)
    layout: dict[str, Any] = {
        "height": 60 + 260 * num_rows,
        "margin": {"l": 60, "r": 20, "t": 30, "b": 40},
        "grid": {"rows": num_rows, "columns": min(2, len(bases)), "pattern": "independent", "ygap": 0.3},
    }
    for place, base in enumerate(bases):
        suffix = "" if place == 0 else str(place + 1)
        layout[f"yaxis{suffix}"] = {"title": {"text": escape(base)}}
        layout[f"xaxis{suffix}"] = {"title": {"text": "epoch"}, "tickformat": "d"}
        for name, colour in ((base, RANK_COLOURS[1]), (f"val_{base}", RANK_COLOURS[0])):
            points = [(report.epoch, report.metrics[name]) for report in reports if name in report.metrics]
            if points:
                traces.append(
                    {
                        "type": "scatter",
                        "mode": "lines+markers",
                        "name": escape(name),
                        "x": [epoch for epoch, _ in points],
                        "y": [value for _, value in points],
                        "xaxis": f"x{suffix}",
                        "yaxis": f"y{suffix}",
                        "line": {"color": colour},
                    }
                )
    return {"data": traces, "layout": layout}


def _parameters(trial: Trial, run: FollowedRun) -> None:
    found = best_so_far(run.state)
    best = found[0] if found else None
    names = dict.fromkeys([*trial.variant.params, *(best.variant.params if best else ())])
    rows = {"family": (trial.variant.family, best.variant.family if best else "")} | {
        name: (
            number(trial.variant.params.get(name)),
            number(best.variant.params.get(name)) if best else "",
        )
        for name in names
    }
    title = f"{best.name}, the best" if best else "the best"
    items = [
        {"name": name, "here": here, "best": there, "differs": "differs" if here != there else ""}
        for name, (here, there) in rows.items()
    ]
    columns = [
        column(GridColumn(field="name", title="parameter"), width=200),
        column(GridColumn(field="here", title=trial.name), width=160),
        column(GridColumn(field="best", title=title), width=180),
        column(GridColumn(field="differs", title=""), width=100),
    ]
    grid(columns, row_id="name", rows=items, height=f"{min(110 + 42 * len(items), 480)}px")


def _model(run: FollowedRun, name: str) -> None:
    """Shows a button that builds the model in a process of its own, as that takes seconds."""
    with panel("Model", note="Its layers, as Keras has them; a process of its own builds the model once you ask."):
        place = ui.element("div").style("width: 100%")

        async def show() -> None:
            button.disable()
            try:
                rows = await asyncio.to_thread(_layers, run, name)
            except (OrchestratorError, OSError) as exc:
                problem = str(exc)
                _refill(place, lambda: ui.label(problem).classes("bad").props('role="alert"'))
                return
            finally:
                button.enable()
            _refill(place, lambda: _layer_rows(rows))

        button = ui.button("Show the layers", on_click=show).props("outline dense no-caps")


def _layers(run: FollowedRun, name: str) -> list[dict[str, Any]]:
    fleet: FleetRun = run.answer("fleet run", lambda: FleetRun(run.folder.root))
    return fleet.layers([fleet.trial(name)])[name]


def _layer_rows(rows: list[dict[str, Any]]) -> None:
    Figure("The model has no layers.").show(layers_figure(rows))
    columns = [
        column(GridColumn(field=name, title=name, is_number=name == "parameters"), width=190) for name in _LAYERS
    ]
    items = [
        {
            "place": str(place),
            **{name: row.get(name) if name == "parameters" else _cell(row.get(name)) for name in _LAYERS},
        }
        for place, row in enumerate(rows)
    ]
    grid(columns, row_id="place", rows=items, height=f"{min(110 + 42 * len(items), 560)}px")
    ui.label(f"{len(rows)} layers, {sum(row.get('parameters') or 0 for row in rows):,} parameters").classes("soft")


def _cell(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " x ".join(map(str, value))
    return "" if value is None else str(value)


def _checkpoints(trial: Trial, run: FollowedRun) -> None:
    folder = run.folder.checkpoints / trial.name
    try:
        found = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        sizes = {path.name: sum(file.stat().st_size for file in _files(path)) for path in found}
    except OSError:
        sizes = {}
    if not sizes:
        say("None is on this machine.")
        return
    facts({name: size_in_words(size) for name, size in sizes.items()})


def _files(path: Any) -> list[Any]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]


def _decisions(trial: Trial, run: FollowedRun) -> None:
    for item in decisions_of_trial(run, trial.name):
        with ui.element("div").classes("controls"):
            ui.link(moment(item.at), record_path(run, item.line)).classes("soft")
            ui.label(item.text)
