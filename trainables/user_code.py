"""Finds, hashes and imports a user's code beside the study file, and quotes it in errors; no TensorFlow."""

import ast
import hashlib
import importlib
import re
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from trainables.errors import UserCodeError

#: Packages that are not the user's, even if a study file lies beside them.
OUR_PACKAGES = ("search_spaces", "trainables", "orchestrator")
_LIBRARIES = ("site-packages", "dist-packages")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
#: Keras's texts before and after the message of an error in a layer.
_WRAPPING = ("Exception encountered when calling", "Could not automatically infer", "in user code:")
_AFTERWARDS = "Arguments received"
#: How TensorFlow begins an error of a compiled function, and what it puts before each of several errors.
_GRAPH_ERROR = "Graph execution error:"
_NUMBERED_ROOT = re.compile(r"^\(\d+\) [A-Z_]+:\s*")
#: What mends common causes, by a pattern of Keras's or TensorFlow's text.
_FIXES = tuple(
    (re.compile(pattern), f" ({fix})")
    for pattern, fix in (
        (
            r"expected (min_)?ndim=4, found ndim=3|expected shape=\(None, \d+, \d+\), found shape",
            "images have a channel axis: begin with keras.Input(input_shape), which is (height, width, channels)",
        ),
        (
            r"`target` and `output` must have the same (rank|shape)",
            "labels of a classification are class numbers (batch,): use a sparse_categorical_... loss or metric, or "
            "keras.ops.one_hot(y, size)",
        ),
        (
            r"`output` must have rank \(ndim\) `target.ndim - 1`",
            "one-hot labels and a sparse loss: use its categorical_... form, or class numbers (batch,)",
        ),
        (
            r"A KerasTensor cannot be used as input to a TensorFlow function",
            "use keras.ops, or put the TensorFlow function into the call of a layer",
        ),
        (
            r"Received a label value of \S+ which is outside the valid range",
            "the last layer has fewer outputs than there are classes: use Dense(targets[0].size)",
        ),
    )
)
#: Folders that modules were imported from in this process.
_FOLDERS: set[Path] = set()


def split_reference(reference: str) -> tuple[str, str] | None:
    """Returns the module and the function of `module:function`, or None for any other text.

    >>> split_reference("nets.small:build"), split_reference("build")
    (('nets.small', 'build'), None)
    """
    module, _, function = reference.partition(":")
    is_one = function.isidentifier() and all(part.isidentifier() for part in module.split("."))
    return (module, function) if is_one else None


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Makes modules of a folder importable inside a `with` block, before all others of their names."""
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))


def load_function(reference: str, *, folder: Path) -> tuple[ModuleType, Any]:
    """Returns the module and the function that `module:function` names; call it while its folder is importable.

    Args:
        folder: An absolute path. Errors of the module's own code reach the caller.

    Raises:
        UserCodeError: If the module has no such function.
    """
    module_name, _, function_name = reference.partition(":")
    with importable(folder):
        _forget_other_folders(folder)
        module = importlib.import_module(module_name)
    function: Any = getattr(module, function_name, None)
    if not (callable(function) or callable(getattr(function, "build", None))):
        names = [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
        raise UserCodeError(f"{module.__file__} has no function {function_name!r}; it has {names[:5]}")
    return module, function


def user_error(exc: BaseException, *, folder: Path) -> str:
    """Returns an error of the user's code in words and with the user's lines; empty if the error passed through none.

    The first line names file, line and error; a traceback of the user's lines follows, the last call last.
    """
    frames = user_frames(exc, folder=folder)
    if isinstance(exc, SyntaxError) and exc.filename and is_below(exc.filename, folder=folder):
        frames.append(traceback.FrameSummary(exc.filename, exc.lineno, "<module>", line=exc.text))
    if not frames:
        return ""
    place = f"{Path(frames[-1].filename).relative_to(folder).as_posix()}:{frames[-1].lineno}"
    error = in_words(exc)
    lines = "".join(traceback.format_list(frames)).rstrip()
    return f"{place}: {error}\n{lines}\n{error}\n"


def user_frames(exc: BaseException, *, folder: Path) -> list[traceback.FrameSummary]:
    """Returns the lines of the user's files in a folder that an error passed through, the last call last."""
    return [frame for frame in _frames(exc) if is_below(frame.filename, folder=folder)]


def is_below(file: str, *, folder: Path) -> bool:
    """Returns whether a file is one of the user's in a folder: not of this package, and no library's.

    >>> files = ("/s/nets.py", "/t/nets.py", "/s/.venv/lib/site-packages/nets.py", "/s/trainables/task.py")
    >>> [is_below(file, folder=Path("/s")) for file in files]
    [True, False, False, False]
    """
    path = Path(file)
    if not path.is_relative_to(folder):
        return False
    parts = path.relative_to(folder).parts
    return parts[0] not in OUR_PACKAGES and not any(part in _LIBRARIES for part in parts)


