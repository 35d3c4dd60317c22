"""Fills disks under running studies, and shows that nothing is lost: `python tests/faults/full_disks.py --times 10`.

Each case runs a small study with some of its files on a small tmpfs and takes the room away at a random moment. The
command must end in words, the journal must be readable, and once there is room again, `resume` must end with the very
rows of an undisturbed run. Needs the right to mount, as root or in a user namespace of its own.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from small_runs import STUDY, Commands, Ended, Rows, complaints_of, rows_of, state_of, variants_of, wait_until

MB = 1_000_000
NUM_REPORTS = STUDY["search"]["trials"] * STUDY["schedule"]["max_epochs"]


class Disk:
    """A small file system that can be filled, set read-only and mended."""

    def __init__(self, path: Path, *, size_mb: int) -> None:
        self.path = path
        self._is_full = threading.Event()
        self._is_read_only = False
        path.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "none", str(path)], check=True)

    def fill(self, *, leave_mb: float = 0) -> None:
        """Takes all room but so much, and what is given back meanwhile as well."""
        self._is_full.set()
        self._take(leave_mb)
        threading.Thread(target=self._keep_full, args=(leave_mb,), daemon=True).start()

    def _keep_full(self, leave_mb: float) -> None:
        while self._is_full.is_set():
            self._take(leave_mb)
            time.sleep(0.02)

    def _take(self, leave_mb: float) -> None:
        with suppress(OSError), (self.path / ".filler").open("ab", buffering=0) as file:
            while self._is_full.is_set() and (room := shutil.disk_usage(self.path).free - leave_mb * MB) > 0:
                file.write(b"\0" * int(min(room, 4 * MB)))

    def set_read_only(self) -> None:
        """Lays a read-only view over it: what is open stays so, nothing else can be written."""
        subprocess.run(["mount", "--bind", str(self.path), str(self.path)], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", str(self.path)], check=True)
        self._is_read_only = True

    def mend(self) -> None:
        self._is_full.clear()
        if self._is_read_only:
            subprocess.run(["umount", "-l", str(self.path)], check=True)
            self._is_read_only = False
        time.sleep(0.1)
        (self.path / ".filler").unlink(missing_ok=True)

    def close(self) -> None:
        self._is_full.clear()
        subprocess.run(["umount", "-l", str(self.path)], check=False)


@dataclass
class Scene:
    """One case at work."""

    commands: Commands
    random: random.Random
    disks: dict[str, Disk]

    @property
    def run_folder(self) -> Path:
        return self.commands.folder / "runs" / "small"

    def num_reports(self) -> int:
        return len(state_of(self.run_folder).report_order)

    def at_report(self, low: int, high: int) -> Callable[[], bool]:
        count = self.random.randint(low, high)
        print(f"    at report {count}", flush=True)
        return lambda: self.num_reports() >= count


@dataclass(frozen=True)
class Case:
    """Where the room is taken away, when, and how much a study asks to be free."""

    name: str
    disks: dict[str, int]  # by folder below the scene's: MB
    moment: Callable[[Scene], Callable[[], bool]]
    spoil: Callable[[Scene], None]
    min_free_gb: float = 0.0
    environment: tuple[str, ...] = ()  # names of variables that point to a disk, NAME=folder


def fill(where: str, *, leave_mb: float = 0) -> Callable[[Scene], None]:
    return lambda scene: scene.disks[where].fill(leave_mb=leave_mb)


def begun(scene: Scene) -> Callable[[], bool]:
    return (scene.run_folder / "journal.jsonl").exists


def at_once(_: Scene) -> Callable[[], bool]:
    return lambda: True


def all_trained(scene: Scene) -> Callable[[], bool]:
    return lambda: scene.num_reports() >= NUM_REPORTS


def exported(scene: Scene) -> Callable[[], bool]:
    return lambda: bool(state_of(scene.run_folder).exports)


CASES = [
    Case("checkpoints or journal", {"runs": 40}, lambda scene: scene.at_report(1, NUM_REPORTS - 3), fill("runs")),
    Case(
        "journal and tables, checkpoints elsewhere",
        {"runs": 40, "runs/small/checkpoints": 40},
        lambda scene: scene.at_report(1, 4),
        fill("runs"),
    ),
    Case(
        "the watch, before anything breaks",
        {"runs": 300},
        lambda scene: scene.at_report(1, 9),
        fill("runs", leave_mb=150),
        0.2,
    ),
    Case("run folder, before it is made", {"runs": 40}, at_once, fill("runs")),
    Case("environment", {"runs": 40}, begun, fill("runs")),
    Case("exports", {"runs": 40}, all_trained, fill("runs")),
    Case("report", {"runs": 40}, exported, fill("runs")),
    Case("data cache", {"cache": 1}, at_once, fill("cache")),
    Case(
        "Ray's temporary folder",
        {"t": 60},
        lambda scene: scene.at_report(1, 9),
        fill("t"),
        0.0,
        ("RAY_TMPDIR=t", "TMPDIR=t"),
    ),
    Case(
        "run folder becomes read-only",
        {"runs": 40},
        lambda scene: scene.at_report(1, 9),
        lambda scene: scene.disks["runs"].set_read_only(),
    ),
]


@dataclass(frozen=True)
class Outcome:
    """What became of a case."""

    case: Case
    first: Ended
    then: Ended
    num_kept: int
    complaints: list[str]


def play(case: Case, *, seed: int, reference: tuple[Rows, dict[str, str]]) -> Outcome:
    with scene_of(case, seed=seed) as scene:
        study = scene.commands.write_study(storage={"min_free_gb": case.min_free_gb})
        is_due, since = case.moment(scene), time.monotonic()
        process = scene.commands.start("run", study)
        if wait_until(is_due, process):
            case.spoil(scene)
        first = scene.commands.finish(process, since=since)
        complaints = complaints_of(first)
        kept = state_of(scene.run_folder)
        for disk in scene.disks.values():
            disk.mend()
        if first.code == 0:
            complaints.append("the disk was full, and nobody noticed")
        elif kept.trials and f"convfleet resume {Path('runs/small')}" not in first.errors:
            complaints.append(f"no way on: {first.last_words}")
        has_begun = (scene.run_folder / "journal.jsonl").exists()
        then = scene.commands.run(*(["resume", "runs/small"] if has_begun else ["run", study]))
        complaints += complaints_of(then) + checked(scene, then, kept=rows_of(kept), reference=reference)
        return Outcome(case=case, first=first, then=then, num_kept=len(rows_of(kept)), complaints=complaints)


def checked(scene: Scene, then: Ended, *, kept: Rows, reference: tuple[Rows, dict[str, str]]) -> list[str]:
    """Returns what is wrong with the run once there was room again."""
    if then.code != 0:
        return [f"could not go on: {then.last_words}"]
    state, (rows, variants) = state_of(scene.run_folder), reference
    found = []
    if not kept.items() <= rows_of(state).items():
        found.append("a report that was told is gone or changed")
    if rows_of(state) != rows or variants_of(state) != variants:
        found.append("not the rows of an undisturbed run")
    if len(state.report_order) != len(set(state.report_order)):
        found.append("a report is told twice")
    exports = sorted((scene.run_folder / "exports").glob("[!.]*/model.keras"))
    if state.finished is None or len(exports) != 1 or not (scene.run_folder / "report.html").is_file():
        found.append("not finished, not exported, or without a report")
    return found


@contextmanager
def scene_of(case: Case, *, seed: int) -> Iterator[Scene]:
    # Short: Ray's sockets lie below it.
    folder = Path(tempfile.mkdtemp(prefix="cf", dir="/tmp"))
    disks: dict[str, Disk] = {}
    try:
        for name, size_mb in case.disks.items():
            if "/" in name:
                # Below the run folder, which the command makes: mounted as soon as it is there.
                threading.Thread(target=_mount_later, args=(folder, name, size_mb, disks), daemon=True).start()
            else:
                disks[name] = Disk(folder / name, size_mb=size_mb)
        paths = dict(item.split("=") for item in case.environment)
        commands = Commands(folder, {name: str(folder / path) for name, path in paths.items()})
        yield Scene(commands=commands, random=random.Random(seed), disks=disks)
    finally:
        for disk in reversed(list(disks.values())):
            disk.mend()
            disk.close()
        shutil.rmtree(folder, ignore_errors=True)


def _mount_later(folder: Path, name: str, size_mb: int, disks: dict[str, Disk]) -> None:
    while not (folder / name).parent.exists():
        time.sleep(0.01)
    disks[name] = Disk(folder / name, size_mb=size_mb)


def kept_reference(path: Path) -> tuple[Rows, dict[str, str]]:
    """Returns the rows and variants that `keep_reference` wrote."""
    rows, variants = json.loads(path.read_text(encoding="utf-8"))
    return {(trial, epoch): metrics for trial, epoch, metrics in rows}, variants


def keep_reference(path: Path, reference: tuple[Rows, dict[str, str]]) -> None:
    rows, variants = reference
    path.write_text(json.dumps([[[*key, metrics] for key, metrics in rows.items()], variants]), encoding="utf-8")


def undisturbed() -> tuple[Rows, dict[str, str]]:
    with scene_of(Case("calm", {}, at_once, lambda _: None), seed=0) as scene:
        ended = scene.commands.run("run", scene.commands.write_study(storage={"min_free_gb": 0}))
        if ended.code != 0:
            sys.exit(f"even an undisturbed run fails:\n{ended.errors}")
        state = state_of(scene.run_folder)
        return rows_of(state), variants_of(state)


def may_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        tried = subprocess.run(["mount", "-t", "tmpfs", "none", folder], capture_output=True, check=False)
        if tried.returncode == 0:
            subprocess.run(["umount", folder], check=False)
        return tried.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=len(CASES))
    parser.add_argument("--first", type=int, default=0, help="the case to begin with")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--reference", type=Path, help="the kept rows of an undisturbed run, which is not made again")
    given = parser.parse_args()
    if not may_mount():
        if os.environ.get("CONVFLEET_IN_NAMESPACE"):
            print("skipped: nothing can be mounted here, not even in a user namespace")
            return 77
        os.environ["CONVFLEET_IN_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "-Urm", sys.executable, *sys.argv, "--seed", str(given.seed)])
    print(f"seed {given.seed}", flush=True)
    reference = kept_reference(given.reference) if given.reference else undisturbed()
    failed = 0
    for number in range(given.first, given.first + given.times):
        case = CASES[number % len(CASES)]
        print(f"{number}: {case.name}", flush=True)
        outcome = play(case, seed=given.seed + number, reference=reference)
        print(f"    exit code {outcome.first.code} after {outcome.first.seconds:.0f} s: {outcome.first.last_words}")
        print(
            f"    {outcome.num_kept} reports kept; then exit code {outcome.then.code} "
            f"after {outcome.then.seconds:.0f} s"
        )
        for complaint in outcome.complaints:
            print(f"    WRONG: {complaint}")
        print(f"    {'WRONG' if outcome.complaints else 'ok'}", flush=True)
        failed += bool(outcome.complaints)
    print(f"{given.times} full disks, {failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
