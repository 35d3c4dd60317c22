"""Makes sure, before the first trial, that every node finds a study's files: in one folder, or in one storage."""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.cluster.processes import LiveNode, TaskAnswer, answers_of_nodes, other_nodes
from orchestrator.errors import InputError, StudyFailedError
from orchestrator.mirror.places import patiently
from orchestrator.sharing.looking import NodeQuestion, NodeView, look
from trainables.files.remote import RemoteFolder
from trainables.files.uris import shown_uri
from trainables.sharing.marks import has_answer, remove_mark, write_mark
from trainables.specs.worker import WorkerSpec

#: How long a node may take to start a process that looks for files.
ANSWER_SECONDS = 120.0
#: How long the driver looks for what a node wrote beside its mark.
_LOOK_SECONDS = 5.0
#: Nodes that a message names.
_MOST_NAMED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFiles:
    """How the nodes of a cluster come by the files of a study.

    Attributes:
        worker: What workers receive, with the driver's mark.
        apart: Names of the nodes that do not find the run folder.
    """

    worker: WorkerSpec
    apart: Sequence[str] = ()


@contextmanager
def node_files(worker: WorkerSpec, *, is_cluster: bool, notify: Callable[[str], None]) -> Iterator[NodeFiles]:
    """Yields how nodes come by a study's files, whose run folder has the driver's mark meanwhile.

    Args:
        worker: What workers receive.
        is_cluster: Whether there may be other nodes than the driver's.
        notify: Receives messages for the user.

    Raises:
        InputError: A node would keep checkpoints to itself, cannot use the storage, or lacks the data.
        StudyFailedError: A node cannot run convfleet.
    """
    if not is_cluster:
        yield NodeFiles(worker=worker)
        return
    mark = write_mark(Path(worker.checkpoints))
    try:
        yield _asked(replace(worker, mark=mark), notify=notify)
    finally:
        remove_mark(mark)


def _asked(worker: WorkerSpec, *, notify: Callable[[str], None]) -> NodeFiles:
    # A node without CPUs runs neither trials nor exports.
    nodes = sorted((node for node in other_nodes() if node.cpus), key=lambda node: node.name)
    if not nodes:
        return NodeFiles(worker=worker)
    with _probe(worker.remote) as probe:
        question = NodeQuestion(worker=worker, probe=probe)
        answers = answers_of_nodes(look, question, nodes=nodes, timeout_seconds=ANSWER_SECONDS)
    views = _views(answers, nodes=nodes, mark=worker.mark, notify=notify)
    if problem := files_problem(views, worker=worker):
        raise InputError(problem)
    apart = [name for name, view in views.items() if not view.answer]
    if apart:
        notify(files_in_words(apart, num_nodes=len(views)))
    return NodeFiles(worker=worker, apart=apart)


@contextmanager
def _probe(remote: str | None) -> Iterator[str]:
    """Yields the name of a file that the storage has meanwhile; an empty text without a storage."""
    if remote is None:
        yield ""
        return
    folder, name = RemoteFolder.open(remote), f"nodes-{uuid.uuid4().hex}.probe"
    patiently(lambda: folder.write(name, b"convfleet"), uri=remote)
    try:
        yield name
    finally:
        patiently(lambda: folder.delete(name), uri=remote)


def _views(
    answers: Mapping[str, TaskAnswer], *, nodes: Sequence[LiveNode], mark: str, notify: Callable[[str], None]
) -> dict[str, NodeView]:
    """Returns what each node finds, by its name."""
    found = {}
    for node in nodes:
        answer = answers.get(node.id)
        if answer is None:
            notify(f"files: node {node.name} did not answer within {ANSWER_SECONDS:.0f} s; its first trial checks it")
        elif answer.error is not None and node.id not in {live.id for live in other_nodes()}:
            notify(f"files: node {node.name} left the cluster before it answered")
        elif answer.error is not None:
            first = str(answer.error).strip().partition("\n")[0]
            raise StudyFailedError(
                f"node {node.name}: cannot run convfleet ({type(answer.error).__name__}: {first}); install the "
                "driver's version of it there, with the same Python and the same Ray"
            )
        else:
            view: NodeView = answer.value
            if view.answer and not has_answer(mark, name=view.answer, wait_seconds=_LOOK_SECONDS):
                view = replace(view, answer="", place="writes into it what does not reach this driver")
            found[node.name] = view
    return found


def files_problem(views: Mapping[str, NodeView], *, worker: WorkerSpec) -> str:
    """Returns why a study cannot be trained on these nodes, and what to do; an empty text if it can.

    Args:
        views: What each node finds, by its name.
        worker: What workers receive.
    """
    lacking = {name: f"has no {' and no '.join(view.lacking)}" for name, view in views.items() if view.lacking}
    if lacking:
        return f"data: {_named(lacking)}; give every node the same files at the same paths"
    apart = {name: view.place for name, view in views.items() if not view.answer}
    if apart and worker.remote is None:
        return (
            f"{Path(worker.checkpoints).parent}: not all nodes find the run folder of this driver, so each would keep "
            f"its checkpoints to itself, and what a lost node had would be lost: {_named(apart)}; keep runs on a file "
            "system that all nodes mount at the same path (--runs /mnt/shared/runs), or give the study a storage that "
            "all nodes reach (--set storage.uri=s3://bucket/runs)"
        )
    refused = {name: view.storage for name, view in views.items() if view.storage}
    if refused:
        return (
            f"storage {shown_uri(worker.remote or '')}: nodes that do not share the run folder keep their checkpoints "
            f"in it, and cannot: {_named(refused)}; check the network, and the credentials in the driver's environment"
        )
    return ""


def files_in_words(apart: Sequence[str], *, num_nodes: int) -> str:
    """Returns a sentence on nodes that do not find the run folder.

    >>> files_in_words(["n2 (10.0.0.2)"], num_nodes=1)
    'files: object storage; nodes do not share the run folder'
    >>> files_in_words(["n2 (10.0.0.2)"], num_nodes=2)
    'files: object storage for n2 (10.0.0.2), which does not share the run folder'

    Args:
        apart: Their names.
        num_nodes: How many nodes were asked.
    """
    if len(apart) == num_nodes:
        return "files: object storage; nodes do not share the run folder"
    verb = "which does" if len(apart) == 1 else "which do"
    more = f" and {len(apart) - _MOST_NAMED} more" if len(apart) > _MOST_NAMED else ""
    return f"files: object storage for {', '.join(apart[:_MOST_NAMED])}{more}, {verb} not share the run folder"


def _named(texts: Mapping[str, str]) -> str:
    named = [f"{name} {text}" for name, text in list(texts.items())[:_MOST_NAMED]]
    more = [f"{len(texts) - _MOST_NAMED} more nodes likewise"] if len(texts) > _MOST_NAMED else []
    return ", ".join([*named, *more])
