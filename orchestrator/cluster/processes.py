"""Functions that run in worker processes of the cluster: each process answers one request after the other.

Ray's tasks would do it with less code, but a single task makes Ray start two processes, and the one that nothing uses
imports TensorFlow too: see findings/ray-task-starts-a-process-too-many.sh. An actor is one process.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

_POLL_SECONDS = 0.2
#: How often a request is begun again in a new process after its process died.
_RETRIES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskAnswer:
    """What became of a request.

    Attributes:
        request: The request.
        value: What the function returned; None where it failed.
        error: What the function raised; a RayError where its process died again and again.
    """

    request: Any
    value: Any = None
    error: BaseException | None = None


def answers(
    function: Callable[[Any], Any], requests: Sequence[Any], *, cpus: float, gpus: float = 0.0
) -> Iterator[TaskAnswer | None]:
    """Yields what became of each request as soon as it is known, and None five times a second while nothing is.

    As many processes work side by side as the cluster has places, and no more than there are requests.

    Args:
        function: A function of a module, called in worker processes.
        requests: What it is called with.
        cpus: The CPUs of a process.
        gpus: The GPUs of a process.
    """
    waiting = deque(requests)
    has = ray.cluster_resources()
    places = int(has.get("CPU", 0.0) // cpus)
    if gpus:
        places = min(places, int(has.get("GPU", 0.0) // gpus))
    # What each process was asked last: a request, or nothing while it starts.
    busy: dict[Any, tuple[Any, list[Any]]] = {}
    for _ in range(min(len(requests), max(1, places))):
        actor = _started(cpus, gpus)
        busy[actor.start.remote()] = (actor, [])
    try:
        while waiting or any(asked for _, asked in busy.values()):
            done, _ = ray.wait(list(busy), timeout=_POLL_SECONDS)
            if not done:
                yield None
            for reference in done:
                actor, asked = busy.pop(reference)
                answer = _answer(reference, asked)
                if answer.error is not None and not asked and waiting:
                    # Where no process can start, each request has its error.
                    asked = [waiting.popleft()]
                if _is_dead(answer):
                    ray.kill(actor)
                    actor = _started(cpus, gpus) if waiting else None
                if waiting:
                    request = waiting.popleft()
                    busy[actor.call.remote(function, request)] = (actor, [request])
                elif actor is not None:
                    ray.kill(actor)
                if asked:
                    yield TaskAnswer(request=asked[0], value=answer.value, error=answer.error)
    finally:
        for actor, _ in busy.values():
            ray.kill(actor)


class _Process:
    """Works in a process of its own."""

    def start(self) -> None:
        """Is there once the process is."""

    def call(self, function: Callable[[Any], Any], request: Any) -> Any:
        """Returns what the function returns."""
        return function(request)


def _started(cpus: float, gpus: float) -> Any:
    process = ray.remote(_Process)
    return process.options(num_cpus=cpus, num_gpus=gpus, max_restarts=_RETRIES, max_task_retries=_RETRIES).remote()


def _answer(reference: Any, asked: list[Any]) -> TaskAnswer:
    request = asked[0] if asked else None
    try:
        return TaskAnswer(request=request, value=ray.get(reference))
    except RayTaskError as exc:
        return TaskAnswer(request=request, error=exc.cause or exc)
    except RayError as exc:
        return TaskAnswer(request=request, error=exc)


def _is_dead(answer: TaskAnswer) -> bool:
    return isinstance(answer.error, RayError) and not isinstance(answer.error, RayTaskError)
