"""The registry as Python users get it."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import RegistryError
from orchestrator.registry.changes import Changes
from orchestrator.registry.entries import ModelVersion
from orchestrator.registry.folder import REGISTRY, check_registry, registry_folder
from orchestrator.registry.group import ModelGroup, split_text
from orchestrator.registry.history import known_model, model_names
from orchestrator.registry.loading import LoadedModel, LoadedModels, chosen_format, load_version, manifest_of
from orchestrator.registry.names import PRODUCTION
from orchestrator.registry.state import NamedModel
from orchestrator.text import shown


class Registry:
    """Finished models by name, with versions and aliases, in a folder or in S3.

    Several processes may read and change one registry at the same time. Only `load` imports TensorFlow,
    and not for the formats of other runtimes.

    Examples:
        Keeps the best model of a run, and loads it wherever it is needed::

            import convfleet

            registry = convfleet.Registry("registry")
            version = registry.add("runs/quickstart", name="digits", alias="production")
            model = registry.load("digits", alias="production")
            print(version.version, model.manifest["outputs"][0]["class_names"])

    Args:
        path: The folder, or a URI such as s3://bucket/registry; `add` makes it.
        memory_mb: How many MB (10^6 bytes) of files of models stay loaded; None: all. The least recently used leave
            first, and are loaded again when they are needed.

    Raises:
        InputError: If the path is a URI of another store than S3, or the budget is none.
    """

    def __init__(self, path: Path | str = REGISTRY, *, memory_mb: float | None = None) -> None:
        if memory_mb is not None and not memory_mb > 0:
            raise RegistryError(
                f"memory_mb: must be a number above 0, got {shown(memory_mb)}; leave it out for no limit"
            )
        self._folder = registry_folder(path)
        self._changes = Changes(folder=self._folder)
        budget = None if memory_mb is None else memory_mb * 1e6
        self._loaded = LoadedModels(
            budget_bytes=budget, load=lambda version, form: load_version(self._folder, version, form=form)
        )
        #: Held while a model is loaded: two threads do not load the same one twice, nor more than the budget.
        self._loading = threading.RLock()

    @property
    def path(self) -> Path:
        """The registry's folder; of a registry in S3 this machine's mirror of its histories."""
        return self._folder.root

    def names(self) -> list[str]:
        """Returns the names of all models, in order.

        Raises:
            InputError: If there is no registry.
        """
        check_registry(self._folder)
        return model_names(self._folder)

    def model(self, name: str) -> NamedModel:
        """Returns a model's versions, its aliases and all their moves, as they are now.

        Raises:
            InputError: If there is no such model, or its history is damaged.
        """
        check_registry(self._folder)
        return known_model(self._folder, name)

    def add(self, source: Path | str, *, name: str, rank: int | None = None, alias: str | None = None) -> ModelVersion:
        """Adds an export as the next version of a model and returns it.

        Args:
            source: The folder of an export, or a run folder.
            name: The model's name; a new one begins with version 1.
            rank: Which export of a run; None: the best.
            alias: Points to the version from the moment on that it is there.

        Raises:
            InputError: If there is no such export, it is damaged, or a name is wrong; nothing was added.
        """
        # Late: it brings a reader of journals, which only this method needs.
        from orchestrator.registry.sources import export_folder

        return self._changes.add(export_folder(Path(source), rank=rank), name=name, alias=alias)

    def promote(self, name: str, version: str | int | Mapping[int, float], *, to: str = PRODUCTION) -> ModelVersion:
        """Makes an alias point to a version, at once for all readers, and returns the version.

        Args:
            name: The model's name.
            version: Its number, or an alias that points to it. With shares by number, such as `{3: 0.9, 4: 0.1}`,
                versions share who asks by a key, and the alias goes on pointing where it does; `{}` ends that.
            to: The alias.

        Raises:
            InputError: If there is no such model or version, or the shares are none.
        """
        if isinstance(version, Mapping):
            return self._changes.split(name, version, alias=to).pointed_to(to)
        return self._changes.point(name, version, alias=to).pointed_to(to)

    def rollback(self, name: str, *, alias: str = PRODUCTION) -> ModelVersion:
        """Makes an alias point to the version again that it pointed to before, and returns that version.

        Raises:
            InputError: If there is no such model, or the alias pointed to no other version before.
        """
        return self._changes.roll_back(name, alias=alias).pointed_to(alias)

    def remove(self, name: str, version: str | int, *, force: bool = False) -> ModelVersion:
        """Removes a version and the files that no other version has, and returns what it was.

        Args:
            name: The model's name.
            version: Its number, or an alias that points to it.
            force: Whether aliases that point to the version are taken away; otherwise they keep it.

        Raises:
            InputError: If there is no such model or version, or an alias points to it.
        """
        return self._changes.remove(name, version, force=force)[0]

    def collect(self) -> tuple[int, int]:
        """Deletes the files that no version has, as killed processes leave them; returns how many, and their bytes.

        Raises:
            InputError: If a history is damaged, so that its files are not known; nothing was deleted.
        """
        return self._changes.collect()

    def load(
        self,
        name: str,
        *,
        alias: str | None = None,
        version: int | None = None,
        form: str | None = None,
        key: str | None = None,
    ) -> LoadedModel:
        """Returns a model to predict with; from memory if this object has loaded it before.

        Args:
            name: The model's name.
            alias: Which version: where the alias points now. Default: production.
            version: Which version, by its number.
            form: One of the version's formats; default: keras, or the first that the version has.
            key: Who asks, where versions share the alias: equal keys get equal versions, as from a server.

        Raises:
            InputError: If there is no such model or version, one of its files is damaged, or it exceeds the budget.
        """
        if alias is not None and version is not None:
            raise RegistryError(f"load: give an alias or a version, not both, got alias={alias!r}, version={version!r}")
        with self._loading:
            # A version never changes, so that one in memory needs no look at the disk.
            if version is not None and (known := self._loaded.known(name, version, form)) is not None:
                return known
            model = self.model(name)
            found = model.named(version) if version is not None else model.pointed_to(alias or PRODUCTION, key=key)
            try:
                return self._loaded.get(found, chosen_format(found, form))
            except RegistryError:
                # Its files are gone as well if another process removed it meanwhile; that is the better reason.
                self.model(name).demand(found.version)
                raise

    def group(self, models: Mapping[str, str | Callable[[], Any]]) -> ModelGroup:
        """Returns several models as one object, each loaded when it is first needed.

        Args:
            models: By name, a text such as `digits` (its production), `digits@candidate` or `digits@3`, or a function
                that returns anything with a `predict`.

        Raises:
            InputError: If a name cannot be an attribute, or a value is neither a text nor a function.
        """

        def find(text: str) -> tuple[str, int]:
            name, which = split_text(text)
            return name, self.model(name).named(PRODUCTION if which is None else which).version

        return ModelGroup(models, find=find, load=lambda name, version: self.load(name, version=version))

    def manifest(self, version: ModelVersion) -> dict[str, Any]:
        """Returns the manifest of a version's export.

        Raises:
            InputError: If the file is damaged or missing.
        """
        return manifest_of(self._folder, version)
