"""The sections of the report, each a function of the same findings."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from orchestrator.advice.advice import Advice
from orchestrator.history.node_types import node_type_costs
from orchestrator.journal.records import EnsembleExported, ModelExported
from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.pareto.goals import Goal
from orchestrator.replicates.from_state import board_labels, replicated
from orchestrator.replicates.words import mean_in_words, progress_in_words
from orchestrator.results import from_tables, words
from orchestrator.results.from_state import (
    constraints_in_words,
    count_states,
    elapsed_seconds,
    export_path,
    study_status,
)
from orchestrator.results.image_shares import ImageShares, interval_in_words
from orchestrator.results.ranking import BROKEN
from orchestrator.results.references import Reference
from orchestrator.results.tables import BREAKS_COLUMN
from orchestrator.runs.paths import RunFolder
from orchestrator.text import duration, moment, number
from orchestrator.views.report import figures
from orchestrator.views.report.certainty import AGAIN_NOTE, INTERVAL, MEAN, TIED_NOTE, certainty_parts, verdict_line
from orchestrator.views.report.markup import Cell, Markup, empty, figure, link, picture, pill, section, table, text
from trainables.cards.card import HTML_FILE as CARD_PAGE
from trainables.reports import COSTS

_WHOLE_STUDY = "All trials together, in the workers; waiting for a free slot is not counted."
_AUGMENTATION_NOTE = (
    "Some images of the training split, the original on the left, then as the first epochs show them at strength 1. "
    "Each variant draws from its own seed; validation and test images are never changed."
)
_BOARD_NOTE = "Trials that completed or were stopped; of equals, the one with fewer epochs first."
_FRONTS_NOTE = (
    "Trials that completed or were stopped, by front, then by the main objective; those on the front have a star."
)
_EXPORTS_NOTE = (
    "Test metrics come from the test split. They were computed once, at export, and steered nothing in this study."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """A study's state, tables and answers, which the sections show.

    Attributes:
        shares: The metrics that are shares of images, which have intervals.
        references: The reference rows below the leaderboard.
        advice: What the results suggest to try, most important first.
    """

    state: StudyState
    folder: RunFolder
    trials: pa.Table
    epochs: pa.Table
    board: pa.Table
    cost: from_tables.Cost
    shares: ImageShares
    references: tuple[Reference, ...]
    advice: tuple[Advice, ...]

    @property
    def metric(self) -> str:
        """The objective's metric."""
        return self.state.header.metric


def page_header(findings: Findings) -> Markup:
    """Returns the top of the page: study, state, objective and the most important numbers."""
    state, header = findings.state, findings.state.header
    wanted = words.wanted(header)
    size = f"{header.num_trials} trials of at most {header.max_epochs} epochs"
    lead = f"Looks for the {wanted} in {size}, seed {header.seed}."
    trials = search_alone(state).trials
    counts = words.state_counts_in_words(count_states(list(trials.values())))
    counts = f"{counts}; {header.num_trials} planned{f'; {again}' if (again := progress_in_words(state)) else ''}"
    closing = state.finished or state.paused
    elapsed = duration(elapsed_seconds(state))
    ended = f"ended {moment(closing.at)}" if closing else "not ended"
    cost = findings.cost
    if state.finished is not None and state.finished.reason:
        lead = f"{lead} {state.finished.reason}."
    cards = [
        _best_card(findings),
        ("trials", str(len(trials)), counts),
        ("time in training steps", duration(cost.train_seconds), f"{cost.trial_epochs} epochs trained"),
        ("epochs saved", str(cost.epochs_saved), "by stopping trials early"),
        *((item.node_type, f"{item.core_hours:.2f} core-hours", item.in_words) for item in node_type_costs(state)),
        ("elapsed", elapsed, f"started {moment(header.at)}, {ended}"),
    ]
    shown = "".join(f"<div><dt>{text(n)}</dt><dd>{text(v)}<small>{text(s)}</small></dd></div>" for n, v, s in cards)
    title = f'<h1>{text(header.study)}</h1><p class="lead">{pill(study_status(state))} · {text(lead)}</p>'
    title += verdict_line(state, findings.references, shares=findings.shares)
    return Markup(f'<header>{title}<dl class="cards">{shown}</dl></header>\n')


