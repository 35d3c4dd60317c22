"""A run that goes on without training: the end of its journal is taken off, and comes back line by line."""

import contextlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path


def without_end(run: Path, target: Path, *, lines: int) -> list[bytes]:
    """Copies a run without the last lines of its journal, and returns these."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    shutil.copy(run / "study.yaml", target)
    records = (run / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (target / "journal.jsonl").write_bytes(b"".join(records[:-lines]))
    return records[-lines:]


@contextlib.contextmanager
def growing(run: Path, lines: list[bytes], *, seconds: float) -> Iterator[threading.Thread]:
    """Gives a run a line of its journal back every so many seconds, and yields the thread that does."""
    ended = threading.Event()

    def grow() -> None:
        with (run / "journal.jsonl").open("ab", buffering=0) as journal:
            while lines and not ended.wait(seconds):
                journal.write(lines.pop(0))

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        yield thread
    finally:
        ended.set()
        thread.join()
