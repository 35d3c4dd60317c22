"""Prints a fact: its name and its value."""

from rich.console import Console
from rich.text import Text


def print_fact(console: Console, name: str, value: str, *, style: str = "") -> None:
    """Prints a fact on a line of its own, however long.

    Args:
        console: The console.
        name: What it is, at most seven letters.
        value: The fact.
        style: How rich shows the value.
    """
    console.print(Text.assemble((f"{name:<8}", "dim"), (value, style)), soft_wrap=True)
