"""Of the workers that were started for a trial, the last one alone changes its checkpoints, whatever wakes up when."""

import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from file_steps import before_each_step
from hypothesis import given, settings
from hypothesis import strategies as st
from partitioned_workers import LAST, TRIAL, Driver, Worker, missing, worker_spec

from trainables.checkpoints.checkpoint import prune_checkpoints, saved_epochs
from trainables.checkpoints.owner import Owner
from trainables.checkpoints.store import whole_epochs
from trainables.files.remote import RemoteFolder
from trainables.files.uploads import UPLOADER


class Turns:
    """Lets threads make their steps on files one at a time, in an order that is given."""

    def __init__(self) -> None:
        self._threads: dict[threading.Thread, tuple[threading.Semaphore, threading.Semaphore]] = {}
        self._own = threading.local()
        self.errors: list[BaseException] = []

    def hook(self, name: str) -> None:
        """Waits until it is the turn of this thread, if that is one of ours."""
        places = getattr(self._own, "places", None)
        if places is not None:
            go_on, has_stopped = places
            has_stopped.release()
            go_on.acquire()

    def add(self, work: Callable[[], None]) -> threading.Thread:
        """Starts a thread, which stops before its first step."""
        places = (threading.Semaphore(0), threading.Semaphore(0))

        def run() -> None:
            self._own.places = places
            self.hook("begin")
            try:
                work()
            except SystemExit:
                pass
            except BaseException as exc:  # noqa: BLE001 - the test raises it
                self.errors.append(exc)
            finally:
                self._own.places = None
                places[1].release()

        thread = threading.Thread(target=run, daemon=True)
        self._threads[thread] = places
        thread.start()
        assert places[1].acquire(timeout=60)
        return thread

    def step(self, thread: threading.Thread) -> bool:
        """Lets a thread make one step; returns whether it may make another."""
        go_on, has_stopped = self._threads[thread]
        if not thread.is_alive():
            return False
        go_on.release()
        assert has_stopped.acquire(timeout=60)
        thread.join(0.0 if thread.is_alive() else None)
        return thread.is_alive()


class AtOnce:
    """A pool whose work is done by the thread that submits it: a schedule decides about all of it."""

    def __init__(self, **_: Any) -> None:
        pass

    def submit(self, function: Any, *arguments: Any, **named: Any) -> Any:
        from concurrent.futures import Future

        future: Any = Future()
        try:
            future.set_result(function(*arguments, **named))
        except BaseException as exc:  # noqa: BLE001 - as a pool does
            future.set_exception(exc)
        return future


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainables.checkpoints.writer.ThreadPoolExecutor", AtOnce)
    monkeypatch.setattr(UPLOADER, "put", lambda key, work: work())


def play(
    folder: Path, *, bursts: list[int], lost_after: int, kept_every: int, remote: str | None, is_shared: bool
) -> tuple[Driver, Path]:
    """Lets a worker, and from some moment on another one of the same trial, make their steps in turns; checks each."""
    driver, turns = Driver(kept_every=kept_every), Turns()
    folders = {start: folder / ("shared" if is_shared else f"node-{start}") for start in (1, 2)}

    def work(start: int) -> Callable[[], None]:
        spec = worker_spec(folders[start], remote=remote, kept_every=kept_every)
        worker = Worker(spec, start=start, first_epoch=len(driver.reports) + 1)

        def run() -> None:
            # Whoever has lost the trial is asked for no epoch more, and may be in the middle of one.
            while driver.current == start and not driver.is_done:
                driver.take(worker.step(), start=start)

        return run

    def check() -> None:
        if is_shared:
            lost = missing(folder / "shared" / TRIAL, driver)
            assert not lost, f"epochs {lost} are gone or others', of {len(driver.reports)}, best {driver.best}"

    with before_each_step(turns.hook):
        old = turns.add(work(1))
        for _ in range(lost_after):
            turns.step(old)
            check()
        if driver.is_done:
            return driver, folders[1] / TRIAL
        driver.lose()
        new = turns.add(work(2))
        for number, count in enumerate(bursts):
            for _ in range(count):
                if not turns.step((old, new)[number % 2]):
                    break
                check()
        for thread in (new, old):
            while turns.step(thread):
                check()
    check()
    for error in turns.errors:
        raise error
    assert driver.is_done
    return driver, folders[2] / TRIAL


MOMENTS = {
    "bursts": st.lists(st.integers(0, 60), max_size=30),
    "lost_after": st.integers(0, 120),
    "kept_every": st.sampled_from([0, 0, 3]),
}


