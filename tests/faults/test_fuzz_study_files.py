"""Whatever a study file holds, loading it gives a study or says in words, with a place, what is wrong."""

import datetime
import random
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mangling import ending_what_hangs

from orchestrator.errors import InputError
from orchestrator.study.loading import load_study, packaged_studies
from orchestrator.study.spec import StudySpec

STUDIES = Path(__file__).parents[2] / "orchestrator" / "studies"
#: Longer than loading takes on the slowest of machines: what takes longer hangs, and ends the process.
HANGS_SECONDS = 120

HOSTILE: list[Callable[[random.Random], Any]] = [
    lambda _: None,
    lambda chance: chance.choice([True, False]),
    lambda chance: chance.choice([0, -1, 1, 2**31, 2**63, 2**64, -(2**70), 10**400]),
    lambda chance: chance.choice([0.0, -0.5, 1e-320, 1e308, float("nan"), float("inf"), float("-inf")]),
    lambda chance: chance.choice(
        ["", " ", "x" * 10_000, "\0", "\x1b[31m", "\u202e", "🦊", "a\nb", "nan", "1e5", "~", "{}"]
    ),
    lambda chance: chance.choice(
        ["../../etc/passwd", "/", "~nobody/x", "*.yaml", "a:b", "__import__:x", "t0000", "\\"]
    ),
    lambda _: [],
    lambda _: {},
    lambda chance: deep(chance.choice([5, 60, 150]), chance=chance),
    lambda _: {1: 2, None: 3, False: 4},
    lambda _: {"choice": []},
    lambda chance: {"int": chance.choice([[1], [1, 2, 3], [2, 1], [0, 10**30], ["a", "b"], [None, None], 7])},
    lambda chance: {"float": chance.choice([[0, 1], [1, 0], [0.1, float("inf")], ["1", "2"]]), "log": True},
    lambda chance: {"int": [1, 9], "step": chance.choice([0, -1, 100, 0.5, "a"]), "when": {"family": "sequential"}},
    lambda _: {"choice": [1], "when": {"nothing": [1, 2]}, "what": 3},
    lambda _: datetime.date(2024, 2, 29),
    lambda _: datetime.datetime(2024, 2, 29, 1, 2, 3, tzinfo=datetime.UTC),
    lambda _: b"\x00\xff",
    lambda _: {"a", "b"},
    lambda chance: [chance.random() for _ in range(2000)],
]

SNIPPETS = [
    b"&a ", b"*a", b"<<: *a\n", b"&a [*a]\n", b"<<: {name: x}\n", b"!!python/object/apply:os.system ['true']\n",
    b"!!python/name:os.system ", b"!foo ", b"!!binary zzz\n", b"!!timestamp x\n", b"!!set {a, b}\n", b"---\n", b"...\n",
    b"\t", b"%YAML 9.9\n", b"? a\n: b\n", b"{", b"]", b"'", b'"', b"|\n", b">\n", b"\x00", b"\xc2\x85", b"\xef\xbb\xbf",
    b"\xff\xfe", b"\xed\xa0\x80", b"2001-99-99", b"0o17", b"1_000", b"0x" + b"f" * 500, b"9" * 5000, b"1e999999999",
    b"190:20:30", b".nan", b"-.inf", b"=", b"<<", b"#", b": ", b"- ", b"\r", b"a" * 2000 + b": 1\n", b"name: again\n",
    b"[" * 3000, b"{a: " * 2000, b"- " * 3000, b"\xe2\x80\xae", b"\x1b[2J",
]  # fmt: skip

LAUGHS = b"a: &a [x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n" % ((letter, letter) + (letter - 1,) * 9)
    for letter in range(ord("b"), ord("k"))
)


def deep(depth: int, *, chance: random.Random) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if chance.random() < 0.5 else {"a": value}
    return value


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields the path of everything in a document but the document itself."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def mangle_document(document: Any, chance: random.Random) -> None:
    """Replaces, removes, renames or adds something somewhere."""
    *above, key = chance.choice(list(places(document)))
    inner = document
    for step in above:
        inner = inner[step]
    match chance.randrange(5):
        case 0 | 1:
            inner[key] = chance.choice(HOSTILE)(chance)
        case 2:
            del inner[key]
        case 3 if isinstance(inner, dict):
            inner[chance.choice(["", "x" * 300, "nam", 7, None, True, "a.b", "🦊", f"{key}s"])] = inner.pop(key)
        case 3:
            inner.append(chance.choice(HOSTILE)(chance))
        case 4:
            inner[key] = {"family": chance.choice(HOSTILE)(chance), str(key): inner[key]}


def mangle_bytes(data: bytearray, chance: random.Random) -> None:
    """Changes, cuts, doubles or puts in something somewhere."""
    place = chance.randrange(len(data) + 1)
    match chance.randrange(6):
        case 0 if data:
            data[place - 1] = chance.randrange(256)
        case 1:
            del data[place:]
        case 2:
            del data[place : place + chance.randrange(40)]
        case 3:
            data[place:place] = data[place : place + 200]
        case _:
            line = data.find(b"\n", place) + 1
            where = chance.choice([place, line])
            data[where:where] = chance.choice(SNIPPETS)


def mangled_study(chance: random.Random) -> bytes:
    """Returns a packaged study with a few mistakes, or none of it at all."""
    text = (STUDIES / f"{chance.choice(packaged_studies())}.yaml").read_text(encoding="utf-8")
    if chance.random() < 0.5:
        document = yaml.safe_load(text)
        for _ in range(chance.choice([1, 1, 2, 5])):
            mangle_document(document, chance)
        return yaml.safe_dump(document, allow_unicode=chance.random() < 0.5, sort_keys=False).encode()
    data = bytearray(text.encode())
    if chance.random() < 0.1:
        whole = [b"", b"\n", b"---\n---\n", b"7", b"[]", b"null", LAUGHS, b"&a [*a]", b"&a {b: *a}", bytes(data) * 2]
        data = bytearray(chance.choice([*whole, text.encode("utf-16"), chance.randbytes(500), b"a: 1\n" * 1000]))
    for _ in range(chance.choice([1, 1, 2, 5])):
        mangle_bytes(data, chance)
    return bytes(data)


def load_mangled(content: bytes) -> str:
    """Loads a study file and returns what came of it, after checking that it may."""
    with ending_what_hangs(HANGS_SECONDS), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mangled.yaml"
        path.write_bytes(content)
        try:
            spec = load_study(path)
        except InputError as exc:
            lines = str(exc).split("\n")
        else:
            lines = []
        if lines:
            assert all(line.startswith(str(path)) for line in lines), f"no place: {lines}"
            assert all(line.isprintable() for line in lines), f"not to be shown: {lines!r}"
            return "refused"
        assert isinstance(spec, StudySpec)
        assert load_text(spec.to_yaml(), folder=Path(folder)).study_id == spec.study_id
        return "taken"


def load_text(text: str, *, folder: Path) -> StudySpec:
    path = folder / "again.yaml"
    path.write_text(text, encoding="utf-8")
    return load_study(path)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**63))
def test_mangled_study_is_taken_or_refused_in_words(seed: int) -> None:
    load_mangled(mangled_study(random.Random(seed)))
