"""The page of the workers: what each did when, what the seconds were spent on, and what machines are at now."""

import asyncio
import socket
from collections.abc import Callable

from nicegui import ui

from orchestrator.dashboard.answers.history_figures import seconds_figure
from orchestrator.dashboard.answers.node_rows import node_in_words, node_rows, training_now
from orchestrator.dashboard.parts.figures import Figure
from orchestrator.dashboard.parts.frame import facts, panel, say, show_run
from orchestrator.dashboard.parts.live import Live, Pace
from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.dashboard.watching.machine import GpuWatch, gpus_in_words, machine_now
from orchestrator.history.fleet_timeline import FleetTimeline, fleet_timeline
from orchestrator.text import duration, moment
from orchestrator.views.report.history_section import workers_figure

_MACHINE_SECONDS = 2.0


def add_fleet_page(live: Live) -> None:
    """Adds the page."""
    gpus = GpuWatch()

    @ui.page("/run/{key}/fleet", response_timeout=60)
    async def fleet(key: str) -> None:
        await show_run(live, key, title="fleet", tab="Fleet", show=lambda run: _show(run, gpus))


def _show(run: FollowedRun, gpus: GpuWatch) -> Callable[[], None]:
    with panel("Now", note="This machine is that of the dashboard; of others, what workers report after each epoch."):
        machine, now = ui.element("div"), ui.element("div")
    with panel("Workers over time", note="A line a worker process; zoom by dragging, double-click for all."):
        plot = Figure("No worker has reported so far.")
    with panel("What the seconds were spent on", note="From the workers' own reports."):
        seconds = Figure("No worker has reported so far.")
        words = ui.element("div")
    with panel("Lost workers"):
        losses = ui.element("div")

    def draw() -> None:
        timeline: FleetTimeline = run.answer("fleet", lambda: fleet_timeline(run.state))
        plot.show(run.answer("fleet figure", lambda: workers_figure(timeline)))
        seconds.show(seconds_figure(timeline))
        _refill(words, lambda: _words(timeline))
        _refill(losses, lambda: _losses(timeline))

    pace = Pace(draw)

    def refresh() -> None:
        _refill(now, lambda: _now(run))
        pace.run()

    async def look() -> None:
        # On a thread: nvidia-smi takes up to a second.
        found = gpus_in_words(await asyncio.to_thread(gpus.now)) if run.is_alive else {}
        if run.is_alive:
            _refill(machine, lambda: facts({"this machine": machine_now(), **found}))
        else:
            machine.clear()

    refresh()
    ui.timer(_MACHINE_SECONDS, look)
    return refresh


def _refill(place: ui.element, fill: Callable[[], None]) -> None:
    place.clear()
    with place:
        fill()


def _now(run: FollowedRun) -> None:
    if not run.is_alive:
        say("No driver is at work on this run.")
        return
    running = training_now(run)
    here = socket.gethostname()
    facts(
        {
            f"node {row.node}{' (this machine)' if row.node == here else ''}": node_in_words(row)
            for row in node_rows(running)
            if row.node
        }
    )
    rows = {}
    for trial in running:
        worker = trial.worker
        place = (
            f"{worker.get('node', '?')}, process {worker.get('worker_pid', '?')}" if worker else "a worker that starts"
        )
        memory = f", {worker['memory_mb']:.0f} MB" if isinstance(worker.get("memory_mb"), int | float) else ""
        rows[trial.name] = f"epoch {trial.epoch} done, on {place}{memory}"
    facts(rows)
    if not rows:
        say("No trial is with a worker now.")


def _words(timeline: FleetTimeline) -> None:
    saved = timeline.saved
    if saved.num_stopped:
        ui.label(
            f"Stopping {saved.num_stopped} weak trials saved {saved.epochs} epochs, about {duration(saved.seconds)} of "
            "training."
        )
    if timeline.cut_seconds > 1.0:
        say(f"{duration(timeline.cut_seconds)} are in no bar, as the clocks of workers and driver disagree there.")


def _losses(timeline: FleetTimeline) -> None:
    if not timeline.losses:
        say("None.")
    for loss in timeline.losses:
        again = "its trial went on with another one" if loss.is_retried else "its trial did not go on"
        ui.label(f"{moment(loss.at)}, {loss.trial}: {loss.reason}; {duration(loss.seconds)} were lost, {again}.")
