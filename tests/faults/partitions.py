"""Cuts a worker off in the middle of a step on files, lets another one train its trial, and wakes the first one up.

    python tests/faults/partitions.py --phase prune --count 50 --seed 1

Both are processes with the real checkpoints and a made-up training; SIGSTOP comes before a drawn step on files of the
phase: while a checkpoint is saved, pruned or uploaded, or, for `export`, any of these while the best one is read.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/helpers")]

from file_steps import before_each_step  # noqa: E402
from partitioned_workers import LAST, TRIAL, VARIANT, Driver, Worker, missing, worker_spec  # noqa: E402

from trainables.checkpoints.store import whole_epochs  # noqa: E402
from trainables.checkpoints.weights import load_validated  # noqa: E402
from trainables.files.remote import RemoteFolder  # noqa: E402
from trainables.reports import EpochReport  # noqa: E402

PHASES = ("save", "prune", "upload", "export")
#: By the beginning of a thread's name: what a worker does in it.
_THREADS = {"checkpoint": "prune", "uploader": "upload"}
STOPPING, LEFT = "stopping", "left"


@dataclass
class Outcome:
    """What became of partitions."""

    seed: int
    num_done: int = 0
    #: What went wrong, one a partition.
    problems: list[str] = field(default_factory=list)


def partition(folder: Path, *, phase: str, generator: random.Random) -> str:
    """Cuts one worker off, and returns what went wrong; an empty text if nothing did."""
    stops_in = generator.choice(["save", "prune"]) if phase == "export" else phase
    remote = f"file://{folder}/elsewhere" if phase == "upload" else ""
    driver = Driver(kept_every=generator.choice([0, 0, 3]))
    old = _Process(folder, start=1, first_epoch=1, kept_every=driver.kept_every, remote=remote)
    old.arm(stops_in, epoch=generator.randrange(1, LAST), steps=generator.randrange(12))
    new = None
    try:
        while not driver.is_done and not old.step(driver):
            pass
        if driver.is_done and not old.is_stopped():
            return ""  # It came to its end before the drawn step.
        if not driver.is_done:
            start, first_epoch = driver.lose(), len(driver.reports) + 1
            new = _Process(folder, start=start, first_epoch=first_epoch, kept_every=driver.kept_every, remote=remote)
            wakes_after = LAST if phase == "export" else generator.randrange(LAST + 1)
            while not driver.is_done:
                if len(driver.reports) >= wakes_after:
                    old.wake()
                new.step(driver)
        problem = _woken(folder, old, driver)
        if problem or new is None or not remote:
            return problem
        # It waits for its uploads before it ends.
        new.run_out()
        return _elsewhere(remote, driver)
    finally:
        for process in filter(None, (old, new)):
            process.close()


def _woken(folder: Path, old: "_Process", driver: Driver) -> str:
    """Wakes the first worker, if it sleeps, and looks at every checkpoint that counts until it has left, and after."""
    trial = folder / "checkpoints" / TRIAL
    old.wake()
    ended = threading.Thread(target=old.run_out)
    ended.start()
    while True:
        is_last = not ended.is_alive()
        if lost := missing(trial, driver):
            return f"epochs {lost} are gone, best {driver.best}"
        load_validated(trial, epoch=driver.best, variant_id=VARIANT)
        if is_last:
            return "" if old.code in (0, None) else f"the first worker failed: {old.code}"


def _elsewhere(remote: str, driver: Driver) -> str:
    there = whole_epochs(RemoteFolder.open(remote).child("checkpoints").child(TRIAL).files())
    return "" if {driver.best, LAST} <= set(there) else f"best {driver.best}, and remote storage has {there}"


class _Process:
    """A worker in a process of its own."""

    def __init__(self, folder: Path, *, start: int, first_epoch: int, kept_every: int, remote: str) -> None:
        self.start = start
        self.code: int | None = None
        self._sleeps = False
        arguments = [str(folder / "checkpoints"), str(start), str(first_epoch), str(kept_every), remote]
        self._process = subprocess.Popen(
            [sys.executable, __file__, "worker", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def arm(self, phase: str, *, epoch: int, steps: int) -> None:
        """Has the worker stop before a step of a phase, from an epoch on."""
        self._say(json.dumps({"phase": phase, "epoch": epoch, "steps": steps}))

    def step(self, driver: Driver) -> bool:
        """Asks for an epoch; returns whether the process has stopped before it was reported."""
        self._say("step")
        while True:
            line = self._line()
            if line == STOPPING:
                os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)
                self._sleeps = True
                return True
            driver.take(EpochReport.from_json(json.loads(line)), start=self.start)
            return False

    def is_stopped(self) -> bool:
        """Returns whether the process sleeps."""
        return self._sleeps

    def wake(self) -> None:
        """Lets a process that sleeps go on."""
        if self._sleeps:
            self._sleeps = False
            os.kill(self._process.pid, signal.SIGCONT)

    def run_out(self) -> None:
        """Asks for one more epoch, as no driver does, and waits until the process has ended."""
        try:
            self._say("step")
            self._process.stdin.close()  # type: ignore[union-attr]
        except BrokenPipeError:
            pass
        self._process.stdout.read()  # type: ignore[union-attr]
        self.code = self._process.wait()

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]

    def _say(self, text: str) -> None:
        self._process.stdin.write(f"{text}\n")  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]

    def _line(self) -> str:
        line = self._process.stdout.readline().strip()  # type: ignore[union-attr]
        assert line, f"worker {self.start} ended: {self._process.wait()}"
        return line


def partitions(folder: Path, *, phase: str, count: int, seed: int) -> Outcome:
    """Makes partitions of a phase, and returns what became of them."""
    outcome = Outcome(seed=seed)
    for number in range(count):
        place = folder / f"{phase}-{number}"
        place.mkdir(parents=True)
        problem = partition(place, phase=phase, generator=random.Random(f"{seed} {phase} {number}"))
        outcome.num_done += 1
        if problem:
            outcome.problems.append(f"{phase}, partition {number} of seed {seed}: {problem}")
    return outcome


def _work(checkpoints: str, start: str, first_epoch: str, kept_every: str, remote: str) -> None:
    """Is a worker: a line of input an epoch, a line of output a report."""
    stop, counted, epoch = {"phase": "", "epoch": 0, "steps": 0}, [0], [int(first_epoch)]

    def hook(_: str) -> None:
        name = threading.current_thread().name
        phase = next((phase for begin, phase in _THREADS.items() if name.startswith(begin)), "save")
        if phase != stop["phase"] or epoch[0] < stop["epoch"]:
            return
        counted[0] += 1
        if counted[0] == int(stop["steps"]) + 1:
            _tell(STOPPING)
            os.kill(os.getpid(), signal.SIGSTOP)

    worker = Worker(
        worker_spec(Path(checkpoints), remote=remote or None, kept_every=int(kept_every)),
        start=int(start),
        first_epoch=int(first_epoch),
    )
    with before_each_step(hook):
        for line in sys.stdin:
            if line.startswith("{"):
                stop = json.loads(line)
                continue
            try:
                if epoch[0] > LAST:
                    break
                report = worker.step()
            except SystemExit:
                _tell(LEFT)
                break
            epoch[0] = report.epoch + 1
            _tell(json.dumps(report.to_json()))
        if epoch[0] > LAST:
            worker.wait_for_uploads()


def _tell(line: str) -> None:
    # In one piece: two threads say something.
    os.write(1, f"{line}\n".encode())


def main() -> None:
    """Makes partitions, or is a worker of one."""
    if sys.argv[1:2] == ["worker"]:
        _work(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phase", choices=PHASES, action="append")
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    asked = parser.parse_args()
    for phase in asked.phase or PHASES:
        with tempfile.TemporaryDirectory() as folder:
            outcome = partitions(Path(folder), phase=phase, count=asked.count, seed=asked.seed)
        print(f"{phase}: {outcome.num_done} partitions, seed {asked.seed}", *outcome.problems, sep="\n  ")


if __name__ == "__main__":
    main()
