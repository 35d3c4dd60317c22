"""What stands before the application: who may ask, how large a body may be, how many requests are in hand at once."""

import json
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from orchestrator.serving.metrics import ServingMetrics
from orchestrator.serving.protocol import RequestRefusedError
from orchestrator.serving.settings import LOOPBACK, ServingSettings, is_token

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

#: The page to try a picture, which asks for a token itself.
PAGE_PATHS = frozenset({"/", "/page.js", "/page.css"})
#: What may be asked without a token: by a probe, and for the page; the answers say nothing about models.
OPEN_PATHS = frozenset({"/v2/health/live", "/v2/health/ready", *PAGE_PATHS})
_RETRY_SECONDS = "1"


class Guard:
    """An ASGI application before another one, which refuses requests that this one should not see.

    Without a token, only requests to this machine's own names pass: otherwise a web page could ask through a name of
    its own that it lets point to this machine.

    Args:
        application: The other one.
        settings: Token and limits.
        metrics: Counts answers.
    """

    def __init__(self, application: Application, *, settings: ServingSettings, metrics: ServingMetrics) -> None:
        self._application = application
        self._settings = settings
        self._metrics = metrics
        self._in_hand = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Passes a request on, or answers it with what it is refused for."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        began = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(str(message["status"])).inc()
            await send(message)

        headers = {name.lower(): value for name, value in scope["headers"]}
        try:
            self._demand(scope, headers)
        except RequestRefusedError as exc:
            await _answer(exc, counted)
            return
        has_body = scope["method"] not in ("GET", "HEAD")
        self._count(has_body)
        try:
            await self._application(scope, self._limited(receive), counted)
        finally:
            self._count(-has_body)
            self._metrics.seconds.observe(time.perf_counter() - began)

    def _count(self, change: int) -> None:
        self._in_hand += change
        self._metrics.in_hand.set(self._in_hand)

    def _demand(self, scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> None:
        """Raises what a request is refused for before its body is read."""
        settings = self._settings
        if settings.token_sha256 is None:
            _demand_own_name(headers.get(b"host", b"localhost"))
        elif scope["path"] not in OPEN_PATHS:
            _demand_token(headers.get(b"authorization", b""), token_sha256=settings.token_sha256)
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise RequestRefusedError("compressed bodies are not read; send the body as it is", status=415)
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > settings.most_body_bytes:
            raise self._too_large()
        if scope["method"] not in ("GET", "HEAD") and self._in_hand >= settings.most_requests:
            raise RequestRefusedError(
                f"the server has {self._in_hand} requests in hand, its most; ask again in a moment",
                status=429,
                headers={"Retry-After": _RETRY_SECONDS},
            )

    def _limited(self, receive: Receive) -> Receive:
        size = 0

        async def limited() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._settings.most_body_bytes:
                raise self._too_large()
            return message

        return limited

    def _too_large(self) -> RequestRefusedError:
        most = self._settings.most_body_bytes
        return RequestRefusedError(f"the body has more than {most} bytes; send fewer images at once", status=413)


def _demand_own_name(host: bytes) -> None:
    name = host.decode("latin-1").lower()
    name = name.partition("]")[0].removeprefix("[") if name.startswith("[") else name.partition(":")[0]
    if name not in LOOPBACK:
        raise RequestRefusedError(
            f"a server without a token answers requests to {', '.join(LOOPBACK)} alone; start it with --token-file",
            status=403,
        )


def _demand_token(authorization: bytes, *, token_sha256: str) -> None:
    kind, _, given = authorization.partition(b" ")
    if kind.lower() != b"bearer" or not is_token(given.strip(), token_sha256=token_sha256):
        raise RequestRefusedError(
            "the token is missing or wrong; send it as the header Authorization: Bearer TOKEN",
            status=401,
            headers={"WWW-Authenticate": "Bearer"},
        )


async def _answer(refusal: RequestRefusedError, send: Send) -> None:
    headers = {"content-type": "application/json", **{name.lower(): text for name, text in refusal.headers.items()}}
    encoded = [(name.encode("latin-1"), text.encode("latin-1")) for name, text in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": encoded})
    await send({"type": "http.response.body", "body": json.dumps({"error": str(refusal)}).encode()})
