"""Every module with the first sentence of its docstring, by room."""

import ast
from pathlib import Path

from docstrings import code, require, table
from rooms import house, sentence

_ROOT = Path(__file__).parents[2]


def markdown(argument: str) -> str:
    """Returns one table a room of a package that holds several modules, rooms from the ground up."""
    parts = []
    for step in house().ORDER[argument]:
        for room in step if isinstance(step, tuple) else (step,):
            rows = [[code(path.name), module_sentence(path)] for path in module_paths(f"{argument}/{room}")]
            if rows:
                parts += [f"### {room}", sentence(f"{argument}/{room}"), table(["module", "what is in it"], rows)]
    return "\n\n".join(parts)


def module_paths(room: str) -> list[Path]:
    """Returns the modules of a room that is a folder; none of one that is itself a module."""
    return [path for path in sorted((_ROOT / room).glob("*.py")) if path.name != "__init__.py"]


def module_sentence(path: Path) -> str:
    """Returns the first paragraph of a module's docstring, on one line.

    Raises:
        ValueError: If it has none.
    """
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return require(" ".join(text.partition("\n\n")[0].split()), what=path.name)
