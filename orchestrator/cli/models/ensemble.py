"""The command that makes one model of several checkpoints of a run."""

from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.console import make_console, print_json
from orchestrator.cli.options import AddressOption, JsonOption, RunArgument
from orchestrator.cli.runs import local_run
from orchestrator.errors import ExportError, InputError

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.ensembles.outcome import EnsembleResult


def ensemble(
    run: RunArgument,
    *,
    size: Annotated[str, typer.Option(metavar="INTEGER", help="Votes, or averaged weights, at most.")] = "8",
    method: Annotated[
        str,
        typer.Option(
            metavar="METHOD",
            help="greedy: votes of any checkpoints; soup: the mean of weights; snapshot: votes of one trial's epochs.",
        ),
    ] = "greedy",
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", metavar="FORMAT", help="As export.formats, such as keras or onnx; repeatable."),
    ] = None,
    address: AddressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export several checkpoints of a run as one model, set against the best single one."""
    from orchestrator.ensembles.wanted import method_problem, size_problem
    from orchestrator.journal.reading import load_state
    from orchestrator.runs.folder import open_run_folder
    from orchestrator.study.sections import Export

    problems = [f"--size: {problem}; for example --size 8"] if (problem := size_problem(size)) else []
    problems += [f"--method: {problem}"] if (problem := method_problem(method)) else []
    problems += [f"--format: {problem}" for name in formats or () if (problem := Export.format_problem(name))]
    if problems:
        raise InputError("\n".join(problems))
    folder = local_run(run, with_files=True)
    load_state(open_run_folder(folder))
    from orchestrator.driver.runner import make_ensemble
    from orchestrator.views.terminal.progress import make_progress

    with make_progress(make_console(stderr=as_json)) as progress:
        result = make_ensemble(
            folder, size=int(size), method=method, formats=tuple(formats or ()), address=address, progress=progress
        )
    _show(result, as_json=as_json)
    if result.answer is not None and result.answer.export.problems:
        raise ExportError("\n".join(result.answer.export.problems), made=[result])


def _show(result: "EnsembleResult", *, as_json: bool) -> None:
    """Prints the selection step by step, the members, the table beside the best single model, and the verdict."""
    # Late: `--help` does not need them.
    from orchestrator.ensembles.outcome import name_in_words, trajectory_lines
    from orchestrator.export.runtime_lines import runtime_lines
    from orchestrator.views.terminal.facts import print_fact

    if as_json:
        print_json(result.to_json())
        return
    console = make_console()
    print(f"{result.method} selection on the validation split:")
    for line in trajectory_lines(result):
        print(f"  {line}")
    print()
    for member in result.members:
        print_fact(console, "member", f"{name_in_words(member.candidate)}, weight {member.weight:.3g}")
    _print_table(console, result)
    for note in result.notes:
        print_fact(console, "note", note, style="yellow")
    print_fact(console, "verdict", result.verdict, style="" if result.is_better else "yellow")
    if result.folder is not None and result.answer is not None:
        print_fact(console, "export", str(result.folder))
        for line in runtime_lines(result.answer.export.runtimes):
            print_fact(console, "runtime", line)


def _print_table(console: "Console", result: "EnsembleResult") -> None:
    # Late, as above.
    from rich.table import Table

    from orchestrator.ensembles.outcome import table_rows

    rows = table_rows(result)
    if not rows:
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in rows[0]:
        table.add_column(heading, justify="left" if heading == "model" else "right")
    for row in rows:
        table.add_row(*row.values())
    console.print()
    console.print(table)
    console.print()
