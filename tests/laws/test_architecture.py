"""The laws of the house, read from the code itself: the order of rooms, doors of heavy libraries, sizes, docstrings."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("search_spaces", "trainables", "orchestrator", "convfleet")
MAX_FILE_LINES = 400
MAX_BODY_LINES = 40
MAX_CLASS_METHODS = 12
MAX_FOLDER_MODULES = 12
MAX_DEPTH = 3

#: Rooms from the ground up: a room imports rooms before it only, those in one tuple do not import each other. A room is
#: a folder, or a module of a package's own folder. The packages themselves stand in this order as well.
ORDER: Mapping[str, list[str | tuple[str, ...]]] = {
    "search_spaces": [
        "problems",
        "domains",
        "naming",
        "limits",
        "conditions",
        "counting",
        "space",
        "variant",
        "declarations",
        "builtin",
        "parsing",
    ],
    "trainables": [
        ("errors", "progress"),
        ("reports", "versions"),
        ("patience", "user_code"),
        "files",
        "machine",
        "specs",
        "catalog",
        "checkpoints",
        "data/images",
        "data/labels",
        "data/sources",
        "data/cache",
        "data/batches",
        "data/augment",
        "families/parts",
        "families",
        "steps",
        "training",
        "exporting",
        "worker",
    ],
    "orchestrator": [
        ("errors", "text", "studies"),
        "runs",
        "journal",
        "study",
        "results",
        "search",
        "disk",
        "mirror",
        "cluster",
        "tuning",
        "export",
        ("views/terminal", "views/report"),
        "driver",
        "cli",
    ],
    "convfleet": ["__main__"],
}

#: Where each heavy library may be imported: rooms, or files.
DOORS = {
    "tensorflow": (
        "trainables/data/batches",
        "trainables/data/augment",
        "trainables/families",
        "trainables/families/parts",
        "trainables/steps",
        "trainables/training",
        "trainables/exporting",
        "trainables/machine/imports.py",
    ),
    "keras": (
        "trainables/families",
        "trainables/families/parts",
        "trainables/steps",
        "trainables/training",
        "trainables/exporting",
        "trainables/machine/imports.py",
        "trainables/data/sources/keras_sets.py",
        "orchestrator/driver/result.py",  # load_model only, for its caller
        "orchestrator/studies",  # packaged models of users' kind, imported in workers
    ),
    "ray": ("orchestrator/cluster", "orchestrator/tuning", "orchestrator/export", "trainables/worker/adapter.py"),
    "optuna": ("orchestrator/search",),
    "pyarrow": (
        "orchestrator/results",
        "orchestrator/views/report",
        "orchestrator/driver/result.py",
        "trainables/data/sources",
        "trainables/files/remote.py",
    ),
    "sklearn": ("trainables/data/sources/digits.py",),
    "plotly": ("orchestrator/views/report",),
    "rich": ("orchestrator/views/terminal", "orchestrator/cli"),
    "typer": ("orchestrator/cli",),
    "PIL": ("trainables/data/images", "trainables/data/augment/picture.py"),
    "pydantic": ("trainables/specs", "orchestrator/study"),
    "yaml": ("orchestrator/study", "search_spaces/parsing.py", "orchestrator/mirror/fetch.py"),
}

#: Rooms that bring TensorFlow when imported: only workers may, so others import them late or not at all.
WORKER_ONLY = (
    "trainables/data/batches",
    "trainables/data/augment",
    "trainables/families",
    "trainables/families/parts",
    "trainables/steps",
    "trainables/training",
    "trainables/exporting",
    "orchestrator/studies",
)
#: Modules of those rooms that others import at their top, because they bring no TensorFlow.
LIGHT = ("trainables/families/parts/downloads.py",)

#: Classes of more methods than `MAX_CLASS_METHODS`, each with what excuses it.
EXCUSED_CLASSES = {
    "RunFolder": "its methods are names on disk",
}
#: Public names that several modules of a package define, each with what it means everywhere.
SHARED_NAMES = {"build": "a family's builder", "main": "a module that is run", "SCHEMA_VERSION": "of the file's format"}


@dataclass(frozen=True, kw_only=True)
class Import:
    """One import of a module: where it stands, what it names, when it runs."""

    path: str
    module: str
    is_top: bool
    is_run: bool


@cache
def sources(root: Path) -> tuple[tuple[str, ast.Module, str], ...]:
    """Returns (path, tree, text) of every module of the packages."""
    texts = [
        (path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
    ]
    return tuple((path, parsed(text), text) for path, text in texts)


@cache
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


@cache
def imports(root: Path) -> tuple[Import, ...]:
    """Returns every import: at the top of a file, late inside a function, and for type checkers alone."""
    return tuple(item for path, _, text in sources(root) for item in imports_of(path, text))


@cache
def imports_of(path: str, text: str) -> tuple[Import, ...]:
    tree = parsed(text)
    late = {id(node) for function in ast.walk(tree) if is_function(function) for node in ast.walk(function)}
    unseen = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # `from package import module` imports the module as well.
            base = f"{'.' * node.level}{node.module or ''}"
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        is_top, is_run = id(node) not in late, id(node) not in unseen
        found += [Import(path=path, module=name, is_top=is_top, is_run=is_run) for name in names]
    return tuple(found)


def is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@cache
def modules(root: Path) -> Mapping[str, str]:
    """Returns the path of each module by its name."""
    return {module_name(path): path for path, _, _ in sources(root)}


def room_of(path: str) -> str:
    """Returns the room of a file: its folder, or the file itself in a package's own folder."""
    folder, _, name = path.rpartition("/")
    if "/" in folder:
        return folder
    return f"{folder}/{name.removesuffix('.py')}"


