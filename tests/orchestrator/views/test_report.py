"""The report: whole, safe to open, honest about splits, and fine with nothing to show."""

from dataclasses import replace

import plotly.graph_objects as go
import pytest
from report_pages import HOSTILE, Page

from orchestrator.journal.records import EnsembleExported
from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder
from orchestrator.views.report import write_report
from orchestrator.views.report.figures import _axis


@pytest.fixture
def write(tmp_path):
    def written(records):
        folder = RunFolder(tmp_path)
        path = write_report(folder, state=fold(records))
        assert path == folder.report
        return Page(path.read_text(encoding="utf-8"))

    return written


@pytest.fixture
def page(write, make_sweep):
    return write(make_sweep())


def test_headline_tells_study_state_objective_best_trial_and_cost(page):
    for told in (
        "cifar10-small finished",
        "highest val_accuracy (validation)",
        "0.7852 t0003 at epoch 9",
        "4 completed, 8 stopped, 1 infeasible, 1 failed; 14 planned",
        "5 min 19 s 58 epochs trained",
        "52 by stopping trials early",
        "8 min 20 s started 2025-10-09 08:53:20 UTC, ended 2025-10-09 09:01:40 UTC",
    ):
        assert told in page.text


def test_leaderboard_tells_each_trials_result_and_what_all_share(page):
    assert "1 t0003 completed 0.7852 9 9 45.0 sequential 8 sgd 0.1 relu false 0.83" in page.text.replace("  ", " ")
    assert "The same in all trials: batch_size=128" in page.text


def test_report_tells_why_trials_stopped_and_failed(page):
    assert "t0004 stopped 1 val_accuracy 0.403 is not among the best third at epoch 1" in page.text
    assert "t0005 infeasible infeasible five pooling steps leave no pixel" in page.text


def test_failure_links_to_its_traceback_only_if_there_is_one(tmp_path, write, make_sweep):
    assert "failures/t0008.txt" not in write(make_sweep()).links
    folder = RunFolder(tmp_path)
    folder.failures.mkdir()
    folder.failure("t0008").write_text("Traceback")
    assert "failures/t0008.txt" in write(make_sweep()).links


def test_exports_are_linked_and_their_metrics_say_test(page):
    assert "exports/1-t0003" in page.links
    assert "test_accuracy (test) test_loss (test)" in page.text
    assert "come from the test split" in page.text


def test_ensembles_stand_below_the_models_and_cards_are_linked_where_they_are(tmp_path, write, make_sweep):
    ensemble = EnsembleExported(
        method="greedy",
        members=[{"trial": "t0003", "epoch": 2, "weight": 2}, {"trial": "t0001", "epoch": 1, "weight": 1}],
        metrics={"val_accuracy": 0.9},
        folder="exports/ensemble-greedy",
        test_metrics={"accuracy": 0.875},
        at=1_790_000_000.0,
    )
    records = [*make_sweep(), ensemble]
    page = write(records)
    assert "exports/ensemble-greedy" in page.links
    assert "greedy of t0003, t0001 exports/ensemble-greedy" in page.text
    assert not [found for found in page.links if found.endswith("model_card.html")]
    card = tmp_path / "exports" / "ensemble-greedy" / "model_card.html"
    card.parent.mkdir(parents=True)
    card.write_text("a card", encoding="utf-8")
    assert "exports/ensemble-greedy/model_card.html" in write(records).links


def test_time_is_split_into_training_and_each_kind_of_overhead(page):
    assert "training steps 319.0 66.8 %" in page.text
    assert "import 53.3 11.2 %" in page.text


def test_page_needs_no_network(page, tmp_path):
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not {"link", "img", "iframe"} & set(page.tags)
    assert "default-src 'none'" in html
    assert 'src="' not in html.replace(html[html.index("<script>/**") : html.rindex("<script>")], "")
    assert "showSendToCloud: false" in html
    assert html.count("plotly.js v") == 1


def test_hostile_study_name_and_values_do_not_become_elements(write, make_sweep, make_opened, make_proposed):
    harmless = write(make_sweep())
    records = make_sweep(study=HOSTILE)
    params = {"activation": HOSTILE, "filters": 8, "learning_rate": 0.1}
    records[2] = make_proposed(0, at=records[2].at, params=params)
    page = write(records)
    assert page.tags.count("script") == harmless.tags.count("script")
    assert "img" not in page.tags
    assert HOSTILE in page.text
    hover = page.figures["curves"]["data"]
    assert not any("<script" in trace["hovertemplate"] for trace in hover)
    assert any("&lt;script&gt;" in trace["hovertemplate"] for trace in hover)


def test_value_that_closes_a_script_stays_inside_the_figures_data(write, make_sweep, make_proposed):
    records = make_sweep()
    value = "</script><img src=x>"
    records[2] = make_proposed(0, at=records[2].at, params={"activation": value, "learning_rate": 0.1})
    page = write(records)
    assert "img" not in page.tags
    assert any(value in axis.get("ticktext", []) for axis in page.figures["parameters"]["data"][0]["dimensions"])


@pytest.mark.parametrize("num_records", [1, 2, 4, 6, 14])
def test_report_can_be_written_at_any_time(write, make_sweep, num_records):
    page = write(make_sweep()[:num_records])
    assert "cifar10-small" in page.text


