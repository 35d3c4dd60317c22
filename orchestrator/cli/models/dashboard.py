"""The command `convfleet dashboard`: runs in a browser."""

import os
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.errors import InputError

_LARGEST_PORT = 65535


def dashboard(
    places: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUNS|RUN...", help="Folders of runs, or run folders, also by their URIs; default: runs."
        ),
    ] = None,
    *,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; beyond this machine only its token protects it.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", help="Where to listen; 0: any free port.")] = 8100,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Has the token, mode 600; default: a new one each time."),
    ] = None,
    read_only: Annotated[bool, typer.Option("--read-only", help="Switch all steering off.")] = False,
) -> None:
    """Show runs in a browser, also while they run, until Ctrl-C; the printed link has the token."""
    from orchestrator.cli.runs import local_run
    from orchestrator.dashboard.beside import TOKEN_VARIABLE, demand_packages, handed_on

    if not 0 <= port <= _LARGEST_PORT:
        raise InputError(f"--port: must be a whole number of 0 to {_LARGEST_PORT}, got {port}")
    demand_packages()
    from orchestrator.dashboard.server import DashboardSettings, serve_dashboard
    from orchestrator.serving.settings import token_of
    from trainables.files.uris import is_uri

    named = places or ["runs"]
    stores = [place for place in named if is_uri(place) and _is_folder_of_runs(place)]
    found = {local_run(place, with_files=True): place for place in named if place not in stores}
    settings = DashboardSettings(
        places=list(found),
        fetched={path: place for path, place in found.items() if is_uri(place)},
        stores=stores,
        host=host,
        port=port,
        is_read_only=read_only,
        token=os.environ.pop(TOKEN_VARIABLE, "") if token_file is None else token_of(token_file),
        listener=handed_on(),
    )
    serve_dashboard(settings, on_ready=lambda address: print(f"dashboard: {address}  (Ctrl-C ends it)", flush=True))


def _is_folder_of_runs(uri: str) -> bool:
    """Returns whether a URI names a folder of runs, with one at least; what is wrong is said where it is fetched."""
    from orchestrator.mirror.places import runs_below
    from trainables.files.uris import uri_problem

    return not uri_problem(uri) and bool(runs_below(uri))
