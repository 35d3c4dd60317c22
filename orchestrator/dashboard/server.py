"""The server of the dashboard: its pages and data behind the token, on an address of this machine."""

import os
import secrets
import signal
import socket
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware
from nicegui import app as pages_app
from nicegui import ui

from orchestrator.dashboard.access import Access, Application
from orchestrator.dashboard.data import add_data
from orchestrator.dashboard.pages.compare import add_compare_page
from orchestrator.dashboard.pages.decisions import add_decisions_page
from orchestrator.dashboard.pages.fleet import add_fleet_page
from orchestrator.dashboard.pages.models import add_models_page
from orchestrator.dashboard.pages.parameters import add_parameters_page
from orchestrator.dashboard.pages.rungs import add_rungs_page
from orchestrator.dashboard.pages.studies import add_studies_page
from orchestrator.dashboard.pages.study import add_study_page
from orchestrator.dashboard.pages.trial import add_trial_page
from orchestrator.dashboard.pages.trials import add_trials_page
from orchestrator.dashboard.parts.live import Live
from orchestrator.dashboard.watching.priority import step_back
from orchestrator.dashboard.watching.runs import WatchedRuns
from orchestrator.errors import InputError

_PAGES = (
    add_studies_page,
    add_compare_page,
    add_study_page,
    add_trials_page,
    add_parameters_page,
    add_rungs_page,
    add_fleet_page,
    add_models_page,
    add_decisions_page,
    add_trial_page,
)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, kw_only=True)
class DashboardSettings:
    """What a dashboard is started with.

    Attributes:
        places: Run folders, and folders of run folders.
        fetched: The URIs of places that were fetched from a storage.
        stores: The URIs of folders of runs in a storage.
        host: Where it listens.
        port: Likewise; 0: any free one.
        is_read_only: Whether steering is switched off.
        token: What the link carries; empty: a new one.
        listener: The number of a socket that listens already, which a process handed on; None: there is none.
    """

    places: Sequence[Path]
    fetched: Mapping[Path, str] = field(default_factory=dict)
    stores: Sequence[str] = ()
    host: str = "127.0.0.1"
    port: int = 8100
    is_read_only: bool = False
    token: str = ""
    listener: int | None = None


def make_application(settings: DashboardSettings, *, token: str) -> Application:
    """Returns the dashboard as an ASGI application behind its token; a process has one at most."""
    runs = WatchedRuns(settings.places, fetched=settings.fetched, stores=settings.stores)
    live = Live(runs=runs, is_read_only=settings.is_read_only)
    application = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    add_data(application, live)
    for add_page in _PAGES:
        add_page(live)
    pages_app.on_startup(live.begin)
    ui.run_with(
        application,
        title="convfleet",
        dark=None,
        # Nothing is bound to values that somebody else changes, so nothing has to be compared ten times a second.
        binding_refresh_interval=None,
        reconnect_timeout=30.0,
        # For a first visit to a page with figures 0.07 s of a core instead of 0.18, and a twentieth more bytes.
        gzip_middleware_factory=lambda pages: GZipMiddleware(pages, compresslevel=4),
        tailwind=False,
        show_welcome_message=False,
    )
    hosts = LOOPBACK if settings.host in LOOPBACK else frozenset[str]()
    return Access(application, token=token, hosts=hosts)


def serve_dashboard(settings: DashboardSettings, *, on_ready: Any) -> None:
    """Serves the dashboard until Ctrl-C or SIGTERM.

    Args:
        settings: Where, and which runs.
        on_ready: Receives the address with its token once the server listens.

    Raises:
        InputError: If nothing can listen there, or a place does not exist.
    """
    token = settings.token or secrets.token_urlsafe(24)
    application = make_application(settings, token=token)
    if settings.listener is not None:
        end_with_parent(os.getppid())
    with _listener(settings) as listener:
        server = uvicorn.Server(
            uvicorn.Config(
                application,
                log_level="error",
                access_log=False,
                ws_max_size=2**20,
                # Browsers of this machine need no compressed news, which would be compressed for each page anew.
                ws_per_message_deflate=settings.host not in LOOPBACK,
                timeout_graceful_shutdown=3,
            )
        )
        port = listener.getsockname()[1]
        shown = f"[{settings.host}]" if ":" in settings.host else settings.host
        announced = threading.Thread(target=_announce, args=(server, on_ready, f"http://{shown}:{port}/?token={token}"))
        announced.daemon = True
        announced.start()
        step_back()
        server.run(sockets=[listener])


def _announce(server: uvicorn.Server, on_ready: Any, address: str) -> None:
    gone = threading.Event()
    while not server.started and not server.should_exit:
        gone.wait(0.02)
    if server.started:
        on_ready(address)


def _listener(settings: DashboardSettings) -> socket.socket:
    host, port = settings.host, settings.port
    if settings.listener is not None:
        return socket.socket(fileno=settings.listener)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except (OSError, UnicodeError) as exc:
        reason = getattr(exc, "strerror", None) or exc
        raise InputError(
            f"--host {host} --port {port}: cannot listen there ({reason}); end what does, or name another port"
        ) from exc
    listener.listen(128)
    return listener


def end_with_parent(pid: int) -> None:
    """Ends this server once the process that it was started beside has ended."""

    def watch() -> None:
        gone = threading.Event()
        while os.getppid() == pid:
            gone.wait(1.0)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
