"""The page to try a picture: of this server's files alone, text and no markup, in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_exports import write_export
from real_browser import real_browser, served
from served_models import HOST, IMAGE, FakeRuntime, fake_runtime, make_registry_of, picture_of, settings_of

pytest.importorskip("fastapi")
from fastapi.testclient import TestClient

from orchestrator.registry.registry import Registry
from orchestrator.serving.application import application_of
from orchestrator.serving.guard import PAGE_PATHS
from orchestrator.serving.settings import new_token, sha256_of

#: A name of a class that would be seen as markup, and do no harm.
MARKED = "<i>cat</i>"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Two versions of digits, and one of pets with a class that looks like markup."""
    folder = tmp_path_factory.mktemp("page")
    registry = make_registry_of(folder)
    outputs = [
        {"name": "output_0", "shape": [None, 2], "target": "kind", "kind": "classification", "class_names": names}
        for names in ([MARKED, "dog"],)
    ]
    registry.add(write_export(folder / "pets", outputs=outputs), name="pets", alias="production")
    return registry


@pytest.fixture(scope="module")
def runtime() -> Iterator[FakeRuntime]:
    with fake_runtime() as fake:
        fake.predict = lambda version, images: np.array([[0.75, 0.25] if version.name == "pets" else [0.1, 0.9]])
        yield fake


@pytest.fixture
def picture(tmp_path: Path) -> str:
    path = tmp_path / "picture.png"
    path.write_bytes(picture_of(IMAGE[0, :, :, 0].astype(np.uint8)))
    return str(path)


def test_the_page_loads_nothing_but_its_own_files_and_needs_no_token(registry: Registry, runtime: FakeRuntime) -> None:
    settings = settings_of(registry, token_sha256=sha256_of(new_token()))
    with TestClient(application_of(settings), base_url=HOST) as client:
        answers = {path: client.get(path) for path in PAGE_PATHS}
        assert {answer.status_code for answer in answers.values()} == {200}
        named = set(re.findall(r'(?:src|href)="([^"]+)"', answers["/"].text))
        assert {f"/{name}" for name in named} == PAGE_PATHS - {"/"}
        for answer in answers.values():
            assert "://" not in answer.text
            policy = answer.headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; ")
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "set-cookie" not in answer.headers
            assert "access-control-allow-origin" not in answer.headers
        assert client.get("/v2/models").status_code == 401
        assert client.get("/page.html").status_code == 401
        assert "/page.js" not in client.get("/openapi.json").text
        for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval("):
            assert word not in answers["/page.js"].text


@pytest.mark.slow
@pytest.mark.parametrize("token", [None, new_token()], ids=["loopback", "token"])
def test_a_picture_is_sent_and_its_answer_shown(
    registry: Registry, runtime: FakeRuntime, picture: str, tmp_path: Path, token: str | None
) -> None:
    settings = settings_of(registry, token_sha256=sha256_of(token) if token else None)
    with real_browser(tmp_path / "profile") as browser, served(application_of(settings)) as address:
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys
        from selenium.webdriver.support.wait import WebDriverWait

        def element(name: str) -> Any:
            return browser.find_element(By.ID, name)

        def until_said(text: str) -> None:
            WebDriverWait(browser, 60).until(lambda _: text in element("said").text, f"not said: {text}")

        browser.get(address)
        if token is not None:
            until_said("the token is missing or wrong")
            element("token").send_keys(token, Keys.TAB)
        WebDriverWait(browser, 60).until(lambda _: element("model").text.split() == ["digits", "pets"])
        element("picture").send_keys(picture)
        until_said("digits version 1 answers:")
        cells = [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "#answer td")]
        assert cells == ["answer", "dog", "dog", "0.9000", "cat", "0.1000"]
        assert element("shown").get_property("naturalWidth") == 8
        # By the keyboard alone.
        element("model").send_keys("pets")
        until_said("pets version 1 answers:")
        cells = [cell.text for cell in browser.find_elements(By.CSS_SELECTOR, "#answer td")]
        assert cells == ["answer", MARKED, MARKED, "0.7500", "dog", "0.2500"]
        element("version").send_keys("9", Keys.TAB)
        until_said("pets: no version is called '9'")
        assert not element("result").is_displayed()
        said = [entry["message"] for entry in browser.get_log("browser")]
        statuses = {int(found[1]) for message in said if (found := re.search(r"status of (\d+)", message))}
        assert statuses == ({404, 401} if token is not None else {404})
        assert [message for message in said if "status of" not in message] == []
