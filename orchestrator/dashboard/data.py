"""What pages fetch beside themselves: rows as JSON, tables as files, and a few files of a run."""

import gzip
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Response
from fastapi.responses import FileResponse

from orchestrator.dashboard.answers.decision_rows import decision_rows
from orchestrator.dashboard.answers.model_rows import folder_of_export
from orchestrator.dashboard.answers.rung_rows import rung_rows
from orchestrator.dashboard.answers.table_files import csv_bytes, parquet_bytes
from orchestrator.dashboard.answers.trial_rows import trial_grid_rows
from orchestrator.dashboard.parts.live import Live
from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.results.tables import epochs_table, trials_table

_ROWS: dict[str, Callable[[FollowedRun], list[dict[str, Any]]]] = {
    "trials": trial_grid_rows,
    "rungs": rung_rows,
    "decisions": decision_rows,
}
#: Files of an export that a browser may show; models are not handed out.
_EXPORT_FILES = {"model_card.html": "text/html", "manifest.json": "application/json", "worst_mistakes.png": "image/png"}
#: For pages that convfleet wrote into run folders, which anybody may have changed since: they may reach nothing.
_SEALED = "default-src 'none'; style-src 'unsafe-inline'; img-src data: 'self'; frame-ancestors 'self'; sandbox"
_SEALED_REPORT = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline' 'unsafe-eval'; img-src data: blob:; "
    "frame-ancestors 'none'; sandbox allow-scripts"
)
_NO_STORE = {"cache-control": "no-store"}
#: A journal of a million records is read in less.
_READING_SECONDS = 60.0


def add_data(application: FastAPI, live: Live) -> None:
    """Adds the addresses below `/data/run/`."""
    _add_tables(application, live)
    _add_files(application, live)

    @application.get("/data/run/{key}/{what}.json")
    def rows(key: str, what: str) -> Response:
        if what not in _ROWS:
            raise HTTPException(404, "no such rows")
        run = _found(live, key)
        body = run.answer(("gzip", what), lambda: gzip.compress(_json(_ROWS[what](run)), compresslevel=1))
        headers = {"content-encoding": "gzip", **_NO_STORE}
        return Response(body, media_type="application/json", headers=headers)


def _add_tables(application: FastAPI, live: Live) -> None:
    @application.get("/data/run/{key}/{name}.csv")
    def csv(key: str, name: str) -> Response:
        return _download(csv_bytes(_table(_found(live, key), name)), name=f"{key}-{name}.csv", kind="text/csv")

    @application.get("/data/run/{key}/{name}.parquet")
    def parquet(key: str, name: str) -> Response:
        data = parquet_bytes(_table(_found(live, key), name))
        return _download(data, name=f"{key}-{name}.parquet", kind="application/vnd.apache.parquet")


def _add_files(application: FastAPI, live: Live) -> None:
    @application.get("/data/run/{key}/study.yaml")
    def study_file(key: str) -> Response:
        return _file(_found(live, key).folder.study, kind="text/plain; charset=utf-8")

    @application.get("/data/run/{key}/journal.jsonl")
    def journal(key: str) -> Response:
        return _file(_found(live, key).folder.journal, kind="text/plain; charset=utf-8")

    @application.get("/data/run/{key}/augmented.png")
    def augmented(key: str) -> Response:
        return _file(_found(live, key).folder.augmented, kind="image/png")

    @application.get("/data/run/{key}/report.html")
    def report(key: str) -> Response:
        run = _found(live, key)
        if not run.folder.report.is_file():
            raise HTTPException(404, f"this run has no report yet; `convfleet report {run.folder.quoted}` writes one")
        return _file(run.folder.report, kind="text/html", policy=_SEALED_REPORT)

    @application.get("/data/run/{key}/export/{name}/{file}")
    def export(key: str, name: str, file: str) -> Response:
        folder = folder_of_export(_found(live, key), name)
        if folder is None or file not in _EXPORT_FILES:
            raise HTTPException(404, "no such file of an export")
        return _file(folder / file, kind=_EXPORT_FILES[file], policy=_SEALED)


def _found(live: Live, key: str) -> FollowedRun:
    run = live.runs.get(key)
    if run is None:
        raise HTTPException(404, f"no run is called {key!r}")
    # While a journal is read for the first time, its state is of half of it: no file may have that.
    end, wait = time.monotonic() + _READING_SECONDS, threading.Event().wait
    while run.is_open and not run.version:
        if time.monotonic() > end:
            raise HTTPException(503, "its journal is still read; try again in a moment")
        wait(0.02)
    if not run.is_open:
        raise HTTPException(404, run.problem or "its journal is read; try again in a moment")
    return run


def _json(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps(rows, separators=(",", ":"), allow_nan=False).encode()


def _table(run: FollowedRun, name: str) -> Any:
    if name not in ("trials", "epochs"):
        raise HTTPException(404, "the tables are trials and epochs")
    if run.problem:
        # A page says so beside its rows; a file has no place for it, and would pass for the whole run's.
        raise HTTPException(409, f"there is no whole table of this run: {run.problem}")
    return (trials_table if name == "trials" else epochs_table)(run.state)


def _download(data: bytes, *, name: str, kind: str) -> Response:
    safe = "".join(letter if (letter.isascii() and letter.isalnum()) or letter in "-_." else "_" for letter in name)
    headers = {"content-disposition": f'attachment; filename="{safe}"', **_NO_STORE}
    return Response(data, media_type=kind, headers=headers)


def _file(path: Path, *, kind: str, policy: str = _SEALED) -> Response:
    # Of a link, somebody else could have chosen the target.
    if path.is_symlink() or not path.is_file():
        raise HTTPException(404, f"this run has no {path.name}")
    return FileResponse(path, media_type=kind, headers={"content-security-policy": policy, **_NO_STORE})
