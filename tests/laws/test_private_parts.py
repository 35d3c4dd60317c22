"""What is private in Keras, TensorFlow and Ray is used in a few files, which name the version it was seen in."""

import ast
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: The files of `trainables` that use private parts, each with the library and the version that its docstring names.
FILES = {
    "trainables/families/parts/keras_internals.py": ("keras", "Keras 3.15"),
    "trainables/steps/fused_optimizers.py": ("keras", "Keras 3.15"),
    "trainables/families/building.py": ("tensorflow", "TensorFlow 2.21"),
    "trainables/training/devices.py": ("tensorflow", "TensorFlow 2.21"),
    "trainables/graphs/recording.py": ("tensorflow", "TensorFlow 2.21"),
    "trainables/graphs/sharing.py": ("tensorflow", "TensorFlow 2.21"),
}
#: The files of `orchestrator` that import Ray's private modules, likewise.
RAY_FILES = {
    "orchestrator/cluster/ray_internals.py": ("ray", "Ray 2.60"),
    "orchestrator/forking/ray_workers.py": ("ray", "Ray 2.60"),
    "orchestrator/serving/on_ray/serve_internals.py": ("ray", "Ray 2.60"),
    "orchestrator/tuning/tune_internals.py": ("ray", "Ray 2.60"),
}
RAY_MODULES = (
    "ray._private",
    "ray._raylet",
    "ray.air.execution._internal",
    "ray.core",
    "ray.serve._private",
    "ray.train._internal",
    "ray.tune.execution",
)
#: Underscored and public all the same: methods of named tuples.
PUBLIC = {"_replace", "_asdict"}


def private_touches(text: str) -> Iterator[str]:
    """Yields each use of a name that another class or library keeps to itself."""
    tree = ast.parse(text)
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    own = {node.attr for node in attributes if is_own(node)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in attributes:
        is_private = node.attr.startswith("_") and not node.attr.startswith("__")
        if is_private and not is_own(node) and node.attr not in own | PUBLIC:
            yield ast.unparse(node)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "object.__setattr__":
            yield ast.unparse(node)
        modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for module in modules:
            if module.startswith(("tensorflow.python", "tensorflow.core", "keras.src")):
                yield module


def is_own(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def files_with_touches(root: Path) -> dict[str, list[str]]:
    paths = sorted((root / "trainables").rglob("*.py"))
    touches = {
        path.relative_to(root).as_posix(): list(private_touches(path.read_text(encoding="utf-8"))) for path in paths
    }
    return {path: found for path, found in touches.items() if found}


def test_private_parts_are_used_in_their_files_alone():
    assert files_with_touches(ROOT).keys() == FILES.keys()


@pytest.mark.parametrize(
    "planted",
    [
        "def f(model):\n    return model._flatten_layers()\n",
        "def f(layer, call):\n    object.__setattr__(layer, 'call', call)\n",
        "def f():\n    from tensorflow.python.eager import context\n",
        "import keras.src.optimizers\n",
    ],
)
def test_planted_use_of_a_private_part_is_found(planted, tmp_path):
    path = tmp_path / "trainables" / "steps" / "losses.py"
    path.parent.mkdir(parents=True)
    path.write_text(planted, encoding="utf-8")
    assert list(files_with_touches(tmp_path)) == ["trainables/steps/losses.py"]


@pytest.mark.parametrize(
    "allowed",
    [
        "class A:\n    def f(self, other):\n        self._x = other._x\n",
        "def f(parts):\n    return parts._replace(query='')\n",
        "def f(layer):\n    return layer.__dict__\n",
    ],
)
def test_what_is_no_use_of_a_private_part_is_not_found(allowed):
    assert list(private_touches(allowed)) == []


def imports_of_ray(root: Path) -> set[str]:
    """Returns the files that import one of Ray's private modules."""
    return {
        path.relative_to(root).as_posix()
        for package in ("orchestrator", "trainables")
        for path in (root / package).rglob("*.py")
        if any(name.startswith(RAY_MODULES) for name in imported(path.read_text(encoding="utf-8")))
    }


def imported(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_private_modules_of_ray_are_imported_in_their_files_alone():
    assert imports_of_ray(ROOT) == RAY_FILES.keys()


@pytest.mark.parametrize("planted", ["from ray import _private\n", "def f():\n    import ray._raylet\n"])
def test_planted_import_of_a_private_module_of_ray_is_found(planted, tmp_path):
    path = tmp_path / "orchestrator" / "driver" / "session.py"
    path.parent.mkdir(parents=True)
    path.write_text(planted, encoding="utf-8")
    assert imports_of_ray(tmp_path) == {"orchestrator/driver/session.py"}


@pytest.mark.parametrize("path", [*FILES, *RAY_FILES])
def test_file_names_the_installed_version(path):
    library, seen_in = (FILES | RAY_FILES)[path]
    docstring = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8"))) or ""
    assert seen_in in docstring
    installed = version(library)
    assert f"{installed}.".startswith(f"{seen_in.split()[1]}."), f"{path} was written for {seen_in}: see what changed"
