"""What a user's code is made of, as a hash of the files beside the study file; they are read, never run."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from trainables.user_code import OUR_PACKAGES

_DIGITS = 12


def module_file(module: str, *, folder: Path) -> Path | None:
    """Returns the file of a module such as `nets` or `nets.small` in a folder; None if there is none."""
    path = folder.joinpath(*module.split("."))
    candidates = (path.with_name(f"{path.name}.py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def source_of(modules: Iterable[str], *, folder: Path) -> str:
    """Returns what tells the code of modules in a folder from any other code: `nets=2f1c...`, joined by commas.

    A module's code is its own file, or all files of the package that it is in, and that of modules beside it which it
    imports, and so on. Never bare digits: a text such as 12e45 would be read as a number.

    Raises: SyntaxError: if a file is not Python; it names the file. OSError, ValueError: if one cannot be read.
    """
    return ",".join(f"{module}={_hash_of(module, folder=folder)}" for module in sorted(set(modules)))


def changed_modules(expected: str, found: str) -> list[str]:
    """Returns the modules whose code is not the same in two texts of `source_of`.

    >>> changed_modules("big=12,small=34", "big=12,small=56")
    ['small']
    """
    before, now = (dict(pair.partition("=")[::2] for pair in text.split(",")) for text in (expected, found))
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def _hash_of(module: str, *, folder: Path) -> str:
    digest = hashlib.sha256()
    for path in _files(module, folder=folder):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:_DIGITS]


def _files(module: str, *, folder: Path) -> list[Path]:
    waiting, seen = [module.partition(".")[0]], set(OUR_PACKAGES)
    found: set[Path] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for path in _files_of(name, folder=folder):
            found.add(path)
            waiting += _imported(path)
    return sorted(found)


def _files_of(name: str, *, folder: Path) -> list[Path]:
    single, package = folder / f"{name}.py", folder / name
    # As Python does, a package comes before a module of the same name.
    if package.is_dir() and ((package / "__init__.py").is_file() or not single.is_file()):
        return sorted(package.rglob("*.py"))
    return [single] if single.is_file() else []


def _imported(path: Path) -> Iterator[str]:
    """Yields the first parts of the names that a file imports; relative imports stay inside their package."""
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
