"""The pages of the dashboard in a real Chromium: finished runs, faults of runs, phones, keyboards, light and dark."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pytest
from dashboards.made_runs import made_run
from made_exports import REAL_RUN
from open_dashboards import Pages, open_dashboard
from real_browser import real_browser
from served_models import picture_of

pytest.importorskip("nicegui")

from orchestrator.runs.paths import RunFolder
from orchestrator.steering.requests import Annotate
from orchestrator.steering.steer import steer

#: What each page of a run shows when it is there.
PAGES = {
    "": "Learning curves",
    "/trials": "t0007",
    "/parameters": "Importance",
    "/rungs": "nobody was there before",
    "/fleet": "Workers over time",
    "/models": "No model has been exported so far",
    "/decisions": "t0000 was proposed",
    "/trial/t0007": "Every record of the journal about this trial",
}
#: A name that would be seen as markup, and do no harm.
MARKED = "<i>marked</i>"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A dashboard of two finished runs and a damaged one, and a browser that has its cookie."""
    folder = tmp_path_factory.mktemp("dashboard")
    runs = folder / "runs"
    made_run(runs / "asha", num_trials=60, num_epochs=9, schedule="asha")
    made_run(runs / "full", num_trials=12, num_epochs=3)
    shutil.copytree(runs / "full", runs / "torn")
    journal = runs / "torn" / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:9], lines[9].replace(b'"type"', b'"tipe"', 1), *lines[10:]]))
    with real_browser(folder / "profile") as browser, open_dashboard([runs], log=folder / "log.txt") as address:
        yield SimpleNamespace(pages=Pages(browser, address), runs=runs, address=address)


@pytest.mark.parametrize("path", PAGES)
def test_each_page_of_a_finished_run_shows_its_content_without_a_fault(opened: SimpleNamespace, path: str) -> None:
    opened.pages.faults()
    opened.pages.open(f"/run/asha{path}", shows=PAGES[path])
    opened.pages.see("finished")
    assert opened.pages.faults() == []


def test_studies_show_every_run_also_the_damaged_one_with_its_place(opened: SimpleNamespace) -> None:
    opened.pages.open("/", shows="asha")
    for words in ("full", "torn", "finished", "not a record"):
        opened.pages.see(words)


def test_damaged_run_says_where_and_what_to_do(opened: SimpleNamespace) -> None:
    opened.pages.open("/run/torn", shows="line 10")
    opened.pages.see("convfleet repair")


def test_runs_are_compared_by_what_differs(opened: SimpleNamespace) -> None:
    opened.pages.open("/compare?run=asha&run=full", shows="Settings that differ")
    opened.pages.see("schedule.algorithm")
    opened.pages.open("/compare?run=asha", shows="Select two or more runs")


def test_compared_runs_are_followed(opened: SimpleNamespace) -> None:
    folder = made_run(opened.runs / "compared", num_trials=5, num_epochs=2)
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    folder.journal.write_bytes(b"".join(lines[:4]))
    opened.pages.open("/compare?run=compared&run=full", shows="Settings that differ")
    cell = "return document.querySelector(`[row-id='done'] [col-id='run.0']`)?.innerText"
    opened.pages.wait(lambda: opened.pages.browser.execute_script(cell) == "0", "no trial that is done")
    with folder.journal.open("ab") as file:
        file.write(b"".join(lines[4:]))
    opened.pages.wait(lambda: opened.pages.browser.execute_script(cell) == "5", "the trials that are done")
    assert opened.pages.faults() == []
    shutil.rmtree(folder.root)


def test_unknown_run_and_trial_are_told_in_a_sentence(opened: SimpleNamespace) -> None:
    opened.pages.open("/run/none", shows="This dashboard has no run that is called 'none'")
    opened.pages.open("/run/asha/trial/t9999", shows="This run has no trial that is called 't9999'")


