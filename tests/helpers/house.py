"""The packages as data: their rooms from the ground up, and every module and import as the code has them."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("search_spaces", "trainables", "orchestrator", "convfleet")

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
        "axes",
        "variant",
        "declarations",
        ("builtin", "portfolios"),
        "parsing",
        "portfolio",
    ],
    "trainables": [
        ("errors", "progress"),
        ("reports", "versions"),
        ("patience", "user_code"),
        "files",
        "machine",
        "specs",
        "scores",
        "cards",
        "catalog",
        "checkpoints",
        "ensembles",
        "data/formats",
        "data/images",
        "data/labels",
        "data/sources",
        "data/parquet",
        "data/tables",
        "data/records",
        "data/look",
        "data/splits",
        "data/cache",
        "sharing",
        "data/guess",
        "references",
        "data/batches",
        "data/augment",
        "own_code",
        "hypermodels",
        "families/parts",
        "families",
        "steps",
        "graphs",
        "training",
        "exporting/runtimes",
        "exporting",
        "opening",
        "ensembles/models",
        "predicting",
        "worker",
        ("inspecting", "retraining"),
    ],
    "orchestrator": [
        ("errors", "text", "studies"),
        "pareto",
        "runs",
        "journal",
        "study/keys",
        "study",
        "early_stopping",
        "results",
        "replicates",
        "advice",
        "draft",
        "search",
        "search/algorithms",
        "analysis",
        "history",
        "disk",
        "mirror",
        "steering",
        "trackers",
        "forking",
        "cluster",
        "cluster/jobs",
        "cluster/kubernetes",
        "sharing",
        "nodes",
        "tuning/losses",
        "tuning/proposals",
        "tuning",
        "planning",
        "export",
        "ensembles",
        "registry/buckets",
        "registry",
        "fleet",
        "inference",
        "serving",
        "serving/on_ray",
        ("views/terminal", "views/report"),
        ("views/fleet", "views/notebook"),
        "driver",
        "dashboard/watching",
        "dashboard/answers",
        "dashboard/parts",
        "dashboard/pages",
        "dashboard",
        "cli",
        ("cli/models", "cli/steering", "cli/cluster"),
        "cli/app",
    ],
    "convfleet": ["__main__"],
}
#: Where each heavy library may be imported: rooms, or files.
DOORS = {
    "tensorflow": (
        "trainables/data/batches",
        "trainables/data/augment",
        "trainables/own_code",
        "trainables/families",
        "trainables/families/parts",
        "trainables/graphs",
        "trainables/steps",
        "trainables/training",
        "trainables/exporting",
        "trainables/exporting/runtimes",
        "trainables/opening",
        "trainables/ensembles/models",
        "trainables/machine/imports.py",
    ),
    "keras": (
        "trainables/own_code",
        "trainables/hypermodels",
        "trainables/families",
        "trainables/families/parts",
        "trainables/graphs",
        "trainables/steps",
        "trainables/training",
        "trainables/exporting",
        "trainables/opening",
        "trainables/ensembles/models",
        "trainables/machine/imports.py",
        "trainables/data/sources/keras_sets.py",
        "orchestrator/driver/result.py",  # load_model only, for its caller
        "orchestrator/studies",  # packaged models of users' kind, imported in workers
    ),
    "keras_tuner": ("trainables/hypermodels",),
    "ray": (
        "orchestrator/forking/ray_workers.py",
        "orchestrator/cluster",
        "orchestrator/nodes",
        "orchestrator/cluster/jobs",
        "orchestrator/tuning",
        "orchestrator/export",
        "orchestrator/serving/on_ray",
        "trainables/worker/adapter.py",
    ),
    "fastapi": (
        "orchestrator/serving/application.py",
        "orchestrator/dashboard/data.py",
        "orchestrator/dashboard/server.py",
        "orchestrator/dashboard/pages/compare.py",
    ),
    "nicegui": ("orchestrator/dashboard/parts", "orchestrator/dashboard/pages", "orchestrator/dashboard/server.py"),
    "uvicorn": ("orchestrator/dashboard/server.py",),
    "starlette": ("orchestrator/serving/application.py",),
    "prometheus_client": ("orchestrator/serving/metrics.py",),
    "optuna": ("orchestrator/search", "orchestrator/search/algorithms", "orchestrator/results/optuna_journal.py"),
    "boto3": ("orchestrator/registry/buckets/creation.py",),
    "botocore": ("orchestrator/registry/buckets/creation.py",),
    "pyarrow": (
        "orchestrator/results",
        "orchestrator/analysis/tables.py",
        "orchestrator/replicates/tables.py",
        "orchestrator/views/report",
        "orchestrator/driver/result.py",
        "orchestrator/ensembles/predictions.py",
        "orchestrator/dashboard/answers/table_files.py",
        "trainables/data/sources",
        "trainables/data/parquet",
        "trainables/data/tables",
        "trainables/data/guess",
        "trainables/files/remote.py",
    ),
    "sklearn": (
        "trainables/data/sources/digits.py",
        "trainables/references",
        "orchestrator/search/surrogate.py",
        "orchestrator/analysis/held_out.py",
    ),
    "plotly": ("orchestrator/views/report",),
    "rich": ("orchestrator/views/terminal", "orchestrator/views/fleet", "orchestrator/cli", "orchestrator/cli/models"),
    "typer": (
        "orchestrator/cli",
        "orchestrator/cli/models",
        "orchestrator/cli/steering",
        "orchestrator/cli/cluster",
        "orchestrator/cli/app",
    ),
    "PIL": (
        "trainables/data/formats",
        "trainables/data/images",
        "trainables/data/look/sheet.py",
        "trainables/data/augment/picture.py",
    ),
    "simplejpeg": ("trainables/data/formats/jpeg.py",),
    "ai_edge_litert": ("trainables/exporting/runtimes/litert.py",),
    "onnx": ("trainables/exporting/runtimes/onnx.py",),
    "tf2onnx": ("trainables/exporting/runtimes/onnx.py",),
    "onnxruntime": ("trainables/exporting/runtimes/onnx.py", "trainables/exporting/runtimes/onnx_int8.py"),
    "openvino": ("trainables/exporting/runtimes/openvino.py",),
    "tensorboard": ("orchestrator/trackers/tensorboard.py",),
    "mlflow": ("orchestrator/trackers/mlflow.py",),
    "wandb": ("orchestrator/trackers/wandb.py",),
    "nncf": ("trainables/exporting/runtimes/openvino_int8.py",),
    "pydicom": ("trainables/data/formats/dicom.py",),
    "pydantic": ("trainables/specs", "orchestrator/study", "orchestrator/study/keys"),
    "yaml": (
        "orchestrator/study",
        "orchestrator/draft",
        "search_spaces/parsing.py",
        "search_spaces/portfolio.py",
        "orchestrator/mirror/fetch.py",
        "orchestrator/cluster/kubernetes/kubectl.py",
    ),
}
RANKS = {
    f"{package}/{room}": (number, position)
    for number, (package, order) in enumerate(ORDER.items())
    for position, step in enumerate(order)
    for room in (step if isinstance(step, tuple) else (step,))
}


#: Modules of a folder that are rooms by themselves: the one that registers all commands stands above them.
ALONE = ("orchestrator/cli/app.py",)


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
def path_text(root: Path, path: str) -> str:
    return (root / path).read_text(encoding="utf-8")


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
    if "/" in folder and path not in ALONE:
        return folder
    return f"{folder}/{name.removesuffix('.py')}"


def is_face(path: str) -> bool:
    """Returns whether a file is a package's public face, which names what its rooms define."""
    return path in {f"{package}/__init__.py" for package in PACKAGES}


def planted(files: Mapping[str, str], folder: Path) -> Path:
    """Copies the packages into a folder, adds text to files of the copy, and returns the folder."""
    for path, _, text in sources(ROOT):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with (folder / path).open("a", encoding="utf-8") as file:
            file.write(f"\n\n{text}")
    return folder
