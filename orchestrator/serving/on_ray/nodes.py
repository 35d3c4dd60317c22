"""Makes sure, before a server starts, that every node finds its registry and what it needs; no Ray Serve.

The nodes' processes import this module, also where Ray Serve or a web server is missing.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from orchestrator.cluster.processes import answers_of_nodes, other_nodes
from orchestrator.errors import InputError, RegistryError
from orchestrator.registry.folder import check_registry, registry_folder
from trainables.errors import RemoteError
from trainables.files.uris import is_uri
from trainables.files.whole import write_whole
from trainables.sharing.marks import remove_mark, sees_mark

#: What a server imports beside Ray: the extra `serve`.
PACKAGES = ("fastapi", "uvicorn", "prometheus_client")
#: In the registry: a file for each server, that its replicas must find.
_MARKS = ".servers"
#: How long a node may take to start a process that looks for the registry, and to look.
_ANSWER_SECONDS, _LOOK_SECONDS = 120.0, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryQuestion:
    """What a node is asked.

    Attributes:
        registry: The registry.
        mark: The file in it that the node must find; empty: there is none.
    """

    registry: str
    mark: str


def lacking() -> list[str]:
    """Returns the packages that a server imports and this Python has not."""
    return [name for name in PACKAGES if find_spec(name) is None]


def node_problem(question: RegistryQuestion) -> str:
    """Returns why this node cannot answer with a registry; an empty text where it can.

    Args:
        question: What the driver asks.
    """
    if names := lacking():
        return f"{', '.join(names)}: not installed there; pip install 'convfleet[serve]' on every node"
    where = "on a cluster, a registry lies in a folder that all nodes mount at the same path, or in S3"
    try:
        check_registry(registry_folder(question.registry))
    except (RegistryError, RemoteError) as exc:
        return f"{exc}; {where}"
    if question.mark and not sees_mark(question.mark, wait_seconds=_LOOK_SECONDS):
        return f"{question.registry}: is another registry there than here; {where}"
    return ""


@contextmanager
def marked(registry: str) -> Iterator[str]:
    """Yields a new mark in a registry's folder meanwhile; none in a bucket, or in a folder that nobody may write.

    Args:
        registry: The registry.
    """
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


def forget_marks(registry: str) -> None:
    """Removes the marks of servers that are gone.

    Args:
        registry: The registry.
    """
    if not is_uri(registry):
        for mark in (Path(registry) / _MARKS).glob("*"):
            with suppress(OSError):
                remove_mark(str(mark))


def demand_nodes(question: RegistryQuestion, *, with_idle: bool) -> None:
    """Makes sure that every node on which a replica may run can answer with the registry.

    Args:
        question: What nodes are asked.
        with_idle: Whether replicas may run on nodes without CPUs, too.

    Raises:
        InputError: If one cannot, or does not say.
    """
    nodes = [node for node in other_nodes() if node.cpus or with_idle]
    found = answers_of_nodes(node_problem, question, nodes=nodes, timeout_seconds=_ANSWER_SECONDS)
    for node in nodes:
        answer = found.get(node.id)
        if (answer is None or answer.error is not None) and node.id not in {live.id for live in other_nodes()}:
            # It has left; what comes in its place is looked at by its first replica.
            continue
        if answer is None:
            raise InputError(f"node {node.name}: does not say whether it finds the registry; look at its Ray")
        if answer.error is not None:
            first = str(answer.error).strip().partition("\n")[0]
            raise InputError(
                f"node {node.name}: cannot run convfleet ({type(answer.error).__name__}: {first}); install the "
                "driver's version of it there, with the same Python and the same Ray"
            )
        if answer.value:
            raise InputError(f"node {node.name}: {answer.value}")
