"""The command line, from the application itself."""

from typing import Any

import typer.main
from docstrings import code, require, table

from orchestrator.cli.app import app


def markdown(argument: str) -> str:
    """Returns one section a command: what it does, its usage, its arguments and options."""
    parts = []
    for name, command in commands().items():
        parts += [f"## convfleet {name}", require(command.help or "", what=f"convfleet {name}")]
        parts += [code(usage(name, command)), parameters(command), f"{(command.epilog or '').strip()}"]
    return "\n\n".join(part for part in parts if part)


def commands() -> dict[str, Any]:
    """Returns every command by its name, such as `registry add`, in the order of `convfleet --help`."""
    top: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    found = {}
    for name, command in top.items():
        inner = getattr(command, "commands", {"": command})
        found.update({f"{name} {part}".strip(): item for part, item in inner.items()})
    return found


def command_of(words: list[str]) -> tuple[str, list[str]]:
    """Returns the name of the command that words begin with, and the words behind it; an empty name for none."""
    names = (" ".join(words[:count]) for count in (2, 1))
    name = next((name for name in names if name in commands()), "")
    return name, words[len(name.split()) :]


def usage(name: str, command: Any) -> str:
    """Returns how a command is written: its arguments in order, then its options."""
    arguments = [_argument(item) for item in command.params if item.param_type_name == "argument"]
    return " ".join(["convfleet", name, *arguments, "[OPTIONS]"])


def parameters(command: Any) -> str:
    """Returns the table of a command's arguments and options."""
    rows = []
    for item in command.params:
        what = require(item.help or "", what=f"convfleet {command.name} {item.name}")
        is_argument = item.param_type_name == "argument"
        written = _argument(item) if is_argument else " ".join([*item.opts, item.metavar or ""]).strip()
        is_plain = item.default is None or isinstance(item.default, bool) or item.required
        rows.append([code(written), what, "" if is_plain else code(item.default)])
    return table(["argument or option", "means", "default"], rows) if rows else ""


def _argument(item: Any) -> str:
    name = item.metavar or item.name.upper()
    return name if item.required else f"[{name.strip('[]')}]"
