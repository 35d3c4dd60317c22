"""The errors of a package, as its own docstring draws them."""

import inspect
from importlib import import_module

from docstrings import require


def markdown(argument: str) -> str:
    """Returns the tree of `orchestrator.errors` or `trainables.errors`."""
    text = inspect.getdoc(import_module(argument)) or ""
    tree = require(text.partition("\n\n")[2], what=argument).rstrip()
    return f"```text\n{tree}\n```"
