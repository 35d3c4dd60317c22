"""A real study, steered from the dashboard's pages in a real Chromium; all of it is in the journal."""

from pathlib import Path

import numpy as np
import pytest
from dashboards.made_runs import made_run
from open_dashboards import Pages, open_dashboard
from real_browser import real_browser
from served_models import picture_of

pytest.importorskip("nicegui")
pytestmark = pytest.mark.slow

#: Enough that a page has time to act while a trial trains.
EPOCHS = 2000
#: What each page shows while the study runs.
RUNNING = {
    "/trials": "t0001",
    "/parameters": "Parallel coordinates",
    "/rungs": "so it has no rungs",
    "/fleet": "memory free",
    "/models": "1-t0000",
    "/model/1-t0000": "Try an image",
    "/trial/t0001": "Every record of the journal",
}
WRONG = '{"num_blocks": 1, "filters": 8, "learning_rate": 2}'
RIGHT = '{"num_blocks": 1, "filters": 8, "learning_rate": 0.0123}'


def test_a_study_is_stopped_added_to_annotated_paused_and_resumed_from_its_pages(joined, tmp_path: Path) -> None:
    study = joined.write_study(
        "steered",
        space={
            "family": "sequential",
            "params": {"num_blocks": 1, "filters": 8, "learning_rate": {"float": [1e-3, 1e-1], "log": True}},
        },
        search={"algorithm": "random", "trials": 1},
        schedule={"algorithm": "none", "max_epochs": 1},
        resources={"max_concurrent": 1},
        export={"top": 1, "formats": ["keras"]},
    )
    runs = joined.folder / "runs"
    made_run(runs / "other", num_trials=3, num_epochs=2)
    # A model that was exported before lies beside the trials that train.
    joined.run("run", study)
    with (
        open_dashboard([runs], log=tmp_path / "log.txt", environment=joined.environment) as address,
        real_browser(tmp_path / "profile") as browser,
    ):
        pages = Pages(browser, address)
        more = ("search.trials=3", f"schedule.max_epochs={EPOCHS}")
        process = joined.start("resume", "runs/steered", *(word for change in more for word in ("--set", change)))
        # The run appears by itself, and so does what it reports.
        for words in ("steered", "running"):
            pages.see(words)
        pages.open("/run/steered/decisions", shows="t0000 reported epoch 2")
        pages.open("/run/steered/trial/t0000", shows="Every record of the journal")
        pages.press("Write a note ...")
        pages.write("looks slow")
        pages.press("Save")
        pages.see("Note: looks slow")
        pages.press("Stop")
        pages.see("stopped by hand after epoch")
        pages.open("/run/steered", shows="Learning curves")
        pages.press("Add a variant ...")
        pages.write(WRONG)
        pages.press("Add")
        pages.see("params.learning_rate: ")
        pages.write(RIGHT)
        pages.press("Add")
        pages.wait(lambda: "variant_asked" in kinds(joined), "the variant in the journal")
        for path, words in RUNNING.items():
            pages.open(f"/run/steered{path}", shows=words)
            pages.see("running")
        try_an_image(pages, tmp_path)
        pages.open("/compare?run=steered&run=other", shows="Settings that differ")
        pages.see("running")
        pages.open("/run/steered", shows="Learning curves")
        pages.press("Pause")
        pages.wait(lambda: "study_paused" in kinds(joined), "the pause in the journal")
        joined.finish(process, code=130)
        pages.see("paused")
        pages.press("Resume")
        pages.see("running")
        pages.press("Pause")
        pages.wait(lambda: kinds(joined).count("study_paused") == 2, "the second pause")
        pages.see("paused")
        assert pages.faults() == []
    records = joined.records("steered")
    assert [item["text"] for item in records if item["type"] == "annotation_added"] == ["looks slow"]
    (stop,) = [item for item in records if item["type"] == "trial_stopped"]
    assert (stop["trial"], stop["epoch"] < EPOCHS) == ("t0000", True)
    (asked,) = [item for item in records if item["type"] == "variant_asked"]
    assert asked["variant"]["params"]["learning_rate"] == 0.0123
    assert kinds(joined).count("session_started") == 3


def try_an_image(pages: Pages, folder: Path) -> None:
    """Drops an image on the page of a model, which answers while its study trains."""
    pages.open("/run/steered/model/1-t0000", shows="Try an image")
    picture = folder / "digit.png"
    picture.write_bytes(picture_of(np.full((8, 8), 7, np.uint8)))
    find = "return document.querySelector('input[type=file]')"
    pages.wait(lambda: pages.browser.execute_script(find), "the file field").send_keys(str(picture))
    pages.see("probability")
    pages.see("running")


def kinds(joined) -> list[str]:
    return [item["type"] for item in joined.records("steered")]
