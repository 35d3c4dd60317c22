"""The server's routes: the KServe v2 protocol, pictures, metrics, and a page to try a picture."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib import resources
from importlib.metadata import version as installed_version
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from orchestrator.serving.engine import Engine
from orchestrator.serving.guard import PAGE_PATHS, Application, Guard
from orchestrator.serving.metrics import ServingMetrics
from orchestrator.serving.pictures import MOST_PIXELS, picture_answer, picture_pixels
from orchestrator.serving.protocol import (
    EXTENSIONS,
    HEADER_LENGTH,
    RequestRefusedError,
    encoded_answer,
    model_metadata,
    parsed_request,
)
from orchestrator.serving.settings import ServingSettings

logger = logging.getLogger(__name__)

#: Which version gave an answer, also where the body does not say.
NAME_HEADER, VERSION_HEADER = "X-Model-Name", "X-Model-Version"
#: Who asks, where versions share an alias; equal keys get equal versions.
KEY_HEADER = "X-Convfleet-Key"
_LONGEST_KEY = 256
#: What servers write in their logs of a client that closed its connection before it had an answer.
_CLIENT_LEFT = 499
#: The page is of this server's own files alone; what it shows of a registry is text.
_PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src blob:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
_MODEL = "/v2/models/{name}"
_VERSION = "/v2/models/{name}/versions/{which}"


def application_of(settings: ServingSettings) -> Application:
    """Returns the ASGI application of one replica.

    Args:
        settings: The registry, the token's hash and the limits.
    """
    metrics = ServingMetrics()
    engine = Engine(settings, metrics=metrics)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await engine.start()
        yield
        await engine.stop()

    # Its pages of documentation would load scripts from elsewhere; /openapi.json says the same.
    app = FastAPI(
        title="convfleet", version=installed_version("convfleet"), lifespan=lifespan, docs_url=None, redoc_url=None
    )
    _add_page(app)
    _add_server(app, metrics=metrics)
    _add_models(app, engine=engine)
    _add_predictions(app, engine=engine)
    _add_refusals(app)
    return Guard(app, settings=settings, metrics=metrics)


def _add_page(app: FastAPI) -> None:
    folder = resources.files("orchestrator.serving").joinpath("page")
    kinds = {"html": "text/html", "js": "text/javascript", "css": "text/css"}

    def add(path: str) -> None:
        name = path.removeprefix("/") or "page.html"
        content = folder.joinpath(name).read_bytes()

        @app.get(path, include_in_schema=False)
        async def page() -> Response:
            return Response(content, media_type=kinds[name.rpartition(".")[2]], headers=_PAGE_HEADERS)

    for path in sorted(PAGE_PATHS):
        add(path)


def _add_server(app: FastAPI, *, metrics: ServingMetrics) -> None:
    @app.get("/v2", summary="What the server is.")
    async def server() -> dict[str, Any]:
        return {"name": "convfleet", "version": app.version, "extensions": list(EXTENSIONS)}

    @app.get("/v2/health/live", summary="Whether the server lives.")
    async def live() -> dict[str, bool]:
        return {"live": True}

    # A replica gets no requests before it has read the registry.
    @app.get("/v2/health/ready", summary="Whether the server answers requests.")
    async def ready() -> dict[str, bool]:
        return {"ready": True}

    @app.get("/metrics", summary="Counters of this replica, for Prometheus.")
    async def counters() -> Response:
        return Response(metrics.text(), media_type=metrics.content_type)


def _add_models(app: FastAPI, *, engine: Engine) -> None:
    @app.get("/v2/models", summary="The names of all models.")
    async def models() -> dict[str, Any]:
        return {"models": engine.models.names}

    @app.get(_MODEL, summary="Inputs, outputs and versions of a model.")
    @app.get(_VERSION, summary="Likewise, of one version by its number or alias.")
    async def metadata(name: str, which: str | None = None) -> dict[str, Any]:
        described = await engine.described(name, which)
        return model_metadata(described, versions=engine.models.versions_of(name))

    @app.get(f"{_MODEL}/ready", summary="Whether a model can answer; loads it.")
    @app.get(f"{_VERSION}/ready", summary="Likewise, of one version by its number or alias.")
    async def model_ready(name: str, which: str | None = None) -> dict[str, Any]:
        opened = await engine.opened(name, which)
        return {"name": name, "ready": True, "version": str(opened.described.version.version)}


def _add_predictions(app: FastAPI, *, engine: Engine) -> None:
    @app.post(f"{_MODEL}/infer", summary="Predicts tensors of pixels.")
    @app.post(f"{_VERSION}/infer", summary="Likewise, with one version by its number or alias.")
    async def infer(request: Request, name: str, which: str | None = None) -> Response:
        length, body = request.headers.get(HEADER_LENGTH), await request.body()
        opened = await engine.opened(name, which, key=key_of(request))
        described = opened.described
        parse = partial(parsed_request, body, header_length=length, described=described)
        asked = await engine.off_loop(parse, size=len(body))
        outputs = await engine.predict(opened, asked.images)
        encode = partial(encoded_answer, asked, outputs, version=described.version)
        content, follow = await engine.off_loop(encode, size=sum(array.size for array in outputs.values()))
        headers = {NAME_HEADER: name, VERSION_HEADER: str(described.version.version)}
        if not follow:
            return Response(content, media_type="application/json", headers=headers)
        headers[HEADER_LENGTH] = str(len(content))
        return Response(b"".join([content, *follow]), media_type="application/octet-stream", headers=headers)

    @app.post(f"{_MODEL}/picture", summary="Predicts one picture: the body is a PNG, a JPEG or another image file.")
    @app.post(f"{_VERSION}/picture", summary="Likewise, with one version by its number or alias.")
    async def picture(request: Request, name: str, which: str | None = None) -> Response:
        body = await request.body()
        opened = await engine.opened(name, which, key=key_of(request))
        described = opened.described
        # A picture of few bytes may have many pixels.
        pixels = await engine.off_loop(partial(picture_pixels, body, described=described), size=MOST_PIXELS)
        outputs = await engine.predict(opened, {described.inputs[0].name: pixels})
        headers = {NAME_HEADER: name, VERSION_HEADER: str(described.version.version)}
        return JSONResponse(picture_answer(outputs, described=described), headers=headers)


def key_of(request: Request) -> str | None:
    """Returns the key of who asks, as it was written in UTF-8; None without one.

    Raises:
        RequestRefusedError: If it is too long.
    """
    if (found := request.headers.get(KEY_HEADER)) is None:
        return None
    if len(found) > _LONGEST_KEY:
        raise RequestRefusedError(f"{KEY_HEADER}: must have at most {_LONGEST_KEY} bytes, got {len(found)}")
    return found.encode("latin-1").decode("utf-8", "surrogateescape")


def _add_refusals(app: FastAPI) -> None:
    @app.exception_handler(RequestRefusedError)
    async def refused(_: Request, exc: RequestRefusedError) -> Response:
        return JSONResponse({"error": str(exc)}, status_code=exc.status, headers=exc.headers)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, exc: HTTPException) -> Response:
        message = f"{exc.detail}: {request.method} is not answered at this path; /openapi.json lists all paths"
        return JSONResponse({"error": message}, status_code=exc.status_code, headers=exc.headers)

    @app.exception_handler(ClientDisconnect)
    async def left(_: Request, _exc: ClientDisconnect) -> Response:
        # Nobody hears it; it is counted, and is no fault of the server.
        return Response(status_code=_CLIENT_LEFT)

    @app.exception_handler(Exception)
    async def failed(_: Request, exc: Exception) -> Response:
        logger.error("a request failed", exc_info=exc)
        return JSONResponse({"error": "the server failed; its log says why"}, status_code=500)
