"""A head that does not answer is lost after a while, once, and a view is what the last answer had."""

import socket
from contextlib import closing

import pytest
from driven_studies import opened_of, spec_of

from orchestrator.errors import ClusterLostError, StudyPausedError
from orchestrator.journal.records import TrialProposed, TrialStarted
from orchestrator.journal.study_state import fold
from orchestrator.nodes.cluster_view import ClusterView
from orchestrator.nodes.on_cluster import StudyOnCluster
from orchestrator.nodes.watch import HEAD_SECONDS, ClusterWatch, takes_connections
from orchestrator.study.sections import Resources


class Head:
    """A cluster's head, and the time."""

    def __init__(self) -> None:
        self.now, self.is_up, self.errors = 0.0, True, []
        self.view, self.lost, self.asked = ClusterView(nodes=()), [], []
        self.watch = ClusterWatch(
            "10.0.0.1:6379",
            look=self.look,
            answers=lambda address: self.is_up,
            on_lost=self.lost.append,
            clock=lambda: self.now,
        )

    def look(self, with_places: bool) -> ClusterView:
        self.asked.append(with_places)
        if self.errors:
            raise self.errors.pop()
        return self.view


@pytest.fixture
def head() -> Head:
    return Head()


def test_view_is_that_of_the_last_answer(head):
    assert head.watch.view is None
    head.watch.ask()
    first = head.watch.view
    head.errors.append(RuntimeError("gone in the middle"))
    head.watch.ask()
    assert head.watch.view is first is head.view
    head.view = ClusterView(nodes=(), free={"CPU": 1.0})
    head.watch.ask()
    assert head.watch.view is head.view


def test_head_is_lost_after_its_silence_and_that_is_said_once(head):
    head.watch.ask()
    head.is_up = False
    for head.now in (1.0, HEAD_SECONDS, HEAD_SECONDS + 1, HEAD_SECONDS + 3):
        head.watch.ask()
    (error,) = head.lost
    assert isinstance(error, StudyPausedError)
    assert error.address == "10.0.0.1:6379"
    assert str(error) == "the cluster's head at 10.0.0.1:6379 has not answered for 31 s"


def test_head_that_answers_again_in_time_was_never_lost(head):
    head.is_up = False
    head.now = HEAD_SECONDS - 1
    head.watch.ask()
    head.is_up = True
    head.watch.ask()
    head.now += HEAD_SECONDS - 1
    assert head.watch.loss is None
    assert head.lost == []


def test_watch_that_has_stopped_says_and_takes_nothing(head):
    head.watch.stop()
    head.watch.ask()
    head.is_up, head.now = False, 2 * HEAD_SECONDS
    head.watch.ask()
    assert (head.watch.view, head.lost) == (None, [])


def test_study_on_a_cluster_ends_with_its_head(head):
    study = StudyOnCluster(head.watch, resources=Resources())
    head.watch.ask()
    assert list(study.since_last(fold([]))) == []
    head.now = HEAD_SECONDS + 1
    with pytest.raises(ClusterLostError, match=r"10\.0\.0\.1:6379"):
        list(study.since_last(fold([])))


@pytest.mark.parametrize(("num_running", "asks"), [(1, True), (2, False)])
def test_trials_that_others_were_chosen_before_wait_for_no_place(head, num_running, asks):
    variant = {"family": "sequential", "params": {}, "seed": 1}
    records = [TrialProposed(trial=f"t000{number}", number=number, variant=variant, at=1.0) for number in range(4)] + [
        TrialStarted(trial=f"t000{2 + number}", at=2.0) for number in range(num_running)
    ]
    study = StudyOnCluster(head.watch, resources=Resources(max_concurrent=2))
    head.watch.ask()
    list(study.since_last(fold([opened_of(spec_of()), *records])))
    assert head.watch.asks_for_places is asks


def test_study_on_a_ray_of_its_own_has_no_news():
    assert list(StudyOnCluster(None, resources=Resources()).since_last(fold([]))) == []


def test_port_with_a_listener_takes_connections_and_others_do_not():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert takes_connections(address)
    assert not takes_connections(address)
    assert not takes_connections("no address")
