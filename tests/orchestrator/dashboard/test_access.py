"""Who gets in: the token once, then a cookie that other sites' pages never send; nothing else, by any way."""

import re

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from orchestrator.dashboard.access import POLICY, Access, cookie_name

TOKEN = "a-token-of-a-test-that-opens-nothing"
COOKIE = cookie_name(TOKEN)
HOST = "http://127.0.0.1:8100"


async def _socket(websocket) -> None:
    await websocket.accept()
    await websocket.send_text("in")
    await websocket.close()


@pytest.fixture
def client() -> TestClient:
    routes = [
        Route("/{path:path}", lambda request: PlainTextResponse("in"), methods=["GET", "POST"]),
        WebSocketRoute("/socket", _socket),
    ]
    application = Access(Starlette(routes=routes), token=TOKEN, hosts=frozenset({"127.0.0.1", "localhost"}))
    return TestClient(application, base_url=HOST, follow_redirects=False)


def let_in(client: TestClient) -> TestClient:
    assert client.get(f"/?token={TOKEN}").status_code == 200
    return client


def test_token_of_the_link_becomes_a_strict_cookie_and_leaves_the_address(client: TestClient) -> None:
    answer = client.get(f"/run/a?grid=x&token={TOKEN}")
    assert answer.status_code == 200
    assert TOKEN not in answer.text
    assert 'content="0;url=/run/a?grid=x"' in answer.text
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict"} <= set(re.split("; *", cookie))
    assert TOKEN not in cookie
    assert client.get("/run/a").text == "in"


@pytest.mark.parametrize("path", ["/", "/run/a", "/data/run/a/trials.json", "/_nicegui/x.js", f"/?tokens={TOKEN}"])
def test_nothing_is_told_without_the_token(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 401
    assert "convfleet dashboard" in answer.text


@pytest.mark.parametrize("token", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper()])
def test_wrong_token_is_told_and_gives_no_cookie(client: TestClient, token: str) -> None:
    answer = client.get("/", params={"token": token, "more": "1"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_token_is_taken_from_a_link_alone(client: TestClient) -> None:
    assert client.post(f"/?token={TOKEN}").status_code == 401
    client.cookies.set(COOKIE, TOKEN)
    assert client.get("/").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "example.org"},
        {"host": "127.0.0.1.example.org:8100"},
        {"origin": "http://example.org"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
    ],
)
def test_other_sites_are_refused_even_with_the_cookie(client: TestClient, headers: dict[str, str]) -> None:
    assert let_in(client).get("/", headers=headers).status_code == 403
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket", headers=headers):
        pass


def test_sockets_need_the_cookie(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket"):
        pass
    cookie = {"cookie": f"{COOKIE}={let_in(client).cookies[COOKIE]}", "origin": HOST, "host": "127.0.0.1:8100"}
    with client.websocket_connect("/socket", headers=cookie) as socket:
        assert socket.receive_text() == "in"


@pytest.mark.parametrize("other", ['ui={"x": 1}', "note=a b", "[x]=1", "a,b=1", "caf\u00e9=1", "x"])
def test_cookies_of_other_servers_of_the_machine_lock_nobody_out(client: TestClient, other: str) -> None:
    value = let_in(client).cookies[COOKIE]
    client.cookies.clear()
    answer = client.get("/", headers={"cookie": f"{other}; {COOKIE}={value}".encode()})
    assert answer.text == "in"


def test_two_dashboards_of_a_machine_keep_a_cookie_each(client: TestClient) -> None:
    let_in(client)
    other = Access(Starlette(routes=[Route("/", lambda request: PlainTextResponse("other"))]), token="another")
    # Browsers send cookies to every port of a name.
    second = TestClient(other, base_url="http://127.0.0.1:8101", cookies=client.cookies, follow_redirects=False)
    assert second.get("/").status_code == 401
    assert second.get("/?token=another").status_code == 200
    assert second.get("/").text == "other"
    client.cookies = second.cookies
    assert client.get("/").text == "in"


def test_every_answer_forbids_what_comes_from_a_network(client: TestClient) -> None:
    for answer in (client.get("/"), let_in(client).get("/"), client.get("/", headers={"origin": "null"})):
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "access-control-allow-origin" not in answer.headers
    sources = set(re.findall(r"[^ ;]+", POLICY.replace("default-src", "")))
    assert not any(source.startswith(("http", "*", "//", "ws")) for source in sources)


@pytest.mark.parametrize("path", ["/run/a%20b%3Fc%2Fd", "/run/50%25", "/run/%C3%A9", "/run/a+b,c"])
def test_way_on_is_the_address_that_was_asked_for(client: TestClient, path: str) -> None:
    answer = client.get(f"{path}?grid=x&token={TOKEN}")
    assert re.findall(r'url=([^"]*)"', answer.text) == [f"{path}?grid=x"]


@pytest.mark.parametrize("path", ["//example.org", "/%22%3E%3Ci%3E", "/\\example.org"])
def test_way_on_stays_on_this_server_and_is_no_markup(client: TestClient, path: str) -> None:
    answer = client.get(f"{path}?token={TOKEN}")
    (target,) = re.findall(r'url=([^"]*)"', answer.text)
    assert re.match(r"/([^/\\]|$)", target)
    assert "<i>" not in answer.text