def leaderboard_section(findings: Findings) -> Markup:
    """Returns every trial with a usable result, best first, and what all trials have in common."""
    board, metric = findings.board, findings.metric
    if not board.num_rows:
        below = certainty_parts(findings.state, findings.references, shares=findings.shares)
        return section("Leaderboard", empty("No trial has ended with a result yet."), *below)
    varying = from_tables.varying_columns(findings.trials) or from_tables.parameter_columns(findings.trials)
    names = [name.removeprefix(from_tables.PARAMETER_PREFIX) for name in varying]
    best = f"best {words.with_split(metric)}"
    values = board[f"best_{metric}"].to_pylist()
    intervals = [findings.shares.interval(metric, value) for value in values]
    again = {item.trial: item for item in replicated(findings.state)}
    ranked = dict(zip(board["trial"].to_pylist(), values, strict=True))
    shown = [*([INTERVAL] if any(intervals) else []), *([MEAN] if again else [])]
    others = {goal.metric: _column(goal) for goal in findings.state.header.goals[1:]}
    broken = _broken(board)
    alone = board_labels(ranked, again=list(again.values()), metric=metric, shares=findings.shares, broken=broken)
    numbers = [best, *shown, *others, "best epoch", "epochs", "train seconds"]
    lineage = ["goes on from"] if board["parent"].null_count < board.num_rows else []
    headings = ["rank", "trial", "state", *numbers, *lineage, "family", *names]
    rows: list[list[Cell]] = [
        [
            rank,
            row["trial"],
            pill(row["state"]),
            row[f"best_{metric}"],
            *([interval_in_words(interval)] if any(intervals) else []),
            *([mean_in_words(again.get(row["trial"]))] if again else []),
            *(row[column] for column in others.values()),
            row["best_epoch"],
            row["epochs"],
            f"{row['train_seconds']:.1f}",
            *([_parent_in_words(row)] if lineage else []),
            row["family"],
            *(row[name] for name in varying),
        ]
        for rank, interval, row in zip(_fronts(board) if others else alone, intervals, board.to_pylist(), strict=True)
    ]
    note = _FRONTS_NOTE if others else _BOARD_NOTE + (AGAIN_NOTE if again else TIED_NOTE if shown else "")
    shown_table = table(headings, rows, numeric=["rank", *numbers])
    below = [_common(findings, varying), *certainty_parts(findings.state, findings.references, shares=findings.shares)]
    return section("Leaderboard", shown_table, *below, note=note + _kept_note(findings))


def _parent_in_words(row: Mapping[str, Any]) -> str:
    """Returns whose checkpoint a trial began from; an empty text for one that began with fresh weights."""
    return f"{row['parent']} at epoch {row['from_epoch']}" if row["parent"] else ""


def _column(goal: Goal) -> str:
    """Returns the column of the tables that has an objective's value."""
    return goal.metric if goal.metric in COSTS else f"best_{goal.metric}"


def _fronts(board: pa.Table) -> list[str]:
    """Returns the ranks of a leaderboard of several objectives, trials on the front marked."""
    fronts = board[from_tables.FRONT_COLUMN].to_pylist()
    broken, names = _broken(board), board["trial"].to_pylist()
    marks = [BROKEN if name in broken else "*" if front == 1 else "" for name, front in zip(names, fronts, strict=True)]
    return [f"{rank}{mark}" for rank, mark in enumerate(marks, start=1)]


def _kept_note(findings: Findings) -> str:
    kept = constraints_in_words(findings.state)
    return f" Constraints: {kept}." if kept else ""


