"""Several models in one object over one input."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orchestrator.errors import RegistryError
from orchestrator.registry.names import what_there_is
from orchestrator.text import shown

#: How a text names a version: the model's name, perhaps with an alias or a number behind this.
SEPARATOR = "@"


class ModelGroup(Mapping[str, Any]):
    """Several models by name, each loaded when it is first needed; over one input, each gives its output.

    `group["digit"]` and `group.digit` are the same model. What a text's alias points to is looked up when the model
    is first needed, and stays so in this group. A model that a text names leaves memory as the registry's others do,
    and is loaded again when it is next needed; what a function returned stays.

    Args:
        models: By name, a text such as `digits`, `digits@candidate` or `digits@3`, or a function that returns anything
            with a `predict`.
        find: Returns the name and the version that a text stands for.
        load: Returns the model of a name and a version.
    """

    def __init__(
        self,
        models: Mapping[str, str | Callable[[], Any]],
        *,
        find: Callable[[str], tuple[str, int]],
        load: Callable[[str, int], Any],
    ) -> None:
        self._sources = {_checked(name): _source(name, source) for name, source in models.items()}
        self._find = find
        self._load = load
        self._found: dict[str, tuple[str, int]] = {}
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        source = self._sources.get(name)
        if source is None:
            raise RegistryError(f"no model of the group is called {name!r}{self._known(name)}")
        if isinstance(source, str):
            if name not in self._found:
                self._found[name] = self._find(source)
            return self._load(*self._found[name])
        if name not in self._made:
            self._made[name] = source()
        return self._made[name]

    def __getattr__(self, name: str) -> Any:
        # Private names are asked for while an object is copied, before it has any.
        if name.startswith("_") or name not in self._sources:
            raise AttributeError(
                f"no model of the group is called {name!r}" + ("" if name[:1] == "_" else self._known(name))
            )
        return self[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def __len__(self) -> int:
        return len(self._sources)

    def predict(self, images: Any) -> dict[str, Any]:
        """Returns what each model predicts for the same images, by its name in the group."""
        return {name: self[name].predict(images) for name in self}

    def _known(self, name: str) -> str:
        return what_there_is(name, self._sources, kind="models")


def split_text(text: str) -> tuple[str, str | None]:
    """Returns the model's name and the alias or number in a text that names a version.

    >>> split_text("digits@3"), split_text("digits")
    (('digits', '3'), ('digits', None))
    """
    name, separator, version = text.partition(SEPARATOR)
    return name, version if separator else None


def _checked(name: str) -> str:
    if not name.isidentifier() or name.startswith("_") or hasattr(Mapping, name) or name == "predict":
        raise RegistryError(
            "models: a name in a group must be a Python name such as digit that begins with no '_' and is no method's, "
            f"such as predict, items or values; got {shown(name)}"
        )
    return name


def _source(name: str, source: object) -> Any:
    if isinstance(source, str) or callable(source):
        return source
    raise RegistryError(
        f"models: {name}: must be a text such as digits@production, or a function that returns a model, got "
        f"{shown(source)}"
    )