def test_report_of_a_study_without_trials_has_no_figures_and_says_so(write, make_sweep):
    page = write(make_sweep()[:1])
    assert page.figures == {}
    assert "script" not in page.tags
    for told in ("not started", "none yet", "No report yet.", "No trial failed.", "No model has been exported yet."):
        assert told in page.text


def test_study_whose_trials_all_failed_is_reported(write, make_sweep):
    records = [record for record in make_sweep() if getattr(record, "trial", "t0005") == "t0005"]
    page = write(records[:-1])
    assert "No trial has ended with a result yet." in page.text
    assert "five pooling steps" in page.text


def test_figures_are_valid_to_plotly(page):
    assert set(page.figures) == {"curves", "parameters", "progress", "fleet"}
    for figure in page.figures.values():
        go.Figure(figure)


def test_stopped_trials_are_dimmer_and_the_best_are_named_on_top(page):
    traces = page.figures["curves"]["data"]
    assert traces[-1]["name"] == "1. t0003"
    assert {trace["opacity"] for trace in traces if "stopped" in trace["hovertemplate"]} == {0.4}
    assert {trace["opacity"] for trace in traces if "completed" in trace["hovertemplate"]} == {1.0}
    assert sum(trace["showlegend"] for trace in traces) == 5


def test_every_ranked_trial_is_a_line_from_its_parameters_to_the_objective(page):
    axes = page.figures["parameters"]["data"][0]["dimensions"]
    assert [axis["label"] for axis in axes][:2] == ["family", "filters"]
    assert axes[-1]["label"] == "best val_accuracy"
    assert {len(axis["values"]) for axis in axes} == {12}
    assert "batch_size" not in [axis["label"] for axis in axes]


def test_parameter_over_two_decades_has_a_log_axis():
    axis = _axis("learning_rate", [0.0001, 0.001, 0.1])
    assert axis["label"] == "learning_rate (log)"
    assert axis["values"] == pytest.approx([-4, -3, -1])
    assert axis["ticktext"] == ["0.0001", "0.001", "0.1"]


def test_parameter_below_two_decades_or_with_zero_has_a_linear_axis():
    assert _axis("filters", [8, 16, 32])["values"] == [8, 16, 32]
    assert _axis("dropout", [0.0, 0.001, 0.5])["values"] == [0.0, 0.001, 0.5]


def test_categories_are_ticks_and_unset_values_have_a_tick_of_their_own():
    axis = _axis("optimizer", ["sgd", None, "adam", "sgd"])
    assert axis["ticktext"] == ["not set", "adam", "sgd"]
    assert axis["values"] == [2, 0, 1, 2]
    assert _axis("batch_norm", [True, False])["ticktext"] == ["false", "true"]


def test_unset_numbers_lie_below_the_others():
    axis = _axis("momentum", [0.8, None, 0.9])
    assert axis["ticktext"][0] == "not set"
    assert axis["values"][1] < 0.8


def test_label_with_markup_is_shown_as_it_is():
    assert _axis("<b>", [1, 2])["label"] == "&lt;b&gt;"


def test_the_picture_of_augmented_images_lies_in_the_page_itself(write, make_sweep, tmp_path):
    assert "Augmentation" not in write(make_sweep()).text
    RunFolder(tmp_path).augmented.write_bytes(b"picture")
    page = write(make_sweep())
    assert "as the first epochs show them" in page.text
    assert page.tags.count("img") == 1
    assert "data:image/png;base64,cGljdHVyZQ==" in RunFolder(tmp_path).report.read_text(encoding="utf-8")


HEADS = {"val_digit_accuracy": 0.9, "val_digit_loss": 0.2, "val_ink_mae": 0.05, "val_loss": 0.3, "loss": 0.1}


def with_heads(record):
    """The same record, its metrics being those of two heads."""
    if not hasattr(record, "report"):
        return record
    value = record.report["metrics"]["val_accuracy"]
    return replace(record, report={**record.report, "metrics": {**HEADS, "val_ink_mae": value}})


def test_every_metric_of_every_head_is_told_at_the_best_epoch(write, make_sweep):
    page = write([with_heads(record) for record in make_sweep(metric="val_ink_mae", mode="min")])
    headings = "rank trial epoch val_ink_mae val_digit_accuracy val_digit_loss val_loss"
    assert headings in page.text
    state = fold([with_heads(record) for record in make_sweep(metric="val_ink_mae", mode="min")])
    lowest = min(
        (report.metrics["val_ink_mae"], trial.name, report.epoch)
        for trial in state.trials.values()
        if trial.state in {"completed", "stopped"}
        for report in trial.reports
    )
    assert f"1 {lowest[1]} {lowest[2]} {lowest[0]:.4g} 0.9 0.2 0.3" in page.text
    assert "At each trial's best epoch by val_ink_mae, on the validation split." in page.text
    assert page.figures["curves"]["layout"]["yaxis"]["title"]["text"] == "val_ink_mae (validation)"


def test_a_study_of_one_metric_has_no_table_of_every_metric(page):
    assert "Every metric" not in page.text