def _broken(board: pa.Table) -> set[str]:
    """Returns the trials of a leaderboard that break a constraint."""
    if BREAKS_COLUMN not in board.column_names:
        return set()
    breaks = zip(board["trial"].to_pylist(), board[BREAKS_COLUMN].to_pylist(), strict=True)
    return {name for name, found in breaks if found is not None}


def metrics_section(findings: Findings) -> Markup:
    """Returns every metric of each ranked trial at its best epoch; no section for an objective with its loss alone."""
    state, header, shares = findings.state, findings.state.header, findings.shares
    best = {
        row["trial"]: report
        for row in findings.board.to_pylist()
        if (report := state.trials[row["trial"]].best_report(**header.ranking)) is not None
    }
    others = {
        name: None for report in best.values() for name in words.other_metrics(report.metrics, metric=header.metric)
    }
    if not others:
        return Markup("")
    names = [header.metric, *others]
    headings = ["rank", "trial", "epoch", *names]
    rows: list[list[Cell]] = [
        [
            rank,
            trial,
            report.epoch,
            *(shares.in_words(name, report.metrics.get(name), is_named=False) for name in names),
        ]
        for rank, (trial, report) in enumerate(best.items(), start=1)
    ]
    note = f"At each trial's best epoch by {header.metric}, on the {words.split_of(header.metric)} split."
    return section("Every metric", table(headings, rows, numeric=["rank", "epoch", *names]), note=note)


def curves_section(findings: Findings) -> Markup:
    """Returns the objective by epoch."""
    plot = figures.learning_curves(
        findings.trials, epochs=findings.epochs, board=findings.board, metric=findings.metric
    )
    split = words.split_of(findings.metric)
    note = f"{findings.metric} on the {split} split after every epoch; the best are named, stopped ones are dimmer."
    return section("Learning curves", figure("curves", plot) if plot else empty("No report yet."), note=note)


def parameters_section(findings: Findings) -> Markup:
    """Returns the parameters against the objective."""
    plot = figures.parallel_coordinates(findings.board, metric=findings.metric, mode=findings.state.header.mode)
    split = words.split_of(findings.metric)
    note = (
        f"A line a trial, ending at its best {findings.metric} on the {split} split. Drag along an axis to keep only "
        "the lines through that range; double-click it to keep all again."
    )
    lone = empty("Shown once two trials that differ in a parameter have ended with a result.")
    return section("Parameters and objective", figure("parameters", plot) if plot else lone, note=note if plot else "")


def augmentation_section(findings: Findings) -> Markup:
    """Returns the picture of augmented training images; no section without a picture."""
    path = findings.folder.augmented
    if not path.is_file():
        return Markup("")
    shown = picture(path.read_bytes(), alternative="Training images, original and augmented")
    return section("Augmentation", shown, note=_AUGMENTATION_NOTE)


def stopped_section(findings: Findings) -> Markup:
    """Returns the trials that the scheduler stopped, each with the reason."""
    rows = from_tables.stop_reasons(findings.trials).to_pylist()
    if not rows:
        return section("Stopped early", empty("No trial was stopped."))
    cells = [[row["trial"], pill(row["state"]), row["epoch"], row["reason"]] for row in rows]
    return section("Stopped early", table(["trial", "state", "epoch", "reason"], cells, numeric=["epoch"]))


def failures_section(findings: Findings) -> Markup:
    """Returns the trials without a usable result, each with its traceback if it has one."""
    rows = from_tables.failures(findings.trials).to_pylist()
    if not rows:
        return section("Failures", empty("No trial failed."))
    cells = []
    for row in rows:
        path = findings.folder.failure(row["trial"])
        traceback = link(path, root=findings.folder.root, label=f"failures/{path.name}") if path.is_file() else ""
        cells.append([row["trial"], pill(row["state"]), row["failure_kind"], row["reason"], traceback])
    return section("Failures", table(["trial", "state", "kind", "reason", "traceback"], cells))


