"""The command line: the only place that prints for people and exits."""

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from orchestrator.errors import InputError, OrchestratorError, StudyPausedError

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.study.loading import StudySpec
    from orchestrator.views.terminal.progress import Progress

_MAX_EXPORTS, _LONGEST_COUNT = 1000, 10
EXIT_FAILED, EXIT_INPUT, EXIT_PAUSED = 1, 2, 130
_PIPED_WIDTH = 150

app = typer.Typer(
    help="Trains a fleet of CNN variants and keeps the best.\n\nStart with: convfleet run quickstart",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)

StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or a packaged study's name.")]
RunArgument = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run folder such as runs/quickstart, or a URI such as s3://bucket/runs/x."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, e.g. schedule.max_epochs=3; repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")]
AddressOption = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Join a running Ray cluster (auto: the one on this node)."),
]


@app.command(epilog="Example: convfleet run quickstart --set search.trials=12")
def run(
    study: StudyArgument,
    overrides: SetOption = None,
    runs: Annotated[Path, typer.Option(help="Where run folders are kept.")] = Path("runs"),
    address: AddressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run a study: train its variants, keep every result, export the best."""
    from orchestrator.study.loading import load_study

    spec = load_study(study, overrides=overrides or ())
    _work(lambda progress: _run_study(spec, runs=runs, address=address, progress=progress), as_json=as_json)


@app.command(epilog="Example: convfleet resume runs/quickstart --set search.trials=60")
def resume(
    run: RunArgument,
    overrides: SetOption = None,
    runs: Annotated[Path, typer.Option(help="Where a run that a URI names is brought to.")] = Path("runs"),
    address: AddressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Go on with an interrupted run, exactly where it stopped, or extend one with --set."""
    from orchestrator.runs.folder import open_run_folder

    folder = _local_run(run, runs=runs, with_files=True)
    open_run_folder(folder)

    def work(progress: "Progress") -> Path:
        from orchestrator.driver.runner import resume_study

        return resume_study(folder, overrides=overrides or (), address=address, progress=progress).folder.root

    _work(work, as_json=as_json)


@app.command(epilog="Example: convfleet status runs/quickstart --json")
def status(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show how far a run is, also while it runs."""
    from orchestrator.runs.folder import load_state, open_run_folder
    from orchestrator.runs.lock import is_driver_alive
    from orchestrator.runs.owner import read_owner
    from orchestrator.views.terminal.summary import status as print_status
    from orchestrator.views.terminal.summary import status_json

    run_folder = open_run_folder(_local_run(run))
    is_alive = is_driver_alive(run_folder) or _is_driver_elsewhere(run)
    state, owner = load_state(run_folder), read_owner(run_folder)
    if as_json:
        _print_json(status_json(state, folder=run_folder, is_alive=is_alive, owner=owner))
    else:
        print_status(_console(), state, folder=run_folder, is_alive=is_alive, now=time.time(), owner=owner)


@app.command(epilog="Example: convfleet repair runs/quickstart")
def repair(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder such as runs/quickstart.")],
) -> None:
    """Cut a damaged journal where the damage begins, and keep a copy of it."""
    from orchestrator.journal.repair import repair_run

    for line in repair_run(folder).told():
        print(line)


@app.command(epilog="Example: convfleet validate my-study.yaml --set search.trials=50")
def validate(study: StudyArgument, overrides: SetOption = None, as_json: JsonOption = False) -> None:
    """Check a study without running it: all mistakes at once, and what it would do."""
    from orchestrator.study.loading import load_study

    spec = load_study(study, overrides=overrides or ())
    if as_json:
        _print_json({"study": spec.name, "is_valid": True, "space_size": spec.space.size, "trials": spec.num_trials})
        return
    print(_description(study, spec, overrides=overrides or ()))


@app.command(epilog="Example: convfleet spaces cnn-small")
def spaces(name: Annotated[str | None, typer.Argument(help="Print this space whole.")] = None) -> None:
    """List the built-in search spaces, or print one."""
    from search_spaces import SpaceError, builtin_names, builtin_text, space_from_mapping

    if name is not None:
        try:
            print(builtin_text(name).rstrip())
        except SpaceError as exc:
            raise InputError(str(exc)) from exc
        return
    for known in builtin_names():
        space = space_from_mapping(known)
        size = "uncountable" if space.size is None else f"{space.size:,} variants"
        summary = builtin_text(known).splitlines()[0].removeprefix("# ")
        print(f"{summary}\n    family {', '.join(space.families)}; {len(space.names) - 1} parameters; {size}")


@app.command(epilog="Example: convfleet families")
def families(as_json: JsonOption = False) -> None:
    """List the families of CNNs and their parameters."""
    from trainables.catalog.families import FAMILIES
    from trainables.catalog.training import TRAINING

    if as_json:
        _print_json({name: {"summary": f.summary, "parameters": sorted(f.parameters)} for name, f in FAMILIES.items()})
        return
    groups = [(name, family.summary, family.parameters) for name, family in FAMILIES.items()]
    for title, summary, parameters in [*groups, ("training", "How any variant is trained.", TRAINING)]:
        print(f"{title}: {summary}")
        for name, info in parameters.items():
            print(f"    {name:<25} {info.expectation}, default {info.default!r}. {info.summary}")
        print()


@app.command(epilog="Example: convfleet doctor")
def doctor(as_json: JsonOption = False) -> None:
    """Check whether this machine is ready: versions, memory, disk, GPUs, TensorFlow, Ray."""
    from orchestrator.cluster.doctor import examine
    from orchestrator.cluster.doctor_check import Level

    checks = list(examine())
    if as_json:
        _print_json([{"check": item.name, "level": item.level.value, "finding": item.finding} for item in checks])
    else:
        styles = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}
        console = _console()
        for item in checks:
            console.print(f"[{styles[item.level]}]{item.level.value:<8}[/] {item.name:<12} ", end="")
            console.print(item.finding, markup=False, soft_wrap=True)
    if any(item.level is Level.ERROR for item in checks):
        raise typer.Exit(EXIT_FAILED)


@app.command(epilog="Example: convfleet report runs/quickstart")
def report(run: RunArgument) -> None:
    """Write report.html anew, also while the study runs."""
    from orchestrator.runs.folder import load_state, open_run_folder
    from orchestrator.views.report import write_report

    run_folder = open_run_folder(_local_run(run))
    print(write_report(run_folder, state=load_state(run_folder)))


@app.command(epilog="Example: convfleet export runs/quickstart --top 5 --format keras")
def export(
    run: RunArgument,
    top: Annotated[
        str | None, typer.Option(metavar="INTEGER", help="How many of the best; default: the study's.")
    ] = None,
    formats: Annotated[
        list[str] | None, typer.Option("--format", metavar="FORMAT", help="keras or saved_model; repeatable.")
    ] = None,
    address: AddressOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export the best models again, more of them, or in other formats."""
    from orchestrator.runs.folder import load_state, open_run_folder
    from search_spaces import nearest

    known = ("keras", "saved_model")
    for name in formats or ():
        if name not in known:
            raise InputError(f"--format: must be one of {', '.join(known)}, got {name!r}{nearest(name, known)}")
    count = None if top is None else _export_count(top)
    folder = _local_run(run, with_files=True)
    load_state(open_run_folder(folder))
    from orchestrator.driver.runner import export_study
    from orchestrator.results.words import named_test_metrics
    from orchestrator.views.terminal.progress import make_progress

    console = _console(stderr=as_json)
    with make_progress(console) as progress:
        results = export_study(folder, top=count, formats=tuple(formats or ()), address=address, progress=progress)
    if as_json:
        _print_json(
            [
                {"rank": r.rank, "trial": r.trial, "folder": r.folder, **named_test_metrics(r.test_metrics)}
                for r in results
            ]
        )
        return
    for result in results:
        metrics = ", ".join(f"test {name} {value:.4f}" for name, value in result.test_metrics.items())
        print(f"{result.rank}. {result.trial}: {metrics}  {result.folder}")
    if not results:
        print("no trial has a result to export yet")


def main() -> NoReturn:
    """Runs the command line; the console script `convfleet`."""
    try:
        app(prog_name="convfleet")
    except InputError as exc:
        _fail(exc, code=EXIT_INPUT)
    except StudyPausedError as exc:
        _fail(exc, code=EXIT_PAUSED)
    except OrchestratorError as exc:
        _fail(exc, code=EXIT_FAILED)
    except OSError as exc:
        _fail(OrchestratorError(f"the system refused something ({exc}); mend that and try again"), code=EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_PAUSED)
    sys.exit(0)


def _export_count(text: str) -> int:
    if text.isdecimal() and 1 <= int(text[:_LONGEST_COUNT]) <= _MAX_EXPORTS:
        return int(text)
    raise InputError(f"--top: must be a whole number from 1 to {_MAX_EXPORTS}, got {text!r}; for example --top 3")


def _local_run(run: str, *, runs: Path = Path("runs"), with_files: bool = False) -> Path:
    """Returns a run's folder, after bringing the run here where a URI names it."""
    if "://" not in run:
        return Path(run)
    # Late: it brings pyarrow, and paths need none of it.
    from orchestrator.mirror.fetch import local_run

    return local_run(run, runs=runs, with_files=with_files)


def _is_driver_elsewhere(run: str) -> bool:
    if "://" not in run:
        return False
    from orchestrator.mirror.fetch import is_driver_elsewhere

    return is_driver_elsewhere(run)


def _run_study(spec: "StudySpec", *, runs: Path, address: str | None, progress: "Progress") -> Path:
    from orchestrator.driver.runner import run_study

    return run_study(spec, runs=runs, address=address, progress=progress).folder.root


def _work(work: Callable[["Progress"], Path], *, as_json: bool) -> None:
    """Runs something long with its progress shown, then prints its summary."""
    from orchestrator.driver.result import open_run
    from orchestrator.views.terminal.progress import make_progress
    from orchestrator.views.terminal.summary import status_json, summary

    console = _console(stderr=as_json)
    with make_progress(console) as progress:
        root = work(progress)
    result = open_run(root)
    if as_json:
        _print_json(status_json(result.state, folder=result.folder, is_alive=False))
    else:
        summary(console, result.state, folder=result.folder)


def _description(study: str, spec: "StudySpec", *, overrides: Sequence[str]) -> str:
    settings = "".join(f" --set {shlex.quote(override)}" for override in overrides)
    size = "uncountable" if spec.space.size is None else f"{spec.space.size:,} variants"
    names = ", ".join(spec.space.names[1:])
    schedule = spec.schedule
    ends = "" if schedule.algorithm == "none" else f", weak ones stopped by {schedule.algorithm}"
    return "\n".join(
        [
            f"{study}: valid",
            f"  data       {spec.data.source}",
            f"  space      {' or '.join(spec.space.families)}; {size}; {names}",
            f"  objective  {spec.objective.metric}, {spec.objective.mode}",
            f"  search     {spec.num_trials} trials by {spec.search.algorithm}",
            f"  schedule   up to {schedule.max_epochs} epochs{ends}",
            f"  resources  {spec.resources.in_words}",
            *(f"  reuse      {folder}" for folder in spec.reuse),
            f"  next       convfleet run {shlex.quote(study)}{settings}",
        ]
    )


def _console(*, stderr: bool = False) -> "Console":
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        # A log or a pipe has no edge to break lines at; rich would take 80 columns.
        console.width = _PIPED_WIDTH
    return console


def _print_json(content: Any) -> None:
    print(json.dumps(content, indent=2))


def _fail(error: OrchestratorError, *, code: int) -> NoReturn:
    """Prints an error without a traceback and exits."""
    word = "paused" if code == EXIT_PAUSED else "error"
    style = "" if not sys.stderr.isatty() else ("\033[33m" if code == EXIT_PAUSED else "\033[31m")
    if os.environ.get("NO_COLOR"):
        style = ""
    end = "\033[0m" if style else ""
    for line in str(error).splitlines():
        print(f"{style}{word}:{end} {line}", file=sys.stderr)
    sys.exit(code)
