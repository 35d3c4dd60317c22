"""Buttons that steer: each asks the driver, or writes the journal where none is at work, and shows the answer."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nicegui import ui

from orchestrator.dashboard.parts.frame import panel
from orchestrator.dashboard.parts.live import Live
from orchestrator.dashboard.watching.commands import begin
from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.errors import OrchestratorError
from orchestrator.steering.requests import (
    AddVariant,
    Annotate,
    KeepTrial,
    PauseStudy,
    Request,
    Star,
    StopTrial,
    TagStudy,
)
from orchestrator.steering.steer import steer
from orchestrator.steering.words import waiting_words

_READ_ONLY = "This dashboard was started with --read-only, so nothing can be steered from here."


def _button(text: str, act: Callable[[], Any]) -> ui.button:
    return ui.button(text, on_click=act).props("outline dense no-caps")


async def _ask(run: FollowedRun, request: Request) -> bool:
    """Asks for something, shows the answer, and returns whether it is done."""
    try:
        answer = await asyncio.to_thread(steer, run.folder, request)
    except (OrchestratorError, OSError) as exc:
        ui.notify(str(exc), type="negative", multi_line=True, close_button=True, timeout=15_000)
        return False
    kind = "positive" if answer.is_done else "warning" if answer.is_waiting else "negative"
    ui.notify(answer.text, type=kind, multi_line=True, close_button=True)
    return answer.is_done


def is_driven_here(run: FollowedRun) -> bool:
    """Returns whether a driver that looks for requests in the run folder is at work on a run."""
    return run.is_alive and run.is_elsewhere is False


def is_free_to_begin(run: FollowedRun) -> bool:
    """Returns whether no driver is at work on a run, here or on another machine, as far as anybody knows."""
    return not run.is_alive and run.is_elsewhere is False


def _where_driven(run: FollowedRun) -> str:
    if run.is_elsewhere is None:
        return "This is a copy of a run in a storage; the storage is asked whether a driver is at work on it elsewhere."
    if run.is_elsewhere:
        return "This is a copy of a run in a storage: steer it on the machine whose driver is at work on it."
    return ""


class StudyButtons:
    """What can be done with a study: pause, go on, extend, add a variant, export, write a note, give it tags.

    Args:
        run: The run.
        live: Says whether steering is switched off.
    """

    def __init__(self, run: FollowedRun, live: Live) -> None:
        self._run, self._is_read_only = run, live.is_read_only
        self._notes: ui.element | None = None
        with panel("Steer"):
            self._tags = ui.element("div").classes("controls")
            if live.is_read_only:
                ui.label(_READ_ONLY).classes("soft")
            else:
                with ui.element("div").classes("controls"):
                    self._buttons()
            self._notes = ui.element("div")
        self._shown: tuple[list[str], list[str]] | None = None

    def _buttons(self) -> None:
        self._where = ui.label().classes("soft")
        self._pause = _button("Pause", lambda: _ask(self._run, PauseStudy()))
        self._resume = _button("Resume", lambda: self._begin("resume"))
        self._extend = _button("Extend ...", self._ask_extension)
        self._add = _button("Add a variant ...", self._ask_variant)
        self._export = _button("Export ...", self._ask_export)
        self._note = _button("Write a note ...", lambda: ask_note(self._run, trial=""))
        _button("Tag ...", self._ask_tags)

    def refresh(self) -> None:
        """Shows what can be done now, and the study's notes and tags."""
        run = self._run
        if hasattr(self, "_pause"):
            is_over, is_free = run.state.finished is not None, is_free_to_begin(run)
            self._pause.set_enabled(is_driven_here(run))
            self._resume.set_enabled(is_free and not is_over)
            self._extend.set_enabled(is_free)
            self._add.set_enabled(is_driven_here(run))
            self._export.set_enabled(is_free)
            waiting = waiting_words(run.state)
            self._where.set_text(_where_driven(run) or (f"Variants that people added: {waiting}." if waiting else ""))
        notes, tags = [item.text for item in run.state.steering.annotations], list(run.state.steering.tags)
        if (notes, tags) != self._shown and self._notes is not None:
            self._shown = notes, tags
            self._notes.clear()
            with self._notes:
                for text in notes:
                    ui.label(f"Note: {text}").style("white-space: pre-wrap")
            self._tags.clear()
            with self._tags:
                for tag in tags:
                    self._chip(tag)

    def _chip(self, tag: str) -> None:
        with ui.element("span").classes("chip"):
            ui.label(tag).style("display: inline")
            if not self._is_read_only:
                remove = ui.button("x", on_click=lambda: _ask(self._run, TagStudy(tags=[tag], tagged=False)))
                remove.props("flat dense round size=xs").props["aria-label"] = f"Take the tag {tag} away"

    def _begin(self, *words: str) -> None:
        command, *options = words
        log = begin(self._run.folder, [command, str(self._run.folder.root), *options])
        ui.notify(f"Started: convfleet {command}; what it prints is in {log}", multi_line=True)

    def _ask_extension(self) -> None:
        header = self._run.state.header
        with _dialog("Extend the study") as dialog:
            trials = ui.number("Trials in all", value=header.num_trials, min=header.num_trials, precision=0)
            epochs = ui.number("Epochs of a trial", value=header.max_epochs, min=header.max_epochs, precision=0)

            def go() -> None:
                options = []
                if trials.value and trials.value != header.num_trials:
                    options += ["--set", f"search.trials={int(trials.value)}"]
                if epochs.value and epochs.value != header.max_epochs:
                    options += ["--set", f"schedule.max_epochs={int(epochs.value)}"]
                self._begin("resume", *options)
                dialog.close()

            _button("Extend and go on", go)

    def _ask_export(self) -> None:
        with _dialog("Export the best models") as dialog:
            top = ui.number("How many", value=max(1, len(self._run.state.exports)), min=1, max=100, precision=0)

            def go() -> None:
                self._begin("export", "--top", str(int(top.value or 1)))
                dialog.close()

            _button("Export", go)

    def _ask_tags(self) -> None:
        with _dialog("Tag the study") as dialog:
            text = ui.textarea("Tags, a comma between them").style("width: 420px; max-width: 100%").props("autofocus")

            async def go() -> None:
                tags = [tag for part in (text.value or "").split(",") if (tag := " ".join(part.split()))]
                if await _ask(self._run, TagStudy(tags=tags)):
                    dialog.close()

            _button("Save", go)

    def _ask_variant(self) -> None:
        run = self._run
        trials = list(run.state.trials.values())
        known = trials[-1] if trials else None
        example = {} if known is None else {name: _plain(value) for name, value in known.variant.params.items()}
        if known is not None and len({trial.variant.family for trial in trials}) > 1:
            example = {"family": known.variant.family, **example}
        with _dialog("Add a variant") as dialog:
            ui.label("Values of the space's parameters, as JSON; those of the last trial stand here.").classes("soft")
            text = ui.textarea("Parameters", value=json.dumps(example, indent=1)).style("width: 420px; max-width: 100%")
            problem = ui.label("").classes("bad").props('role="alert"')

            async def go() -> None:
                try:
                    params = json.loads(text.value or "")
                except ValueError as exc:
                    problem.set_text(f"This is no JSON: {exc}")
                    return
                if not isinstance(params, dict):
                    problem.set_text('Expected values by name, such as {"filters": 16}.')
                    return
                if await _ask(run, AddVariant(params=params)):
                    dialog.close()

            _button("Add", go)


