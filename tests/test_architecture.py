"""The laws of the house, read from the code itself: who may import whom, heavy libraries behind their doors, sizes."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("search_spaces", "trainables", "orchestrator")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_CLASS_METHODS = 20

#: A layer may import itself and the ones listed.
MAY_IMPORT = {
    "search_spaces": {"search_spaces"},
    "trainables": {"search_spaces", "trainables"},
    "orchestrator": {"search_spaces", "trainables", "orchestrator"},
}

#: Where each heavy library may be imported: files, or folders with a slash at the end.
DOORS = {
    "tensorflow": (
        "trainables/training/training.py",
        "trainables/families/building.py",
        "trainables/training/dynamic_parameters.py",
        "trainables/steps/fused_batch_norm.py",
        "trainables/steps/fused_optimizers.py",
        "trainables/machine/imports.py",
        "trainables/steps/compiling.py",
        "trainables/training/cost.py",
        "trainables/steps/micro_batches.py",
        "trainables/training/devices.py",
        "trainables/training/precision.py",
        "trainables/steps/replicas.py",
        "trainables/families/parts/inputs.py",
        "trainables/training/step_memory.py",
        "trainables/data/batches/tensors.py",
        "trainables/data/batches/streaming.py",
        "trainables/data/augment/",
        "trainables/families/subclassed.py",
        "trainables/exporting/formats.py",
        "trainables/exporting/export.py",
    ),
    "keras": (
        "trainables/training/training.py",
        "trainables/families/building.py",
        "trainables/training/dynamic_parameters.py",
        "trainables/steps/fused_batch_norm.py",
        "trainables/steps/fused_optimizers.py",
        "trainables/machine/imports.py",
        "trainables/families/parts/blocks.py",
        "trainables/exporting/plain_graph.py",
        "trainables/steps/compiling.py",
        "trainables/steps/losses.py",
        "trainables/steps/metrics.py",
        "trainables/training/cost.py",
        "trainables/steps/schedules.py",
        "trainables/families/",
        "trainables/worker/fetch_weights.py",  # in its own child process, and in workers
        "trainables/data/sources/keras_sets.py",
        "trainables/exporting/formats.py",
        "orchestrator/driver/result.py",  # load_model only, for its caller
        "orchestrator/studies/",  # packaged models of users' kind, imported in workers
    ),
    "ray": (
        "trainables/worker/adapter.py",
        "orchestrator/journal/recorder.py",
        "orchestrator/tuning/silent_workers.py",
        "orchestrator/tuning/forgetting.py",
        "orchestrator/tuning/tune_internals.py",
        "orchestrator/tuning/schedulers.py",
        "orchestrator/tuning/searcher.py",
        "orchestrator/tuning/experiment.py",
        "orchestrator/cluster/connection.py",
        "orchestrator/cluster/prestart.py",
        "orchestrator/export/tasks.py",
    ),
    "optuna": ("orchestrator/search/proposer.py",),
    "pyarrow": (
        "orchestrator/results/tables.py",
        "orchestrator/results/growing_tables.py",
        "orchestrator/results/from_tables.py",
        "orchestrator/driver/result.py",
        "orchestrator/report/",
        "trainables/data/sources/",
        "trainables/files/remote.py",
    ),
    "sklearn": ("trainables/data/sources/digits.py",),
    "plotly": ("orchestrator/report/",),
    "PIL": ("trainables/data/",),
}

#: Modules that bring TensorFlow when imported: only workers may, so others import them late or not at all.
WORKER_ONLY = {
    "trainables.training.training",
    "trainables.families.building",
    "trainables.training.dynamic_parameters",
    "trainables.steps.fused_batch_norm",
    "trainables.steps.fused_optimizers",
    "trainables.training.devices",
    "trainables.training.precision",
    "trainables.steps.replicas",
    "trainables.families.parts.inputs",
    "trainables.training.step_memory",
    "trainables.steps.losses",
    "trainables.steps.metrics",
    "trainables.families.parts.blocks",
    "trainables.steps.compiling",
    "trainables.training.cost",
    "trainables.steps.micro_batches",
    "trainables.steps.schedules",
    "trainables.data.batches.tensors",
    "trainables.data.batches.streaming",
    "trainables.data.augment.amounts",
    "trainables.data.augment.augmenter",
    "trainables.data.augment.draws",
    "trainables.data.augment.mixtures",
    "trainables.data.augment.picture",
    "trainables.data.augment.pixels",
    "trainables.data.augment.rand_augment",
    "trainables.families.sequential",
    "trainables.families.residual",
    "trainables.families.functional",
    "trainables.families.multitask",
    "trainables.families.subclassed",
    "trainables.families.custom",
    "trainables.families.custom_check",
    "trainables.exporting.plain_graph",
    "orchestrator.studies.custom_model",
    "trainables.families.transfer",
    "trainables.exporting.formats",
    "trainables.exporting.export",
}


def sources(root: Path) -> Iterator[tuple[str, ast.Module, str]]:
    """Yields (path, tree, text) of every module of the packages."""
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            yield path.relative_to(root).as_posix(), ast.parse(text), text


def imports(tree: ast.Module) -> Iterator[tuple[str, bool]]:
    """Yields (module, is at the top of the file) of every import that runs; those for type checkers do not."""
    late = {id(node) for function in ast.walk(tree) if is_function(function) for node in ast.walk(function)}
    unseen = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    for node in ast.walk(tree):
        if id(node) in unseen:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in late) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"{'.' * node.level}{node.module or ''}", id(node) not in late
            # `from package import module` imports the module as well.
            yield from ((f"{node.module}.{alias.name}", id(node) not in late) for alias in node.names)


def is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def upward_imports(root: Path) -> list[str]:
    found = []
    for path, tree, _ in sources(root):
        layer = path.split("/")[0]
        for module, _ in imports(tree):
            top = module.split(".")[0]
            if module.startswith(".") or (top in PACKAGES and top not in MAY_IMPORT[layer]):
                found.append(f"{path} imports {module}")
    return found


def cyclic_imports(root: Path) -> list[str]:
    """Returns one cycle among the imports at the top of files, if there is one."""
    modules = {module_name(path): tree for path, tree, _ in sources(root)}
    # Python imports a module's own packages before it anyway, so those are no edges.
    graph = {
        name: {
            target
            for target, is_top in imports(tree)
            if is_top and target in modules and not f"{name}.".startswith(f"{target}.")
        }
        for name, tree in modules.items()
    }
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
            f"{path} imports {top}"
            for path, tree, _ in sources(root)
            for module, _ in imports(tree)
            if (top := module.split(".")[0]) in DOORS
            and not any(path == door or (door.endswith("/") and path.startswith(door)) for door in DOORS[top])
        }
    )


def early_worker_imports(root: Path) -> list[str]:
    return sorted(
        {
            f"{path} imports {module} at its top"
            for path, tree, _ in sources(root)
            for module, is_top in imports(tree)
            if is_top and module in WORKER_ONLY and module_name(path) not in WORKER_ONLY
        }
    )


def oversized(root: Path) -> list[str]:
    found = []
    for path, tree, text in sources(root):
        if (count := len(text.splitlines())) > MAX_FILE_LINES:
            found.append(f"{path} has {count} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if (length := node.end_lineno - node.lineno + 1) > MAX_FUNCTION_LINES:
                    found.append(f"{path}: {node.name} has {length} lines")
            elif isinstance(node, ast.ClassDef):
                methods = [item for item in node.body if isinstance(item, ast.FunctionDef)]
                if len(methods) > MAX_CLASS_METHODS:
                    found.append(f"{path}: class {node.name} has {len(methods)} methods")
    return found


def unpicklers(root: Path) -> list[str]:
    """Returns every way to run code from a file that someone else may have written."""
    forbidden = ("pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib")
    found = []
    for path, tree, text in sources(root):
        found += [f"{path} imports {module}" for module, _ in imports(tree) if module.split(".")[0] in forbidden]
        found += [f"{path} has {bad}" for bad in ("allow_pickle=True", "safe_mode=False", "yaml.unsafe") if bad in text]
    return found


LAWS = {
    "no import goes upward": upward_imports,
    "no imports form a cycle": cyclic_imports,
    "heavy libraries stay behind their doors": imports_outside_doors,
    "worker modules are imported late": early_worker_imports,
    "files, functions and classes stay small": oversized,
    "nothing is unpickled": unpicklers,
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_law_holds(law):
    assert law(ROOT) == []


PLANTS = {
    "no import goes upward": ("search_spaces/space.py", "import trainables.specs.data\n"),
    "no imports form a cycle": ("search_spaces/problems.py", "import search_spaces.space\n"),
    "heavy libraries stay behind their doors": (
        "orchestrator/driver/runner.py",
        "def late():\n    import tensorflow\n",
    ),
    "worker modules are imported late": (
        "trainables/worker/trial_run.py",
        "from trainables.training.training import Training\n",
    ),
    "files, functions and classes stay small": ("orchestrator/runs/paths.py", "# more\n" * MAX_FILE_LINES),
    "nothing is unpickled": ("trainables/checkpoints/checkpoint.py", "import pickle\n"),
}


@pytest.mark.parametrize("name", LAWS)
def test_planted_violation_is_found(name, tmp_path):
    for path, _, text in sources(ROOT):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    assert LAWS[name](tmp_path) == []
    path, plant = PLANTS[name]
    with (tmp_path / path).open("a", encoding="utf-8") as file:
        file.write(plant)
    assert LAWS[name](tmp_path) != []


def test_top_level_holds_what_was_agreed_and_no_more():
    allowed = {*PACKAGES, "pyproject.toml", "tests", "cluster.yaml", "README.md", "LICENSE"}
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
        ("orchestrator.driver.runner", ("tensorflow", "keras", "plotly", "sklearn")),
        ("trainables.worker.adapter", ("tensorflow", "keras", "optuna", "plotly", "sklearn")),
        (
            "trainables.catalog.families, trainables.specs.data, trainables.reports",
            ("tensorflow", "keras", "ray", "numpy"),
        ),
    ],
)
def test_importing_a_module_does_not_load_heavy_libraries(modules, forbidden):
    code = f"import sys, {modules}; print([name for name in {forbidden!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stdout.strip() == "[]", result.stderr
