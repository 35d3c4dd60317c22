"""Ctrl-C and SIGTERM, turned into one KeyboardInterrupt in the main thread; other threads' errors likewise."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

#: Only the second signal is swallowed: people press Ctrl-C twice.
_SWALLOWED = 2
_KINDS = (signal.SIGINT, signal.SIGTERM)


class OneInterrupt:
    """A context manager in which the first SIGINT or SIGTERM raises KeyboardInterrupt.

    The second one is swallowed while the driver stops; a third one raises again, and ends even a shutdown that hangs.
    In another thread than the main one nothing changes: only the main thread receives signals.
    """

    def __init__(self) -> None:
        self._num_signals = 0
        self._before: list[Any] = []
        #: What another thread asked to be raised in the main one.
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = [signal.signal(kind, self._interrupt) for kind in _KINDS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in zip(_KINDS, self._before, strict=False):
            signal.signal(number, handler)

    def renew(self) -> None:
        """Takes the signals back from a library that took them: Ray's start installs a SIGTERM handler."""
        if self._before:
            for number in _KINDS:
                signal.signal(number, self._interrupt)

    def end_with(self, error: BaseException) -> None:
        """Raises an error in the main thread, as soon as that executes Python; called by another thread.

        Args:
            error: What the main thread raises; nothing where it does not receive signals.
        """
        if self._before:
            self._error = error
            os.kill(os.getpid(), signal.SIGINT)

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
        self._num_signals += 1
        if self._num_signals != _SWALLOWED:
            raise KeyboardInterrupt
