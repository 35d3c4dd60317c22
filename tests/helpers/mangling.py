"""Ways to mangle one file of a run folder, as disks, slips and people who mean harm do."""

import faulthandler
import json
import os
import random
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: What a file is blown up to.
SPARSE_BYTES = 30_000_000

#: Is given the path, chance, and the folder of another run.
Mangle = Callable[[Path, random.Random, Path], None]


@contextmanager
def ending_what_hangs(seconds: float) -> Iterator[None]:
    """Ends the process, with the lines it is at, if what is inside takes longer."""
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def change_bytes(path: Path, chance: random.Random, _: Path) -> None:
    data = bytearray(path.read_bytes() or b"x")
    for _ in range(chance.choice([1, 1, 8])):
        data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
    path.write_bytes(data)


def change_digit(path: Path, chance: random.Random, _: Path) -> None:
    data = bytearray(path.read_bytes())
    digits = [place for place, byte in enumerate(data) if 48 <= byte <= 57]
    if digits:
        data[chance.choice(digits)] = chance.randrange(48, 58)
    path.write_bytes(data)


def cut(path: Path, chance: random.Random, _: Path) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size + 1))


def extend(path: Path, chance: random.Random, _: Path) -> None:
    with path.open("ab") as file:
        file.write(chance.choice([b"\n", b"{}\n", b"\0" * 100, chance.randbytes(300), b"[" * 3000 + b"\n"]))


def make_sparse(path: Path, chance: random.Random, _: Path) -> None:
    # Checkpoints and exports are read whole to be verified; what is larger than they can be would only take long.
    is_small = "checkpoints" in path.parts or "exports" in path.parts
    os.truncate(path, SPARSE_BYTES if is_small else 1000 * SPARSE_BYTES)


def replace_content(path: Path, chance: random.Random, _: Path) -> None:
    path.write_bytes(
        chance.choice([b"", b"\0" * 100, chance.randbytes(1000), b"{}", b"[]", b"null", b"\xff\xfe", b"7\n"])
    )


def replace_kind(path: Path, chance: random.Random, other: Path) -> None:
    path.unlink()
    match chance.randrange(5):
        case 0:
            path.mkdir()
        case 1:
            os.mkfifo(path)
        case 2:
            path.symlink_to(chance.choice([other / "outside.txt", other, path.parent, Path("/dev/zero"), path]))
        case 3:
            path.symlink_to("nowhere")
        case 4:
            pass  # missing


def swap(path: Path, chance: random.Random, _: Path) -> None:
    files = sorted(item for item in path.parent.iterdir() if item.is_file() and not item.is_symlink())
    content, second = path.read_bytes(), chance.choice(files)
    path.write_bytes(second.read_bytes())
    second.write_bytes(content)


def take_from_other(path: Path, chance: random.Random, other: Path) -> None:
    root = next(parent for parent in path.parents if (parent / "study.yaml").parent.name == "run")
    twin = other / "two" / path.relative_to(root)
    if twin.is_file():
        shutil.copyfile(twin, path)


def add_strangers(path: Path, chance: random.Random, _: Path) -> None:
    for _ in range(3):
        name = chance.choice([b"\xff\xfe", b"a\nb", b"...", b"-rf", b"epoch-99999999999999999999", b"epoch-0001",
                              b"epoch-\xd9\xa3", b"t0000\n", b"1-t0000", b".x", b"n" * 250])  # fmt: skip
        where = Path(os.fsdecode(os.path.join(os.fsencode(path.parent), name)))  # noqa: PTH118 - names that are no text
        if not os.path.lexists(where):
            chance.choice([where.mkdir, where.touch, lambda: os.mkfifo(where), lambda: where.symlink_to("/")])()  # noqa: B023


def tell_lies(path: Path, chance: random.Random, _: Path) -> None:
    """Changes values in the journal and gives every line its right checksum: what somebody who means harm does."""
    journal = next(parent for parent in path.parents if parent.name == "run") / "journal.jsonl"
    if not journal.is_file() or journal.is_symlink() or journal.stat().st_size > 10**7:
        return
    written, before = b"", 0
    lines = [read for line in journal.read_bytes().splitlines() if (read := read_json(line))]
    for _ in range(chance.choice([1, 1, 3])):
        if lines:
            lie(lines[chance.randrange(len(lines))], chance)
    if chance.random() < 0.3:
        chance.shuffle(lines)
    for line in lines:
        line.pop("crc", None)
        body = json.dumps(line).encode()[:-1]
        before = zlib.crc32(body, before)
        written += b'%b,"crc":"%08x"}\n' % (body, before)
    journal.write_bytes(written)


def read_json(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


LIES: list[Any] = [
    None, True, -1, 0, 10**400, 2**64, 1e308, float("nan"), "", "../../x", "/etc", "t0001", "t9999", "x" * 5000, "\0",
    "\x1b[2J", [], {}, [[]], {"a": 1}, {"": None}, "study_paused", "<script>", 2, 99999999999999, 1e18, [1, "a"],
]  # fmt: skip


def lie(mapping: dict[str, Any], chance: random.Random) -> None:
    # What a trial is and what it reported matters most, and is deepest.
    inner: Any = chance.choice([mapping, mapping.get("variant") or mapping, mapping.get("report") or mapping])
    while isinstance(inner, dict | list) and inner:
        key = chance.choice(list(inner) if isinstance(inner, dict) else list(range(len(inner))))
        if isinstance(inner[key], dict | list) and inner[key] and chance.random() < 0.8:
            inner = inner[key]
            continue
        if chance.random() < 0.15 and isinstance(inner, dict):
            del inner[key]
        else:
            inner[key] = chance.choice(LIES)
        return


MANGLES: list[Mangle] = [
    change_bytes, change_bytes, change_digit, cut, cut, extend, make_sparse, replace_content, replace_kind,
    replace_kind, swap, take_from_other, add_strangers, tell_lies, tell_lies,
]  # fmt: skip
