"""A dashboard of a folder of runs in an object store: every run of it, and who may steer what."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from dashboards.made_runs import made_run
from open_dashboards import Pages, open_dashboard
from real_browser import real_browser

pytest.importorskip("nicegui")

from orchestrator.mirror.mirror import open_mirror
from orchestrator.mirror.places import runs_below
from trainables.files.uris import child_uri

ENABLED = (
    "return Object.fromEntries([...document.querySelectorAll('main button')]"
    ".map(b => [b.innerText.trim(), !b.disabled]))"
)


def test_every_run_of_a_bucket_is_shown_and_one_that_is_driven_elsewhere_is_steered_there(
    object_store: Any, tmp_path: Path
) -> None:
    place = object_store.uri()
    assert runs_below(place) == []
    done = made_run(tmp_path / "first" / "done", num_trials=3, num_epochs=2)
    driven = made_run(tmp_path / "first" / "driven", num_trials=3, num_epochs=2, is_finished=False)
    assert open_mirror(done, place, notify=lambda text: None).close() == ""
    assert open_mirror(driven, place, notify=lambda text: None).close() == ""
    assert runs_below(place) == [child_uri(place, "done"), child_uri(place, "driven")]
    assert runs_below(child_uri(place, "done")) is None
    mirror = open_mirror(driven, place, notify=lambda text: None)
    (tmp_path / "here").mkdir()
    with (
        open_dashboard([place], log=tmp_path / "log.txt", folder=tmp_path / "here") as address,
        real_browser(tmp_path / "profile") as browser,
    ):
        pages = Pages(browser, address)
        pages.see("done")
        pages.see("driven")
        pages.open("/run/driven", shows="steer it on the machine whose driver is at work on it")
        pages.see("running")
        enabled = browser.execute_script(ENABLED)
        for name in ("Pause", "Resume", "Extend ...", "Add a variant ...", "Export ..."):
            assert not enabled[name], name
        pages.open("/run/done", shows="Learning curves")
        pages.wait(lambda: browser.execute_script(ENABLED)["Export ..."], "the export that may begin")
        assert not browser.execute_script(ENABLED)["Resume"]
        assert pages.faults() == []
    assert mirror.close() == ""
    assert sorted(path.name for path in (tmp_path / "here" / "runs").iterdir()) == ["done", "driven"]
    shutil.rmtree(tmp_path / "here")
