"""The rooms of the packages, from the order that the architecture test enforces and the rooms' own docstrings."""

import ast
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from docstrings import code, require, table

_ROOT = Path(__file__).parents[2]
_TESTS = _ROOT / "tests"


def markdown(argument: str) -> str:
    """Returns one table a package, its rooms from the ground up; `doors` and `private` have tables of their own."""
    if argument == "doors":
        return table(
            ["library", "rooms and files that may import it"],
            ([code(library), ", ".join(map(code, places))] for library, places in house().DOORS.items()),
        )
    if argument == "private":
        return table(
            ["file", "uses what is private in"],
            ([code(path), version] for path, (_, version) in private_parts().items()),
        )
    parts = []
    for package, order in house().ORDER.items():
        if not order:
            continue
        rows = [
            [code(room), sentence(f"{package}/{room}")]
            for step in order
            for room in (step if isinstance(step, tuple) else (step,))
        ]
        parts += [f"### {package}", sentence(package), table(["room, from the ground up", "holds"], rows)]
    return "\n\n".join(parts)


def house() -> ModuleType:
    """Returns the rooms, their order and their doors, as the tests of the laws read them."""
    return _module(_TESTS / "helpers" / "house.py")


def _module(path: Path) -> ModuleType:
    name = f"_read_{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ValueError(f"{path}: cannot be read")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


def private_parts() -> dict[str, tuple[str, str]]:
    """Returns the files that use what is private in a library, each with the library and its version."""
    law = _module(_TESTS / "laws" / "test_private_parts.py")
    return {**law.FILES, **law.RAY_FILES}


def sentence(room: str) -> str:
    """Returns the first sentence of a room's docstring.

    Raises:
        ValueError: If the room has none.
    """
    path = next((path for path in (_ROOT / room / "__init__.py", _ROOT / f"{room}.py") if path.is_file()), None)
    if path is None:
        # `studies` is no package: its files are the users' to copy.
        return (
            "Packaged studies as data, and the model that one of them names."
            if (_ROOT / room).is_dir()
            else require("", what=room)
        )
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return require(" ".join(text.partition("\n\n")[0].split()), what=room)