def test_filter_of_the_address_is_applied_and_one_that_matches_nothing_says_so(opened: SimpleNamespace) -> None:
    state = '{"f":{"trial":{"filterType":"text","type":"contains","filter":"t0031"}},"c":[]}'
    opened.pages.open(f"/run/asha/trials?grid={state}", shows="t0031")
    assert "t0030" not in opened.pages.text
    opened.pages.open(f"/run/asha/trials?grid={state.replace('t0031', 'zzz')}", shows="No row passes the filters")
    opened.pages.open("/run/asha/trials?grid={not json", shows="t0000")


def test_sorting_goes_into_the_address(opened: SimpleNamespace) -> None:
    opened.pages.open("/run/asha/trials", shows="t0007")
    heading = (
        "return [...document.querySelectorAll('.ag-header-cell-text')].find(e => e.textContent === 'val_accuracy')"
    )
    opened.pages.wait(lambda: opened.pages.browser.execute_script(heading), "the heading").click()
    opened.pages.wait(lambda: "grid=" in opened.pages.browser.current_url, "the address")
    opened.pages.browser.refresh()
    first = 'return document.querySelector(\'[row-index="0"] [col-id="metric.val_accuracy"]\')?.innerText'
    lowest = opened.pages.wait(lambda: opened.pages.browser.execute_script(first), "the first row")
    opened.pages.wait(lambda: "sort" in opened.pages.browser.current_url, "the sorting in the address")
    assert float(lowest) < 0.35


def test_record_of_the_journal_has_an_address_that_marks_it_and_scrolls_to_it(opened: SimpleNamespace) -> None:
    pages = opened.pages
    lines = (opened.runs / "asha" / "journal.jsonl").read_text().splitlines()
    line = next(
        number for number, text in enumerate(lines, start=1) if '"t0030"' in text and '"epoch_reported"' in text
    )
    assert line > 100
    pages.open("/run/asha/decisions", shows="t0000 was proposed")
    link = "return document.querySelector('[col-id=line] a')?.getAttribute('href')"
    assert pages.browser.execute_script(link) == "/run/asha/decisions?line=1"
    pages.open(f"/run/asha/decisions?line={line}", shows=f"Record {line}")
    marked = (
        "const e = document.querySelector('.ag-row.marked'), v = document.querySelector('.ag-body-viewport'); "
        "if (!e) return ''; const r = e.getBoundingClientRect(), b = v.getBoundingClientRect(); "
        "return r.top >= b.top && r.bottom <= b.bottom ? e.innerText : ''"
    )
    text = pages.wait(lambda: pages.browser.execute_script(marked), "the marked row in sight")
    assert str(line) in text.split()
    assert "t0030 reported epoch" in text
    assert len(pages.browser.find_elements("css selector", ".ag-row.marked")) == 1
    for wrong in ("99999", "0", "x", "1" * 400, "%22%3E"):
        pages.open(f"/run/asha/decisions?line={wrong}", shows="The journal has no record")
        pages.see("t0000 was proposed")
    pages.open("/run/asha/trial/t0030", shows="Every record of the journal")
    find = f"return !!document.querySelector('a[href$=\"decisions?line={line}\"]')"
    pages.wait(lambda: pages.browser.execute_script(find), "the link from the trial's page")
    assert pages.faults() == []


def test_pages_fit_a_phone_and_follow_dark(opened: SimpleNamespace) -> None:
    browser = opened.pages.browser
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    size = browser.get_window_size()
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    try:
        for path in PAGES:
            opened.pages.open(f"/run/asha{path}", shows="finished")
            assert browser.execute_script(wide) <= 1, path
        page = "return getComputedStyle(document.body).backgroundColor"
        opened.pages.wait(lambda: browser.execute_script(page) == "rgb(18, 21, 27)", "the dark page")
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert size["width"] > 390


def test_keyboard_alone_goes_from_page_to_page(opened: SimpleNamespace) -> None:
    from selenium.webdriver.common.keys import Keys

    opened.pages.open("/run/full", shows="Learning curves")
    for _ in range(40):
        active = opened.pages.browser.switch_to.active_element
        if active.text == "Trials":
            break
        active.send_keys(Keys.TAB)
    assert active.text == "Trials"
    active.send_keys(Keys.ENTER)
    opened.pages.see("t0007")


