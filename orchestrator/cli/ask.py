"""Commands that say what is built in and whether this machine is ready: spaces, families, doctor."""

from typing import Annotated

import typer

from orchestrator.cli.console import make_console, print_json
from orchestrator.cli.options import EXIT_FAILED, JsonOption
from orchestrator.errors import InputError


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


def families(as_json: JsonOption = False) -> None:
    """List the families of CNNs and their parameters."""
    from trainables.catalog.families import FAMILIES
    from trainables.catalog.training import TRAINING

    if as_json:
        print_json({name: {"summary": f.summary, "parameters": sorted(f.parameters)} for name, f in FAMILIES.items()})
        return
    groups = [(name, family.summary, family.parameters) for name, family in FAMILIES.items()]
    for title, summary, parameters in [*groups, ("training", "How any variant is trained.", TRAINING)]:
        print(f"{title}: {summary}")
        for name, info in parameters.items():
            print(f"    {name:<25} {info.expectation}, default {info.default!r}. {info.summary}")
        print()


def doctor(as_json: JsonOption = False) -> None:
    """Check whether this machine is ready: versions, memory, disk, GPUs, TensorFlow, Ray."""
    from orchestrator.cluster.doctor import Level, examine

    checks = list(examine())
    if as_json:
        print_json([{"check": item.name, "level": item.level.value, "finding": item.finding} for item in checks])
    else:
        styles = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}
        console = make_console()
        for item in checks:
            console.print(f"[{styles[item.level]}]{item.level.value:<8}[/] {item.name:<12} ", end="")
            console.print(item.finding, markup=False, soft_wrap=True)
    if any(item.level is Level.ERROR for item in checks):
        raise typer.Exit(EXIT_FAILED)
