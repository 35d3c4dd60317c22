"""Versions in memory: loaded when first asked for, and let go, least recently used first, within a budget."""

import gc
import json
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import RegistryError
from orchestrator.registry.blobs import copy_out
from orchestrator.registry.entries import ModelVersion
from orchestrator.registry.folder import RegistryFolder
from orchestrator.text import size_in_words
from trainables.errors import ModelExportError
from trainables.files.manifests import MANIFEST
from trainables.machine.processes import usable_cpus
from trainables.specs.export import FACTS, FILES

if TYPE_CHECKING:
    from trainables.opening.opened_model import OpenedModel


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedModel:
    """A version of a model, ready to predict.

    Attributes:
        version: The version that it was loaded from.
        manifest: Of its export: inputs, outputs with their class names, preprocessing, metrics.
        model: The Keras model, or what TensorFlow or the runtime of its format loaded.
    """

    version: ModelVersion
    manifest: Mapping[str, Any]
    model: Any
    _predict: Callable[[Any], Any]

    def predict(self, images: Any) -> Any:
        """Returns the outputs of the model for images: one array, or one by output name where it has several.

        Args:
            images: (count, height, width, channels), pixels of 0 to 255 of any number type, of the size that the
                manifest says; one such array by input name where the model has several inputs.

        Raises:
            InputError: If the images are not what the model takes.
        """
        try:
            return self._predict(images)
        except ModelExportError as exc:
            raise RegistryError(f"{self.version.name} version {self.version.version}: {exc}") from exc

    def __repr__(self) -> str:
        return f"<LoadedModel {self.version.name} version {self.version.version}>"


def load_version(folder: RegistryFolder, version: ModelVersion, *, form: str) -> LoadedModel:
    """Returns a version, loaded from one of its formats; every file is checked first.

    Raises:
        RegistryError: If a file is damaged, or the format's runtime cannot load it.
    """
    with tempfile.TemporaryDirectory(prefix="convfleet-") as name:
        # What was copied is what was checked: nothing that happens to the registry meanwhile gets into the model.
        draft = Path(name)
        manifest = manifest_of(folder, version)
        copy_out(folder, version, names=version.files_of(form), target=draft)
        try:
            opened = _opened(draft, form=form, inputs=manifest["inputs"])
        except ModelExportError as exc:
            made = ", ".join(f"{key} {manifest.get('versions', {}).get(key)}" for key in ("tensorflow", "keras"))
            raise RegistryError(f"{version.name} version {version.version}: {exc}; it was made by {made}") from exc
    return LoadedModel(version=version, manifest=manifest, model=opened.model, _predict=opened.predict)


def _opened(folder: Path, *, form: str, inputs: Sequence[Mapping[str, Any]]) -> "OpenedModel":
    # Late: each brings a runtime, which only who loads a model needs; the second one TensorFlow.
    if FACTS[form].packages:
        from trainables.opening.opened_model import open_converted

        return open_converted(folder, form=form, inputs=inputs, threads=usable_cpus())
    from trainables.opening.tensorflow_formats import open_model

    return open_model(folder, form=form, inputs=inputs)


def manifest_of(folder: RegistryFolder, version: ModelVersion) -> dict[str, Any]:
    """Returns the manifest of a version's export.

    Raises:
        RegistryError: If the file is damaged or missing.
    """
    with tempfile.TemporaryDirectory(prefix="convfleet-") as name:
        copy_out(folder, version, names=[MANIFEST], target=Path(name))
        content: dict[str, Any] = json.loads((Path(name) / MANIFEST).read_text(encoding="utf-8"))
    return content


def chosen_format(version: ModelVersion, form: str | None) -> str:
    """Returns the format to load a version from: the one asked for, or keras, or saved_model.

    Raises:
        RegistryError: If the version does not have it.
    """
    if form is None and version.formats:
        return version.formats[0]
    if form not in version.formats:
        has = ", ".join(version.formats) or "none that can be loaded"
        asked = f"format: must be one of {', '.join(FILES)}, which the version has, got {form!r}; " if form else ""
        raise RegistryError(f"{version.name} version {version.version}: {asked}its formats: {has}")
    return form


class LoadedModels:
    """Models in memory, at most so many bytes of files; the least recently used leave first.

    Args:
        budget_bytes: Of the files that the models were loaded from; None: all stay.
        load: Returns a version, loaded from a format.
    """

    def __init__(self, *, budget_bytes: float | None, load: Callable[[ModelVersion, str], LoadedModel]) -> None:
        self._budget = budget_bytes
        self._load = load
        #: Least recently used first; together they never have more bytes than the budget.
        self._models: OrderedDict[tuple[str, int, str], LoadedModel] = OrderedDict()
        #: Held for moments, never while a model is loaded: others can be had meanwhile.
        self._changing = threading.Lock()

    @property
    def loaded(self) -> list[tuple[str, int]]:
        """Names and versions in memory, least recently used first."""
        with self._changing:
            return [(name, version) for name, version, _ in self._models]

    @property
    def size_bytes(self) -> int:
        """The bytes that count against the budget."""
        with self._changing:
            return self._size_bytes()

    def known(self, name: str, version: int, form: str | None) -> LoadedModel | None:
        """Returns a model that is in memory, and notes its use; None if it is not.

        Args:
            name: The model's name.
            version: Its number.
            form: Its format; None: the one that is loaded unless another is asked for.
        """
        with self._changing:
            for key, model in self._models.items():
                if key == (name, version, form or model.version.formats[0]):
                    self._models.move_to_end(key)
                    return model
        return None

    def get(self, version: ModelVersion, form: str) -> LoadedModel:
        """Returns a model from memory, or loads it after others have made room for it.

        Raises:
            RegistryError: If it alone exceeds the budget, or cannot be loaded.
        """
        model = self.known(version.name, version.version, form)
        if model is not None and model.version.files == version.files:
            return model
        self._make_room(version, form)
        model = self._load(version, form)
        with self._changing:
            self._models[version.name, version.version, form] = model
        return model

    def _make_room(self, version: ModelVersion, form: str) -> None:
        size, budget = _size(version, form), self._budget
        if budget is None:
            return
        if size > budget:
            raise RegistryError(
                f"memory_mb: {version.name} version {version.version} has {size_in_words(size)} of {form} alone, the "
                f"budget is {size_in_words(int(budget))}; give more"
            )
        is_full = False
        with self._changing:
            while self._models and self._size_bytes() + size > budget:
                self._models.popitem(last=False)
                is_full = True
        if is_full:
            # A traced function and its model refer to each other, so that the memory is not free by itself.
            gc.collect()

    def _size_bytes(self) -> int:
        return sum(_size(model.version, form) for (_, _, form), model in self._models.items())


def _size(version: ModelVersion, form: str) -> int:
    return sum(version.files[name]["size_bytes"] for name in version.files_of(form))
