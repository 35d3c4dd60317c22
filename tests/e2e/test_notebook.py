"""A real notebook, headless: the live view in the cell, a cell that is interrupted, the study resumed, a figure."""

import asyncio
import json
import re
from types import SimpleNamespace

import pytest

pytest.importorskip("ipykernel")
nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")

from command_lines import ROOT  # noqa: E402 - after the libraries without which there is nothing to test

pytestmark = pytest.mark.slow

#: A Ray that the calling process is connected to is the one that a study uses.
SETUP = "import ray\n_ = ray.init(address={address!r}, log_to_driver=False, logging_level='error')"


def snippet(name):
    return (ROOT / "docs" / "snippets" / "python" / name).read_text(encoding="utf-8")


class Notebook(nbclient.NotebookClient):
    """A notebook that keeps the types of the messages that its cells sent."""

    def process_message(self, msg, cell, cell_index):
        cell.metadata.setdefault("kinds", []).append(msg["msg_type"])
        return super().process_message(msg, cell, cell_index)


async def run_cells(folder, *, environment, address, wait):
    """Runs the cells of the page one after the other; the first study's cell is interrupted after its first report."""
    codes = [
        SETUP.format(address=address),
        *map(snippet, ("notebook_run.py", "notebook_resume.py", "notebook_figure.py")),
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in codes])
    client = Notebook(notebook, timeout=300, allow_errors=True, resources={"metadata": {"path": str(folder)}})
    async with client.async_setup_kernel(env=environment):
        for number, cell in enumerate(notebook.cells):
            running = asyncio.create_task(client.async_execute_cell(cell, number))
            if number == 1:
                await wait(running)
                await client.km.interrupt_kernel()
            await running
    nbformat.validate(notebook)
    return notebook.cells


@pytest.fixture(scope="module")
def cells(make_joined, shared_ray, tmp_path_factory):
    joined = make_joined(tmp_path_factory.mktemp("notebook"))
    joined.write_study(
        "my-study",
        search={"algorithm": "random", "trials": 3},
        schedule={"algorithm": "none", "max_epochs": 2},
        resources={"max_concurrent": 1},
    )

    async def wait(running):
        while not joined.records("my-study", "epoch_reported"):
            assert not running.done(), running.result()
            await asyncio.sleep(0.02)

    ran = asyncio.run(run_cells(joined.folder, environment=joined.environment, address=shared_ray.address, wait=wait))
    _, run, resumed, figure = ran
    return SimpleNamespace(joined=joined, run=run, resumed=resumed, figure=figure)


def html_of(output):
    return "".join(output["data"]["text/html"])


def test_interrupted_cell_pauses_the_study_and_says_how_to_go_on(cells):
    view, error = cells.run.outputs
    assert (error["output_type"], error["ename"]) == ("error", "StudyPausedError")
    said = "nothing is lost; go on with: convfleet.resume_study('runs/my-study')"
    assert error["traceback"] == [f"StudyPausedError: {said}"]
    assert '<span class="pill paused">paused</span>' in html_of(view)
    kinds = [record["type"] for record in cells.joined.records("my-study")]
    assert kinds.count("study_paused") == 1
    assert kinds.index("epoch_reported") < kinds.index("study_paused") < kinds.index("study_finished")


def test_a_cells_view_is_updated_in_place_and_ends_with_the_best_trial(cells):
    view, shown = cells.resumed.outputs
    assert cells.resumed.metadata["kinds"].count("display_data") == 1
    assert "update_display_data" in cells.resumed.metadata["kinds"]
    assert re.search(r"best: t000\d val_accuracy 0\.\d+ at epoch \d", html_of(view))
    assert "3 of 3 trials ended" in html_of(view)
    assert shown["output_type"] == "execute_result"


def test_a_result_shows_itself_and_prints_one_line(cells):
    *_, shown = cells.resumed.outputs
    assert '<span class="pill finished">finished</span>' in html_of(shown)
    assert "overrides=[&quot;search.trials=6&quot;]" in html_of(shown)
    assert shown["data"]["text/plain"].startswith("StudyResult('runs/my-study': finished, best: t000")
    assert len(cells.joined.reports("my-study")) == 6


def test_a_figure_is_drawn_by_the_notebook(cells):
    (drawn,) = cells.figure.outputs
    figure = drawn["data"]["application/vnd.plotly.v1+json"]
    assert figure["layout"]["yaxis"]["title"]["text"] == "val_loss (validation)"
    assert len(figure["data"]) == 3
    assert json.dumps(figure)
