"""Sends a run's events to several trackers, once or while a driver is at work; one that is away holds up no other."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.errors import TrackerError
from orchestrator.trackers.tracking import TRACKERS, TrackerProgress, Tracking

#: A tracker that does not answer is asked again after so many seconds, twice as many each time up to the last.
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 5.0, 300.0


@dataclass(slots=True, kw_only=True)
class _Follower:
    """A tracker that is looked after.

    Attributes:
        name: The tracker's.
        tracking: The run as it is sent; None before the first look, and after a failure.
        progress: How far it got.
        problem: Why the last look failed; empty if it did not.
        wait_seconds: How long it waits after its last failure.
        next_at: When it is looked after again.
    """

    name: str
    tracking: Tracking | None = None
    progress: TrackerProgress | None = None
    problem: str = ""
    wait_seconds: float = 0.0
    next_at: float = 0.0


def follow(
    open_tracking: Mapping[str, Callable[[], Tracking]],
    *,
    is_over: Callable[[], bool],
    wait: Callable[[float], object],
    clock: Callable[[], float],
    notify: Callable[[str], None],
) -> list[TrackerProgress]:
    """Sends a run's events to trackers until it is over, and returns how far each got.

    A tracker that fails is told of, left alone for a while and begun anew: what it has by then is not sent again.

    Args:
        open_tracking: Opens the run for a tracker, by the tracker's name.
        is_over: Returns whether nothing more will come; what came before it was asked is still sent.
        wait: Waits for so many seconds.
        clock: Returns seconds that only grow.
        notify: Receives a message for the user.

    Raises:
        OrchestratorError: If a tracker failed at the end; the message has a line for each, and the others are done.
    """
    followers = [_Follower(name=name) for name in open_tracking]
    is_last = False
    while not is_last:
        is_last = is_over()
        for follower in followers:
            if is_last or clock() >= follower.next_at:
                _look(follower, open_tracking[follower.name], now=clock(), notify=notify)
        if not is_last:
            wait(max(0.0, min(follower.next_at for follower in followers) - clock()))
    if problems := [follower.problem for follower in followers if follower.problem]:
        raise TrackerError("\n".join(problems))
    return [follower.progress for follower in followers if follower.progress is not None]


def _look(
    follower: _Follower, open_tracking: Callable[[], Tracking], *, now: float, notify: Callable[[str], None]
) -> None:
    """Sends what came since the last look; a failure is kept for the next one."""
    try:
        if follower.tracking is None:
            follower.tracking = open_tracking()
        follower.progress = follower.tracking.catch_up()
    except TrackerError as exc:
        follower.tracking = None
        if str(exc) != follower.problem:
            notify(str(exc))
        follower.problem = str(exc)
        follower.wait_seconds = min(2 * follower.wait_seconds or FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS)
        follower.next_at = now + follower.wait_seconds
        return
    follower.problem, follower.wait_seconds = "", 0.0
    follower.next_at = now + TRACKERS[follower.name].seconds


def once(open_tracking: Mapping[str, Callable[[], Tracking]]) -> list[TrackerProgress]:
    """Sends what trackers lack of a run, and returns how far each got.

    Args:
        open_tracking: As in `follow`.

    Raises:
        OrchestratorError: As in `follow`.
    """
    return follow(open_tracking, is_over=lambda: True, wait=lambda _: None, clock=lambda: 0.0, notify=lambda _: None)
