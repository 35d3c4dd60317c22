"""A job's output, followed to the job's end through connections that break."""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from orchestrator.cluster.jobs.job import Job, job_of
from orchestrator.errors import StudyFailedError

_POLL_SECONDS = 0.5
#: So many connections in a row that bring nothing end the following; the job goes on.
_MOST_FAILURES = 60


class Followed:
    """What a job prints, read on a thread of its own, so that the caller can be interrupted at any time.

    Args:
        client: As `connected` returns it.
        name: The job's id.
        address: The cluster's, for errors.
    """

    def __init__(self, client: Any, name: str, *, address: str) -> None:
        self._client = client
        self._name = name
        self._address = address
        self._chunks: queue.Queue[str | None] = queue.Queue()
        self._num_read = 0
        threading.Thread(target=self._read, name="job-log", daemon=True).start()

    def chunks(self) -> Iterator[str]:
        """Yields what the job prints until it has ended, or cannot be heard of any more; may be called again."""
        while True:
            with suppress(queue.Empty):
                chunk = self._chunks.get(timeout=_POLL_SECONDS)
                if chunk is None:
                    self._chunks.put(None)
                    return
                yield chunk

    def job(self) -> Job:
        """Returns the job.

        Raises:
            StudyFailedError: If the cluster does not answer.
        """
        return job_of(self._client, self._name, address=self._address)

    def _read(self) -> None:
        num_failures, wait = 0, threading.Event().wait
        while num_failures < _MOST_FAILURES:
            before = self._num_read
            with suppress(Exception):
                # Whatever breaks a connection: the next one goes on where this one ended.
                asyncio.run(self._tail())
            try:
                if self.job().has_ended:
                    self._rest()
                    break
            except StudyFailedError:
                num_failures += 1
            if self._num_read > before:
                num_failures = 0
            wait(_POLL_SECONDS)
        self._chunks.put(None)

    async def _tail(self) -> None:
        seen = 0
        async for text in self._client.tail_job_logs(self._name):
            # Each connection begins with the first line.
            fresh = text[max(0, self._num_read - seen) :]
            seen += len(text)
            self._put(fresh)

    def _rest(self) -> None:
        """Takes what the job printed between the last connection and its end."""
        with suppress(Exception):
            self._put(self._client.get_job_logs(self._name)[self._num_read :])

    def _put(self, text: str) -> None:
        if text:
            self._num_read += len(text)
            self._chunks.put(text)


def followed_to_the_end(followed: Followed, *, write: Callable[[str], None], on_interrupt: Callable[[], bool]) -> bool:
    """Writes what a job prints until it has ended; returns False where the user leaves before.

    Args:
        followed: The job.
        write: Receives what it prints.
        on_interrupt: Called at Ctrl-C and SIGTERM; returns whether to go on.
    """
    while True:
        try:
            for chunk in followed.chunks():
                write(chunk)
        except KeyboardInterrupt:
            if not on_interrupt():
                return False
        else:
            return True
