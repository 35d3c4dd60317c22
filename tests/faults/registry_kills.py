"""Kills writers of a registry at random moments: `python tests/faults/registry_kills.py --rounds 200`.

    python tests/faults/registry_kills.py --rounds 200 --seed 1

In each round eight processes add, promote, roll back, remove and collect as fast as they can, each until it is killed,
while this process reads. Each writer notes what it is about to do and what it has done; a note outlives its writer.
Afterwards all that is noted as done is there, every version is whole, and no alias points to two versions or to none.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "helpers")]

from made_exports import write_export  # noqa: E402

from orchestrator.errors import RegistryError  # noqa: E402
from orchestrator.registry.blobs import copy_out  # noqa: E402
from orchestrator.registry.folder import RegistryFolder  # noqa: E402
from orchestrator.registry.registry import Registry  # noqa: E402
from orchestrator.registry.sources import export_folder  # noqa: E402
from orchestrator.registry.state import NamedModel  # noqa: E402

NUM_WRITERS = 8
NAMES, ALIASES = ("digits", "flowers"), ("production", "candidate")
_LONGEST_SECONDS = 1.0
#: A registry is written to for so many rounds, so that killed writers leave things behind for later ones.
_ROUNDS_OF_ONE = 5
#: Changes are many times as fast in memory, and a killed process leaves the same behind.
_IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@dataclass
class Found:
    """What was done in all rounds, and what was wrong after them."""

    num_killed: int = 0
    done: Counter[str] = field(default_factory=Counter)
    num_reads: int = 0
    problems: list[str] = field(default_factory=list)


class Notes:
    """A writer's notes: a line before each change and one after it, each one write to a file."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, **facts: Any) -> None:
        os.write(self._file, f"{json.dumps(facts)}\n".encode())


def write_for_ever(folder: Path, *, writer: str, seed: int) -> None:
    """Changes the registry until this process is killed."""
    generator, notes = random.Random(seed), Notes(folder / "notes" / writer)
    registry, number = Registry(folder / "registry"), 0
    while True:
        name, number = generator.choice(NAMES), number + 1
        kind = generator.choices(["add", "promote", "rollback", "remove", "collect"], [6, 4, 2, 3, 1])[0]
        facts: dict[str, Any] = {"kind": kind, "name": name, "alias": generator.choice(ALIASES)}
        try:
            if kind != "add":
                facts["version"] = generator.choice(list(registry.model(name).versions) or [1])
            else:
                facts["trial"] = f"{writer}-{number}"
                files = {"model.keras": facts["trial"].encode() * 50, "saved_model/saved_model.pb": b"shared" * 50}
                export = write_export(folder / "exports" / facts["trial"], files=files, trial=facts["trial"])
                export = export_folder(export, rank=None)
            notes.note(**facts, is_done=False)
            match kind:
                case "add":
                    alias = generator.choice([facts["alias"], None])
                    facts["version"] = registry.add(export, name=name, alias=alias).version
                case "promote":
                    registry.promote(name, facts["version"], to=facts["alias"])
                case "rollback":
                    facts["version"] = registry.rollback(name, alias=facts["alias"]).version
                case "remove":
                    registry.remove(name, facts["version"], force=generator.random() < 0.3)
                case "collect":
                    registry.collect()
        except RegistryError as exc:
            # What another writer has changed meanwhile may well refuse this change; damage never may.
            if "restore it from a backup" in str(exc) or "cannot be read" in str(exc):
                notes.note(kind="damage", text=str(exc), is_done=True)
            continue
        notes.note(**facts, is_done=True)


