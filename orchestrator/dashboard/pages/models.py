"""The pages of exported models: all of a run, and one with its formats, its card, and a place to try an image."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from nicegui import events, ui

from orchestrator.dashboard.answers.model_rows import MODEL_COLUMNS, exports_of, folder_of_export, model_rows
from orchestrator.dashboard.parts.frame import facts, panel, run_path, say, show_run, trial_path
from orchestrator.dashboard.parts.grids import column, grid
from orchestrator.dashboard.parts.live import Live
from orchestrator.dashboard.watching.commands import answer_of
from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.errors import OrchestratorError
from orchestrator.export.exported_files import read_export_manifest
from orchestrator.inference.words import answer_lines
from orchestrator.results.words import named_test_metrics
from orchestrator.text import moment, number

_MOST_IMAGE_BYTES = 20_000_000
_CARD = "model_card.html"


def add_models_page(live: Live) -> None:
    """Adds the pages."""

    @ui.page("/run/{key}/models", response_timeout=60)
    async def models(key: str) -> None:
        await show_run(live, key, title="models", tab="Models", show=_show_all)

    @ui.page("/run/{key}/model/{name}", response_timeout=60)
    async def model(key: str, name: str) -> None:
        await show_run(live, key, title=f"model {name}", tab="", show=lambda run: _show(run, name))


def _show_all(run: FollowedRun) -> Callable[[], None]:
    with panel("Exported models", note="Test metrics come from the test split; they steered nothing."):
        place = ui.element("div").style("width: 100%")
    with panel("Formats", note="Each file was loaded by its own runtime and compared with the checkpoint."):
        formats = ui.element("div").style("width: 100%")
    shown = {"exports": ""}

    def refresh() -> None:
        found = exports_of(run)
        if str(found) == shown["exports"]:
            return
        shown["exports"] = str(found)
        place.clear()
        formats.clear()
        with place:
            if not found:
                say("No model has been exported so far; the study's page has a button for it.")
            for name, words in found.items():
                with ui.element("div").classes("controls"):
                    ui.link(name, run_path(run, f"/model/{name}"))
                    ui.label(words)
        with formats:
            _formats(model_rows(run))

    refresh()
    return refresh


def _formats(rows: list[dict[str, Any]]) -> None:
    if not rows:
        say("None.")
        return
    columns = [column(item, width=width) for item, width in MODEL_COLUMNS]
    grid(columns, row_id="id", rows=rows, height=f"{min(130 + 42 * len(rows), 520)}px")


def _show(run: FollowedRun, name: str) -> Callable[[], None] | None:
    folder = folder_of_export(run, name)
    manifest = read_export_manifest(folder) if folder else {}
    if folder is None or not manifest:
        say(f"This run has no exported model {name!r} on this machine whose manifest can be read.")
        ui.link("All models", run_path(run, "/models"))
        return None
    with panel("Manifest"):
        facts(dict(_facts(manifest)))
        if isinstance(manifest.get("trial"), str) and manifest["trial"] in run.state.trials:
            ui.link(f"trial {manifest['trial']}", trial_path(run, manifest["trial"]))
        ui.link("manifest.json", f"/data{run_path(run)}/export/{name}/manifest.json")
    with panel("Formats"):
        _formats([row for row in model_rows(run) if row["model"] == name])
    _try_image(folder)
    if (folder / _CARD).is_file():
        with panel("Card", note="Metrics with intervals, confusion matrix, classes, calibration, worst mistakes."):
            source = f"/data{run_path(run)}/export/{name}/{_CARD}"
            # Its own policy lets it run nothing and reach nothing.
            ui.element("iframe").classes("frame").props(f'src="{source}" sandbox="" title="Model card"')
    return None


def _facts(manifest: dict[str, Any]) -> Iterator[tuple[str, object]]:
    yield "study", manifest.get("study", "")
    yield "epoch", manifest.get("epoch", manifest.get("method", ""))
    if isinstance(at := manifest.get("exported_at"), int | float):
        yield "exported", moment(at)
    yield "parameters", number(manifest.get("num_parameters"))
    for name, value in named_test_metrics(manifest.get("test_metrics", {})).items():
        yield name, number(value)
    for place, item in enumerate(manifest.get("inputs", [])):
        yield f"input {place + 1}", f"{item.get('name')}: {item.get('shape')} {item.get('dtype')}, {item.get('values')}"
    for place, item in enumerate(manifest.get("outputs", [])):
        yield f"output {place + 1}", f"{item.get('name')}: {item.get('shape')}, {item.get('values')}"
    yield "data", manifest.get("dataset_fingerprint", "")


def _try_image(folder: Path) -> None:
    with panel("Try an image", note="A process of its own answers, read as the study read its images."):
        answers = ui.element("div").props('role="status"')

        async def answer(event: events.UploadEventArguments) -> None:
            answers.clear()
            with answers:
                say(f"{event.file.name}: the model is loaded ...")
            try:
                lines = await _answer(folder, event)
            except (OrchestratorError, OSError) as exc:
                lines = [str(exc)]
            answers.clear()
            with answers:
                for line in lines:
                    ui.label(line)
            event.sender.reset()

        ui.upload(
            label="Drop an image here, or choose one",
            auto_upload=True,
            max_file_size=_MOST_IMAGE_BYTES,
            on_upload=answer,
            on_rejected=lambda: ui.notify("This is no single file of at most 20 MB."),
        ).props('accept="image/*" flat bordered').style("width: 420px; max-width: 100%")


async def _answer(folder: Path, event: events.UploadEventArguments) -> list[str]:
    """Returns what a model says to an image, in lines; the file's own name is not used for a path."""
    with tempfile.TemporaryDirectory(prefix="convfleet-") as place:
        suffix = Path(event.file.name).suffix
        path = Path(place) / f"image{suffix if suffix[1:].isalnum() and len(suffix) < 12 else ''}"
        await event.file.save(path)
        found = await asyncio.to_thread(answer_of, ["predict", str(folder), str(path), "--top", "5", "--json"])
    problems = [f"{item['path']}: {item['problem']}" for item in found.get("problems", ())]
    return [line.replace(str(path), event.file.name) for line in (*answer_lines(found), *problems)]
