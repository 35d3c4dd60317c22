"""Promotions, removals and damage while requests come: every answer is wholly of one version, and none is lost."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served_models import HOST, FakeRuntime, fake_runtime, make_registry_of, settings_of, tensor

pytest.importorskip("fastapi")
import httpx2 as httpx

from orchestrator.errors import RegistryError
from orchestrator.registry.registry import Registry
from orchestrator.registry.state import version_for
from orchestrator.serving import models
from orchestrator.serving.application import application_of
from orchestrator.serving.engine import Engine
from orchestrator.serving.metrics import ServingMetrics
from orchestrator.serving.models import ServedModels

INFER = "/v2/models/digits/infer"
CLIENTS = 6


@pytest.fixture
def runtime() -> Iterator[FakeRuntime]:
    with fake_runtime() as fake:
        yield fake


@asynccontextmanager
async def client_of(registry: Registry, /, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    guard = application_of(settings_of(registry, **changes))
    application: Any = guard._application
    async with application.router.lifespan_context(application):
        transport = httpx.ASGITransport(app=guard)
        async with httpx.AsyncClient(transport=transport, base_url=HOST) as client:
            yield client


async def asked(client: httpx.AsyncClient, generator: np.random.Generator) -> int:
    """Asks for a random number of images, checks that one version answered all of them, and returns its number."""
    images = generator.integers(0, 256, (int(generator.integers(1, 5)), 8, 8, 1)).astype(np.float32)
    answer = await client.post(INFER, json=tensor(images))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    found = np.array(body["outputs"][0]["data"]).reshape(len(images), 2)
    version = int(body["model_version"])
    assert found[:, 0].tolist() == [version] * len(images)
    assert np.allclose(found[:, 1], images.mean(axis=(1, 2, 3)))
    return version


async def under_load(client: httpx.AsyncClient, change: Callable[[], Awaitable[None]]) -> list[list[int]]:
    """Returns the versions that answered each of some clients, in order, while something changes."""
    is_over = asyncio.Event()

    async def ask(seed: int) -> list[int]:
        generator, versions = np.random.default_rng(seed), []
        while not is_over.is_set():
            versions.append(await asked(client, generator))
        return versions

    clients = [asyncio.create_task(ask(seed)) for seed in range(CLIENTS)]
    await change()
    is_over.set()
    return await asyncio.gather(*clients)


async def until_version(client: httpx.AsyncClient, version: int) -> None:
    generator = np.random.default_rng(99)
    while await asked(client, generator) != version:
        await asyncio.sleep(0)


def test_promotions_in_the_middle_lose_no_request_and_mix_no_answer(tmp_path: Path, runtime: FakeRuntime) -> None:
    registry = make_registry_of(tmp_path, versions=3)

    async def run() -> list[list[int]]:
        async with client_of(registry) as client:

            async def change() -> None:
                for version in (2, 3, 1):
                    await asyncio.to_thread(registry.promote, "digits", version)
                    await until_version(client, version)
                await asyncio.to_thread(registry.rollback, "digits")
                await until_version(client, 3)

            return await under_load(client, change)

    for versions in asyncio.run(run()):
        changes = [version for version, before in zip(versions, [None, *versions], strict=False) if version != before]
        # A client sees promotions in the registry's order, but for those that came and went between two requests.
        left = iter([1, 2, 3, 1, 3])
        assert all(version in left for version in changes), changes


def test_a_registry_in_a_bucket_is_served_and_its_promotions_are_taken_up(
    tmp_path: Path, runtime: FakeRuntime, object_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONVFLEET_CACHE", str(tmp_path / "cache"))
    uri = object_store.uri("registry")
    registry = make_registry_of(tmp_path, versions=2, uri=uri)

    async def run() -> None:
        async with client_of(registry, registry=uri) as client:
            await until_version(client, 1)
            await asyncio.to_thread(registry.promote, "digits", 2)
            await until_version(client, 2)
            # A store that is away for a while takes nothing from whom is served.
            object_store.faults.error_share = 1.0
            for number in range(5):
                assert await asked(client, np.random.default_rng(number)) == 2
            object_store.faults.error_share = 0.0
            await asyncio.to_thread(registry.rollback, "digits")
            await until_version(client, 1)

    asyncio.run(run())


def test_the_version_before_answers_while_the_promoted_one_is_loaded(tmp_path: Path, runtime: FakeRuntime) -> None:
    # Each has 1 MB and the budget is 1.5: the version before leaves the memory, and answers all the same.
    registry = make_registry_of(tmp_path, megabytes=1)

    async def run() -> None:
        async with client_of(registry, memory_bytes=1_500_000) as client:
            await until_version(client, 1)
            runtime.gate.clear()
            await asyncio.to_thread(registry.promote, "digits", 2)

            async def change() -> None:
                while len(runtime.calls) < 60:
                    await asyncio.sleep(0)

            assert {version for versions in await under_load(client, change) for version in versions} == {1}
            runtime.gate.set()
            await until_version(client, 2)

    asyncio.run(run())
    assert [version for _, version, _ in runtime.loads] == [1, 2]


def test_requests_that_are_given_up_while_their_model_is_loaded_load_it_once(
    tmp_path: Path, runtime: FakeRuntime
) -> None:
    registry = make_registry_of(tmp_path)

    async def run() -> None:
        engine = Engine(settings_of(registry), metrics=ServingMetrics())
        await engine.start()
        runtime.gate.clear()
        for _ in range(3):
            asking = asyncio.create_task(engine.opened("digits", None))
            while len(runtime.begun) < 1:
                await asyncio.sleep(0)
            # Whoever gives up does so once its own request waits for the model.
            for _ in range(10):
                await asyncio.sleep(0)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        runtime.gate.set()
        assert (await engine.opened("digits", None)).described.version.version == 1
        await engine.stop()

    asyncio.run(run())
    assert runtime.begun == runtime.loads == [("digits", 1, "keras")]


def test_a_registry_that_was_made_anew_answers_with_its_own_models(tmp_path: Path, runtime: FakeRuntime) -> None:
    registry = make_registry_of(tmp_path, versions=1)

    async def run() -> None:
        engine = Engine(settings_of(registry), metrics=ServingMetrics())
        await engine.models.refresh()
        before = await engine.opened("digits", None)
        shutil.rmtree(registry.path)
        await asyncio.to_thread(make_registry_of, tmp_path / "anew", megabytes=1)
        (tmp_path / "anew" / "registry").rename(registry.path)
        await engine.models.refresh()
        after = await engine.opened("digits", None)
        assert after.model.version.files == after.described.version.files != before.model.version.files

    asyncio.run(run())


def test_a_promoted_version_that_cannot_be_loaded_leaves_the_one_before_in_place(
    tmp_path: Path, runtime: FakeRuntime
) -> None:
    registry = make_registry_of(tmp_path, versions=3)
    runtime.broken.add(2)

    async def run() -> None:
        async with client_of(registry) as client:
            await until_version(client, 1)
            registry.promote("digits", 2)
            while "takeup_failures_total" not in (await client.get("/metrics")).text:
                await asyncio.sleep(0)
            assert await asked(client, np.random.default_rng(1)) == 1
            answer = await client.post("/v2/models/digits/versions/2/infer", json=tensor())
            message = "digits version 2 cannot be loaded; the server's log says why"
            assert (answer.status_code, answer.json()["error"]) == (503, message)
            registry.promote("digits", 3)
            await until_version(client, 3)

    asyncio.run(run())


def test_versions_that_share_an_alias_answer_by_key_and_the_answer_says_which(
    tmp_path: Path, runtime: FakeRuntime
) -> None:
    registry, keys = make_registry_of(tmp_path, versions=3), [f"user {number}" for number in range(40)]

    async def version_of(client: httpx.AsyncClient, path: str = INFER, **headers: str) -> int:
        answer = await client.post(path, json=tensor(), headers=headers)
        assert answer.headers["X-Model-Version"] == answer.json()["model_version"], answer.text
        return int(answer.json()["model_version"])

    async def run() -> None:
        async with client_of(registry) as client:
            await until_version(client, 1)
            shares = {1: 0.5, 2: 0.5}
            registry.promote("digits", shares)
            expected = [version_for(key, name="digits", of=shares) for key in keys]
            while [await version_of(client, **{"X-Convfleet-Key": key}) for key in keys] != expected:
                await asyncio.sleep(0)
            assert set(expected) == {1, 2}
            assert {await version_of(client) for _ in range(5)} == {1}
            pinned = "/v2/models/digits/versions/3/infer"
            assert await version_of(client, pinned, **{"X-Convfleet-Key": keys[0]}) == 3
            # As the registry itself says it, also of letters beyond ASCII.
            for key in ("\u00fcser", "\u7528\u6237 7"):
                header = {b"X-Convfleet-Key": key.encode()}
                answer = await client.post(INFER, json=tensor(), headers=header)
                assert (
                    int(answer.json()["model_version"])
                    == registry.model("digits").pointed_to("production", key=key).version
                )
            long = await client.post(INFER, json=tensor(), headers={"X-Convfleet-Key": "k" * 257})
            assert (long.status_code, "at most 256 bytes, got 257" in long.json()["error"]) == (400, True)
            registry.promote("digits", 3)
            await until_version(client, 3)
            assert {await version_of(client, **{"X-Convfleet-Key": key}) for key in keys} == {3}

    asyncio.run(run())


def test_a_split_with_a_version_that_cannot_be_loaded_is_not_taken_up(tmp_path: Path, runtime: FakeRuntime) -> None:
    registry = make_registry_of(tmp_path, versions=3)
    runtime.broken.add(3)

    async def run() -> None:
        engine = Engine(settings_of(registry, poll_seconds=1e6), metrics=ServingMetrics())
        await engine.start()
        served = engine.models
        await served.ready(await served.found("digits", None))
        for shares, expected in (({1: 0.2, 2: 0.8}, {1, 2}), ({1: 0.2, 3: 0.8}, {1}), ({1: 0.5, 2: 0.5}, {1, 2})):
            registry.promote("digits", shares)
            await served.refresh()
            found = {(await served.found("digits", None, key=str(number))).version for number in range(50)}
            assert found == expected
        await engine.stop()

    asyncio.run(run())


def test_what_could_not_be_taken_up_is_tried_again_ever_less_often_until_it_can(
    tmp_path: Path, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, clock = make_registry_of(tmp_path, versions=3), [0.0]
    monkeypatch.setattr(ServedModels, "_now", lambda _: clock[0])
    tries: list[float] = []

    async def second(served: ServedModels, *, at: float) -> None:
        clock[0], before = at, len(runtime.begun)
        await served.refresh()
        tries.extend([at] * (len(runtime.begun) - before))

    async def run() -> None:
        engine = Engine(settings_of(registry, poll_seconds=1e6), metrics=ServingMetrics())
        await engine.start()
        served = engine.models
        await served.ready(await served.found("digits", None))
        runtime.broken.add(2)
        registry.promote("digits", 2)
        for at in range(1, 1200):
            await second(served, at=at)
        assert tries == [1, 6, 16, 36, 76, 156, 316, 636, 956]
        # A change is taken up at once, and the waiting begins anew.
        registry.add(tmp_path / "digits-3", name="digits", alias="candidate")
        for at in range(1200, 1207):
            await second(served, at=at)
        assert tries[9:] == [1200, 1205]
        runtime.broken.clear()
        for at in range(1207, 1300):
            await second(served, at=at)
        assert tries[11:] == [1215]
        assert (await served.found("digits", None)).version == 2
        await engine.stop()

    asyncio.run(run())


def test_a_version_that_was_just_added_or_removed_is_found_or_missed_at_once(
    tmp_path: Path, runtime: FakeRuntime
) -> None:
    registry = make_registry_of(tmp_path)

    async def run() -> list[int]:
        statuses = []
        # Nobody looks at the registry but the requests themselves.
        async with client_of(registry, poll_seconds=1e6) as client:
            for number in (2, 3):
                statuses.append(
                    (await client.post(f"/v2/models/digits/versions/{number}/infer", json=tensor())).status_code
                )
            make_registry_of(tmp_path / "more", versions=3)
            registry.add(tmp_path / "more" / "digits-3", name="digits")
            statuses.append((await client.post("/v2/models/digits/versions/3/infer", json=tensor())).status_code)
        async with client_of(registry) as client:
            registry.remove("digits", 3)
            while (await client.post("/v2/models/digits/versions/3/infer", json=tensor())).status_code == 200:
                await asyncio.sleep(0)
            answer = await client.post("/v2/models/digits/versions/3/infer", json=tensor())
            message = "no version is called '3'; aliases: production; versions: 1, 2|version 3 was removed"
            assert re.search(message, answer.json()["error"])
            statuses.append(answer.status_code)
        return statuses

    assert asyncio.run(run()) == [200, 404, 200, 404]


def test_models_share_the_memory_and_the_least_recently_used_leave(tmp_path: Path, runtime: FakeRuntime) -> None:
    registry = make_registry_of(tmp_path, versions=3, megabytes=1)

    async def run() -> None:
        async with client_of(registry, memory_bytes=2_500_000) as client:
            for number in (1, 2, 1, 3, 1, 2):
                path = f"/v2/models/digits/versions/{number}/infer"
                assert (await client.post(path, json=tensor())).json()["model_version"] == str(number)

    asyncio.run(run())
    assert [version for _, version, _ in runtime.loads] == [1, 2, 3, 2]


def test_models_stay_known_where_the_registry_goes_while_it_is_looked_at(
    tmp_path: Path, runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, count = make_registry_of(tmp_path), models.count_changes

    def gone(folder: Any) -> dict[str, int]:
        registry.path.rename(tmp_path / "away")
        return count(folder)

    async def run() -> None:
        engine = Engine(settings_of(registry, poll_seconds=1e6), metrics=ServingMetrics())
        await engine.start()
        monkeypatch.setattr(models, "count_changes", gone)
        with pytest.raises(RegistryError, match="no such registry"):
            await engine.models.refresh()
        assert engine.models.names == ["digits"]
        await engine.stop()

    asyncio.run(run())


def test_a_damaged_history_and_a_registry_that_is_gone_do_not_stop_what_is_served(
    tmp_path: Path, runtime: FakeRuntime
) -> None:
    registry = make_registry_of(tmp_path)

    async def run() -> None:
        async with client_of(registry) as client:
            await until_version(client, 1)
            (registry.path / "models" / "digits" / "history" / "00000004.json").write_bytes(b"no entry\n")
            while "takeup_failures_total" not in (await client.get("/metrics")).text:
                await asyncio.sleep(0)
            assert await asked(client, np.random.default_rng(1)) == 1
            registry.path.rename(tmp_path / "away")
            answer = await client.post("/v2/models/flowers/infer", json=tensor())
            assert (answer.status_code, "the registry cannot be read: " in answer.json()["error"]) == (503, True)
            assert await asked(client, np.random.default_rng(2)) == 1

    asyncio.run(run())
