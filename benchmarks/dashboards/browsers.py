"""Chromium as a reader of dashboards: when something can first be seen, and how long a click takes to show."""

import contextlib
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping

_FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
          "--window-size=1400,1000")  # fmt: skip
#: Notes at which moment since the page was asked for each thing can be seen, looked for in every frame.
_LOOK = """
{ const wanted = %s; window.seenAt = {};
  const look = () => {
    for (const [name, test] of Object.entries(wanted))
      try { if (!(name in seenAt) && test()) seenAt[name] = performance.now(); } catch {}
    if (Object.keys(wanted).some(name => !(name in seenAt))) requestAnimationFrame(look);
  };
  requestAnimationFrame(look); }
"""
#: Does something, and returns how many ms passed until a text of the page is another one.
_CHANGE = """
const done = arguments[0], text = () => { %(text)s }, before = text(), began = performance.now();
const act = () => { %(act)s };
act();
const look = () => {
  const now = text(), took = performance.now() - began;
  if (now !== before && now !== undefined) done(took);
  else if (took > 30000) done(null);
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
#: Types a text into an input as a reader does, but at once.
TYPE = """
const type = (input, text) => {
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(input, text);
  input.dispatchEvent(new Event('input', {bubbles: true}));
};
"""


class Browser:
    """One window of Chromium.

    Args:
        driver: Selenium's.
    """

    def __init__(self, driver) -> None:
        self._driver, self._script = driver, ""

    def open(self, address: str) -> None:
        """Goes to a page."""
        self._driver.get(address)

    def seen(self, address: str, things: Mapping[str, str], *, limit_seconds: float = 120) -> dict[str, float]:
        """Goes to a page, and returns the seconds until each thing could be seen.

        Args:
            address: The page's.
            things: JavaScript expressions by name, true once the thing is there.
            limit_seconds: How long to wait.
        """
        tests = ", ".join(f"{json.dumps(name)}: () => {test}" for name, test in things.items())
        self._look_for(_LOOK % ("{" + tests + "}"))
        self._driver.get(address)
        end = time.monotonic() + limit_seconds
        while len(found := self._driver.execute_script("return window.seenAt ?? {}")) < len(things):
            if time.monotonic() > end:
                raise TimeoutError(f"{list(found)} of {list(things)} could be seen within {limit_seconds:.0f} s")
            time.sleep(0.1)
        return {name: found[name] / 1000 for name in things}

    def change_ms(self, act: str, *, text: str) -> float:
        """Does something in the page, and returns the ms until a text is another one.

        Args:
            act: JavaScript.
            text: JavaScript that returns the text.
        """
        found = self._driver.execute_async_script(_CHANGE % {"act": act, "text": text})
        if found is None:
            raise TimeoutError(f"nothing changed after: {act}")
        time.sleep(0.5)
        return found

    def _look_for(self, script: str) -> None:
        if self._script:
            self._driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": self._script})
        answer = self._driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        self._script = answer["identifier"]


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Yields a browser that has seen nothing before."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or shutil.which("google-chrome") or ""
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        driver.set_script_timeout(60)
        driver.set_page_load_timeout(300)
        try:
            yield Browser(driver)
        finally:
            driver.quit()


def middle(values: list[float], *, digits: int) -> str:
    """Returns the median, and in parentheses the least and the greatest.

    >>> middle([3.0, 1.0, 2.0], digits=1)
    '2.0 (1.0 to 3.0)'
    """
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"
