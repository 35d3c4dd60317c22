"""A server on the nodes of a cluster: the head listens, the nodes answer, and one that is lost is done without."""

import io
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import replace

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException

from orchestrator.cluster.connection import join_cluster
from orchestrator.errors import InputError, ResourceError, StudyFailedError
from orchestrator.nodes.watch import ClusterWatch, watched_cluster
from orchestrator.serving.on_ray.deployment import ENVIRONMENT, FAILURES, NAME, Deployed, deploy
from orchestrator.serving.on_ray.nodes import RegistryQuestion, demand_nodes, forget_marks, marked
from orchestrator.serving.on_ray.replicas import ReplicaWatch, running_replicas
from orchestrator.serving.on_ray.serve_internals import claim_serving, free_cpus, has_controller, look_anew
from orchestrator.serving.settings import ServingSettings
from trainables.sharing.storage_environment import storage_environment

#: How long what another server took may take to be free again.
_ROOM_SECONDS = 10.0
#: How long Ray Serve may take to be gone once it was told to end, and how often it is told.
_END_SECONDS, _MOST_ENDS = 15.0, 2
_POLL_SECONDS = 0.5


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
        InputError: If a node does not find the registry, or the cluster has another server.
        ResourceError: If the cluster has no room for the replicas.
        StudyFailedError: If the cluster does not answer, now or later, or Ray Serve does not start or end.
    """
    for name in ("ray", "ray.serve"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with ExitStack() as stack:
        stack.callback(ray.shutdown)
        join_cluster(address)
        watch = stack.enter_context(watched_cluster(address, on_lost=lambda loss: None))
        try:
            _take_place(settings.registry, address=address, notify=notify)
            _demand_room(deployed, address=address)
            mark = stack.enter_context(marked(settings.registry))
            demand_nodes(RegistryQuestion(registry=settings.registry, mark=mark), with_idle=not deployed.cpus)
            stack.callback(_end, watch)
            deploy(settings, replace(deployed, environment=ENVIRONMENT, storage=storage_environment(), mark=mark))
        except FAILURES as exc:
            first = next(iter(str(exc).strip().splitlines()), type(exc).__name__)
            raise StudyFailedError(
                f"Ray Serve did not start on {address} ({first}); Ray's logs of the head, such as "
                "/tmp/ray/session_latest/logs/serve, say more"
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


def _take_place(registry: str, *, address: str, notify: Callable[[str], None]) -> None:
    """Makes this command the only one that serves on the cluster, in the place of one that was killed."""
    if not claim_serving():
        raise InputError(
            f"--address {address}: another `convfleet serve` answers on this cluster; end that with Ctrl-C, or use "
            "another cluster"
        )
    if not has_controller():
        return
    if others := _others():
        raise InputError(
            f"--address {address}: Ray Serve runs {', '.join(others)} on this cluster; end it with `serve shutdown`, "
            "or serve the registry on another cluster"
        )
    notify("ending the server that is there already")
    _end_serve()
    forget_marks(registry)


def _others() -> list[str]:
    """Returns the names of the applications that Ray Serve runs for others."""
    return sorted(set(serve.status().applications) - {NAME})


def _demand_room(deployed: Deployed, *, address: str) -> None:
    end = time.monotonic() + _ROOM_SECONDS
    while deployed.cpus and (room := sum(int(free // deployed.cpus) for free in free_cpus())) < deployed.replicas:
        if time.monotonic() > end:
            raise ResourceError(
                f"--replicas {deployed.replicas}: the cluster at {address} has room for {room} with {deployed.cpus:g} "
                f"CPUs each; {sum(free_cpus()):g} of {ray.cluster_resources().get('CPU', 0.0):g} CPUs are free. Name "
                "fewer replicas, or fewer --cpus for each"
            )
        time.sleep(_POLL_SECONDS)


def _end(watch: ClusterWatch | None) -> None:
    """Ends the server; another application that came to the same Ray Serve meanwhile goes on."""
    # A head that is gone would be waited for.
    if (watch is not None and watch.loss is not None) or not has_controller():
        return
    look_anew()
    try:
        with redirect_stdout(io.StringIO()):
            if _others():
                serve.delete(NAME)
                return
    except (RayError, RayServeException):
        # Its controller is being started again, or has just ended.
        look_anew()
    _end_serve()


def _end_serve() -> None:
    """Ends Ray Serve, which by itself gives up in silence where its controller is slow to answer."""
    for _ in range(_MOST_ENDS):
        with redirect_stdout(io.StringIO()):
            serve.shutdown()
        end = time.monotonic() + _END_SECONDS
        while has_controller():
            if time.monotonic() > end:
                break
            time.sleep(_POLL_SECONDS)
        else:
            return
        look_anew()
    raise StudyFailedError("Ray Serve does not end on this cluster; end it with `serve shutdown --yes` on a node")
