"""The page of one run: its headline, the best so far, its learning curves, and what the results suggest to try."""

from collections.abc import Callable, Sequence
from typing import Any

from nicegui import ui

from orchestrator.advice.advice import Advice, advice_of
from orchestrator.analysis.progress import best_so_far_steps
from orchestrator.dashboard.answers.curves import TIMES, CurveChoice, curves_figure
from orchestrator.dashboard.answers.study_rows import study_row
from orchestrator.dashboard.answers.trial_rows import ranks_of
from orchestrator.dashboard.parts.figures import Figure
from orchestrator.dashboard.parts.frame import Refilled, cards_html, facts, panel, run_path, say, show_run
from orchestrator.dashboard.parts.live import Live, Pace
from orchestrator.dashboard.parts.steering import StudyButtons
from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.results.from_state import best_so_far, front_of
from orchestrator.results.references import Reference, read_references
from orchestrator.results.words import wanted, with_split
from orchestrator.text import duration, moment, number
from orchestrator.views.report.analysis_figures import progress_steps

_TOPS = {5: "best 5", 10: "best 10", 30: "best 30", 0: "all"}


def add_study_page(live: Live) -> None:
    """Adds the page."""

    @ui.page("/run/{key}", response_timeout=60)
    async def study(key: str) -> None:
        await show_run(live, key, title="study", tab="Study", show=lambda run: _show(run, live))


def _show(run: FollowedRun, live: Live) -> Callable[[], None]:
    lead = ui.label().classes("soft")
    # Every text in it is escaped.
    headline = ui.html("", sanitize=False).classes("cards")
    steering = StudyButtons(run, live)
    with panel("Best so far", note="Each report that was better than all before it; the buttons choose the cost."):
        progress = Figure("No report yet.")
    curves = _Curves(run)
    with panel("Advice", note="What the results so far suggest to try."):
        advice = Refilled(_advice)
    with panel("Reference rows", note="What simple guesses reach on the same images; a winner has to beat them."):
        references = Refilled(_references)
    _files(run)

    def refresh() -> None:
        lead.set_text(_lead(run))
        headline.set_content(run.answer("cards", lambda: cards_html(_cards(run))))
        progress.show(run.answer("progress", lambda: _progress(run)))
        curves.refresh()
        steering.refresh()
        advice.show(run.answer("advice", lambda: advice_of(run.state, folder=run.folder)))
        references.show(run.answer("references", lambda: read_references(run.folder)))

    refresh()
    return refresh


def _lead(run: FollowedRun) -> str:
    header = run.state.header
    ended = run.state.finished or run.state.paused
    closing = f"; ended {moment(ended.at)}" if ended else ""
    reason = f" {ended.reason}." if ended and ended.reason else ""
    return (
        f"{header.study}: looks for the {wanted(header)} in {header.num_trials} trials of at most {header.max_epochs} "
        f"epochs, seed {header.seed}; began {moment(header.at)}{closing}.{reason}"
    )


def _cards(run: FollowedRun) -> dict[str, tuple[str, str]]:
    row, state = study_row(run), run.state
    best = run.answer("best", lambda: best_so_far(state))
    found = {
        f"best {with_split(state.header.metric)}": (
            (number(best[1].metrics[state.header.metric]), f"{best[0].name} at epoch {best[1].epoch}")
            if best
            else ("none yet", "no trial has a result that may win")
        ),
        "trials": (
            f"{row['done'] + row['stopped'] + row['failed']} of {row['planned']}",
            f"{row['running']} running, {row['waiting']} waiting, {row['stopped']} stopped, {row['failed']} failed",
        ),
        "epochs": (str(row["epochs"]), f"{row['epochs_saved']} saved by stopping early"),
        "elapsed": (duration(row["elapsed"]), f"{duration(row['left'])} left" if row["left"] is not None else ""),
        "training": (duration(row["train_seconds"]), "in training steps, all workers together"),
    }
    if front := front_of(state):
        found["front"] = (str(len(front)), "trials that no other one beats in every objective")
    return found


def _progress(run: FollowedRun) -> dict[str, Any] | None:
    return progress_steps(best_so_far_steps(run.state), metric=run.state.header.metric)


def _advice(found: Sequence[Advice]) -> None:
    for item in found:
        ui.label(item.text)
    if not found:
        say("Nothing to advise so far.")


def _references(rows: Sequence[Reference]) -> None:
    if not rows:
        say("This run has none.")
        return
    facts({row.name: ", ".join(f"{name} {number(value)}" for name, value in row.metrics.items()) for row in rows})


def _files(run: FollowedRun) -> None:
    with panel("Files"), ui.element("div").classes("controls"):
        for name, text in (
            ("trials.csv", "trials as CSV"),
            ("trials.parquet", "trials as Parquet"),
            ("epochs.parquet", "epochs as Parquet"),
            ("study.yaml", "study file"),
            ("report.html", "report"),
        ):
            ui.link(text, f"/data{run_path(run)}/{name}", new_tab=name == "report.html")


def metrics_of(run: FollowedRun) -> list[str]:
    """Returns the metrics of a run's reports, the objective first."""
    first = [report for trial in list(run.state.trials.values()) for report in trial.reports[:1]]
    return list(dict.fromkeys([run.state.header.metric, *(name for report in first for name in report.metrics)]))


def _drawn(run: FollowedRun, choice: CurveChoice) -> dict[str, Any] | None:
    return curves_figure(run.state, choice, ranks=ranks_of(run))


class _Curves:
    """The learning curves, and what readers choose of them."""

    def __init__(self, run: FollowedRun) -> None:
        self._run, self._pace = run, Pace(self.draw)
        metrics = metrics_of(run)
        with panel(
            "Learning curves", note="Trials in the order of the leaderboard; those that were stopped are dimmer."
        ):
            with ui.element("div").classes("controls"):
                self._metric = self._select(metrics, metrics[0], "Metric")
                self._top = self._select(_TOPS, 10, "Trials")
                self._by = self._select({"trial": "by trial", "family": "by family"}, "trial", "Colours")
                self._time = self._select(list(TIMES), TIMES[0], "Axis")
                self._is_log = ui.switch("log axis", on_change=self.draw)
                ui.label("smoothing")
                self._smoothing = ui.slider(min=0, max=0.95, step=0.05, value=0, on_change=self.draw).style(
                    "width: 140px"
                )
                self._smoothing.props('aria-label="smoothing"')
            self._figure = Figure("No report yet.")

    def _select(self, options: Any, value: Any, label: str) -> ui.select:
        return (
            ui.select(options, value=value, label=label, on_change=self.draw)
            .props("dense options-dense")
            .style("min-width: 110px")
        )

    def refresh(self) -> None:
        """Draws the curves again, unless that was just done: many of them take long."""
        metrics = self._run.answer("metrics", lambda: metrics_of(self._run))
        if new := [name for name in metrics if name not in self._metric.options]:
            self._metric.set_options([*self._metric.options, *new])
        self._pace.run()

    def draw(self) -> None:
        """Draws the curves."""
        choice = CurveChoice(
            metric=self._metric.value,
            top=self._top.value,
            by=self._by.value,
            smoothing=self._smoothing.value,
            is_log=self._is_log.value,
            time=self._time.value,
        )
        self._figure.show(self._run.answer(("curves", choice), lambda: _drawn(self._run, choice)))
