"""Counts how long drivers were at work on a study, from the times of its records alone."""

from dataclasses import dataclass


@dataclass(slots=True, kw_only=True)
class SessionClock:
    """The seconds of a study's sessions; the time between sessions does not count.

    Attributes:
        earlier_seconds: The seconds of all sessions that have ended.
        began_at: When the present session began, seconds since 1970; None while no driver is at work.
    """

    earlier_seconds: float = 0.0
    began_at: float | None = None

    def begin(self, at: float) -> None:
        """Begins a session.

        Args:
            at: Seconds since 1970.
        """
        self.began_at = at

    def end(self, at: float) -> None:
        """Ends the present session, if there is one.

        Args:
            at: Seconds since 1970; a clock that was put back ends the session where it began.
        """
        self.earlier_seconds = self.seconds(at)
        self.began_at = None

    def seconds(self, now: float) -> float:
        """Returns the seconds of all sessions up to now.

        >>> clock = SessionClock(earlier_seconds=5.0, began_at=100.0)
        >>> clock.seconds(107.0), clock.seconds(90.0)
        (12.0, 5.0)

        Args:
            now: Seconds since 1970.
        """
        return self.earlier_seconds + (0.0 if self.began_at is None else max(0.0, now - self.began_at))
