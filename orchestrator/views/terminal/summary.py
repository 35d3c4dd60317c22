"""The summary and the status of a study, printed for people."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.advice.advice import advice_of
from orchestrator.export.acceptance import accepted_in
from orchestrator.export.exported_files import exported_files, is_worth_a_table
from orchestrator.export.format_cells import FORMAT_HEADINGS, NUMERIC_HEADINGS, format_cells
from orchestrator.history.node_types import node_type_costs
from orchestrator.journal.records import EnsembleExported, ModelExported
from orchestrator.journal.study_state import StudyState, search_alone
from orchestrator.journal.trial import Trial
from orchestrator.replicates.from_state import board_labels, replicated
from orchestrator.replicates.words import mean_in_words, progress_in_words, replicate_notes
from orchestrator.results import words
from orchestrator.results.from_state import (
    best_so_far,
    constraints_in_words,
    count_states,
    elapsed_seconds,
    export_path,
    is_on_this_machine,
    placed,
    spent,
    study_status,
    varying_parameters,
)
from orchestrator.results.image_shares import ImageShares, chance_notes, image_shares, interval_in_words
from orchestrator.results.ranking import Placed
from orchestrator.runs.owner import Owner
from orchestrator.runs.paths import RunFolder
from orchestrator.steering.words import steering_facts
from orchestrator.text import duration, number, one_line
from orchestrator.views.terminal.facts import print_fact
from orchestrator.views.terminal.front_view import plain_ranks, print_front
from orchestrator.views.terminal.live_view import STATE_STYLES, WIDE, headline, running_table
from orchestrator.views.terminal.reference_rows import print_references, print_verdict

_STATUS_STYLES = {"finished": "green", "running": "cyan", "paused": "yellow", "interrupted": "yellow"}


def print_summary(console: Console, state: StudyState, *, folder: RunFolder, k: int = 5) -> None:
    """Prints the outcome of a study: its best k trials, its cost, its files and what to do next."""
    _print_headline(console, state, is_alive=False)
    print_verdict(console, state, folder=folder)
    _print_outcome(console, state, folder=folder, is_alive=False, k=k)
    _print_places(console, state, folder=folder)
    _print_advice(console, state, folder=folder)
    _print_next(console, state, folder=folder, is_alive=False)


def print_status(  # noqa: PLR0913 - a state, and facts that only its folder has
    console: Console, state: StudyState, *, folder: RunFolder, is_alive: bool, now: float, owner: Owner | None = None
) -> None:
    """Prints the status of a study, also while it runs.

    Args:
        is_alive: Whether its driver is at work.
        now: Seconds since 1970.
        owner: The driver that holds the run folder, or held it when it died.
    """
    _print_headline(console, state, is_alive=is_alive)
    if owner is not None:
        print_fact(console, "driver", owner.in_words(now=now) + ("" if is_alive else "; it died"))
    trials = list(state.trials.values())
    if is_alive:
        console.print()
        console.print(running_table(console, trials, header=state.header, now=now, num_rows=50))
    print_verdict(console, state, folder=folder)
    _print_outcome(console, state, folder=folder, is_alive=is_alive, k=5)
    _print_places(console, state, folder=folder)
    _print_advice(console, state, folder=folder)
    _print_next(console, state, folder=folder, is_alive=is_alive)


def _print_headline(console: Console, state: StudyState, *, is_alive: bool) -> None:
    where = study_status(state, is_alive=is_alive)
    line = headline(state.header)
    console.print(Text.assemble(line, "  ", (where, _STATUS_STYLES.get(where, "dim"))))
    if state.paused is not None and where == "paused":
        console.print(Text(f"paused: {one_line(state.paused.reason)}", style="yellow"))


def _print_outcome(console: Console, state: StudyState, *, folder: RunFolder, is_alive: bool, k: int) -> None:
    board, shares = placed(state, k=k), image_shares(folder)
    console.print()
    if board:
        console.print(_board_table(board, state=state, shares=shares, is_wide=console.width >= WIDE))
    else:
        console.print(Text("no trial has ended with a result yet", style="dim"))
    print_references(console, state, folder=folder)
    console.print()
    for note in replicate_notes(state):
        print_fact(console, "again", note, style="yellow")
    _print_other_metrics(console, state, shares=shares)
    print_front(console, state)
    if kept := constraints_in_words(state):
        print_fact(console, "limits", kept, style="" if best_so_far(state) else "yellow")
    for note in chance_notes(state, shares):
        print_fact(console, "chance", note, style="yellow")
    counts = count_states(list(search_alone(state).trials.values()), is_alive=is_alive)
    print_fact(console, "trials", f"{words.state_counts_in_words(counts)} (of {state.header.num_trials})")
    if again := progress_in_words(state):
        print_fact(console, "again", again)
    if state.header.search:
        print_fact(console, "search", state.header.search)
    if state.finished is not None and state.finished.reason:
        print_fact(console, "time", state.finished.reason, style="yellow")
    for name, value in steering_facts(state):
        print_fact(console, name, value)
    _print_failure_kinds(console, state)
    _print_reused(console, state)
    train_seconds, num_epochs, num_saved = spent(state)
    elapsed, trained = duration(elapsed_seconds(state)), duration(train_seconds)
    epochs = f"{num_epochs} epochs trained, {num_saved} saved by stopping early"
    print_fact(console, "cost", f"{elapsed} elapsed, {trained} in training steps; {epochs}")
    for item in node_type_costs(state):
        print_fact(console, "nodes", item.in_words)


def _board_table(board: Sequence[Placed], *, state: StudyState, shares: ImageShares, is_wide: bool) -> Table:
    header = state.header
    values = [item.report.metrics[header.metric] for item in board]
    again = {item.trial: item for item in replicated(state)}
    ranked = {item.trial.name: value for value, item in zip(values, board, strict=True)}
    broken = {item.trial.name for item in board if item.broken}
    labels = board_labels(ranked, again=list(again.values()), metric=header.metric, shares=shares, broken=broken)
    labels = plain_ranks(board) if header.objectives else labels
    has_intervals = any(shares.interval(header.metric, value) for value in values)
    varying = varying_parameters(list(state.trials.values()))
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    table.add_column("rank", justify="right", no_wrap=True)
    for heading in ("trial", "state"):
        table.add_column(heading, no_wrap=True)
    others, means = [goal.metric for goal in header.goals[1:]], ["replicates' mean"] if again else []
    headings = [f"best {header.metric}", *(["95 %"] if has_intervals else []), *means, *others, "at epoch"]
    for heading in [*headings, *(["epochs", "train time"] if is_wide else [])]:
        table.add_column(heading, justify="right")
    table.add_column("variant", ratio=1)
    for rank, (label, value, item) in enumerate(zip(labels, values, board, strict=True), start=1):
        trial, best = item.trial, item.report
        train_seconds = sum(report.train_seconds for report in trial.reports)
        times = [str(trial.epoch), duration(train_seconds)] if is_wide else []
        intervals = [interval_in_words(shares.interval(header.metric, value))] if has_intervals else []
        table.add_row(
            label,
            Text(trial.name, style="bold"),
            Text(trial.state.value, style=STATE_STYLES[trial.state]),
            Text(number(value), style="bold green" if rank == 1 and not item.broken else ""),
            *intervals,
            *([mean_in_words(again.get(trial.name))] if again else []),
            *(number(other) for other in item.values[1:]),
            str(best.epoch),
            *times,
            Text(f"{trial.variant.family} {words.parameters(trial.variant.params, names=varying)}", style="dim"),
        )
    return table


def _print_other_metrics(console: Console, state: StudyState, *, shares: ImageShares) -> None:
    """Prints the other metrics of the best trial, such as those of other targets."""
    best = best_so_far(state)
    if best is None:
        return
    trial, report = best
    others = words.other_metrics(report.metrics, metric=state.header.metric)
    if others:
        message = ", ".join(shares.in_words(name, value) for name, value in others.items())
        print_fact(console, "metrics", f"{trial.name} at epoch {report.epoch}: {message}")


def _print_failure_kinds(console: Console, state: StudyState) -> None:
    kinds: dict[str, list[Trial]] = {}
    for trial in list(state.trials.values()):
        if trial.failure is not None:
            kinds.setdefault(trial.failure.kind, []).append(trial)
    for kind, trials in kinds.items():
        names = ", ".join(trial.name for trial in trials[:5])
        shown = names + (f" and {len(trials) - 5} more" if len(trials) > 5 else "")
        # One reason is enough for a line; the report has all of them.
        why = ("" if len(trials) == 1 else "the first: ") + one_line(trials[0].reason)
        print_fact(console, "failed", f"{kind}: {shown} ({why})", style="red")


def _print_reused(console: Console, state: StudyState) -> None:
    sources = Counter(
        trial.reused_from.rpartition(":")[0] for trial in list(state.trials.values()) if trial.reused_from
    )
    for source, count in sources.items():
        print_fact(console, "reused", f"{count} trials were trained in {source}")


def _print_places(console: Console, state: StudyState, *, folder: RunFolder) -> None:
    shares, run = image_shares(folder), folder.quoted
    models: list[tuple[ModelExported | EnsembleExported, str]] = [
        (item, f"convfleet export {run} --top {item.rank}")
        for item in sorted(state.exports, key=lambda item: item.rank)
    ]
    ensembles = [(item, f"convfleet ensemble {run} --method {item.method}") for item in state.ensembles.values()]
    for item, command in [*models, *ensembles]:
        path = export_path(item, folder=folder)
        if not is_on_this_machine(item, folder=folder):
            message = f"{path}  is not on this machine; make it again with: {command}"
            print_fact(console, "export", message, style="yellow")
            continue
        metrics = words.named_test_metrics(item.test_metrics)
        message = ", ".join(shares.in_words(name, value) for name, value in metrics.items())
        print_fact(console, "export", f"{path}  {message} (test split)".rstrip())
    _print_formats(console, state, folder=folder)
    print_fact(console, "tables", f"{folder.trials}  {folder.epochs}")
    if folder.report.is_file():
        print_fact(console, "report", str(folder.report))


def _print_formats(console: Console, state: StudyState, *, folder: RunFolder) -> None:
    """Prints a line for each format of each export, and the file that the study accepts."""
    files = exported_files(state, folder=folder)
    if is_worth_a_table(files):
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        for heading in FORMAT_HEADINGS:
            table.add_column(heading, justify="right" if heading in NUMERIC_HEADINGS else "left")
        for file in files:
            table.add_row(*(Text(cell) for cell in format_cells(file)))
        console.print(table)
    if accepted := accepted_in([export_path(item, folder=folder) for item in state.exports]):
        print_fact(console, "accept", accepted["words"], style="green")


def _print_advice(console: Console, state: StudyState, *, folder: RunFolder) -> None:
    found = advice_of(state, folder=folder)
    if found:
        console.print()
    for advice in found:
        print_fact(console, "advice", advice.text, style="yellow")


def _print_next(console: Console, state: StudyState, *, folder: RunFolder, is_alive: bool) -> None:
    if is_alive:
        return
    run = folder.quoted
    commands = [f"convfleet report {run}", f"convfleet export {run}"]
    if state.finished is None:
        commands = [f"convfleet resume {run}", *commands]
    console.print()
    for command in commands:
        print_fact(console, "next", command, style="cyan")
    if any((export_path(item, folder=folder) / "model.keras").is_file() for item in state.exports):
        snippet = f"from convfleet import open_run; model = open_run({str(folder.root)!r}).load_model(rank=1)"
        print_fact(console, "python", snippet, style="cyan")
