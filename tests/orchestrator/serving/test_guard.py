"""Who may ask, how much, and how many at once."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served_models import HOST, FakeRuntime, fake_runtime, make_registry_of, settings_of, tensor

pytest.importorskip("fastapi")
import httpx2 as httpx
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from orchestrator.registry.registry import Registry
from orchestrator.serving.application import application_of
from orchestrator.serving.guard import Guard
from orchestrator.serving.metrics import ServingMetrics
from orchestrator.serving.settings import new_token, sha256_of

INFER = "/v2/models/digits/infer"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return make_registry_of(tmp_path_factory.mktemp("guarded"))


@pytest.fixture
def runtime() -> Iterator[FakeRuntime]:
    with fake_runtime() as fake:
        yield fake


def client_of(registry: Registry, *, base_url: str = HOST, **changes: Any) -> TestClient:
    return TestClient(application_of(settings_of(registry, **changes)), base_url=base_url)


def test_a_body_above_the_limit_is_refused_by_its_length_and_as_it_comes(registry: Registry, runtime: Any) -> None:
    with client_of(registry, most_body_bytes=1000) as client:
        assert client.post(INFER, content=bytes(1001)).status_code == 413
        assert client.post(INFER, json=tensor()).status_code == 200
        assert asyncio.run(sent_in_parts(client.app, parts=9)) == (400, 9)
        status, read = asyncio.run(sent_in_parts(client.app, parts=100))
        # What follows is not read.
        assert (status, read) == (413, 11)


def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_fault_of_the_server(
    registry: Registry, runtime: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with client_of(registry) as client:
        status, read = asyncio.run(sent_in_parts(client.app, parts=9, leaves_after=4))
        assert (status, read) == (499, 5)
        assert 'convfleet_requests_total{status="499"} 1.0' in client.get("/metrics").text
    assert "a request failed" not in caplog.text


async def sent_in_parts(application: Any, *, parts: int, leaves_after: int | None = None) -> tuple[int, int]:
    """Sends parts of 100 bytes without a length; returns the status, and how many parts the application read.

    Args:
        application: What is asked.
        parts: How many.
        leaves_after: The client is gone after so many.
    """
    statuses, read = [], 0

    async def receive() -> Any:
        nonlocal read
        read += 1
        if leaves_after is not None and read > leaves_after:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"x" * 100, "more_body": read < parts}

    async def send(message: Any) -> None:
        statuses.append(message.get("status"))

    scope = {"type": "http", "method": "POST", "path": INFER, "headers": [(b"host", b"localhost")], "query_string": b""}
    await application({**scope, "raw_path": INFER.encode(), "root_path": "", "scheme": "http"}, receive, send)
    return statuses[0], read


def test_requests_beyond_those_in_hand_are_refused_with_429_and_the_others_answered(
    registry: Registry, runtime: FakeRuntime
) -> None:
    async def ask() -> list[httpx.Response]:
        application = application_of(settings_of(registry, most_requests=3))
        runtime.gate.clear()
        async with serving_client(application) as client:
            asked = [asyncio.create_task(client.post(INFER, json=tensor())) for _ in range(8)]
            refused, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            assert all(task.result().status_code == 429 for task in refused)
            runtime.gate.set()
            answers = await asyncio.gather(*asked)
            return [*answers, await client.post(INFER, json=tensor())]

    answers = asyncio.run(ask())
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [429] * 5
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["Retry-After"] == "1"
    assert refused.json()["error"] == "the server has 3 requests in hand, its most; ask again in a moment"


def serving_client(application: Any) -> Any:
    """Returns a client in this event loop, with the application started and stopped around it."""
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def opened() -> Any:
        async with application._application.router.lifespan_context(application._application):
            transport = httpx.ASGITransport(app=application)
            async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
                yield client

    return opened()


def test_only_the_token_opens_a_server_that_has_one(registry: Registry, runtime: Any) -> None:
    token = new_token()
    given = {"Authorization": f"Bearer {token}"}
    with client_of(registry, base_url="http://models.example", token_sha256=sha256_of(token)) as client:
        for headers in (
            {},
            {"Authorization": token},
            {"Authorization": "Bearer x"},
            {"Authorization": "Basic " + token},
        ):
            answer = client.post(INFER, json=tensor(), headers=headers)
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert token not in answer.text
        for path in ("/v2", "/v2/models", "/metrics", "/openapi.json", "/v2/models/digits/ready"):
            assert client.get(path).status_code == 401, path
            assert client.get(path, headers=given).status_code == 200, path
        assert client.get("/v2/health/live").status_code == 200
        assert client.post(INFER, json=tensor(), headers=given).status_code == 200


def test_without_a_token_only_this_machine_s_names_are_answered(registry: Registry, runtime: Any) -> None:
    with client_of(registry) as client:
        for host, status in (("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:8000", 200), ("evil.example", 403)):
            assert client.get("/v2", headers={"Host": host}).status_code == status, host
        assert "access-control-allow-origin" not in client.get("/v2", headers={"Origin": "http://a.example"}).headers


def test_a_websocket_is_closed(registry: Registry, runtime: Any) -> None:
    with client_of(registry) as client, pytest.raises(WebSocketDisconnect), client.websocket_connect("/v2"):
        pass


def test_metrics_count_requests_images_and_batches(registry: Registry, runtime: Any) -> None:
    with client_of(registry) as client:
        client.post(INFER, json=tensor(np.zeros((3, 8, 8, 1), np.float32)))
        client.post(INFER, content=b"no")
        text = client.get("/metrics").text
    assert 'convfleet_images_total{model="digits",version="1"} 3.0' in text
    assert 'convfleet_requests_total{status="400"} 1.0' in text
    assert "convfleet_batch_images_sum 3.0" in text
    assert "convfleet_requests_in_hand 0.0" in text


def test_a_fault_of_the_server_is_answered_without_a_traceback(registry: Registry, runtime: FakeRuntime) -> None:
    def fails(version: Any, images: Any) -> Any:
        raise MemoryError("a fault that no code expects")

    runtime.predict = fails
    application = application_of(settings_of(registry))
    with TestClient(application, base_url=HOST, raise_server_exceptions=False) as client:
        answer = client.post(INFER, json=tensor())
    assert (answer.status_code, answer.json()) == (500, {"error": "the server failed; its log says why"})


def test_a_request_is_in_hand_until_it_is_answered_also_where_the_application_fails(tmp_path: Path) -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("no")

    metrics = ServingMetrics()
    guard = Guard(fails, settings=settings_of(Registry(tmp_path), most_requests=1), metrics=metrics)

    async def ask() -> None:
        transport = httpx.ASGITransport(app=guard, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
            assert [(await client.post("/v2")).status_code for _ in range(3)] == [500, 500, 500]

    asyncio.run(ask())
    assert "convfleet_requests_in_hand 0.0" in metrics.text().decode()