def play_round(folder: Path, *, number: int, generator: random.Random, found: Found) -> None:
    """Lets writers change the registry, kills each at a random moment, and reads meanwhile."""
    pids = {}
    begin = time.monotonic()
    for writer in range(NUM_WRITERS):
        seed, ends_at = generator.randrange(10**9), begin + generator.uniform(0.02, _LONGEST_SECONDS)
        pid = os.fork()
        if pid == 0:
            try:
                write_for_ever(folder, writer=f"{number}-{writer}", seed=seed)
            except BaseException:  # noqa: BLE001 - whatever it is, it goes into the notes
                # No user can cause it: a note is what gets out of this process.
                notes = Notes(folder / "notes" / f"{number}-{writer}")
                notes.note(kind="damage", text=traceback.format_exc(), is_done=True)
            finally:
                os._exit(1)
        pids[pid] = ends_at
    registry, seen = Registry(folder / "registry"), Counter[str]()
    while pids:
        for pid, ends_at in list(pids.items()):
            if time.monotonic() >= ends_at:
                os.kill(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
                found.num_killed += os.WIFSIGNALED(status)
                if not os.WIFSIGNALED(status):
                    found.problems.append(f"round {number}: a writer ended by itself")
                del pids[pid]
        for name in NAMES:
            found.problems += [f"round {number}, while written to: {text}" for text in read(registry, name, seen=seen)]
            found.num_reads += 1
        # The writers need the processors.
        time.sleep(0.01)


def read(registry: Registry, name: str, *, seen: Counter[str]) -> list[str]:
    """Returns what is wrong with a model as a reader sees it at this moment."""
    try:
        model = registry.model(name)
    except RegistryError as exc:
        is_early = any(text in str(exc) for text in ("no such registry", "has no registry.json", "no model is called"))
        return [] if is_early and not seen[name] else [str(exc)]
    problems = [] if model.num_entries >= seen[name] else [f"{name}: {model.num_entries} entries after {seen[name]}"]
    seen[name] = model.num_entries
    return problems + standing(model)


def standing(model: NamedModel) -> list[str]:
    """Returns what is wrong with a model's versions and aliases."""
    problems = [
        f"{model.name}: {alias} points to {at}" for alias, at in model.aliases.items() if at not in model.versions
    ]
    numbers = sorted([*model.versions, *model.removed])
    if numbers != list(range(1, len(numbers) + 1)):
        problems.append(f"{model.name}: versions {numbers}")
    trials = Counter(version.trial for version in model.versions.values())
    return problems + [f"{model.name}: {trial} is there {count} times" for trial, count in trials.items() if count > 1]


def judge(folder: Path, *, found: Found) -> list[str]:
    """Returns what is wrong after a round: with what is there, and with what was noted as done."""
    registry = Registry(folder / "registry")
    notes = [
        json.loads(line) for path in sorted((folder / "notes").iterdir()) for line in path.read_text().splitlines()
    ]
    problems = [f"a writer found: {note['text']}" for note in notes if note["kind"] == "damage"]
    try:
        models = {name: registry.model(name) for name in registry.names()}
    except RegistryError as exc:
        return [*problems, str(exc)]
    for name, model in models.items():
        problems += standing(model) + half_versions(registry, model)
        asked = {note["version"] for note in notes if note["kind"] == "remove" and note["name"] == name}
        problems += [f"{name}: version {number} went by itself" for number in model.removed if number not in asked]
    for note in notes:
        if note["is_done"] and note["kind"] in ("add", "remove", "promote", "rollback"):
            found.done[note["kind"]] += 1
            problems += lost(models.get(note["name"]), note)
    begun = {note["trial"] for note in notes if note["kind"] == "add"}
    there = {version.trial for model in models.values() for version in model.versions.values()}
    problems += [f"nobody added {trial}" for trial in there - begun]
    return problems + rest(registry, models)


def lost(model: NamedModel | None, note: dict[str, Any]) -> list[str]:
    """Returns what was done and is not there."""
    number = note["version"]
    version = model.versions.get(number) if model else None
    is_there = {
        "add": lambda: (version is not None and version.trial == note["trial"]) or number in model.removed,
        "remove": lambda: number in model.removed,
        "promote": lambda: any(move.version == number for move in model.moves.get(note["alias"], [])),
        "rollback": lambda: any(
            (move.version, move.how) == (number, "rollback") for move in model.moves.get(note["alias"], [])
        ),
    }[note["kind"]]
    return [] if model and is_there() else [f"lost: {note}"]


def half_versions(registry: Registry, model: NamedModel) -> list[str]:
    """Returns the versions that lack a file, or have a wrong one."""
    problems = []
    for version in model.versions.values():
        with tempfile.TemporaryDirectory() as target:
            try:
                copy_out(RegistryFolder(registry.path), version, names=list(version.files), target=Path(target))
            except RegistryError as exc:
                problems.append(str(exc))
                continue
            if Path(target, "model.keras").read_bytes() != version.trial.encode() * 50:
                problems.append(f"{model.name}: version {version.version} has another one's files")
    return problems


def rest(registry: Registry, models: dict[str, NamedModel]) -> list[str]:
    """Returns what is left behind after a collection, beside what versions have."""
    registry.collect()
    wanted = {sha256 for model in models.values() for version in model.versions.values() for sha256 in version.blobs}
    files = {path.name for path in registry.path.glob("blobs/*/*")}
    drafts = [*registry.path.glob("models/*/history/.*"), *registry.path.glob("incoming/.*")]
    return [
        *(f"left behind: {name}" for name in files - wanted),
        *(f"lost: {name}" for name in wanted - files),
        *(f"left behind: {path}" for path in drafts),
    ]


def play(*, rounds: int, seed: int) -> Found:
    """Returns what so many rounds came to."""
    generator, found = random.Random(seed), Found()
    folder = Path()
    for number in range(rounds):
        if number % _ROUNDS_OF_ONE == 0:
            folder = Path(tempfile.mkdtemp(prefix="convfleet-registry-", dir=_IN_MEMORY))
            for name in ("notes", "exports"):
                (folder / name).mkdir()
        play_round(folder, number=number, generator=generator, found=found)
        if number % _ROUNDS_OF_ONE == _ROUNDS_OF_ONE - 1 or number == rounds - 1:
            found.problems += [f"after round {number}: {text}" for text in judge(folder, found=found)]
            shutil.rmtree(folder)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    found = play(rounds=options.rounds, seed=options.seed)
    print(
        f"{options.rounds} rounds, {found.num_killed} writers killed, {found.num_reads} reads, done: {dict(found.done)}"
    )
    print("\n".join(found.problems))
    sys.exit(bool(found.problems))


if __name__ == "__main__":
    main()