def test_metrics_and_parameters_that_come_later_appear_on_open_pages(opened: SimpleNamespace, tmp_path: Path) -> None:
    pages, browser = opened.pages, opened.pages.browser
    folder = made_run(opened.runs / "young", num_trials=12, num_epochs=2)
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    folder.journal.write_bytes(b"".join(lines[:2]))
    columns = (
        "const e = document.querySelector('.nicegui-aggrid'); "
        "return e && getElement(Number(e.id.slice(1)))?.api?.getColumns().map(c => c.getColId())"
    )
    pages.open("/run/young/trials", shows="young: trials")
    pages.wait(lambda: browser.execute_script(columns), "the grid")
    early = browser.execute_script(columns)
    assert not {"metric.loss", "param.momentum"} & set(early)
    window = browser.current_window_handle
    browser.switch_to.new_window("tab")
    pages.open("/run/young", shows="Learning curves")
    browser.find_element("css selector", '[aria-label="Metric"]').click()
    options = "return [...document.querySelectorAll('.q-menu .q-item')].map(e => e.innerText.trim())"
    pages.wait(lambda: browser.execute_script(options) == ["val_accuracy"], "the only metric")
    with folder.journal.open("ab") as file:
        file.write(b"".join(lines[2:]))
    pages.wait(lambda: "loss" in browser.execute_script(options), "the metric that came")
    browser.close()
    browser.switch_to.window(window)
    pages.wait(lambda: "metric.loss" in (browser.execute_script(columns) or ()), "the column of the metric")
    late = browser.execute_script(columns)
    assert "param.momentum" in late
    assert late[: len(early)] == early
    pages.see("t0011")
    assert pages.faults() == []
    shutil.rmtree(folder.root)


def test_page_of_a_trial_outlives_a_journal_without_it(opened: SimpleNamespace, tmp_path: Path) -> None:
    folder = made_run(opened.runs / "mended", num_trials=6, num_epochs=2)
    whole = folder.journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    opened.pages.open("/run/mended/trial/t0005", shows="Every record of the journal")
    assert b"t0005" not in b"".join(lines[:6])
    for data, words in ((b"".join(lines[:6]), "has no trial 't0005' any more"), (whole, "completed")):
        (tmp_path / "draft").write_bytes(data)
        (tmp_path / "draft").replace(folder.journal)
        opened.pages.see(words)
    assert "any more" not in opened.pages.text
    opened.pages.see("t0005 reported epoch 2")
    # Another journal, with fewer changes than the page has seen.
    other = made_run(tmp_path / "mended", num_trials=6, num_epochs=1).journal
    other.replace(folder.journal)
    opened.pages.wait(lambda: "reported epoch 2" not in opened.pages.text, "the other journal")
    steer(folder, Annotate(trial="t0005", text="still followed"))
    opened.pages.see("Note: still followed")
    shutil.rmtree(folder.root)


def test_run_that_vanishes_stays_and_says_so(opened: SimpleNamespace, tmp_path: Path) -> None:
    made_run(opened.runs / "gone", num_trials=3, num_epochs=2)
    opened.pages.open("/run/gone", shows="Learning curves")
    shutil.rmtree(opened.runs / "gone")
    opened.pages.see("its folder is gone")
    opened.pages.see("Learning curves")


def test_names_and_notes_are_text_and_never_markup(opened: SimpleNamespace, tmp_path: Path) -> None:
    folder = RunFolder(opened.runs / MARKED.replace("/", "_"))
    made_run(tmp_path / "marked", num_trials=3, num_epochs=2).root.rename(folder.root)
    steer(folder, Annotate(text=MARKED))
    steer(folder, Annotate(trial="t0001", text=MARKED))
    key = quote(folder.root.name, safe="")
    opened.pages.open("/", shows=folder.root.name)
    for path in ("", "/trials", "/decisions", "/trial/t0001"):
        opened.pages.open(f"/run/{key}{path}", shows=folder.root.name)
        if path != "/trials":
            opened.pages.see(MARKED)
        assert (
            opened.pages.browser.execute_script("return document.querySelectorAll('main i:not(.q-icon)').length") == 0
        )
    shutil.rmtree(folder.root)