class TrialButtons:
    """What can be done with a trial: stop it, keep it from being stopped, star it, write a note.

    Args:
        run: The run.
        trial: Its name.
        live: Says whether steering is switched off.
    """

    def __init__(self, run: FollowedRun, trial: str, live: Live) -> None:
        self._run, self._name = run, trial
        with panel("Steer"):
            if live.is_read_only:
                ui.label(_READ_ONLY).classes("soft")
                return
            with ui.element("div").classes("controls"):
                self._stop = _button("Stop", lambda: _ask(run, StopTrial(trial=trial)))
                self._keep = _button(
                    "Keep", lambda: _ask(run, KeepTrial(trial=trial, keep=not self._trial.steering.is_kept))
                )
                self._star = _button(
                    "Star", lambda: _ask(run, Star(trial=trial, starred=not self._trial.steering.is_starred))
                )
                _button("Write a note ...", lambda: ask_note(run, trial=trial))

    @property
    def _trial(self) -> Any:
        return self._run.state.trials[self._name]

    def refresh(self) -> None:
        """Shows what can be done now."""
        if not hasattr(self, "_stop"):
            return
        trial = self._trial
        run = self._run
        self._stop.set_enabled(not trial.has_ended and (is_driven_here(run) or is_free_to_begin(run)))
        self._keep.set_enabled(not trial.has_ended and is_driven_here(run))
        self._keep.set_text("Let early stopping decide again" if trial.steering.is_kept else "Keep from being stopped")
        self._star.set_text("Take the star away" if trial.steering.is_starred else "Star")


def ask_note(run: FollowedRun, *, trial: str) -> None:
    """Asks for a note about a trial, or about the study for an empty name."""
    with _dialog("Write a note") as dialog:
        text = ui.textarea("Note").style("width: 420px; max-width: 100%").props('maxlength="2000" autofocus')

        async def go() -> None:
            if await _ask(run, Annotate(trial=trial, text=text.value or "")):
                dialog.close()

        _button("Save", go)


@contextmanager
def _dialog(title: str) -> Iterator[ui.dialog]:
    """Yields an open dialog, with the place of its content."""
    dialog = ui.dialog(value=True)
    dialog.on("hide", dialog.delete)
    with dialog, ui.card():
        ui.label(title).style("font-weight: 600")
        yield dialog


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
