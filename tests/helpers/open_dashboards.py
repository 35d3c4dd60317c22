"""Dashboards as people start them: the command in a process of its own, and what a browser sees of its pages."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from small_runs import ROOT

#: Longer than any page takes on the slowest of machines.
PATIENCE_SECONDS = 90.0
#: What Chromium without a graphics card says of drawings, which is no fault of a page.
_OF_THE_MACHINE = ("WebGL", "GPU stall", "GL Driver")


@contextmanager
def open_dashboard(
    places: Sequence[Path | str],
    *options: str,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[str]:
    """Yields the address of a dashboard, started in a folder, with its token; ends it as Ctrl-C does."""
    command = [sys.executable, "-m", "convfleet", "dashboard", *map(str, places), "--port", "0", *options]
    environment = {**os.environ, **(environment or {}), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with log.open("w+") as output:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            process.wait(30)


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        text = log.read_text()
        if "http://" in text and "\n" in text:
            return next(word for word in text.split() if word.startswith("http://"))
        assert process.poll() is None, f"the dashboard ended: {text}"
        assert time.monotonic() < until, f"the dashboard did not start: {text}"
        time.sleep(0.05)


class Pages:
    """A browser that has the dashboard's cookie.

    Args:
        browser: Of `real_browser`.
        address: Of `open_dashboard`.
    """

    def __init__(self, browser: Any, address: str) -> None:
        self.browser = browser
        self.base = address.partition("/?")[0]
        browser.get(address)
        self.wait(lambda: "Studies" in self.text, "the page of studies")

    @property
    def text(self) -> str:
        """What the page shows."""
        return str(self.browser.execute_script("return document.body ? document.body.innerText : ''"))

    def open(self, path: str, *, shows: str) -> None:
        """Opens a page, and waits until it shows a text."""
        self.browser.get(self.base + path)
        self.see(shows)

    def see(self, text: str) -> None:
        """Waits until the page shows a text."""
        self.wait(lambda: text in self.text, f"{text!r} in {self.text[:2000]!r}")

    def wait(self, holds: Callable[[], Any], what: str) -> Any:
        """Waits until something holds, and returns it."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not (found := holds()):
            assert time.monotonic() < until, f"not seen: {what}"
            time.sleep(0.05)
        return found

    def press(self, name: str) -> None:
        """Presses the button of a name, once it can be pressed."""
        find = (
            "return [...document.querySelectorAll('button')].find(b => b.innerText.trim() === arguments[0] "
            "&& !b.disabled && b.getClientRects().length)"
        )
        button = self.wait(
            lambda: self.browser.execute_script(find, name), f"a button {name!r} in {self.text[:2000]!r}"
        )
        button.click()

    def write(self, text: str) -> None:
        """Writes into the text area of the dialog that is open, in the place of what stands there."""
        from selenium.common.exceptions import ElementNotInteractableException
        from selenium.webdriver.common.keys import Keys

        find = "return [...document.querySelectorAll('.q-dialog textarea')].at(-1)"

        def is_marked() -> bool:
            # A dialog that is still on its way in takes no keys.
            with suppress(ElementNotInteractableException):
                if area := self.browser.execute_script(find):
                    area.send_keys(Keys.CONTROL, "a")
                    return True
            return False

        self.wait(is_marked, "a text area")
        self.browser.execute_script(find).send_keys(text)

    def faults(self) -> list[str]:
        """Returns what the browser's console has of errors and warnings since the last time."""
        logged = self.browser.get_log("browser")
        return [item["message"] for item in logged if not any(word in item["message"] for word in _OF_THE_MACHINE)]
