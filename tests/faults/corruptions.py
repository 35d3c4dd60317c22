"""Damages random files of a paused run: `python tests/faults/corruptions.py --times 20`.

A small study is paused once, with an export. Each time a random file of a copy of the run folder or of the data cache
is damaged: bytes changed, cut, overwritten with zeros, added. Then `status`, `report`, `resume` and `export` must each
work with right results, or say what is damaged and what to do. After a resume that succeeds, at once or after
`repair`, every row is that of an undisturbed run.
"""

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from small_runs import STUDY, Commands, Ended, Rows, complaints_of, rows_of, state_of, variants_of, wait_until

RUN = "runs/small"
#: Kinds of files, each drawn alike: there are far more checkpoints than journals.
KINDS: dict[str, str] = {
    "journal": "runs/small/journal.jsonl",
    "study": "runs/small/study.yaml",
    "environment": "runs/small/environment.json",
    "table": "runs/small/*.parquet",
    "checkpoint": "runs/small/checkpoints/*/epoch-*/*",
    "export": "runs/small/exports/*/*",
    "report": "runs/small/report.html",
    "cache": "cache/**/*.*",
}
#: An export starts Ray, which takes long, and reads these alone.
MET_BY_EXPORTS = ("study", "checkpoint", "export", "cache")


def flip(data: bytearray, chance: random.Random) -> None:
    for _ in range(chance.choice([1, 1, 1, 20])):
        data[chance.randrange(len(data))] ^= chance.randrange(1, 256)


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def zero(data: bytearray, chance: random.Random) -> None:
    start = chance.randrange(len(data))
    end = min(len(data), start + chance.choice([1, 100, 4096]))
    data[start:end] = bytes(end - start)


def extend(data: bytearray, chance: random.Random) -> None:
    data.extend(chance.randbytes(chance.choice([1, 100, 4096])))


def digit(data: bytearray, chance: random.Random) -> None:
    """Makes another digit of one: what is damaged may still be JSON or YAML."""
    places = [place for place, byte in enumerate(data) if 48 <= byte <= 57]
    if places:
        place = chance.choice(places)
        data[place] = 48 + (data[place] - 48 + chance.randrange(1, 10)) % 10


DAMAGES: dict[str, Callable[[bytearray, random.Random], None]] = {
    "bytes changed": flip,
    "cut": cut,
    "zeros": zero,
    "extended": extend,
    "a digit changed": digit,
}


@dataclass
class Outcome:
    """What became of one damage."""

    file: str
    damage: str
    told: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


def prepare(paused: Commands, *, has_export: bool) -> None:
    """Makes the paused run, with an export or without one."""
    paused.folder.mkdir()
    since = time.monotonic()
    process = paused.start("run", paused.write_study())
    num_epochs = STUDY["schedule"]["max_epochs"]
    wait_until(lambda: len(state_of(paused.folder / RUN).report_order) >= num_epochs + 2, process)
    process.send_signal(signal.SIGINT)
    demand(paused.finish(process, since=since), code=130)
    if has_export:
        demand(paused.run("export", RUN, "--format", "keras", "--top", "1"))
    demand(paused.run("report", RUN))


def undisturbed(calm: Commands) -> tuple[Rows, dict[str, str]]:
    """Makes a run that nothing disturbs, and returns its rows and variants."""
    calm.folder.mkdir()
    demand(calm.run("run", calm.write_study(export={"top": 0})))
    state = state_of(calm.folder / RUN)
    return rows_of(state), variants_of(state)


def demand(ended: Ended, *, code: int = 0) -> None:
    if ended.code != code:
        sys.exit(f"the undamaged run fails with exit code {ended.code}:\n{ended.errors}")


def play(paused: Commands, *, seed: int, reference: tuple[Rows, dict[str, str]]) -> Outcome:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="cf", dir="/tmp") as scratch:
        folder = Path(scratch) / "p"
        subprocess.run(["cp", "-a", str(paused.folder), str(folder)], check=True)
        commands = replace(paused, folder=folder)
        kind = list(KINDS)[seed % len(KINDS)]
        path = chance.choice(sorted(item for item in folder.glob(KINDS[kind]) if item.is_file()))
        name = chance.choice(list(DAMAGES))
        data = bytearray(path.read_bytes())
        DAMAGES[name](data, chance)
        outcome = Outcome(file=str(path.relative_to(folder)), damage=name)
        path.write_bytes(bytes(data))
        before = rows_of(state_of(folder / RUN))
        for command in ("status", "report"):
            note(outcome, command, commands.run(command, RUN))
        resumed = commands.run("resume", RUN)
        note(outcome, "resume", resumed)
        if resumed.code != 0:
            resumed = mend(outcome, commands, path=path, original=paused.folder / path.relative_to(folder))
        if resumed.code == 0:
            check(outcome, folder, before=before, reference=reference)
        if kind in MET_BY_EXPORTS:
            note(outcome, "export", commands.run("export", RUN, "--format", "keras", "--top", "1"))
        return outcome


def mend(outcome: Outcome, commands: Commands, *, path: Path, original: Path) -> Ended:
    """Does what a user is told to do, and goes on."""
    if path.name == "journal.jsonl":
        note(outcome, "repair", commands.run("repair", RUN))
    else:
        shutil.copyfile(original, path)
    resumed = commands.run("resume", RUN)
    note(outcome, "resume", resumed)
    if resumed.code != 0:
        outcome.complaints.append("what its words say to do does not help")
    return resumed


def note(outcome: Outcome, command: str, ended: Ended) -> None:
    outcome.told.append(f"{command} {ended.code}" + (f" ({ended.last_words[:230]})" if ended.code else ""))
    outcome.complaints += [f"{command}: {complaint}" for complaint in complaints_of(ended)]


def check(outcome: Outcome, folder: Path, *, before: Rows, reference: tuple[Rows, dict[str, str]]) -> None:
    state = state_of(folder / RUN)
    if rows_of(state) != reference[0] or variants_of(state) != reference[1]:
        outcome.complaints.append("a success that is wrong: not the rows of an undisturbed run")
    if not before.items() <= rows_of(state).items():
        outcome.complaints.append("a report that was told is gone or changed")
    tables = subprocess.run(
        [sys.executable, "-c", TABLES, str(folder / RUN)], capture_output=True, text=True, check=False
    )
    if tables.stdout.split() != [str(len(reference[1])), str(len(reference[0]))]:
        outcome.complaints.append(f"the tables are not whole: {tables.stdout} {tables.stderr[-200:]}")


TABLES = """
import sys, pyarrow.parquet as pq
print(*(pq.read_table(f"{sys.argv[1]}/{name}.parquet").num_rows for name in ("trials", "epochs")))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="cf", dir="/tmp") as scratch:
        paused = Commands(Path(scratch) / "paused")
        prepare(paused, has_export=True)
        reference = undisturbed(Commands(Path(scratch) / "calm"))
        for number in range(given.times):
            outcome = play(paused, seed=given.seed + number, reference=reference)
            print(f"{given.seed + number}: {outcome.damage} in {outcome.file}")
            print(f"    {'; '.join(outcome.told)}")
            for complaint in outcome.complaints:
                print(f"    WRONG: {complaint}")
            print(f"    {'WRONG' if outcome.complaints else 'ok'}", flush=True)
            failed += bool(outcome.complaints)
    print(f"{given.times} corruptions, {failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
