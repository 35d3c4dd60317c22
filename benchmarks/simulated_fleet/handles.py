"""Makes Ray Tune's controller run simulated workers: the hub's in place of actors, and no placement groups."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest import mock

import ray
from ray.air.execution.resources.request import AcquiredResources, ResourceRequest
from ray.air.execution.resources.resource_manager import ResourceManager
from ray.tune.execution import tune_controller

from simulated_fleet.hub import Hub
from simulated_fleet.load import Load


class Worker:
    """What Ray Tune takes for the handle of an actor.

    Args:
        hub: The handle of the hub.
        number: The worker's.
        ready: Is there once the worker has started.
    """

    def __init__(self, hub: Any, *, number: int, ready: Any) -> None:
        self._hub, self.number, self._ready = hub, number, ready

    def __getattr__(self, method: str) -> Any:
        if method == "__ray_ready__":
            return _Method(lambda: self._ready)
        return _Method(lambda *args, **named: self._hub.call.remote(self.number, method, *args, **named))


@dataclass(frozen=True, slots=True)
class _Method:
    remote: Any


class Workers:
    """Makes workers, as a class of actors does.

    Args:
        load: The fleet's.
    """

    def __init__(self, load: Load) -> None:
        kind = ray.remote(num_cpus=0, max_concurrency=2 * load.workers + 1000)(Hub)
        self.hub = kind.remote(load)
        self._num_started = 0
        #: By class of trainables: its reference, in a list so that Ray passes it as it is.
        self._kinds: dict[Any, Any] = {}

    def start(self, kind: Any, **arguments: Any) -> Worker:
        """Starts a worker that runs a class of trainables."""
        if kind not in self._kinds:
            self._kinds[kind] = ray.put([kind.__ray_metadata__.modified_class])
        number, self._num_started = self._num_started, self._num_started + 1
        return Worker(self.hub, number=number, ready=self.hub.start.remote(number, self._kinds[kind], arguments))


@dataclass(slots=True)
class _Acquired(AcquiredResources):
    workers: Workers

    def _annotate_remote_entity(self, entity: Any, bundle: dict[str, float], bundle_index: int) -> Any:
        return _Method(lambda **arguments: self.workers.start(entity, **arguments))


class FreeResources(ResourceManager):
    """Gives each trial what it asks for at once: how many run is `max_concurrent_trials`' business.

    Args:
        workers: Makes the workers.
    """

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._num_requested: dict[Any, int] = {}

    def request_resources(self, resource_request: ResourceRequest) -> None:
        self._num_requested[resource_request] = self._num_requested.get(resource_request, 0) + 1

    def cancel_resource_request(self, resource_request: ResourceRequest) -> None:
        self._num_requested[resource_request] -= 1

    def has_resources_ready(self, resource_request: ResourceRequest) -> bool:
        return self._num_requested.get(resource_request, 0) > 0

    def acquire_resources(self, resource_request: ResourceRequest) -> AcquiredResources | None:
        if not self.has_resources_ready(resource_request):
            return None
        self._num_requested[resource_request] -= 1
        return _Acquired(resource_request, self._workers)

    def free_resources(self, acquired_resource: AcquiredResources) -> None:
        """Takes nothing back: there is no end of them."""

    def get_resource_futures(self) -> list[Any]:
        return []

    def update_state(self) -> None:
        """Has nothing to look at."""

    def clear(self) -> None:
        self._num_requested.clear()


@contextmanager
def simulated_workers(load: Load) -> Iterator[Workers]:
    """Makes Ray Tune start simulated workers meanwhile; Ray must be running.

    Args:
        load: The fleet's.
    """
    workers, kill = Workers(load), ray.kill

    def end(actor: Any, **named: Any) -> None:
        if isinstance(actor, Worker):
            workers.hub.kill.remote(actor.number)
        else:
            kill(actor, **named)

    with (
        mock.patch.object(tune_controller, "PlacementGroupResourceManager", partial(FreeResources, workers)),
        mock.patch.object(ray, "kill", end),
    ):
        yield workers
