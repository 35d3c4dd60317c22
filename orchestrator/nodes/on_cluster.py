"""A study's part in a cluster: sentences on nodes and on trials that wait, and the end where the head is gone."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from orchestrator.errors import ClusterLostError
from orchestrator.journal.study_state import StudyState
from orchestrator.journal.trial import TrialState
from orchestrator.nodes.cluster_view import ClusterView, trials_at_once
from orchestrator.nodes.news import ClusterNews
from orchestrator.nodes.watch import ClusterWatch, watched_cluster
from orchestrator.study.sections import Resources


class StudyOnCluster:
    """Compares what a cluster has with what a study waits for.

    Args:
        watch: Knows the nodes; None for a Ray of this machine alone, of which there is nothing to say.
        resources: The study's section.
        clock: Returns seconds from any start.
    """

    def __init__(
        self, watch: ClusterWatch | None, *, resources: Resources, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._watch = watch
        self._resources = resources
        self._clock = clock
        self._news: ClusterNews | None = None
        self._seen: ClusterView | None = None

    @property
    def view(self) -> ClusterView | None:
        """The nodes as they were seen last; None where nobody looks."""
        return None if self._watch is None else self._watch.view

    @property
    def is_lost(self) -> bool:
        """Whether the head does not answer any more."""
        return self._watch is not None and self._watch.loss is not None

    def since_last(self, state: StudyState) -> Iterator[str]:
        """Yields what is new since the last call.

        Args:
            state: What the journal says.

        Raises:
            ClusterLostError: The head does not answer any more.
        """
        if self._watch is None:
            return
        if (loss := self._watch.loss) is not None:
            raise loss
        view = self._watch.view
        if view is None or view is self._seen:
            return
        self._seen = view
        if self._news is None:
            slots = partial(trials_at_once, self._resources)
            self._news = ClusterNews(request=self._resources.request_in_words, view=view, slots=slots)
        yield from self._news.of_nodes(view)
        num_waiting = _num_waiting(state, most=trials_at_once(self._resources, view))
        self._watch.asks_for_places = num_waiting > 0
        # Those whose workers are just starting have their places.
        num_waiting = min(num_waiting, view.num_without_place)
        yield from self._news.of_waiting(num_waiting, view=view, now=self._clock())


def _num_waiting(state: StudyState, *, most: int) -> int:
    """Returns how many trials are on their way to a worker; others wait until those have ended.

    Args:
        state: What the journal says.
        most: How many trials run at once at most.
    """
    counts = Counter(trial.state for trial in list(state.open_trials.values()))
    # One that a worker had is on its way to another one: its node may be lost.
    num_begun = counts[TrialState.RUNNING] + counts[TrialState.PAUSED]
    return counts[TrialState.PAUSED] + min(counts[TrialState.WAITING], max(0, most - num_begun))


@contextmanager
def study_on_cluster(
    address: str | None, *, resources: Resources, on_lost: Callable[[ClusterLostError], None]
) -> Iterator[StudyOnCluster]:
    """Yields a study's part in the cluster that the driver has joined; its nodes are watched meanwhile.

    Args:
        address: As the user gave it; None: a Ray of this machine alone.
        resources: The study's section.
        on_lost: Receives the error that the driver ends with once the head is gone; called on another thread.
    """
    with watched_cluster(address, on_lost=on_lost) as watch:
        yield StudyOnCluster(watch, resources=resources)
