"""What notebooks show: a view that is replaced in place, results by themselves, figures by name, errors in a line."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import plotly.graph_objects as go
import pytest
from known_effects import by_learning_rate, curves_of, made_records
from report_pages import HOSTILE, Page

from orchestrator.analysis.analysis import analysis_of
from orchestrator.driver.result import StudyResult
from orchestrator.errors import InputError, StudyPausedError
from orchestrator.journal.records import ModelExported, StudyFinished, StudyPaused, TrialProposed, TrialStopped
from orchestrator.journal.steering_records import AnnotationAdded
from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder
from orchestrator.text import moment, one_line
from orchestrator.views.notebook import figures
from orchestrator.views.notebook.cell import cell_output
from orchestrator.views.notebook.figures import FIGURES
from orchestrator.views.notebook.live import CellProgress, shown_progress


class Output:
    """Keeps what is shown in it."""

    def __init__(self):
        self.contents, self.plain = [], []

    def show(self, html, *, plain):
        self.contents.append(html)
        self.plain.append(plain)


@pytest.fixture
def output():
    return Output()


def text_of(html):
    return Page(html).text


def result_of(records, folder):
    return StudyResult(folder=RunFolder(folder), state=fold(records))


def without_end(records):
    return [record for record in records if not isinstance(record, StudyFinished | ModelExported)]


def hostile(record):
    """Returns a record in which every text that people write is markup."""
    match record:
        case TrialProposed():
            return replace(record, variant={**record.variant, "params": {**record.variant["params"], "note": HOSTILE}})
        case TrialStopped():
            return replace(record, reason=HOSTILE)
    return record


def test_a_cell_ends_with_the_study_as_it_is(output, make_sweep):
    state = fold(make_sweep())
    with CellProgress(output) as progress:
        progress.message("reading")
        progress.update(state, now=state.last_at, elapsed_seconds=75.0)
    shown = text_of(output.contents[-1])
    assert shown.startswith("cifar10-small finished highest val_accuracy (validation)")
    assert "14 of 14 trials ended, 1 min 15 s elapsed" in shown
    assert "best: t0003 val_accuracy 0.7852 at epoch 9" in shown
    assert "1 t0003 completed 0.7852 9 9 sequential" in shown
    assert output.plain[-1].startswith("cifar10-small finished, best: t0003")


def test_a_cell_shows_the_trials_at_work_and_what_happened(output, begin, make_reported):
    state = fold([*begin(), make_reported(0, 1, at=110.0, value=0.912)])
    with CellProgress(output) as progress:
        progress.update(state, now=state.last_at, elapsed_seconds=5.0)
        progress._draw()
    running, over = map(text_of, output.contents[-2:])
    assert "t0000 1/9 0.912" in running
    assert "No trial has ended with a result yet." in running
    assert "t0000 epoch 1/9 val_accuracy 0.912 (best 0.912)" in running
    assert "cifar10-small interrupted" in over


def test_a_cell_is_drawn_no_more_often_than_the_period_allows(output, make_sweep):
    state = fold(make_sweep())
    with CellProgress(output, period_seconds=3600.0) as progress:
        for number in range(100):
            progress.message(f"reading images: {number} of 100")
            progress.update(state, now=state.last_at, elapsed_seconds=1.0)
    assert len(output.contents) <= 2


def test_counts_of_one_stage_are_one_line_and_events_come_before_later_messages(output, make_sweep):
    state = fold(make_sweep())
    with CellProgress(output, period_seconds=3600.0) as progress:
        progress.update(state, now=state.last_at, elapsed_seconds=1.0)
        for number in range(3):
            progress.message(f"exporting: {number} of 2")
    shown = text_of(output.contents[-1])
    assert shown.count("exporting") == 1
    assert shown.endswith("exporting: 2 of 2")


def test_texts_of_a_study_are_no_markup(output, tmp_path, make_sweep):
    records = [hostile(record) for record in make_sweep(study=HOSTILE)]
    note = AnnotationAdded(request="01764416000123456789-1a2b3c4d", trial="", text=HOSTILE, at=records[-1].at)
    paused = StudyPaused(reason=HOSTILE, at=records[-1].at)
    result = result_of([*without_end(records), note, paused], tmp_path / HOSTILE.replace("/", "-"))
    with CellProgress(output) as progress:
        progress.message(HOSTILE)
        progress.update(result.state, now=paused.at, elapsed_seconds=1.0)
    for html in (output.contents[-1], result._repr_html_()):
        page = Page(html)
        # The study's name is bold; one of its parameters has the value <b>gelu</b>.
        assert [tag for tag in page.tags if tag in {"script", "img", "b"}] == ["b"]
        assert one_line(HOSTILE) in page.text
    assert f"note study, {moment(note.at)}: {HOSTILE}" in page.text
    assert f"reason {HOSTILE}" in page.text


def test_a_result_says_how_to_go_on(tmp_path, make_sweep):
    records, run = make_sweep(), str(tmp_path)
    finished = result_of(records, tmp_path)
    more = f"""result = convfleet.resume_study({run!r}, overrides=["search.trials=28"])"""
    assert more in text_of(finished._repr_html_())
    assert repr(finished).startswith(f"StudyResult({run!r}: finished, best: t0003 val_accuracy 0.7852 at epoch 9")
    records = [*without_end(records), StudyPaused(reason="no room", at=records[-1].at)]
    paused = text_of(result_of(records, tmp_path)._repr_html_())
    assert paused.startswith("cifar10-small paused")
    assert "reason no room" in paused
    assert f"go on: result = convfleet.resume_study({run!r})" in paused


def test_progress_is_the_cells_only_in_a_kernel_and_the_callers_own_if_given(monkeypatch):
    own = object()
    with shown_progress("auto") as none, shown_progress(None) as nothing, shown_progress(own) as given:
        assert (none, nothing, given) == (None, None, own)
    shown = []
    display = SimpleNamespace(display=lambda content, **options: shown.append((content, options)))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=object))
    assert cell_output() is None
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1)))
    with shown_progress("auto") as live:
        assert isinstance(live, CellProgress)
    with shown_progress(None) as nothing:
        assert nothing is None
    cell_output().show("<p>x</p>", plain="x")
    contents, options = zip(*shown, strict=True)
    assert contents[-1] == {"text/html": "<p>x</p>", "text/plain": "x"}
    assert [option["update"] for option in options] == [*(False, True)[: len(options) - 1], False]
    assert len({option["display_id"] for option in options}) == 2


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_plotlys_or_says_why_there_is_nothing_to_show(name, tmp_path, make_sweep):
    few = "too few: 12 trials with a value"
    empty = {"importance": few, "effects": few, "front": "the study has 1", "rungs": "has none"}
    result = result_of(make_sweep(), tmp_path)
    if name in empty:
        with pytest.raises(InputError, match=rf"figure\('{name}'\): nothing to show: .*{empty[name]}"):
            result.figure(name)
    else:
        assert isinstance(result.figure(name), go.Figure)
    with pytest.raises(InputError, match=rf"figure\('{name}'\): nothing to show: "):
        result_of(make_sweep()[:1], tmp_path).figure(name)


def test_choices_of_figures(tmp_path, make_sweep):
    result = result_of(make_sweep(), tmp_path)
    assert result.figure("curves", metric="val_loss").layout.yaxis.title.text == "val_loss (validation)"
    assert len(result.figure("parallel", k=3).data[0].line.color) == 3


def test_effects_of_chosen_parameters(tmp_path, monkeypatch):
    result = result_of(made_records(curves_of(by_learning_rate, count=20)), tmp_path)
    analysis = analysis_of(result.state)
    # Once is enough: it takes seconds.
    monkeypatch.setattr(figures, "analysis_of", lambda state, shares: analysis)
    assert result.figure("importance").data[0].type == "bar"
    assert len(result.figure("effects").data) == 6
    assert len(result.figure("effects", parameters=["learning_rate", "filters"]).data) == 2
    with pytest.raises(InputError, match=r"no effect of 'filter' is known; did you mean 'filters'\? \(parameters: "):
        result.figure("effects", parameters=["filter"])


@pytest.mark.parametrize(
    ("name", "choices", "message"),
    [
        ("cures", {}, "figure: no figure is named 'cures'; did you mean 'curves'? (figures: curves, best_so_far"),
        ("curves", {"metrik": "val_loss"}, "no choice is named 'metrik'; did you mean 'metric'? (choices: metric)"),
        ("fleet", {"k": 1}, "figure('fleet'): no choice is named 'k' (it has no choices)"),
        ("curves", {"metric": "val_los"}, "metric: no trial reported 'val_los'; did you mean 'val_loss'? (metrics: "),
        ("parallel", {"k": 1}, "figure('parallel'): k: must be a whole number of at least 2, got 1; for example k=10"),
    ],
)
def test_a_wrong_figure_is_an_error_that_says_what_there_is(name, choices, message, tmp_path, make_sweep):
    with pytest.raises(InputError) as caught:
        result_of(make_sweep(), tmp_path).figure(name, **choices)
    assert message in str(caught.value)


def test_errors_are_shown_in_a_line():
    assert InputError("x is wrong")._render_traceback_() == ["InputError: x is wrong"]
    error = StudyPausedError("nothing is lost; no trial had begun: run the study again")
    assert error._render_traceback_() == [f"StudyPausedError: {error}"]
