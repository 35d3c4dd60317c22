"""Commands for finished models by name: registry add, list, show, compare, promote, split, rollback, remove, gc."""

import re
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.console import print_json
from orchestrator.cli.options import JsonOption
from orchestrator.cli.runs import local_run
from orchestrator.errors import InputError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.registry.registry import Registry

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The model's name.")]
VersionArgument = Annotated[
    str, typer.Argument(metavar="VERSION", help="The number of a version, or an alias that points to it.")
]
RegistryOption = Annotated[
    str,
    typer.Option("--registry", metavar="FOLDER|URI", help="Where the registry lies, or its URI in S3."),
]
_FOLDER = "registry"


def add(
    source: Annotated[
        str,
        typer.Argument(metavar="EXPORT|RUN", help="The folder of an export, or a run folder or its URI."),
    ],
    *,
    name: Annotated[str, typer.Option(metavar="NAME", help="The model's name; a new one begins with version 1.")],
    rank: Annotated[str | None, typer.Option(metavar="INTEGER", help="Which export of a run; default: 1.")] = None,
    alias: Annotated[
        str | None, typer.Option(metavar="ALIAS", help="Points to the version from the moment on that it is there.")
    ] = None,
    registry: RegistryOption = _FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Add an export as the next version of a model; a registry is made where none lies."""
    from orchestrator.registry.tables import version_json
    from orchestrator.text import one_line, size_in_words

    opened = _opened(registry)
    version = opened.add(local_run(source, with_files=True), name=name, rank=_rank(rank), alias=alias)
    if as_json:
        print_json(version_json(opened.model(name), version))
        return
    pointed = f", {alias} points to it" if alias else ""
    files = f"{len(version.files)} files, {size_in_words(version.size_bytes)}"
    print(one_line(f"{name} version {version.version}: trial {version.trial} of {version.study}, {files}{pointed}"))


def list_models(*, registry: RegistryOption = _FOLDER, as_json: JsonOption = False) -> None:
    """List all models, their versions and aliases."""
    from orchestrator.registry.tables import list_lines, model_json

    opened = _opened(registry)
    models, problems = [], []
    for name in opened.names():
        try:
            models.append(opened.model(name))
        except RegistryError as exc:
            problems.append(str(exc))
    if as_json:
        print_json({"registry": registry, "models": [model_json(model) for model in models]})
    else:
        print("\n".join(list_lines(models)))
    if problems:
        raise RegistryError("\n".join(problems))


def show(
    name: NameArgument,
    *,
    version: Annotated[
        str | None, typer.Option(metavar="VERSION", help="One version, by its number or an alias; default: all.")
    ] = None,
    registry: RegistryOption = _FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Show a model's versions and every move of its aliases, or all of one version."""
    from orchestrator.registry.tables import model_json, model_lines, moves_json, version_json, version_lines

    opened = _opened(registry)
    model = opened.model(name)
    if version is None:
        if as_json:
            removed = [{"version": number, "at": at} for number, at in sorted(model.removed.items())]
            print_json({**model_json(model), "moves": moves_json(model), "removed": removed})
        else:
            print("\n".join(model_lines(model)))
        return
    found = model.named(version)
    manifest = opened.manifest(found)
    if as_json:
        files = {file: dict(facts) for file, facts in found.files.items()}
        print_json({**version_json(model, found), "files": files, "manifest": manifest})
    else:
        print("\n".join(version_lines(model, found, manifest=manifest)))


def compare(
    name: NameArgument,
    version: VersionArgument,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The version to compare with, likewise.")],
    *,
    registry: RegistryOption = _FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Show two versions side by side: metrics, parameters, size, formats, origin."""
    from orchestrator.registry.tables import comparison, comparison_lines

    model = _opened(registry).model(name)
    left, right = model.named(version), model.named(other)
    if as_json:
        rows = {key: list(values) for key, values in comparison(left, right).items()}
        print_json({"name": name, "versions": [left.version, right.version], "rows": rows})
    else:
        print("\n".join(comparison_lines(left, right)))


def promote(
    name: NameArgument,
    version: VersionArgument,
    *,
    to: Annotated[str, typer.Option("--to", metavar="ALIAS", help="The alias to move.")] = "production",
    registry: RegistryOption = _FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Make an alias point to a version, at once for all who read."""
    opened = _opened(registry)
    found = opened.promote(name, version, to=to)
    _print_alias(name, to, version=found.version, as_json=as_json)


def split(
    name: NameArgument,
    shares: Annotated[
        list[str] | None, typer.Argument(metavar="VERSION=SHARE", help="Shares of at least two versions, in sum 1.")
    ] = None,
    *,
    alias: Annotated[str, typer.Option(metavar="ALIAS", help="The alias whose askers they share.")] = "production",
    end: Annotated[bool, typer.Option("--end", help="End the split: the alias's version answers all again.")] = False,
    registry: RegistryOption = _FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Let versions share who asks for an alias by a key; where the alias points does not change."""
    from orchestrator.registry.tables import split_json

    if end == bool(shares):
        raise InputError("split: give shares such as 3=0.9 4=0.1, or --end, and not both")
    wanted = _shares(shares or ())
    found = _opened(registry).promote(name, wanted, to=alias)
    if as_json:
        print_json({"name": name, "alias": alias, "version": found.version, "shares": split_json(wanted)})
    elif end:
        print(f"{name}: version {found.version} answers all who ask for {alias}")
    else:
        words = ", ".join(f"version {version} {share:.4g}" for version, share in sorted(wanted.items()))
        print(
            f"{name}: who asks for {alias} by a key is shared: {words}; without a key version {found.version} answers"
        )


def rollback(
    name: NameArgument,
    *,
    alias: Annotated[str, typer.Option(metavar="ALIAS", help="The alias to move back.")] = "production",
    registry: RegistryOption = _FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Make an alias point to the version again that it pointed to before."""
    found = _opened(registry).rollback(name, alias=alias)
    _print_alias(name, alias, version=found.version, as_json=as_json)


def remove(
    name: NameArgument,
    version: VersionArgument,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also if an alias points to it; the alias then points to no version.")
    ] = False,
    registry: RegistryOption = _FOLDER,
    as_json: JsonOption = False,
) -> None:
    """Remove a version, and the files that no other version has."""
    found = _opened(registry).remove(name, version, force=force)
    if as_json:
        print_json({"name": name, "removed": found.version})
    else:
        print(f"{name} version {found.version} is removed")


def gc(*, registry: RegistryOption = _FOLDER, as_json: JsonOption = False) -> None:
    """Delete files that no version has, as commands leave them that were killed."""
    from orchestrator.text import size_in_words

    count, size = _opened(registry).collect()
    if as_json:
        print_json({"files": count, "size_bytes": size})
    else:
        print(f"{count} files deleted, {size_in_words(size)}")


def _shares(texts: "Sequence[str]") -> dict[int, float]:
    found: dict[int, float] = {}
    for text in texts:
        version, _, share = text.partition("=")
        try:
            number, size = int(version), float(share)
        except ValueError:
            number, size = 0, 0.0
        if number < 1 or not 0.0 < size < 1.0:
            raise InputError(f"split: {text!r} is no share; write a version's number and a part of 1, such as 4=0.1")
        if number in found:
            raise InputError(f"split: version {number} has two shares; give it one")
        found[number] = size
    return found


def _rank(text: str | None) -> int | None:
    # As a text: typer does not say what it received.
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) == 0:
        raise InputError(f"--rank: must be a whole number from 1, got {text!r}; 1 is the best model of a run")
    return int(text)


def _opened(registry: str) -> "Registry":
    # Late: `--help` does not need it.
    from orchestrator.registry.registry import Registry

    return Registry(registry)


def _print_alias(name: str, alias: str, *, version: int, as_json: bool) -> None:
    if as_json:
        print_json({"name": name, "alias": alias, "version": version})
    else:
        print(f"{name}: {alias} points to version {version}")


#: In the order of `convfleet registry --help`: each command's name, the command, and its example.
COMMANDS = (
    ("add", add, "add runs/quickstart --name digits --alias candidate"),
    ("list", list_models, "list --json"),
    ("show", show, "show digits --version 2"),
    ("compare", compare, "compare digits 1 2"),
    ("promote", promote, "promote digits 2 --to production"),
    ("split", split, "split digits 3=0.9 4=0.1"),
    ("rollback", rollback, "rollback digits"),
    ("remove", remove, "remove digits 1"),
    ("gc", gc, "gc"),
)
registry_app = typer.Typer(
    help="Keep finished models by name, with versions and aliases.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _name, _command, _example in COMMANDS:
    registry_app.command(_name, epilog=f"Example: convfleet registry {_example}")(_command)