def test_notes_and_stars_of_a_finished_run_are_written_from_its_page(opened: SimpleNamespace) -> None:
    opened.pages.open("/run/full/trial/t0003", shows="Every record of the journal")
    opened.pages.press("Write a note ...")
    opened.pages.write("the augmentation was too strong")
    opened.pages.press("Save")
    opened.pages.see("Note: the augmentation was too strong")
    opened.pages.press("Star")
    opened.pages.press("Take the star away")
    opened.pages.press("Star")
    text = (opened.runs / "full" / "journal.jsonl").read_text()
    assert "the augmentation was too strong" in text


def test_tags_are_given_on_the_page_of_a_study_and_filter_the_page_of_studies(opened: SimpleNamespace) -> None:
    pages = opened.pages
    pages.open("/run/full", shows="Learning curves")
    pages.press("Tag ...")
    pages.write(f"baseline, {MARKED},for  the paper")
    pages.press("Save")
    chips = "return [...document.querySelectorAll('main .chip')].map(e => e.innerText.split('\\n')[0].trim())"
    pages.wait(lambda: pages.browser.execute_script(chips) == ["baseline", MARKED, "for the paper"], "the tags")
    pages.browser.find_element("css selector", '[aria-label="Take the tag baseline away"]').click()
    pages.wait(lambda: pages.browser.execute_script(chips) == [MARKED, "for the paper"], "the tags that are left")
    pages.open("/", shows="for the paper")
    runs = "return [...document.querySelectorAll('[col-id=run] a')].map(e => e.textContent)"
    assert {"asha", "full"} <= set(pages.browser.execute_script(runs))
    chip = pages.browser.find_element("xpath", "//button[text()='for the paper']")
    chip.click()
    pages.wait(lambda: pages.browser.execute_script(runs) == ["full"], "the run of the tag alone")
    pages.wait(lambda: "grid=" in pages.browser.current_url, "the filter in the address")
    pages.open("/", shows="asha")
    pages.browser.find_element("css selector", '[aria-label="Search"]').send_keys("the paper")
    pages.wait(lambda: pages.browser.execute_script(runs) == ["full"], "the run that is searched for")
    assert pages.faults() == []


def test_read_only_dashboard_has_no_button_that_steers(opened: SimpleNamespace, tmp_path: Path) -> None:
    with (
        open_dashboard([opened.runs / "full"], "--read-only", log=tmp_path / "log.txt") as address,
        real_browser(tmp_path / "profile") as browser,
    ):
        pages = Pages(browser, address)
        pages.open("/run/full", shows="started with --read-only")
        assert "Write a note" not in pages.text


def test_model_answers_for_an_image_that_is_dropped_on_its_page(opened: SimpleNamespace, tmp_path: Path) -> None:
    shutil.copytree(REAL_RUN, opened.runs / "real")
    (export,) = [path.name for path in (REAL_RUN / "exports").iterdir() if path.name.startswith("1-")]
    opened.pages.open("/run/real/models", shows=export)
    opened.pages.open(f"/run/real/model/{export}", shows="Try an image")
    opened.pages.see("test_accuracy")
    picture = tmp_path / "digit.png"
    picture.write_bytes(picture_of(np.full((8, 8), 7, np.uint8)))
    find = "return document.querySelector('input[type=file]')"

    def drop(path: Path) -> None:
        opened.pages.wait(lambda: opened.pages.browser.execute_script(find), "the file field").send_keys(str(path))

    drop(picture)
    opened.pages.see("probability")
    opened.pages.see("digit.png")
    picture.with_name("broken.png").write_bytes(b"no picture")
    drop(picture.with_name("broken.png"))
    opened.pages.see("broken.png: ")
    assert opened.pages.faults() == []
