"""Who may see the dashboard: whoever has its token, from a page of its own, and nothing that a page loads elsewhere.

The token comes once, in the printed link; the answer puts a cookie in its place that other sites' pages never send.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

#: What the names of cookies begin with; the rest is the token's, as browsers keep one jar for all ports of a machine.
COOKIE = "convfleet"
#: Scripts and styles of installed packages alone; NiceGUI's pages hold scripts of their own, and Vue compiles some.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "frame-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'none'; object-src 'none'"
)
_HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
#: What stands in a path as it is, `%` of what is quoted already among it.
_OF_PATHS = "/%:@!$&'()*+,;=~"
_REFUSED = (
    "<!doctype html><meta charset=utf-8><title>convfleet</title><p>This dashboard asks for a token: open the link that "
    "<code>convfleet dashboard</code> printed. {why}</p>"
)
_FOREIGN = "A page of another site asked, or the address is not one of this machine's own names."


class Access:
    """An ASGI application before the dashboard's, which lets nobody in without the token.

    Args:
        application: The dashboard's.
        token: What the printed link carries.
        hosts: The names by which the dashboard may be asked; empty: any, as the token alone decides.
    """

    def __init__(self, application: Application, *, token: str, hosts: frozenset[str] = frozenset()) -> None:
        self._application = application
        self._token, self._hosts = token, hosts
        # Not the token itself: whoever reads a browser's cookies cannot hand the link on.
        self._cookie = hashlib.sha256(f"cookie {token}".encode()).hexdigest()
        self._cookie_name = cookie_name(token)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Passes a request on, or refuses it."""
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        why = self._why_foreign(headers)
        if not why and self._has_cookie(headers.get(b"cookie", "")):
            await self._answered(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif why:
            await _answer(send, status=403, text=_REFUSED.format(why=why))
        elif self._has_token(scope):
            await self._let_in(scope, send)
        else:
            given = "token" in parse_qs(scope["query_string"].decode("latin-1"))
            why = "The token of this link is not the dashboard's: it was printed by an earlier one." if given else ""
            await _answer(send, status=401, text=_REFUSED.format(why=why))

    async def _answered(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        try:
            await self._application(scope, receive, _with_headers(send))
        except RuntimeError as exc:
            # Starlette's word for a browser that went on to another page before its files had come.
            if str(exc) != "No response returned.":
                raise

    def _why_foreign(self, headers: Mapping[bytes, str]) -> str:
        """Returns why a request is another site's doing; an empty text where it is not."""
        host = headers.get(b"host", "")
        if self._hosts and _name(host) not in self._hosts:
            return _FOREIGN
        origin = headers.get(b"origin")
        if origin is not None and origin.partition("://")[2] != host:
            return _FOREIGN
        return ""

    def _has_cookie(self, text: str) -> bool:
        # The standard library's reader drops all cookies where one is odd, which another server of the machine may set.
        found = (item.strip().partition("=") for item in text.split(";"))
        return any(
            name == self._cookie_name and hmac.compare_digest(value.encode(), self._cookie.encode())
            for name, _, value in found
        )

    def _has_token(self, scope: Mapping[str, Any]) -> bool:
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return scope["method"] == "GET" and hmac.compare_digest(given.encode(), self._token.encode())

    async def _let_in(self, scope: Mapping[str, Any], send: Send) -> None:
        """Answers with the cookie, and a page that asks again without the token.

        A redirect would not do: where another site's page has the link, a browser sends the strict cookie only with
        requests that begin on a page of the dashboard's own.
        """
        left = parse_qs(scope["query_string"].decode("latin-1"))
        left.pop("token", None)
        query = urlencode(left, doseq=True)
        # As the browser asked: a name with a slash or a question mark in it stays one part of the path.
        path = scope.get("raw_path", b"").decode("latin-1").partition("?")[0] or scope["path"]
        target = _attribute(quote(path, safe=_OF_PATHS) + (f"?{query}" if query else ""))
        refresh = f'<meta http-equiv="refresh" content="0;url={target}">'
        page = f"<!doctype html><meta charset=utf-8><title>convfleet</title>{refresh}"
        cookie = f"{self._cookie_name}={self._cookie}; HttpOnly; SameSite=Strict; Path=/"
        await _answer(send, status=200, text=page, headers=[(b"set-cookie", cookie.encode())])


def cookie_name(token: str) -> str:
    """Returns the name of a dashboard's cookie: two dashboards of a machine do not take each other's place."""
    return f"{COOKIE}-{hashlib.sha256(f'name {token}'.encode()).hexdigest()[:8]}"


def _name(host: str) -> str:
    """Returns the name in a Host header, without its port.

    >>> _name("localhost:8100"), _name("[::1]:8100")
    ('localhost', '::1')
    """
    host = host.lower()
    return host.partition("]")[0].removeprefix("[") if host.startswith("[") else host.partition(":")[0]


def _attribute(text: str) -> str:
    # Two slashes would begin another site's address.
    path = "/" + text.lstrip("/\\")
    return path.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name.lower() for name, _ in message.get("headers", ())}
            more = [(name, value) for name, value in _HEADERS if name not in own]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await send(message)

    return sending


async def _answer(send: Send, *, status: int, text: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    own = [(b"content-type", b"text/html; charset=utf-8"), (b"cache-control", b"no-store"), *(headers or ()), *_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": text.encode()})
