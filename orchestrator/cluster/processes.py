"""Functions that run in worker processes of the cluster: each process answers one request after the other.

Ray's tasks would do it with less code, but a single task makes Ray start two processes, and the one that nothing uses
imports TensorFlow too: see findings/ray-task-starts-a-process-too-many.sh. An actor is one process.

A process gets the driver's variables for storages as an argument: Ray logs runtime environments.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trainables.sharing.storage_environment import StorageEnvironment, storage_environment

_POLL_SECONDS = 0.2
#: How often a request is begun again in a new process after its process died.
_RETRIES = 2

#: Calls another function in the process that answered: yields None until it has returned, and returns what it did.
Ask = Callable[[Callable[[Any], Any], Any], Generator[None, None, Any]]
#: Makes of an answer, with the help of the process that gave it, what the caller gets; yields None meanwhile.
FollowUp = Callable[[Any, Ask], Generator[None, None, Any]]


class LostProcessError(Exception):
    """The process that answered a request can answer no more of it."""


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


@dataclass(slots=True)
class _Asked:
    """A request, and how often the process was lost that had answered it."""

    request: Any
    num_lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveNode:
    """A node of the cluster.

    Attributes:
        id: Ray's.
        name: Its name on the network, and its address.
        cpus: CPUs that Ray shares out of it.
    """

    id: str
    name: str
    cpus: float


def other_nodes() -> list[LiveNode]:
    """Returns the live nodes of the cluster but the driver's."""
    own = ray.get_runtime_context().get_node_id()
    return [
        LiveNode(
            id=node["NodeID"],
            name=f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})",
            cpus=node["Resources"].get("CPU", 0.0),
        )
        for node in ray.nodes()
        if node["Alive"] and node["NodeID"] != own
    ]


def answers_of_nodes(
    function: Callable[[Any], Any], request: Any, *, nodes: Sequence[LiveNode], timeout_seconds: float
) -> dict[str, TaskAnswer]:
    """Returns what a function answers on each node, by the nodes' ids; a node that is silent is left out.

    Args:
        function: A function of a module, called in a process on each node, whatever else runs there.
        request: What it is called with.
        nodes: The nodes.
        timeout_seconds: How long the slowest may take.
    """
    actors = {node.id: _started(0, node_id=node.id) for node in nodes}
    pending = {actor.call.remote(function, request): node for node, actor in actors.items()}
    try:
        done, _ = ray.wait(list(pending), num_returns=len(pending), timeout=timeout_seconds)
        return {pending[reference]: _answer(reference, request) for reference in done}
    finally:
        _end(actors.values())


def answers(
    function: Callable[[Any], Any],
    requests: Sequence[Any],
    *,
    cpus: float,
    gpus: float = 0.0,
    follow_up: FollowUp | None = None,
) -> Iterator[TaskAnswer | None]:
    """Yields what became of each request as soon as it is known, and None five times a second while nothing is.

    As many processes work side by side as the cluster has places, and no more than there are requests.

    Args:
        function: A function of a module, called in worker processes.
        requests: What it is called with.
        cpus: The CPUs of a process.
        gpus: The GPUs of a process.
        follow_up: What is done with each value while its process still waits; None: nothing.
    """
    waiting = deque(map(_Asked, requests))
    has = ray.cluster_resources()
    places = int(has.get("CPU", 0.0) // cpus)
    if gpus:
        places = min(places, int(has.get("GPU", 0.0) // gpus))
    # What each process was asked last: a request, or nothing while it starts.
    busy: dict[Any, tuple[Any, _Asked | None]] = {}
    for _ in range(min(len(requests), max(1, places))):
        actor = _started(cpus, gpus)
        busy[actor.start.remote()] = (actor, None)
    try:
        while waiting or any(asked for _, asked in busy.values()):
            done, _ = ray.wait(list(busy), timeout=_POLL_SECONDS)
            if not done:
                yield None
            for reference in done:
                actor, asked = busy[reference]
                answer = _answer(reference, asked.request if asked else None)
                if asked and answer.error is None and follow_up is not None:
                    answer = yield from _followed_up(answer, follow_up, actor=actor)
                del busy[reference]
                settled = _settled(answer, asked, waiting=waiting)
                if _is_dead(answer):
                    ray.kill(actor)
                    actor = _started(cpus, gpus) if waiting else None
                if waiting:
                    following = waiting.popleft()
                    busy[actor.call.remote(function, following.request)] = (actor, following)
                elif actor is not None:
                    ray.kill(actor)
                if settled:
                    yield replace(answer, request=settled.request)
    finally:
        _end(actor for actor, _ in busy.values())


def _end(actors: Iterable[Any]) -> None:
    """Ends processes, if there is a Ray that has them.

    A driver that ends with an error leaves Ray before Python comes to close what yielded answers. Ray would begin anew
    for a call then, and as the process ends waits for a thread that never starts.
    """
    if ray.is_initialized():
        for actor in actors:
            ray.kill(actor)


class _Process:
    """Works in a process of its own.

    Args:
        environment: The driver's variables for storages.
    """

    def __init__(self, environment: StorageEnvironment) -> None:
        environment.enter()

    def start(self) -> None:
        """Is there once the process is."""

    def call(self, function: Callable[[Any], Any], request: Any) -> Any:
        """Returns what the function returns."""
        return function(request)


def _started(cpus: float, gpus: float = 0.0, *, node_id: str | None = None) -> Any:
    options: dict[str, Any] = {"max_restarts": _RETRIES, "max_task_retries": _RETRIES}
    if node_id is not None:
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node_id, soft=False)
    process: Any = ray.remote(_Process)
    return process.options(num_cpus=cpus, num_gpus=gpus, **options).remote(storage_environment())


def _answer(reference: Any, request: Any) -> TaskAnswer:
    try:
        return TaskAnswer(request=request, value=ray.get(reference))
    except RayTaskError as exc:
        return TaskAnswer(request=request, error=exc.cause or exc)
    except RayError as exc:
        return TaskAnswer(request=request, error=exc)


def _settled(answer: TaskAnswer, asked: _Asked | None, *, waiting: deque[_Asked]) -> _Asked | None:
    """Returns the request that an answer settles; one whose process was lost afterwards may wait again."""
    if asked is None:
        # Where no process can start, each request has its error.
        return waiting.popleft() if answer.error is not None and waiting else None
    if isinstance(answer.error, LostProcessError) and asked.num_lost < _RETRIES:
        waiting.append(_Asked(asked.request, asked.num_lost + 1))
        return None
    return asked


def _followed_up(answer: TaskAnswer, follow_up: FollowUp, *, actor: Any) -> Generator[None, None, TaskAnswer]:
    """Returns an answer with what is made of its value, or with the error of that."""

    def ask(function: Callable[[Any], Any], request: Any) -> Generator[None, None, Any]:
        # Not again in another process: what one has made is on its node.
        reference = actor.call.options(max_task_retries=0).remote(function, request)
        while not ray.wait([reference], timeout=_POLL_SECONDS)[0]:
            yield None
        try:
            return ray.get(reference)
        except RayError as exc:
            raise LostProcessError(str(exc).strip().partition("\n")[0] or type(exc).__name__) from exc

    try:
        value = yield from follow_up(answer.value, ask)
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is what became of the request
        return replace(answer, value=None, error=exc)
    return replace(answer, value=value)


def _is_dead(answer: TaskAnswer) -> bool:
    if isinstance(answer.error, LostProcessError):
        return True
    return isinstance(answer.error, RayError) and not isinstance(answer.error, RayTaskError)
