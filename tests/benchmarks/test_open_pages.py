"""Open pages without browsers: their sockets are connections of their own, as browsers' are."""

import asyncio
import json
import os
import signal
import sys

import pytest
from small_runs import ROOT

web = pytest.importorskip("aiohttp.web")

_PAGE = '<script>createApp({"query": {"client_id": "c", "next_message_id": 0}})</script>'


def test_socket_of_a_page_does_not_take_the_connection_that_brought_the_page() -> None:
    found = asyncio.run(connections_of_pages(3))
    assert len(found["page"]) == len(found["socket"]) == 3
    assert not set(found["page"]) & set(found["socket"])
    assert found["told"]["open"] == 3


async def connections_of_pages(count: int) -> dict:
    """Returns the ports from which a server was asked for pages and sockets, and what the pages said at their end."""
    found, all_open = {"page": [], "socket": []}, asyncio.Event()

    async def page(request):
        found["page"].append(request.transport.get_extra_info("peername")[1])
        return web.Response(text=_PAGE, content_type="text/html")

    async def socket(request):
        found["socket"].append(request.transport.get_extra_info("peername")[1])
        answer = web.WebSocketResponse()
        await answer.prepare(request)
        await answer.send_str("0{}")
        async for message in answer:
            if message.data == "40":
                await answer.send_str("40{}")
                if len(found["socket"]) == count:
                    all_open.set()
        return answer

    application = web.Application()
    application.add_routes([web.get("/page", page), web.get("/_nicegui_ws/socket.io/", socket)])
    runner = web.AppRunner(application, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "dashboards.open_pages", f"http://127.0.0.1:{port}", "a=b", "/page", str(count),
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT / "benchmarks")},
    )  # fmt: skip
    assert await process.stdout.readline() == b"open\n"
    await all_open.wait()
    process.send_signal(signal.SIGTERM)
    told, _ = await process.communicate()
    await runner.cleanup()
    return {**found, "told": json.loads(told)}
