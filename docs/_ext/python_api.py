"""The public Python names, one autodoc entry each, from the `__all__` of the package's face."""

import inspect
from importlib import import_module
from importlib.util import find_spec

#: What a user's builder sees of a task, and how it refuses a variant.
_BUILDER = (("trainables.specs.task", ("Target", "Task")), ("trainables.errors", ("InfeasibleError",)))
#: What a registry returns.
_REGISTRY = (
    ("orchestrator.registry.loading", ("LoadedModel",)),
    ("orchestrator.registry.group", ("ModelGroup",)),
    ("orchestrator.registry.entries", ("ModelVersion",)),
    ("orchestrator.registry.state", ("NamedModel", "AliasMove")),
)
#: What `models` returns.
_FLEET = (
    ("orchestrator.fleet.fleet", ("Fleet",)),
    ("orchestrator.fleet.model", ("FleetModel", "FleetExport")),
    ("orchestrator.fleet.checkpoints", ("KeptCheckpoint",)),
)
#: Members that are shown of classes that have others, such as pydantic's; empty: none.
_MEMBERS = {
    "StudySpec": "num_trials, study_id, to_yaml",
    "Target": "",
    "NamedModel": "aliases, aliases_of, before",
    "AliasMove": "",
    "Task": "classification, has_one_target",
}


def markdown(argument: str) -> str:
    """Returns the entries of the face, or of what a user's `builder` sees, or a `registry` or a `fleet` returns."""
    listed = {"builder": _BUILDER, "registry": _REGISTRY, "fleet": _FLEET}.get(argument, ())
    pairs = [(module, name) for module, names in listed for name in names]
    if not pairs:
        pairs = [(face(), name) for name in public_names()]
    lines = [line for module, name in pairs for line in _entry(module, name)]
    return "\n".join(["```{eval-rst}", *lines, "```"])


def face() -> str:
    """Returns the package that people import."""
    return "convfleet" if find_spec("convfleet") is not None else "orchestrator"


def public_names() -> list[str]:
    """Returns the face's public names, functions first."""
    module = import_module(face())
    names = [name for name in module.__all__ if not name.startswith("__")]
    return sorted(names, key=lambda name: (not inspect.isfunction(getattr(module, name)), _is_error(module, name)))


def _is_error(module: object, name: str) -> bool:
    item = getattr(module, name)
    return inspect.isclass(item) and issubclass(item, Exception)


def _entry(module: str, name: str) -> list[str]:
    item = getattr(import_module(module), name)
    if inspect.isfunction(item):
        return [f".. autofunction:: {module}.{name}", ""]
    if issubclass(item, Exception):
        return [f".. autoexception:: {module}.{name}", "   :no-members:", ""]
    members = _MEMBERS.get(name)
    options = ["   :no-members:"] if members == "" else [f"   :members: {members or ''}".rstrip()]
    return [f".. autoclass:: {module}.{name}", *options, ""]