def in_words(exc: BaseException) -> str:
    """Returns an error's name and its cause in a line, without what Keras and TensorFlow put around it.

    Where the cause is a common one, what mends it follows.

    >>> in_words(ValueError("Exception encountered when calling Dense.call().\\n\\nNo input.\\n\\nArguments received"))
    'ValueError: No input.'
    """
    converted = getattr(exc, "ag_error_metadata", None)
    source = exc.__context__ if converted is not None and exc.__context__ is not None else exc
    text = _COLOURS.sub("", str(source.args[0]) if isinstance(source, KeyError) and source.args else str(source))
    name = type(source).__name__
    lines = map(str.strip, text.partition(_AFTERWARDS)[0].splitlines())
    cause = _root_of_graph_error(text) or next((line for line in lines if line and not line.startswith(_WRAPPING)), "")
    if not cause:
        return name
    fix = next((fix for pattern, fix in _FIXES if pattern.search(cause)), "")
    return f"{name}: {cause}{fix}"


def _root_of_graph_error(text: str) -> str:
    """Returns what went wrong in an operation of a compiled function, "" where the text is of another error.

    TensorFlow puts the lines that traced the operation before it, and the operation's place in the graph after it.

    >>> _root_of_graph_error("Graph execution error:\\n  (0) INTERNAL:  No BLAS for stream.\\n\\t [[{{node conv}}]]")
    'No BLAS for stream.'
    """
    if not text.startswith(_GRAPH_ERROR):
        return ""
    before = [line.strip() for line in text.partition("[[{{node")[0].splitlines()]
    last = next((line for line in reversed(before) if line), "")
    return _NUMBERED_ROOT.sub("", last) if last != _GRAPH_ERROR else ""


def _frames(exc: BaseException) -> list[traceback.FrameSummary]:
    converted = getattr(exc, "ag_error_metadata", None)
    if converted is None:
        return list(traceback.extract_tb(exc.__traceback__))
    # TensorFlow rewrites functions that it traces, and keeps the original lines in `translated_stack`, innermost first.
    return [
        traceback.FrameSummary(frame.filename, frame.lineno, frame.function_name, line=frame.code)
        for frame in reversed(converted.translated_stack)
    ]


def forget_modules(folder: Path) -> None:
    """Removes the modules of a folder from `sys.modules`, so that their next import runs them anew."""
    modules: Mapping[str, Any] = dict(sys.modules)
    for name, module in modules.items():
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and is_below(file, folder=folder) and name != "__main__":
            del sys.modules[name]


def _forget_other_folders(folder: Path) -> None:
    """Removes modules of another study's folder from `sys.modules`: this study's may have the same names."""
    for other in _FOLDERS - {folder}:
        forget_modules(other)
    _FOLDERS.intersection_update({folder})
    _FOLDERS.add(folder)


_DIGITS = 12


def module_file(module: str, *, folder: Path) -> Path | None:
    """Returns the file of a module such as `nets.small` in a folder; None if the folder has no such module."""
    path = folder.joinpath(*module.split("."))
    candidates = (path.with_name(f"{path.name}.py"), path / "__init__.py")
    try:
        return next((candidate for candidate in candidates if candidate.is_file()), None)
    except OSError:
        # A name that is too long for a file is none of one.
        return None


def source_of(modules: Iterable[str], *, folder: Path) -> str:
    """Returns a hash of the code of each module in a folder: `nets=2f1c...`, joined by commas.

    A module's code is its own file, or all files of the package that it is in, and that of modules beside it which it
    imports, and so on. Never bare digits: a text such as 12e45 would be read as a number.

    Raises:
        SyntaxError: If a file is not Python; it names the file.
        OSError, ValueError: If one cannot be read.
    """
    return ",".join(f"{module}={_hash_of(module, folder=folder)}" for module in sorted(set(modules)))


def changed_modules(expected: str, found: str) -> list[str]:
    """Returns the modules whose code is not the same in two texts of `source_of`.

    >>> changed_modules("big=12,small=34", "big=12,small=56")
    ['small']
    """
    before, now = (dict(pair.partition("=")[::2] for pair in text.split(",")) for text in (expected, found))
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def texts_of(module: str, *, folder: Path) -> set[str]:
    """Returns the texts in quotes, and the names of arguments, keywords and attributes, in a module's code.

    Its code is what `source_of` hashes, and what was imported from the folder meanwhile.
    """
    found: set[str] = set()
    for path in {*_files(module, folder=folder), *loaded_files(folder=folder)}:
        for node in ast.walk(ast.parse(path.read_bytes())):
            match node:
                case ast.Constant(value=str(text)) | ast.arg(arg=text) | ast.keyword(arg=str(text)):
                    found.add(text)
                case ast.Attribute(attr=text) | ast.AnnAssign(target=ast.Name(id=text)):
                    found.add(text)
    return found


def loaded_files(*, folder: Path) -> list[Path]:
    """Returns the Python files of a folder that this process has imported, sorted."""
    files = [getattr(module, "__file__", None) for module in dict(sys.modules).values()]
    return sorted({Path(file) for file in files if isinstance(file, str) and is_below(file, folder=folder)})


def code_files(modules: Iterable[str], *, folder: Path) -> list[Path]:
    """Returns the files of the code that `source_of` hashes, sorted.

    Raises:
        SyntaxError: If a file is not Python; it names the file.
        OSError, ValueError: If one cannot be read.
    """
    return sorted({path for module in modules for path in _files(module, folder=folder)})


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
