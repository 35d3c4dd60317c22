"""Measures a driver at work: when reports reach the journal and the tables, and what its threads use of the machine."""

import os
import resource
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from simulated_fleet.hub import READY_AT

_SAMPLE_SECONDS = 0.5
_TICKS = os.sysconf("SC_CLK_TCK")


class Gauges:
    """What was seen of one driver.

    Attributes:
        journal: Of each report that was recorded: when the worker had it, and when its record was on the way to disk.
        tables: Of each write of the tables: when it was done, and how many reports they hold.
        samples: Again and again: time, CPU seconds of the process, its memory, how many reports are recorded.
        threads: Again and again: CPU seconds by thread.
    """

    def __init__(self) -> None:
        self.journal: list[tuple[float, float]] = []
        self.tables: list[tuple[float, int]] = []
        self.samples: list[tuple[float, float, int, int]] = []
        self.threads: list[dict[str, float]] = []
        self._num_in_tables = 0

    @contextmanager
    def attached(self) -> Iterator[None]:
        """Measures the driver that this process starts meanwhile."""
        from orchestrator.results import writer
        from orchestrator.tuning.listener import TuneListener

        record, update, write = TuneListener.__call__, writer.GrowingTables.update, writer.write_tables

        def recorded(listener: Any, trial_id: str, result: Any) -> bool:
            before = len(listener.recorder.state.report_order)
            is_stopped = record(listener, trial_id, result)
            if len(listener.recorder.state.report_order) > before:
                self.journal.append((result[READY_AT], time.time()))
            return is_stopped

        def updated(tables: Any, state: Any) -> bool:
            self._num_in_tables = len(state.report_order)
            return update(tables, state)

        def written(*args: Any, **named: Any) -> None:
            write(*args, **named)
            self.tables.append((time.time(), self._num_in_tables))

        with (
            mock.patch.object(TuneListener, "__call__", recorded),
            mock.patch.object(writer.GrowingTables, "update", updated),
            mock.patch.object(writer, "write_tables", written),
            self._sampling(),
        ):
            yield

    @contextmanager
    def _sampling(self) -> Iterator[None]:
        is_over = threading.Event()

        def sample() -> None:
            page = resource.getpagesize()
            while not is_over.wait(_SAMPLE_SECONDS):
                size = int(Path("/proc/self/statm").read_text().split()[1]) * page
                self.samples.append((time.time(), time.process_time(), size, len(self.journal)))
                self.threads.append(_cpu_by_thread())

        thread = threading.Thread(target=sample, name="gauges", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def figures(self, *, skip: int) -> dict[str, Any]:
        """Returns what the driver did from so many reports on, until nineteen in twenty were recorded."""
        first, last = (
            next(at for at, sample in enumerate(self.samples) if sample[3] >= least)
            for least in (skip, 0.95 * self.samples[-1][3])
        )
        first = min(first, last - 1)
        (began, cpu, _, before), (ended, cpu_after, _, after) = self.samples[first], self.samples[last]
        seconds, num = ended - began, max(1, after - before)
        journal = sorted(at - ready for ready, at in self.journal[before:after])
        tables = sorted(self._table_lags(first=before, last=after))
        shares = {
            name: (used - self.threads[first].get(name, 0.0)) / seconds for name, used in self.threads[last].items()
        }
        return {
            "seconds": seconds,
            "reports": num,
            "reports a second": num / seconds,
            "cores": (cpu_after - cpu) / seconds,
            "CPU ms a report": 1e3 * (cpu_after - cpu) / num,
            "memory MB": max(sample[2] for sample in self.samples[: last + 1]) / 1e6,
            "journal lag": [_quantile(journal, share) for share in (0.5, 0.99, 1.0)],
            "table lag": [_quantile(tables, share) for share in (0.5, 0.99, 1.0)],
            "threads": dict(sorted(shares.items(), key=lambda item: -item[1])),
        }

    def _table_lags(self, *, first: int, last: int) -> Iterator[float]:
        """Yields how long after it was ready each report was in the tables."""
        number = 0
        for done, count in self.tables:
            for at in range(number, min(count, len(self.journal))):
                if first <= at < last:
                    yield done - self.journal[at][0]
            number = max(number, count)


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def _cpu_by_thread() -> dict[str, float]:
    """Returns the CPU seconds of Python's threads by name, and of all others, which are Ray's and Arrow's."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    used: dict[str, float] = {}
    for stat in Path("/proc/self/task").glob("*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # the thread has ended
        name = names.get(int(stat.parent.name), "others")
        used[name] = used.get(name, 0.0) + (int(fields[11]) + int(fields[12])) / _TICKS
    return used


def profiled(work: Callable[[], None], *, lines: int = 50) -> None:
    """Does work, and prints in which functions its thread was, again and again; waiting counts like working.

    A tracing profiler would make small functions look several times as expensive as they are.
    """
    is_over, of = threading.Event(), threading.get_ident()
    within: Counter[str] = Counter()
    at_top: Counter[str] = Counter()

    def sample() -> None:
        while not is_over.wait(0.005):
            frame, seen = sys._current_frames().get(of), set()
            if frame is not None:
                at_top[_place(frame)] += 1
            while frame is not None:
                seen.add(_place(frame))
                frame = frame.f_back
            within.update(seen)

    threading.Thread(target=sample, name="profile", daemon=True).start()
    try:
        work()
    finally:
        is_over.set()
        total = max(1, at_top.total())
        for place, count in within.most_common(lines):
            print(f"{count / total:7.1%} within, {at_top[place] / total:6.1%} at its top: {place}")


def _place(frame: Any) -> str:
    code = frame.f_code
    return f"{'/'.join(Path(code.co_filename).parts[-2:])}:{code.co_qualname}"
