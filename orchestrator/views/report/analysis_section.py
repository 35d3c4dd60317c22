"""The sections of the report on what a run says about its parameters, and about stopping early."""

from orchestrator.analysis import words
from orchestrator.analysis.analysis import Analysis, analysis_of
from orchestrator.text import duration
from orchestrator.views.report import analysis_figures as figures
from orchestrator.views.report.markup import Cell, Markup, bullets, empty, figure, section, table
from orchestrator.views.report.sections import Findings


def analysis_sections(findings: Findings) -> Markup:
    """Returns importance, effects and progress, each a section."""
    analysis = analysis_of(findings.state, shares=findings.shares)
    return Markup(_importance(analysis) + _effects(analysis) + _progress(analysis))


def _importance(analysis: Analysis) -> Markup:
    title, importance = "Importance of parameters", analysis.importance
    said = [words.model_in_words(importance), words.basis_in_words(analysis), *analysis.notes]
    basis = bullets(filter(None, said))
    if importance.reason:
        return section(title, empty(f"{importance.reason[0].upper()}{importance.reason[1:]}."), basis)
    rows: list[list[Cell]] = [
        [
            item.name,
            words.share_in_words(item),
            words.share_interval(item),
            words.trials_in_words(item),
        ]
        for item in importance.parameters
    ]
    headings = ["parameter", "share", "95 % interval", "trials"]
    plot = figures.importance_bars(importance.parameters)
    shown = [figure("importance", plot)] if plot else []
    return section(title, *shown, table(headings, rows, numeric=headings[1:]), basis, note=words.SHARES_NOTE)


def _effects(analysis: Analysis) -> Markup:
    plot = figures.effect_plots(analysis.effects, metric=analysis.metric)
    if plot is None:
        return Markup("")
    headings = ["parameter", "value", f"mean {analysis.metric}", "95 % interval", "best", "trials"]
    rows: list[list[Cell]] = [
        [effect.parameter, item.label, item.mean, words.bin_interval(item), item.best, item.num_trials]
        for effect in analysis.effects
        for item in effect.bins
    ]
    parts = [figure("effects", plot)]
    if analysis.pair is not None:
        parts.append(figure("pair", figures.pair_map(analysis.pair, metric=analysis.metric, mode=analysis.mode)))
    return section("Effects", *parts, table(headings, rows, numeric=headings[2:]), note=words.EFFECTS_NOTE)


def _progress(analysis: Analysis) -> Markup:
    title, said = "Best so far", bullets(words.savings_in_words(analysis.savings))
    plot = figures.progress_steps(analysis.steps, metric=analysis.metric)
    if plot is None:
        return section(title, empty(words.no_best_in_words(analysis)))
    headings = ["trial", "epoch", f"best {analysis.metric}", "trials", "epochs", "time", "core time"]
    rows: list[list[Cell]] = [
        [
            step.trial,
            step.epoch,
            step.value,
            step.num_trials,
            step.num_epochs,
            duration(step.seconds),
            duration(step.core_seconds),
        ]
        for step in analysis.steps
    ]
    return section(title, figure("progress", plot), table(headings, rows, numeric=headings[1:]), said)
