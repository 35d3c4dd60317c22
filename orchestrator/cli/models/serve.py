"""The command `convfleet serve`: a registry's models behind HTTP."""

import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.errors import InputError

if TYPE_CHECKING:
    from orchestrator.serving.settings import ServingSettings

_LARGEST_PORT, _MOST_CPUS = 65535, 1024


def serve(
    registry: Annotated[str, typer.Argument(metavar="REGISTRY", help="A registry: folder or URI in S3.")] = "registry",
    *,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Where to listen; beyond this machine only with a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", help="Where to listen.")] = 8000,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Has the token of requests, mode 600; default beyond this machine: one is made and printed.",
        ),
    ] = None,
    memory: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Of files of models that stay loaded, such as 2GiB; default: all."),
    ] = None,
    body: Annotated[str, typer.Option(metavar="SIZE", help="The largest body of a request.")] = "16MiB",
    requests: Annotated[
        int, typer.Option(metavar="NUMBER", help="How many requests a replica has in hand; others get 429.")
    ] = 64,
    replicas: Annotated[int, typer.Option(metavar="NUMBER", help="How many processes answer.")] = 1,
    address: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Of a Ray cluster whose head listens and whose nodes answer, or auto."),
    ] = None,
    cpus: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Of a cluster's CPUs for each replica; default: 1.")
    ] = None,
) -> None:
    """Answer HTTP requests (KServe v2, pictures) with the models of a registry, until Ctrl-C."""
    from orchestrator.serving.settings import is_loopback, new_token

    _demand_numbers({"--port": (port, _LARGEST_PORT), "--requests": (requests, 10_000), "--replicas": (replicas, 256)})
    _demand_numbers({"--cpus": (1 if cpus is None else cpus, _MOST_CPUS)}, least=0)
    settings, token = _settings(registry, token_file=token_file, memory=memory, body=body, requests=requests), None
    if settings.token_sha256 is None and not is_loopback(host):
        token = new_token()
        settings = _with_token(settings, token)
    _demand_packages()
    over = threading.Event()
    with _server(settings, address=address, host=host, port=port, replicas=replicas, cpus=cpus) as wait:
        # After Ray's start, which brings handlers of its own.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: over.set())
        if token is not None:
            print(f"token: {token}")
        place = f"[{host}]" if ":" in host else host
        where = "" if address is None else " of the cluster's head"
        print(f"serving {registry} at http://{place}:{port}/v2{where}, Ctrl-C ends it", flush=True)
        while not over.is_set():
            wait()


def _server(
    settings: "ServingSettings", *, address: str | None, host: str, port: int, replicas: int, cpus: int | None
) -> "AbstractContextManager[Callable[[], None]]":
    """Returns the server, which yields what waits a moment."""
    if address is None:
        if cpus is not None:
            raise InputError(
                f"--cpus {cpus}: is for a cluster, with --address; on this machine alone replicas take all"
            )
        from orchestrator.serving.on_ray.this_machine import serving
        from orchestrator.serving.settings import demand_free

        demand_free(host, port)
        return serving(settings, host=host, port=port, replicas=replicas)
    from orchestrator.cluster.connection import is_ray_client
    from orchestrator.serving.on_ray.cluster import serving_on_cluster
    from orchestrator.serving.on_ray.deployment import Deployed

    if is_ray_client(address):
        raise InputError(
            f"--address {address}: a command outside of the cluster (Ray Client) cannot serve; run it on a node, with "
            "--address auto"
        )
    deployed = Deployed(host=host, port=port, replicas=replicas, cpus=1 if cpus is None else cpus)
    return serving_on_cluster(settings, address=address, deployed=deployed, notify=partial(print, flush=True))


def _settings(
    registry: str, *, token_file: Path | None, memory: str | None, body: str, requests: int
) -> "ServingSettings":
    """Returns what the server is made with, once all of it is checked."""
    from orchestrator.registry.registry import Registry
    from orchestrator.serving.settings import ServingSettings, parsed_size
    from trainables.files.uris import is_uri

    opened = Registry(registry)
    if not opened.names():
        raise InputError(f"{registry}: has no models; `convfleet registry add RUN --name NAME` adds one")
    settings = ServingSettings(
        registry=registry if is_uri(registry) else str(opened.path.absolute()),
        memory_bytes=None if memory is None else parsed_size(memory, option="--memory"),
        most_body_bytes=parsed_size(body, option="--body"),
        most_requests=requests,
    )
    if token_file is None:
        return settings
    from orchestrator.serving.settings import token_of

    return _with_token(settings, token_of(token_file))


def _with_token(settings: "ServingSettings", token: str) -> "ServingSettings":
    from dataclasses import replace

    from orchestrator.serving.settings import sha256_of

    return replace(settings, token_sha256=sha256_of(token))


def _demand_numbers(given: dict[str, tuple[int, int]], *, least: int = 1) -> None:
    for option, (number, largest) in given.items():
        if not least <= number <= largest:
            raise InputError(f"{option}: must be a whole number of {least} to {largest}, got {number}")


def _demand_packages() -> None:
    from orchestrator.serving.on_ray.nodes import lacking

    if missing := lacking():
        verb = "is" if len(missing) == 1 else "are"
        raise InputError(
            f"serve needs {' and '.join(missing)}, which {verb} not installed; pip install 'convfleet[serve]'"
        )