def exports_section(findings: Findings) -> Markup:
    """Returns the exported models, ensembles last, with their metrics on the test split and their cards."""
    models = sorted(findings.state.exports, key=lambda item: (item.rank, item.folder))
    items: list[ModelExported | EnsembleExported] = [*models]
    items += sorted(findings.state.ensembles.values(), key=lambda item: item.folder)
    if not items:
        return section("Exports", empty("No model has been exported yet."))
    found = [words.named_test_metrics(item.test_metrics) for item in items]
    names = list(dict.fromkeys(name for metrics in found for name in metrics))
    headings = ["rank", "trial", "folder", "card", *map(words.with_split, names)]
    root, shares = findings.folder.root, findings.shares
    rows: list[list[Cell]] = []
    for item, metrics in zip(items, found, strict=True):
        path = export_path(item, folder=findings.folder)
        label = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
        values = [shares.in_words(name, metrics.get(name), is_named=False) for name in names]
        card = path / CARD_PAGE
        cells = [link(path, root=root, label=label), link(card, root=root, label="card") if card.is_file() else ""]
        rows.append([*_whose(item), *cells, *values])
    return section("Exports", table(headings, rows, numeric=["rank", *headings[4:]]), note=_EXPORTS_NOTE)


def _whose(item: ModelExported | EnsembleExported) -> tuple[Cell, str]:
    """Returns the rank and the trial of an export; an ensemble has neither, but members."""
    if isinstance(item, ModelExported):
        return item.rank, item.trial
    members = dict.fromkeys(str(member["trial"]) for member in item.members)
    return "", f"{item.method} of {', '.join(members)}"


def time_section(findings: Findings) -> Markup:
    """Returns the workers' time as a stacked bar: training steps, then each kind of overhead."""
    spent = {"training steps": findings.cost.train_seconds, **findings.cost.overhead_seconds}
    total = sum(spent.values())
    if total <= 0:
        return section("Where the time went", empty("No report yet."))
    colours = {name: f"background:var(--seg{index})" for index, name in enumerate(spent)}
    bar = "".join(
        f'<span style="flex:{seconds / total:.6f} 0 0;{colours[name]}" title="{text(name)}: {_share(seconds, total)}">'
        "</span>"
        for name, seconds in spent.items()
        if seconds > 0
    )
    rows: list[list[Cell]] = [
        [
            Markup(f'<span class="swatch" style="{colours[name]}"></span>{text(name)}'),
            f"{seconds:.1f}",
            _share(seconds, total),
        ]
        for name, seconds in spent.items()
    ]
    cells = table(["part", "seconds", "share"], rows, numeric=["seconds", "share"])
    return section("Where the time went", Markup(f'<div class="stack">{bar}</div>'), cells, note=_WHOLE_STUDY)


def _share(part: float, total: float) -> str:
    return f"{100 * part / total:.1f} %"


def _best_card(findings: Findings) -> tuple[str, str, str]:
    name = f"best {words.with_split(findings.metric)}"
    if not findings.board.num_rows:
        return name, "none yet", "no trial has ended with a result"
    best = findings.board.slice(0, 1).to_pylist()[0]
    if best.get(BREAKS_COLUMN) is not None:
        return name, "none", "no trial keeps to the constraints"
    return name, number(best[f"best_{findings.metric}"]), f"{best['trial']} at epoch {best['best_epoch']}"


def _common(findings: Findings, varying: list[str]) -> Markup:
    fixed = {
        name.removeprefix(from_tables.PARAMETER_PREFIX): findings.trials[name][0].as_py()
        for name in from_tables.parameter_columns(findings.trials)
        if name not in varying
    }
    if not fixed:
        return Markup("")
    return Markup(f'<p class="note">The same in all trials: {text(words.parameters(fixed))}</p>')
