"""Processes get the driver's variables for storages; no text shows a value."""

import os
import pickle

import pytest

from trainables.sharing.storage_environment import storage_environment


@pytest.fixture
def driver(monkeypatch, tmp_path):
    """The environment of a driver, which is then that of another process."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_", "GOOGLE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-secret")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://10.0.0.1")
    monkeypatch.setenv("AWS_PAGER", "less")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    environment = storage_environment()
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "AWS_PAGER", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name)
    return environment


def test_a_process_gets_what_its_driver_has_and_files_only_where_they_are(driver, tmp_path):
    pickle.loads(pickle.dumps(driver)).enter()
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "not-a-secret"
    assert os.environ["AWS_ENDPOINT_URL"] == "http://10.0.0.1"
    assert "AWS_PAGER" not in os.environ
    assert "GOOGLE_APPLICATION_CREDENTIALS" not in os.environ
    (tmp_path / "key.json").write_text("{}")
    driver.enter()
    assert os.environ["GOOGLE_APPLICATION_CREDENTIALS"] == str(tmp_path / "key.json")


def test_no_text_shows_a_value(driver):
    for text in (repr(driver), str(driver), f"{driver}", "%s" % driver):  # noqa: UP031
        assert text == "StorageEnvironment(AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, GOOGLE_APPLICATION_CREDENTIALS)"
