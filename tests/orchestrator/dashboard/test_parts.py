"""Parts of pages: what has not changed is not made or sent again, and what people wrote is no markup."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dashboards.made_runs import made_run

pytest.importorskip("nicegui")

from nicegui import Client, core, ui
from nicegui.page import page

from orchestrator.dashboard.pages import study
from orchestrator.dashboard.parts.figures import Figure, themed
from orchestrator.dashboard.parts.frame import Refilled, cards_html, show_run
from orchestrator.dashboard.parts.live import Live
from orchestrator.dashboard.watching.runs import WatchedRuns

LOUD = "<b>&\"'"


@pytest.fixture
def in_page() -> Iterator[Callable[[Callable[[Client], Awaitable[None]]], None]]:
    """Runs something in a page that no browser has asked for."""

    async def whole(act: Callable[[Client], Awaitable[None]]) -> None:
        core.loop = asyncio.get_running_loop()
        client = Client(page("/tested"))
        try:
            with client:
                await act(client)
        finally:
            client.delete()

    before = core.loop
    yield lambda act: asyncio.run(whole(act))
    core.loop = before


def figure_of(*values: float) -> dict[str, Any]:
    return {"data": [{"type": "scatter", "y": list(values)}], "layout": {"height": 100}}


def sent(client: Client) -> int:
    """Returns how many elements are about to be sent, and forgets them."""
    count = len(client.outbox.updates)
    client.outbox.updates.clear()
    return count


def test_figure_that_is_drawn_is_sent_again_only_where_it_is_another(in_page) -> None:
    async def act(client: Client) -> None:
        place = Figure("No report yet.")
        place.show(figure_of(1.0, 2.0))
        sent(client)
        place.show(figure_of(1.0, 2.0))
        assert sent(client) == 0
        place.show(figure_of(1.0, 2.0, 3.0))
        assert sent(client) > 0
        place.show(None)
        place.show(figure_of(1.0, 2.0, 3.0))
        assert sent(client) > 0
        assert [item for item in client.elements.values() if isinstance(item, ui.plotly)]

    in_page(act)


def test_data_of_a_figure_reach_the_page_as_they_are(in_page) -> None:
    async def act(client: Client) -> None:
        plot = ui.plotly(themed(figure_of(1.0, 2.0)))
        data = plot._to_dict()["props"]["options"]["data"]
        assert list(data) == [{"type": "scatter", "y": [1.0, 2.0]}]
        # Not wrapped, point by point, to see who changes them.
        assert type(data[0]["y"]) is list

    in_page(act)


def test_place_is_filled_again_only_with_something_else(in_page) -> None:
    async def act(client: Client) -> None:
        filled = []
        place = Refilled(lambda values: filled.append(list(values)))
        for values in (["a"], ["a"], [], [], ["a"]):
            place.show(values)
        assert filled == [["a"], [], ["a"]]

    in_page(act)


def test_numbers_of_a_page_are_no_markup() -> None:
    found = cards_html({LOUD: (LOUD, LOUD)})
    assert found.count("&lt;b&gt;&amp;&quot;&#x27;") == 3
    assert "<b>" not in found


def test_page_of_a_study_shows_news_and_sends_nothing_without_them(in_page, tmp_path: Path) -> None:
    made_run(tmp_path / "made", num_trials=3, num_epochs=2, is_finished=False)
    live = Live(runs=WatchedRuns([tmp_path]))
    live.runs.look()
    (run,) = live.runs.all
    run.poll()

    async def act(client: Client) -> None:
        def show(followed):
            return study._show(followed, live)

        await show_run(live, run.key, title="study", tab="Study", show=show)
        (viewer,) = live.viewers
        sent(client)
        viewer.catch_up()
        assert sent(client) == 0
        journal = run.folder.journal
        made_run(tmp_path / "whole" / "made", num_trials=3, num_epochs=2)
        journal.write_bytes((tmp_path / "whole" / "made" / "journal.jsonl").read_bytes())
        assert run.poll()
        viewer.catch_up()
        shown = "".join(str(item._to_dict()) for item in client.elements.values())
        assert "finished" in shown
        assert sent(client) > 0

    in_page(act)
