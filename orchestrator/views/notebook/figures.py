"""The figures of a run by name, for people who draw them one by one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.analysis.analysis import Analysis, analysis_of
from orchestrator.analysis.words import no_best_in_words
from orchestrator.errors import InputError
from orchestrator.journal.study_state import StudyState
from orchestrator.results import from_tables
from orchestrator.results.image_shares import image_shares
from orchestrator.results.tables import epochs_table, trials_table
from orchestrator.runs.paths import RunFolder
from orchestrator.views.report.analysis_figures import effect_plots, importance_bars, progress_steps
from orchestrator.views.report.figures import learning_curves, parallel_coordinates, plotly_figure
from orchestrator.views.report.front_section import objectives_figure
from orchestrator.views.report.history_section import fleet_plot, rungs_plot
from search_spaces.problems import nearest

#: A figure as plotly's JSON, if there is one, and why there is none where there is none.
_Drawn = tuple[dict[str, Any] | None, str]


def figure_of(state: StudyState, *, folder: RunFolder, name: str, choices: Mapping[str, Any]) -> Any:
    """Returns a figure of a run as a `plotly.graph_objects.Figure`.

    Args:
        state: The run's state.
        folder: Its folder.
        name: One of `FIGURES`.
        choices: What the caller chose of it.

    Raises:
        InputError: If no figure has this name or no such choice, or there is nothing to show.
    """
    if name not in FIGURES:
        raise InputError(f"figure: no figure is named {name!r}{nearest(name, FIGURES)} (figures: {', '.join(FIGURES)})")
    draw, known = FIGURES[name]
    for choice in choices:
        if choice not in known:
            allowed = f"choices: {', '.join(known)}" if known else "it has no choices"
            raise InputError(f"figure({name!r}): no choice is named {choice!r}{nearest(choice, known)} ({allowed})")
    plot, reason = draw(state, folder=folder, **choices)
    if plot is None:
        raise InputError(f"figure({name!r}): nothing to show: {reason[0].lower()}{reason[1:].rstrip('.')}")
    return plotly_figure(plot)


def _curves(state: StudyState, *, folder: RunFolder, metric: str | None = None) -> _Drawn:
    known = list(dict.fromkeys(name for trial in state.trials.values() for at in trial.reports for name in at.metrics))
    if metric is not None and known and metric not in known:
        raise InputError(
            f"figure('curves'): metric: no trial reported {metric!r}{nearest(metric, known)} (metrics: "
            f"{', '.join(sorted(known))})"
        )
    trials = trials_table(state)
    board = from_tables.leaderboard(trials, **state.header.ranking)
    plot = learning_curves(trials, epochs=epochs_table(state), board=board, metric=metric or state.header.metric)
    return plot, "no trial has reported yet"


def _parallel(state: StudyState, *, folder: RunFolder, k: int | None = None) -> _Drawn:
    if k is not None and (type(k) is not int or k < 2):
        raise InputError(f"figure('parallel'): k: must be a whole number of at least 2, got {k!r}; for example k=10")
    header = state.header
    board = from_tables.leaderboard(trials_table(state), **header.ranking, k=k)
    plot = parallel_coordinates(board, metric=header.metric, mode=header.mode)
    return plot, "two trials that differ in a parameter must have ended with a result first"


def _best_so_far(state: StudyState, *, folder: RunFolder) -> _Drawn:
    analysis = _analysis(state, folder)
    return progress_steps(analysis.steps, metric=analysis.metric), no_best_in_words(analysis)


def _importance(state: StudyState, *, folder: RunFolder) -> _Drawn:
    importance = _analysis(state, folder).importance
    return importance_bars(importance.parameters), importance.reason or "no parameter has a share"


def _effects(state: StudyState, *, folder: RunFolder, parameters: Sequence[str] = ()) -> _Drawn:
    analysis = _analysis(state, folder)
    names, known = [parameters] if isinstance(parameters, str) else parameters, [e.parameter for e in analysis.effects]
    for name in names if known else ():
        if name not in known:
            raise InputError(
                f"figure('effects'): parameters: no effect of {name!r} is known{nearest(name, known)} (parameters: "
                f"{', '.join(known)})"
            )
    effects = [effect for effect in analysis.effects if not names or effect.parameter in names]
    return effect_plots(effects, metric=analysis.metric), analysis.importance.reason or "no parameter has an effect"


def _front(state: StudyState, *, folder: RunFolder) -> _Drawn:
    count = len(state.header.goals)
    few = "no trial has ended with a value of every objective yet"
    reason = few if count == 2 else f"it is drawn for two objectives, and the study has {count}"
    return objectives_figure(state), reason


def _rungs(state: StudyState, *, folder: RunFolder) -> _Drawn:
    return rungs_plot(state, folder=folder), "no trial has come to a rung yet, or the study's schedule has none"


def _fleet(state: StudyState, *, folder: RunFolder) -> _Drawn:
    return fleet_plot(state), "no worker has reported yet"


def _analysis(state: StudyState, folder: RunFolder) -> Analysis:
    return analysis_of(state, shares=image_shares(folder))


#: What draws each figure, and what a caller may choose of it.
FIGURES: Mapping[str, tuple[Callable[..., _Drawn], Sequence[str]]] = {
    "curves": (_curves, ("metric",)),
    "best_so_far": (_best_so_far, ()),
    "parallel": (_parallel, ("k",)),
    "importance": (_importance, ()),
    "effects": (_effects, ("parameters",)),
    "front": (_front, ()),
    "rungs": (_rungs, ()),
    "fleet": (_fleet, ()),
}