RANKS = {
    f"{package}/{room}": (number, position)
    for number, (package, order) in enumerate(ORDER.items())
    for position, step in enumerate(order)
    for room in (step if isinstance(step, tuple) else (step,))
}


def is_face(path: str) -> bool:
    """Returns whether a file is a package's public face, which names what its rooms define."""
    return path in {f"{package}/__init__.py" for package in PACKAGES}


def upward_imports(root: Path) -> list[str]:
    found = set()
    for item in imports(root):
        target = modules(root).get(item.module)
        if item.module.startswith("."):
            found.add(f"{item.path} imports {item.module}, which is relative")
        if target is None or is_face(item.path) or room_of(target) == room_of(item.path):
            continue
        here, there = RANKS.get(room_of(item.path)), RANKS.get(room_of(target))
        if is_face(target):
            is_upward = list(ORDER).index(target.split("/")[0]) >= list(ORDER).index(item.path.split("/")[0])
        elif here is None or there is None:
            # The folder between two rooms holds no code.
            is_upward = len(path_text(root, target).splitlines()) > 1 or here is None
        else:
            is_upward = there >= here
        if is_upward:
            found.add(f"{item.path} imports {item.module}")
    return sorted(found)


@cache
def path_text(root: Path, path: str) -> str:
    return (root / path).read_text(encoding="utf-8")


