"""The laws of how code reads: sizes, docstrings, names; and that nothing is unpickled."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import ROOT, imports, planted, sources

MAX_FILE_LINES = 400
MAX_BODY_LINES = 40
MAX_CLASS_METHODS = 12
#: Classes of more methods than `MAX_CLASS_METHODS`, each with what excuses it.
EXCUSED_CLASSES = {
    "RunFolder": "its methods are names on disk",
}
#: Public names that several modules of a package define, each with what it means everywhere.
SHARED_NAMES = {"build": "a family's builder", "main": "a module that is run", "SCHEMA_VERSION": "of the file's format"}
#: Files that stay as they are to the byte: their hash is part of the variants that were made with them.
FROZEN = {"orchestrator/studies/custom_model.py"}
SECTIONS = ("Args", "Returns", "Yields", "Raises", "Attributes", "Source", "Examples")


def oversized(root: Path) -> list[str]:
    found = []
    for path, tree, text in sources(root):
        if (count := len(text.splitlines())) > MAX_FILE_LINES:
            found.append(f"{path} has {count} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if (length := body_lines(node)) > MAX_BODY_LINES:
                    found.append(f"{path}: {node.name} has {length} lines")
            elif isinstance(node, ast.ClassDef) and node.name not in EXCUSED_CLASSES:
                methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
                if len(methods) > MAX_CLASS_METHODS:
                    found.append(f"{path}: class {node.name} has {len(methods)} methods")
    return found


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Returns how many lines a function's body has, without its docstring."""
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    start = first.end_lineno if is_docstring else first.lineno - 1
    return node.body[-1].end_lineno - start


def loose_docstrings(root: Path) -> list[str]:
    """Returns docstrings with a line `name: text` outside of a section, or a section's text on its heading's line."""
    found = []
    for path, tree, _ in sources(root):
        if path in FROZEN:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                found += [
                    f"{path}: {getattr(node, 'name', 'module')}: {line}"
                    for line in loose_lines(ast.get_docstring(node) or "")
                ]
    return found


def loose_lines(docstring: str) -> Iterator[str]:
    # A word and a colon at the start of a line that belongs to no section; prose has its colons further in.
    for line in docstring.splitlines()[1:]:
        heading = re.match(r"(\w+): ?(.*)", line)
        if heading is None:
            continue
        is_heading = heading[1] in SECTIONS and (not heading[2] or heading[1] == "Source")
        if not is_heading:
            yield line


def repeated_names(root: Path) -> list[str]:
    """Returns public functions and classes that several modules of a package define."""
    homes: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path, tree, _ in sources(root):
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                homes[path.split("/")[0], node.name].append(path)
    return [f"{name} in {paths}" for (_, name), paths in homes.items() if len(paths) > 1 and name not in SHARED_NAMES]


def unpicklers(root: Path) -> list[str]:
    """Returns every way to run code from a file that someone else may have written."""
    forbidden = ("pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib")
    found = [f"{item.path} imports {item.module}" for item in imports(root) if item.module.split(".")[0] in forbidden]
    for path, _, text in sources(root):
        found += [f"{path} has {bad}" for bad in ("allow_pickle=True", "safe_mode=False", "yaml.unsafe") if bad in text]
    return found


LAWS = {
    "files, functions and classes stay small": oversized,
    "docstrings have Google sections": loose_docstrings,
    "a public name stands in one module": repeated_names,
    "nothing is unpickled": unpicklers,
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_law_holds(law):
    assert law(ROOT) == []


PLANTS = {
    "a long file": (
        "files, functions and classes stay small",
        {"orchestrator/runs/paths.py": "# more\n" * MAX_FILE_LINES},
    ),
    "a long function": (
        "files, functions and classes stay small",
        {"orchestrator/text.py": "def long():\n" + "    x = 1\n" * (MAX_BODY_LINES + 1)},
    ),
    "a class of many methods": (
        "files, functions and classes stay small",
        {"orchestrator/text.py": "class Many:\n" + "".join(f"    def m{n}(self): ...\n" for n in range(13))},
    ),
    "a loose argument": (
        "docstrings have Google sections",
        {"orchestrator/text.py": 'def loose(a):\n    """Takes.\n\n    a: A number.\n    """\n'},
    ),
    "a name twice": ("a public name stands in one module", {"orchestrator/text.py": "class Trial:\n    pass\n"}),
    "an unpickler": ("nothing is unpickled", {"trainables/checkpoints/checkpoint.py": "import pickle\n"}),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_planted_violation_is_found(plant, tmp_path):
    law, files = PLANTS[plant]
    assert len(LAWS[law](planted(files, tmp_path))) > len(LAWS[law](ROOT))


def test_every_law_has_a_planted_violation():
    assert {law for law, _ in PLANTS.values()} == LAWS.keys()
