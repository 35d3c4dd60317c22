"""The models of a registry as a server answers with them: found by name, loaded within a budget, promoted in place."""

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from orchestrator.errors import RegistryError
from orchestrator.registry.entries import ModelVersion
from orchestrator.registry.folder import RegistryFolder, check_registry
from orchestrator.registry.history import count_changes, known_model
from orchestrator.registry.loading import LoadedModel, LoadedModels, load_version, manifest_of
from orchestrator.registry.names import PRODUCTION, is_model_name, version_number, what_there_is
from orchestrator.registry.state import NamedModel, version_for
from orchestrator.serving.described import DescribedVersion, described_version
from orchestrator.serving.protocol import RequestRefusedError

logger = logging.getLogger(__name__)

#: After how many seconds a model that could not be taken up is tried again: at first, then twice as long each time.
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 5.0, 320.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model as requests see it.

    Attributes:
        name: Its name.
        versions: By number.
        aliases: The number that each alias stands for in answers; what the registry says, once that version is ready.
        splits: The shares of versions, by alias, likewise.
    """

    name: str
    versions: Mapping[int, ModelVersion]
    aliases: Mapping[str, int]
    splits: Mapping[str, Mapping[int, float]] = field(default_factory=dict)


@dataclass(slots=True)
class _Known:
    """What the last looks at the registry found."""

    #: How many entries the history of each model had.
    heads: dict[str, int] = field(default_factory=dict)
    models: dict[str, ServedModel] = field(default_factory=dict)
    #: Of models that could not be taken up: when they are tried again, in the event loop's time, and after what wait.
    retries: dict[str, tuple[float, float]] = field(default_factory=dict)
    #: By name and number; versions never change.
    described: dict[tuple[str, int], DescribedVersion] = field(default_factory=dict)


class ServedModels:
    """Finds and loads versions of models; belongs to one event loop, and reads files in other threads.

    Args:
        folder: The registry.
        memory_bytes: Of files of models that stay loaded; None: all.
        executor: Where files are read.
        on_failure: Receives the name of a model whose promotion or history could not be taken up.
    """

    def __init__(
        self,
        folder: RegistryFolder,
        *,
        memory_bytes: float | None,
        executor: Executor,
        on_failure: Callable[[str], None] = lambda name: None,
    ) -> None:
        self._folder = folder
        self._executor = executor
        self._on_failure = on_failure
        self._known = _Known()
        self._loaded = LoadedModels(budget_bytes=memory_bytes, load=self._load)
        #: While a promoted version is loaded, the one before it goes on answering, whatever the budget says.
        self._kept: dict[tuple[str, int], LoadedModel] = {}
        self._loading = asyncio.Lock()
        self._looking = asyncio.Lock()
        #: An event loop itself does not keep tasks alive.
        self._tasks: set[asyncio.Task[LoadedModel]] = set()

    @property
    def names(self) -> list[str]:
        """The names of all models."""
        return sorted(self._known.models)

    def versions_of(self, name: str) -> list[int]:
        """Returns the numbers of a model's versions, ascending; none if it is not known."""
        model = self._known.models.get(name)
        return sorted(model.versions) if model is not None else []

    async def refresh(self) -> None:
        """Takes up what has changed in the registry since the last look.

        A model that cannot be read, or whose promoted version cannot be loaded, stays as it was, and is tried again:
        what was in the way, such as a file system that was away or memory that was short, may have gone.

        Raises:
            RegistryError: If there is no registry any more; nothing was changed.
        """
        async with self._looking:
            heads = await self._off_loop(self._heads)
            for name in [name for name in self._known.models if name not in heads]:
                del self._known.models[name]
            for name, head in heads.items():
                due, _ = self._known.retries.get(name, (math.inf, 0.0))
                is_changed = self._known.heads.get(name) != head
                if is_changed:
                    self._known.retries.pop(name, None)
                if is_changed or self._now() >= due:
                    self._plan_retry(name, has_failed=not await self._take_up(name))
            self._known.heads = heads
            self._known.retries = {name: due for name, due in self._known.retries.items() if name in heads}

    async def found(self, name: str, which: str | None, *, key: str | None = None) -> ModelVersion:
        """Returns the version that a request means, after another look at the registry if it is not known.

        Args:
            name: The model's name.
            which: A number or an alias; None: production.
            key: Who asks, where versions share the alias.

        Raises:
            RequestRefusedError: With 404, if there is none.
        """
        if (version := self._find(name, which, key)) is None:
            try:
                await self.refresh()
            except (RegistryError, OSError) as exc:
                raise RequestRefusedError(f"the registry cannot be read: {exc}", status=503) from exc
            version = self._find(name, which, key)
        if version is None:
            raise RequestRefusedError(self._missing(name, which), status=404)
        return version

    async def described(self, version: ModelVersion) -> DescribedVersion:
        """Returns what a version's manifest says.

        Raises:
            RequestRefusedError: With 503, if its files are damaged.
        """
        key = (version.name, version.version)
        found = self._known.described.get(key)
        # In a registry that was made anew, a number may stand for other files.
        if found is None or found.version.files != version.files:
            try:
                found = self._known.described[key] = await self._off_loop(self._describe, version)
            except RegistryError as exc:
                raise await self._unavailable(version, exc) from exc
        return found

    async def ready(self, version: ModelVersion) -> LoadedModel:
        """Returns a version to predict with: from memory, or loaded by the best of its formats that can be.

        Raises:
            RequestRefusedError: With 503, if no format can be loaded; with 404, if the version was removed meanwhile.
        """
        described = await self.described(version)
        if (model := self._in_memory(described)) is not None:
            return model
        # The thread that loads goes on when its request is given up, and so does the lock that others wait for.
        task = asyncio.create_task(self._loaded_now(described))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except RegistryError as exc:
            raise await self._unavailable(version, exc) from exc

    async def _loaded_now(self, described: DescribedVersion) -> LoadedModel:
        async with self._loading:
            # Another request may have loaded it while this one waited.
            if (model := self._in_memory(described)) is not None:
                return model
            for form in described.formats:
                try:
                    return await self._off_loop(self._loaded.get, described.version, form)
                except RegistryError as exc:
                    logger.warning("format=%s reason=%s", form, exc)
                    problem = exc
            raise problem

    def _in_memory(self, described: DescribedVersion) -> LoadedModel | None:
        key = (described.version.name, described.version.version)
        found = [self._kept.get(key), *(self._loaded.known(*key, form) for form in described.formats)]
        files = described.version.files
        return next((model for model in found if model is not None and model.version.files == files), None)

    def _plan_retry(self, name: str, *, has_failed: bool) -> None:
        _, waited = self._known.retries.pop(name, (0.0, 0.0))
        if has_failed:
            seconds = min(max(_FIRST_RETRY_SECONDS, 2 * waited), _LAST_RETRY_SECONDS)
            self._known.retries[name] = (self._now() + seconds, seconds)

    async def _take_up(self, name: str) -> bool:
        """Returns whether a model is now as the registry has it."""
        before = self._known.models.get(name)
        try:
            model = await self._off_loop(known_model, self._folder, name)
        except RegistryError as exc:
            logger.error("model=%s reason=%s", name, exc)
            self._on_failure(name)
            return False
        aliases = dict(model.aliases)
        if before is not None:
            for alias, number in before.aliases.items():
                if not await self._can_move(model, number, to=aliases.get(alias)):
                    aliases[alias] = number
        splits = await self._splits_of(model, aliases=aliases, before=before)
        self._known.models[name] = ServedModel(name=name, versions=dict(model.versions), aliases=aliases, splits=splits)
        self._known.described = {
            key: value for key, value in self._known.described.items() if key[0] != name or key[1] in model.versions
        }
        return aliases == dict(model.aliases) and splits == model.splits

    async def _splits_of(
        self, model: NamedModel, *, aliases: Mapping[str, int], before: ServedModel | None
    ) -> dict[str, Mapping[int, float]]:
        """Returns the splits that requests see: a new one once its versions are loaded, if the alias's own one is."""
        known = before.splits if before is not None else {}
        splits = {}
        for alias, shares in model.splits.items():
            is_known = known.get(alias) == shares
            # An alias that could not move keeps its version, and nobody is given another one.
            if aliases.get(alias) == model.aliases[alias] and (
                is_known or all([await self._can_move(model, aliases[alias], to=version) for version in shares])
            ):
                splits[alias] = shares
        return splits

    async def _can_move(self, model: NamedModel, number: int, *, to: int | None) -> bool:
        """Returns whether an alias may move from a version to another one; loads that one if the first is loaded."""
        if to is None or to == number or number not in model.versions:
            return True
        key = (model.name, number)
        described = self._known.described.get(key)
        old = self._in_memory(described) if described is not None else None
        if old is None:
            return True
        self._kept[key] = old
        try:
            await self.ready(model.versions[to])
        except RequestRefusedError as exc:
            logger.error("model=%s version=%d reason=%s", model.name, to, exc)
            self._on_failure(model.name)
            return False
        finally:
            del self._kept[key]
        return True

    def _find(self, name: str, which: str | None, key: str | None) -> ModelVersion | None:
        model = self._known.models.get(name)
        if model is None:
            return None
        number = version_number(which) if which is not None else None
        alias = which or PRODUCTION
        if number is None and key is not None and (shares := model.splits.get(alias)):
            number = version_for(key, name=name, of=shares)
        return model.versions.get(number or model.aliases.get(alias, 0))

    def _missing(self, name: str, which: str | None) -> str:
        model = self._known.models.get(name)
        if model is None:
            shown = name if is_model_name(name) else "that"
            return f"no model is called {shown!r}{what_there_is(name, self.names, kind='models')}"
        has = what_there_is(which, model.aliases, kind="aliases") + what_there_is(None, model.versions, kind="versions")
        return f"{name}: no version is called {(which or PRODUCTION)[:100]!r}{has}"

    async def _unavailable(self, version: ModelVersion, exc: RegistryError) -> RequestRefusedError:
        """Returns why a version cannot be had; that it was removed meanwhile is the better reason."""
        try:
            model = await self._off_loop(known_model, self._folder, version.name)
        except RegistryError:
            model = None
        if model is not None and version.version not in model.versions:
            return RequestRefusedError(f"{version.name}: version {version.version} was removed", status=404)
        logger.error("model=%s version=%d reason=%s", version.name, version.version, exc)
        return RequestRefusedError(
            f"{version.name} version {version.version} cannot be loaded; the server's log says why", status=503
        )

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _heads(self) -> dict[str, int]:
        heads = count_changes(self._folder)
        # Afterwards: of a registry that went away meanwhile, no models were seen, which are not removed for that.
        check_registry(self._folder)
        return heads

    def _describe(self, version: ModelVersion) -> DescribedVersion:
        return described_version(version, manifest_of(self._folder, version))

    def _load(self, version: ModelVersion, form: str) -> LoadedModel:
        return load_version(self._folder, version, form=form)

    async def _off_loop(self, call: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._executor, call, *arguments)
