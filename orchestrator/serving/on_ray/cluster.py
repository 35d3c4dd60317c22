"""A server on the nodes of a cluster: the head listens, the nodes answer, and one that is lost is done without."""

import io
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import ray
from ray import serve

from orchestrator.cluster.connection import join_cluster
from orchestrator.cluster.processes import answers_of_nodes, other_nodes
from orchestrator.errors import InputError, RegistryError, ResourceError, StudyFailedError
from orchestrator.nodes.watch import ClusterWatch, watched_cluster
from orchestrator.registry.folder import check_registry, registry_folder
from orchestrator.serving.on_ray.deployment import ENVIRONMENT, NAME, Deployed, deploy
from orchestrator.serving.on_ray.replicas import ReplicaWatch, running_replicas
from orchestrator.serving.on_ray.serve_internals import has_controller, is_command_alive, remember_job
from orchestrator.serving.settings import ServingSettings
from trainables.files.uris import is_uri
from trainables.files.whole import write_whole
from trainables.sharing.marks import remove_mark, sees_mark
from trainables.sharing.storage_environment import storage_environment

#: In the registry: a file for each server, that its replicas must find.
_MARKS = ".servers"
#: How long a node may take to start a process that looks for the registry, and to look.
_ANSWER_SECONDS, _LOOK_SECONDS = 120.0, 3.0
#: How long what another server took may take to be free again.
_ROOM_SECONDS = 10.0
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What a node is asked.

    Attributes:
        registry: The registry.
        mark: The file in it that the node must find; empty: there is none.
    """

    registry: str
    mark: str


@contextmanager
def serving_on_cluster(
    settings: ServingSettings, *, address: str, deployed: Deployed, notify: Callable[[str], None]
) -> Iterator[Callable[[], None]]:
    """Serves a registry on a cluster while the block runs, and yields what waits a moment and says what is new.

    Where this process is killed, the server stays; the next one on the cluster takes its place.

    Args:
        settings: The registry, the token's hash and the limits.
        address: `host:port` of the cluster's head, or `auto`.
        deployed: How the server is spread.
        notify: Receives messages for the user.

    Raises:
        InputError: If a node does not find the registry, or Ray Serve has another application there.
        ResourceError: If the cluster has no room for the replicas.
        StudyFailedError: If the cluster does not answer, now or later, or Ray Serve does not start.
    """
    for name in ("ray", "ray.serve"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        stack.callback(ray.shutdown)
        join_cluster(address)
        _end_former(notify)
        _demand_room(deployed, address=address)
        mark = stack.enter_context(_marked(settings.registry))
        _demand_registry(_Question(registry=settings.registry, mark=mark))
        watch = stack.enter_context(watched_cluster(address, on_lost=lambda loss: None))
        stack.callback(_end, watch)
        remember_job()
        spread = replace(deployed, environment=ENVIRONMENT, storage=storage_environment(), mark=mark)
        try:
            deploy(settings, spread)
        except (RuntimeError, OSError, ConnectionError, TimeoutError, ray.exceptions.RayError) as exc:
            first = next(iter(str(exc).strip().splitlines()), type(exc).__name__)
            raise StudyFailedError(
                f"Ray Serve did not start on {address} ({first}); is the head's port {deployed.port} free? Ray's log "
                "there, such as /tmp/ray/session_latest/logs/serve, says more"
            ) from exc
        replicas = ReplicaWatch(running_replicas)
        replicas.start()
        stack.callback(replicas.stop)
        yield _News(watch, replicas, wanted=deployed.replicas, notify=notify).wait


class _News:
    """Says what is new on the cluster.

    Args:
        watch: Over the head; None where nobody watches.
        replicas: Over the replicas.
        wanted: How many there should be.
        notify: Receives messages for the user.
    """

    def __init__(
        self, watch: ClusterWatch | None, replicas: ReplicaWatch, *, wanted: int, notify: Callable[[str], None]
    ) -> None:
        self._watch = watch
        self._replicas = replicas
        self._wanted = wanted
        self._notify = notify
        self._said = wanted

    def wait(self) -> None:
        """Waits a moment, and says how many replicas answer where that has changed.

        Raises:
            StudyFailedError: If the head does not answer any more, or somebody else has ended the server.
        """
        time.sleep(_POLL_SECONDS)
        if self._watch is not None and (loss := self._watch.loss) is not None:
            raise StudyFailedError(f"{loss}; the server is gone with it: start it again once there is a cluster")
        if self._replicas.is_gone:
            raise StudyFailedError("the server was ended by another command on the cluster")
        if (running := self._replicas.running) not in (-1, self._said):
            self._said = running
            rest = "" if running >= self._wanted else "; Ray Serve starts others where there is room"
            self._notify(f"{running} of {self._wanted} replicas answer{rest}")


def registry_problem(question: _Question) -> str:
    """Returns why this node cannot answer with a registry; an empty text where it can.

    Args:
        question: What the driver asks.
    """
    try:
        check_registry(registry_folder(question.registry))
    except RegistryError as exc:
        return str(exc)
    if question.mark and not sees_mark(question.mark, wait_seconds=_LOOK_SECONDS):
        return f"{question.registry}: this is another registry than the one that was given"
    return ""


def _end_former(notify: Callable[[str], None]) -> None:
    """Ends a server whose command was killed."""
    if not has_controller():
        return
    if others := sorted(set(serve.status().applications) - {NAME}):
        raise InputError(
            f"--address: Ray Serve runs {', '.join(others)} on this cluster; end it with `serve shutdown`, or serve "
            "the registry on another cluster"
        )
    if is_command_alive():
        raise InputError(
            "--address: another `convfleet serve` answers on this cluster; end that with Ctrl-C, or use another cluster"
        )
    notify("ending the server that is there already")
    with redirect_stdout(io.StringIO()):
        serve.shutdown()


def _demand_room(deployed: Deployed, *, address: str) -> None:
    wanted, end = deployed.replicas * deployed.cpus, time.monotonic() + _ROOM_SECONDS
    while (free := ray.available_resources().get("CPU", 0.0)) < wanted:
        if time.monotonic() > end:
            raise ResourceError(
                f"--replicas {deployed.replicas}: take {wanted:g} CPUs, the cluster at {address} has {free:g} free of "
                f"{ray.cluster_resources().get('CPU', 0.0):g}; name fewer, or fewer --cpus for each"
            )
        time.sleep(_POLL_SECONDS)


@contextmanager
def _marked(registry: str) -> Iterator[str]:
    """Yields a new mark in a registry's folder meanwhile; none in a bucket, or in a folder that nobody may write."""
    mark = ""
    if not is_uri(registry):
        path = Path(registry) / _MARKS / uuid.uuid4().hex
        with suppress(OSError):
            write_whole(path, "")
            mark = str(path)
    try:
        yield mark
    finally:
        if mark:
            with suppress(OSError):
                remove_mark(mark)


def _demand_registry(question: _Question) -> None:
    """Makes sure that every node with CPUs finds the registry."""
    nodes = [node for node in other_nodes() if node.cpus]
    found = answers_of_nodes(registry_problem, question, nodes=nodes, timeout_seconds=_ANSWER_SECONDS)
    for node in nodes:
        if (answer := found.get(node.id)) is None:
            raise InputError(f"node {node.name}: does not say whether it finds the registry")
        if problem := answer.value or answer.error:
            raise InputError(
                f"node {node.name}: {problem}; on a cluster, a registry lies in a folder that all nodes mount at the "
                "same path, or in S3"
            )


def _end(watch: ClusterWatch | None) -> None:
    # A head that is gone would be waited for.
    if watch is not None and watch.loss is not None:
        return
    with redirect_stdout(io.StringIO()):
        serve.shutdown()
