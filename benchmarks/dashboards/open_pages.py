"""Open pages without browsers: `python -m dashboards.open_pages ADDRESS COOKIES PATH COUNT`, until SIGTERM.

Each asks for the page, opens its socket with what the page's own script would say, acknowledges messages every three
seconds as that does, and reads all that comes. Prints a line once all are open, and at the end how many messages and
bytes came.
"""

import asyncio
import json
import os
import re
import signal
import sys
import uuid
from urllib.parse import urlencode

_CLIENT = re.compile(r"""["']client_id["']:\s*["']([^"']+)["']""")
_NEXT = re.compile(r"""["']next_message_id["']:\s*(\d+)""")
_ACK_SECONDS = 3.0


class OpenPage:
    """One page.

    Args:
        session: aiohttp's.
        address: The dashboard's.
        counts: Messages and bytes of all pages.
    """

    def __init__(self, session, address: str, counts: dict[str, int]) -> None:
        self._session, self._address, self._counts = session, address, counts
        self._next = 0

    async def open(self, path: str):
        """Asks for the page and returns its socket, connected."""
        async with self._session.get(self._address + path) as answer:
            html = await answer.text()
        self._client = _CLIENT.search(html)[1]
        self._next = int(_NEXT.search(html)[1])
        query = {
            "client_id": self._client,
            "next_message_id": self._next,
            "implicit_handshake": "true",
            "document_id": str(uuid.uuid4()),
            "tab_id": str(uuid.uuid4()),
            "EIO": 4,
            "transport": "websocket",
        }
        socket = await self._session.ws_connect(
            f"{self._address}/_nicegui_ws/socket.io/?{urlencode(query)}", max_msg_size=0
        )
        await socket.receive()
        # socket.io's own greeting, and its answer.
        await socket.send_str("40")
        greeting = await socket.receive()
        if not str(greeting.data).startswith("40"):
            raise RuntimeError(f"the dashboard refused a page: {greeting.data}")
        return socket

    async def read(self, socket) -> None:
        """Reads what comes, and answers as a page does."""
        acknowledged = asyncio.create_task(self._acknowledge(socket))
        async for message in socket:
            text = str(message.data)
            if text == "2":
                await socket.send_str("3")
                continue
            self._counts["messages"] += 1
            self._counts["bytes"] += len(text)
            # Messages are numbered; without a look into each, their count is the number.
            self._next += 1
        acknowledged.cancel()
        print(f"a page was closed: {socket.close_code}", file=sys.stderr)

    async def _acknowledge(self, socket) -> None:
        while True:
            await asyncio.sleep(_ACK_SECONDS)
            text = json.dumps(["ack", {"client_id": self._client, "next_message_id": self._next}])
            await socket.send_str(f"42{text}")


async def main() -> None:
    """Opens the pages and keeps them open."""
    import aiohttp

    address, cookies, path, count = sys.argv[1:]
    ended, counts = asyncio.Event(), {"messages": 0, "bytes": 0}
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    # As in browsers, a page's socket is a connection of its own: uvicorn's timer of idle connections may still count on
    # the one that brought the page, and would close it under the socket.
    connector = aiohttp.TCPConnector(force_close=True, limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"Cookie": cookies, "Origin": address}) as session:
        pages = [OpenPage(session, address, counts) for _ in range(int(count))]
        readers = []
        for page in pages:
            # Read from the start: who leaves the server's signs of life unanswered is taken for gone.
            readers.append(asyncio.create_task(page.read(await page.open(path))))
        print("open", flush=True)
        await ended.wait()
        times = os.times()
        left = sum(not reader.done() for reader in readers)
        print(json.dumps({**counts, "open": left, "cpu_seconds": times.user + times.system}), flush=True)
        for reader in readers:
            reader.cancel()


if __name__ == "__main__":
    asyncio.run(main())