@pytest.mark.usefixtures("at_once")
def test_nothing_that_the_journal_counts_on_is_ever_missing(
    tmp_path_factory: pytest.TempPathFactory, is_long: bool
) -> None:
    @settings(max_examples=2000 if is_long else 50, deadline=None)
    @given(**MOMENTS)
    def holds(bursts: list[int], lost_after: int, kept_every: int) -> None:
        folder = tmp_path_factory.mktemp("played")
        driver, trial = play(
            folder, bursts=bursts, lost_after=lost_after, kept_every=kept_every, remote=None, is_shared=True
        )
        assert driver.needed() | {LAST - 1} <= set(saved_epochs(trial))
        # Of what the earlier worker left behind, nothing is there any more.
        owner = f".owner-0001-{driver.current:04d}"
        assert [path.name for path in trial.iterdir() if path.name.startswith(".")] == [owner]

    holds()


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("is_shared", [True, False])
def test_remote_storage_has_the_best_and_the_newest_at_the_end(
    tmp_path_factory: pytest.TempPathFactory, is_long: bool, is_shared: bool
) -> None:
    @settings(max_examples=1000 if is_long else 30, deadline=None)
    @given(**MOMENTS)
    def holds(bursts: list[int], lost_after: int, kept_every: int) -> None:
        folder = tmp_path_factory.mktemp("played")
        uri = f"file://{folder}/elsewhere"
        driver, _ = play(
            folder, bursts=bursts, lost_after=lost_after, kept_every=kept_every, remote=uri, is_shared=is_shared
        )
        there = RemoteFolder.open(uri).child("checkpoints").child(TRIAL).files()
        assert {driver.best, LAST} <= set(whole_epochs(there))
        assert [name for name in there if name.startswith(".owner")] == [f".owner-0001-{driver.current:04d}"]

    holds()


@pytest.mark.parametrize("order", [[1, 2], [2, 1]])
def test_of_two_starts_the_later_one_has_the_trial_whichever_claims_first(tmp_path: Path, order: list[int]) -> None:
    owners = {number: Owner(tmp_path / TRIAL, start=(1, number)) for number in order}
    for number in order:
        if number == 1 and order[0] == 2:
            with pytest.raises(SystemExit, match="a later one has the trial"):
                owners[number].claim()
        else:
            owners[number].claim()
    owners[2].leave_if_superseded()
    assert [path.name for path in (tmp_path / TRIAL).iterdir()] == [".owner-0001-0002"]


def test_start_of_a_later_session_is_later_and_one_start_is_claimed_once(tmp_path: Path) -> None:
    early, late = Owner(tmp_path, start=(1, 700)), Owner(tmp_path, start=(2, 1))
    early.claim()
    early.claim()
    late.claim()
    with pytest.raises(SystemExit, match=r"start \(1, 700\) of a worker leaves: a later one has the trial"):
        early.claim()
    with pytest.raises(SystemExit, match="another worker has its start"):
        Owner(tmp_path, start=(2, 1)).claim()
    late.claim()


def test_claims_at_once_leave_one_owner_which_is_the_latest(tmp_path: Path, is_long: bool) -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    generator = random.Random(seed)
    for number in range(500 if is_long else 50):
        turns, folder = Turns(), tmp_path / f"{number}"
        with before_each_step(turns.hook):
            threads = [turns.add(Owner(folder, start=(1, start)).claim) for start in (1, 2, 3)]
            while any(thread.is_alive() for thread in threads):
                turns.step(generator.choice([thread for thread in threads if thread.is_alive()]))
        assert not turns.errors
        assert [path.name for path in folder.iterdir()] == [".owner-0001-0003"]


def test_worker_whose_folder_is_gone_prunes_nothing_and_saves_nothing(tmp_path: Path) -> None:
    spec = worker_spec(tmp_path)
    worker = Worker(spec, start=1, first_epoch=1)
    for _ in range(4):
        worker.step()
    before = saved_epochs(tmp_path / TRIAL)
    later = Owner(tmp_path / TRIAL, start=(1, 2))
    later.claim()
    gone = tmp_path / TRIAL / ".owner-0001-0001"
    with pytest.raises(FileNotFoundError, match=r"\.owner-0001-0001: was taken away"):
        prune_checkpoints(tmp_path / TRIAL, keep=[99], through=gone)
    assert worker.training is not None
    worker.training.run_epoch()
    with pytest.raises(SystemExit):
        worker._checkpoints.save(worker.training)  # type: ignore[arg-type]
    assert saved_epochs(tmp_path / TRIAL) == before
    assert not gone.exists()


def test_best_epoch_that_the_driver_has_stays_until_it_has_the_better_one(tmp_path: Path) -> None:
    worker, driver = Worker(worker_spec(tmp_path), start=1, first_epoch=1), Driver()
    for _ in range(LAST):
        report = worker.step()
        # The driver may die, or end the trial, before it has this report.
        assert not missing(tmp_path / TRIAL, driver)
        driver.take(report, start=1)
        assert not missing(tmp_path / TRIAL, driver)
