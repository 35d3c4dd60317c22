"""The laws of the house, read from the code itself: the order of rooms, doors of heavy libraries, a room for each."""

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from house import (
    DOORS,
    ORDER,
    PACKAGES,
    RANKS,
    ROOT,
    imports,
    is_face,
    module_name,
    modules,
    path_text,
    planted,
    room_of,
    sources,
)

MAX_FOLDER_MODULES = 12
MAX_DEPTH = 3
#: Rooms that bring TensorFlow when imported: only workers may, so others import them late or not at all.
WORKER_ONLY = (
    "trainables/data/batches",
    "trainables/data/augment",
    "trainables/families",
    "trainables/families/parts",
    "trainables/steps",
    "trainables/graphs",
    "trainables/training",
    "trainables/exporting",
    "trainables/ensembles/models",
    "orchestrator/studies",
)
#: Modules of those rooms that others import at their top, because they bring no TensorFlow.
LIGHT = ("trainables/families/parts/downloads.py",)
#: Faces of rooms that other rooms import names from.
SPEAKING_FACES = {
    "search_spaces/builtin/__init__.py",
    "search_spaces/domains/__init__.py",
    "orchestrator/views/report/__init__.py",
}


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


LAWS = {
    "no import goes upward": upward_imports,
    "no imports form a cycle": cyclic_imports,
    "heavy libraries stay behind their doors": imports_outside_doors,
    "worker modules are imported late": early_worker_imports,
    "every module has its room": homeless,
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
}


@pytest.mark.parametrize("plant", PLANTS)
def test_planted_violation_is_found(plant, tmp_path):
    law, files = PLANTS[plant]
    assert len(LAWS[law](planted(files, tmp_path))) > len(LAWS[law](ROOT))


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
        (
            "orchestrator.history.decisions, orchestrator.history.rung_table, orchestrator.history.fleet_bars",
            ("tensorflow", "keras", "ray", "optuna", "pyarrow", "plotly", "numpy"),
        ),
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
