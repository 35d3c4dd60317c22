"""The analysis of a run, printed for people."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.analysis import words
from orchestrator.analysis.analysis import Analysis
from orchestrator.analysis.effects import Pair
from orchestrator.results.words import objective
from orchestrator.text import duration, number
from orchestrator.views.terminal.facts import print_fact

#: The effects of so many parameters are printed; JSON and report have all.
_NUM_EFFECTS = 3
#: Likewise the last steps of the best value so far.
_NUM_STEPS = 10


def print_analysis(console: Console, analysis: Analysis) -> None:
    """Prints what a run says about its parameters, and about stopping early."""
    wanted = objective(metric=analysis.metric, mode=analysis.mode)
    console.print(Text.assemble((analysis.study, "bold"), f"  {wanted}"))
    _print_importance(console, analysis)
    _print_effects(console, analysis)
    if analysis.pair is not None:
        _print_pair(console, analysis.pair, metric=analysis.metric)
    _print_steps(console, analysis)
    console.print()
    for sentence in words.savings_in_words(analysis.savings):
        print_fact(console, "stopped", sentence)


def _print_importance(console: Console, analysis: Analysis) -> None:
    console.print()
    if analysis.importance.reason:
        print_fact(console, "share", analysis.importance.reason, style="yellow")
    else:
        table = _table(["share", "95 %", "trials"], first="parameter")
        for item in analysis.importance.parameters:
            interval = words.share_interval(item)
            style = "bold green" if item.is_clear else "dim"
            share = Text(words.share_in_words(item), style=style)
            table.add_row(Text(item.name), share, interval, words.trials_in_words(item))
        console.print(table)
        console.print()
        if message := words.model_in_words(analysis.importance):
            print_fact(console, "model", message)
    print_fact(console, "basis", words.basis_in_words(analysis))
    for note in analysis.notes:
        print_fact(console, "basis", note)


def _print_effects(console: Console, analysis: Analysis) -> None:
    for effect in analysis.effects[:_NUM_EFFECTS]:
        console.print()
        table = _table([f"mean {analysis.metric}", "95 %", "best", "trials"], first=effect.parameter)
        for item in effect.bins:
            numbers = [number(item.mean), words.bin_interval(item), number(item.best), str(item.num_trials)]
            table.add_row(Text(item.label), *numbers)
        console.print(table)


def _print_pair(console: Console, pair: Pair, *, metric: str) -> None:
    console.print()
    first, second = pair.parameters
    print_fact(console, "pair", f"mean {metric} by {first} (rows) and {second} (columns)")
    table = _table(pair.columns, first=first)
    for label, means in zip(pair.rows, pair.means, strict=True):
        table.add_row(Text(label), *(number(mean) or "-" for mean in means))
    console.print(table)


def _print_steps(console: Console, analysis: Analysis) -> None:
    console.print()
    if not analysis.steps:
        print_fact(console, "best", words.no_best_in_words(analysis))
        return
    table = _table(["epoch", f"best {analysis.metric}", "trials", "epochs", "time", "core time"], first="trial")
    for step in analysis.steps[-_NUM_STEPS:]:
        spent = [str(step.num_trials), str(step.num_epochs), duration(step.seconds), duration(step.core_seconds)]
        table.add_row(Text(step.trial), str(step.epoch), number(step.value), *spent)
    console.print(table)
    if len(analysis.steps) > _NUM_STEPS:
        print_fact(console, "best", f"the last {_NUM_STEPS} of {len(analysis.steps)} steps; --json has all")


def _table(headings: Sequence[str], *, first: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(Text(first), overflow="fold")
    for heading in headings:
        table.add_column(Text(heading), justify="right")
    return table