def cyclic_imports(root: Path) -> list[str]:
    """Returns one cycle among all imports of files, late and type-checking ones too, if there is one."""
    graph: dict[str, set[str]] = defaultdict(set)
    for item in imports(root):
        name = module_name(item.path)
        # Python imports a module's own packages before it anyway, so those are no edges. A face names its rooms late.
        if item.module in modules(root) and not f"{name}.".startswith(f"{item.module}.") and not is_face(item.path):
            graph[name].add(item.module)
    done: set[str] = set()

    def visit(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return []
        for target in sorted(graph[name]):
            if cycle := visit(target, [*trail, name]):
                return cycle
        done.add(name)
        return []

    return next((cycle for name in sorted(graph) if (cycle := visit(name, []))), [])


def imports_outside_doors(root: Path) -> list[str]:
    return sorted(
        {
            f"{item.path} imports {top}"
            for item in imports(root)
            if item.is_run
            and (top := item.module.split(".")[0]) in DOORS
            and item.path not in DOORS[top]
            and room_of(item.path) not in DOORS[top]
        }
    )


def early_worker_imports(root: Path) -> list[str]:
    return sorted(
        {
            f"{item.path} imports {item.module} at its top"
            for item in imports(root)
            if item.is_top
            and item.is_run
            and (target := modules(root).get(item.module)) is not None
            and room_of(target) in WORKER_ONLY
            and not target.endswith("__init__.py")
            and target not in LIGHT
            and room_of(item.path) not in WORKER_ONLY
        }
    )


def homeless(root: Path) -> list[str]:
    """Returns rooms without a place in the order, folders of too many modules, and folders too deep."""
    counts: dict[str, int] = defaultdict(int)
    found = []
    for path, _, text in sources(root):
        folder, name = path.rsplit("/", 1)
        if name == "__init__.py":
            # A room's face says what the room is, and nothing else.
            is_plain = len(ast.parse(text).body) <= 1
            if not is_plain and not is_face(path) and path not in SPEAKING_FACES:
                found.append(f"{path} holds code")
            continue
        counts[folder] += 1
        if room_of(path) not in RANKS:
            found.append(f"{path} stands in no room of ORDER")
        if path.count("/") > MAX_DEPTH:
            found.append(f"{path} lies too deep")
    return found + [f"{folder} holds {count} modules" for folder, count in counts.items() if count > MAX_FOLDER_MODULES]


#: Faces of rooms that other rooms import names from.
SPEAKING_FACES = {
    "search_spaces/builtin/__init__.py",
    "search_spaces/domains/__init__.py",
    "trainables/data/sources/__init__.py",
    "orchestrator/views/report/__init__.py",
}


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Returns how many lines a function's body has, without its docstring."""
    first = node.body[0]
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    start = first.end_lineno if is_docstring else first.lineno - 1
    return node.body[-1].end_lineno - start


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


#: Files that stay as they are to the byte: their hash is part of the variants that were made with them.
FROZEN = {"orchestrator/studies/custom_model.py"}
SECTIONS = ("Args", "Returns", "Yields", "Raises", "Attributes", "Source", "Examples")


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
    "no import goes upward": upward_imports,
    "no imports form a cycle": cyclic_imports,
    "heavy libraries stay behind their doors": imports_outside_doors,
    "worker modules are imported late": early_worker_imports,
    "every module has its room": homeless,
    "files, functions and classes stay small": oversized,
    "docstrings have Google sections": loose_docstrings,
    "a public name stands in one module": repeated_names,
    "nothing is unpickled": unpicklers,
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_law_holds(law):
    assert law(ROOT) == []


TYPE_CHECKING_PLANT = "from typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n    from {} import {}\n"
PLANTS = {
    "an upward import": ("no import goes upward", {"search_spaces/space.py": "import trainables.specs.data\n"}),
    "an import of a room above": (
        "no import goes upward",
        {"orchestrator/journal/trial.py": "import orchestrator.study.spec\n"},
    ),
    "a late import of a room above": (
        "no import goes upward",
        {"trainables/files/whole.py": "def late():\n    import trainables.specs.task\n"},
    ),
    "an import of the room beside": (
        "no import goes upward",
        {"orchestrator/views/report/page.py": "import orchestrator.views.terminal.summary\n"},
    ),
    "a circle": ("no imports form a cycle", {"search_spaces/problems.py": "import search_spaces.space\n"}),
    "a late circle": (
        "no imports form a cycle",
        {"orchestrator/journal/records.py": "def late():\n    from orchestrator.journal import trial\n"},
    ),
    "a type-checking circle": (
        "no imports form a cycle",
        {"search_spaces/problems.py": TYPE_CHECKING_PLANT.format("search_spaces.space", "SearchSpace")},
    ),
    "a heavy import outside its door": (
        "heavy libraries stay behind their doors",
        {"orchestrator/driver/runner.py": "def late():\n    import tensorflow\n"},
    ),
    "an early import of a worker's room": (
        "worker modules are imported late",
        {"trainables/worker/trial_run.py": "from trainables.training.training import Training\n"},
    ),
    "a 13th module": (
        "every module has its room",
        {f"trainables/steps/more{number}.py": '"""One more."""\n' for number in range(MAX_FOLDER_MODULES)},
    ),
    "a depth of 4": ("every module has its room", {"trainables/data/cache/deep/more.py": '"""Too deep."""\n'}),
    "a room without a place": ("every module has its room", {"orchestrator/attic/more.py": '"""Nowhere."""\n'}),
    "code in a room's face": ("every module has its room", {"orchestrator/runs/__init__.py": "import os\n"}),
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
    for path, _, text in sources(ROOT):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        with (tmp_path / path).open("a", encoding="utf-8") as file:
            file.write(f"\n\n{text}")
    before = LAWS[law](ROOT)
    assert LAWS[law](tmp_path) != before
    assert len(LAWS[law](tmp_path)) > len(before)


def test_every_law_has_a_planted_violation():
    assert {law for law, _ in PLANTS.values()} == LAWS.keys()


def test_driver_session_knows_few_modules():
    known = {item.module for item in imports(ROOT) if item.path == "orchestrator/driver/session.py"}
    assert len({name for name in known if name.startswith("orchestrator.") and name in modules(ROOT)}) <= 15


def test_top_level_holds_what_was_agreed_and_no_more():
    folders = {*PACKAGES, "tests", "benchmarks", "docs", "findings"}
    allowed = {*folders, "pyproject.toml", "cluster.yaml", "README.md", "LICENSE", "CONTRIBUTING.md", "CHANGELOG.md"}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not listed:
        pytest.skip("not a git checkout")
    tops = {path.split("/")[0] for path in listed}
    assert {top for top in tops if not top.startswith(".")} <= allowed


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        ("orchestrator.cli.app", ("tensorflow", "keras", "ray", "optuna", "pyarrow", "pandas", "pydantic", "numpy")),
        ("orchestrator.study.loading", ("tensorflow", "keras", "ray", "optuna", "pyarrow", "pandas", "numpy")),
        ("orchestrator.journal.reading, orchestrator.results.from_state", ("ray", "optuna", "pyarrow", "pydantic")),
        ("orchestrator.driver.runner", ("tensorflow", "keras", "plotly", "sklearn")),
        ("trainables.worker.adapter", ("tensorflow", "keras", "optuna", "plotly", "sklearn")),
        (
            "trainables.catalog.families, trainables.specs.data, trainables.reports",
            ("tensorflow", "keras", "ray", "numpy"),
        ),
        ("convfleet", ("tensorflow", "keras", "ray", "optuna", "pyarrow", "pydantic", "numpy", "yaml")),
    ],
)
def test_importing_a_module_does_not_load_heavy_libraries(modules, forbidden):
    code = f"import sys, {modules}; print([name for name in {forbidden!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "[]", result.stderr
