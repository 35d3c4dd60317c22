"""One replica's models, batches and threads: an image goes in, a version answers it wholly."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.errors import RegistryError
from orchestrator.registry.folder import registry_folder
from orchestrator.registry.loading import LoadedModel
from orchestrator.serving.batches import Batches, NamedArrays
from orchestrator.serving.described import DescribedVersion
from orchestrator.serving.metrics import ServingMetrics
from orchestrator.serving.models import ServedModels
from orchestrator.serving.protocol import RequestRefusedError
from orchestrator.serving.settings import ServingSettings
from trainables.machine.processes import usable_cpus

logger = logging.getLogger(__name__)

#: Bytes and numbers that take less time than another thread does to take them up.
_SMALL = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenedVersion:
    """A version in memory.

    Attributes:
        described: What its manifest says.
        model: What predicts.
    """

    described: DescribedVersion
    model: LoadedModel


class Engine:
    """Predicts with the versions of a registry; belongs to one event loop.

    Args:
        settings: The registry and the limits.
        metrics: Counts images, batches and failures.
    """

    def __init__(self, settings: ServingSettings, *, metrics: ServingMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        # One thread more than cores: while models compute, another one may be loaded.
        self._threads = ThreadPoolExecutor(max_workers=usable_cpus() + 1, thread_name_prefix="serve")
        self.models = ServedModels(
            registry_folder(settings.registry),
            memory_bytes=settings.memory_bytes,
            executor=self._threads,
            on_failure=lambda name: metrics.failures.labels(name).inc(),
        )
        self._batches = Batches(
            executor=self._threads, most_images=settings.most_images, on_batch=metrics.batch_images.observe
        )
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Looks at the registry, and goes on looking until `stop`.

        Raises:
            RegistryError: If there is none.
        """
        await self.models.refresh()
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """Stops looking; requests in hand are answered all the same."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        self._threads.shutdown(wait=False)

    async def described(self, name: str, which: str | None) -> DescribedVersion:
        """Returns the version that a request means, and what its manifest says.

        Raises:
            RequestRefusedError: If there is none, or it is damaged.
        """
        return await self.models.described(await self.models.found(name, which))

    async def opened(self, name: str, which: str | None, *, key: str | None = None) -> OpenedVersion:
        """Returns the version that a request means, ready to predict.

        Who has it keeps it in memory: a promotion or another model does not take it away from a request in hand.

        Args:
            name: The model's name.
            which: A number or an alias; None: production.
            key: Who asks, where versions share the alias.

        Raises:
            RequestRefusedError: If there is none, or it cannot be loaded.
        """
        described = await self.models.described(await self.models.found(name, which, key=key))
        return OpenedVersion(described=described, model=await self.models.ready(described.version))

    async def predict(self, opened: OpenedVersion, images: NamedArrays) -> NamedArrays:
        """Returns what a version predicts, by output name; all of it comes from that version.

        Args:
            opened: The version.
            images: As the protocol checked them.

        Raises:
            RequestRefusedError: If the version gives numbers that are none.
        """
        version, model = opened.described.version, opened.model
        outputs = await self._batches.predict(model, _by_name(model), images=images)
        if not all(bool(np.isfinite(array).all()) for array in outputs.values()):
            raise RequestRefusedError(
                f"{version.name} version {version.version} gives numbers that are not finite for these images",
                status=422,
            )
        count = len(next(iter(images.values())))
        self._metrics.images.labels(version.name, str(version.version)).inc(count)
        return outputs

    async def off_loop(self, call: Callable[[], Any], *, size: int) -> Any:
        """Returns what a call returns, from another thread where it takes longer than other requests should wait.

        Args:
            call: The call.
            size: The bytes or numbers that it works on.
        """
        if size < _SMALL:
            return call()
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._settings.poll_seconds)
            try:
                await self.models.refresh()
            except (RegistryError, OSError) as exc:
                # What was known goes on being answered.
                logger.error("registry=%s reason=%s", self._settings.registry, exc)


def _by_name(model: LoadedModel) -> Callable[[NamedArrays], NamedArrays]:
    names = [output["name"] for output in model.manifest["outputs"]]

    def predict(images: NamedArrays) -> NamedArrays:
        found = model.predict(dict(images))
        arrays = found if isinstance(found, Mapping) else {names[0]: found}
        return {name: np.asarray(arrays[name]) for name in names}

    return predict
