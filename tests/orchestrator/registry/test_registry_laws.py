"""Whatever is done to a registry, in whatever order, it is what a few dictionaries would be."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from made_exports import write_export

from orchestrator.errors import RegistryError
from orchestrator.registry.blobs import copy_out
from orchestrator.registry.folder import registry_folder
from orchestrator.registry.registry import Registry
from trainables.files.remote import RemoteFolder
from trainables.files.uris import is_uri

NAMES, ALIASES = ("digits", "flowers"), ("production", "candidate")
#: By where the registry lies, and in the long form.
NUM_OPERATIONS = {"folder": (100, 5_000), "bucket": (40, 400)}


class Plain:
    """A model of a registry as dictionaries: what each alias pointed to before is pushed and popped."""

    def __init__(self) -> None:
        self.versions: dict[int, bytes] = {}
        self.num_added = 0
        self.current: dict[str, int] = {}
        self.before: dict[str, list[int]] = {}
        self.shares: dict[str, dict[int, float]] = {}

    def add(self, content: bytes, alias: str | None) -> None:
        self.num_added += 1
        self.versions[self.num_added] = content
        if alias:
            self.promote(self.num_added, alias)

    def promote(self, version: int, alias: str) -> bool:
        if version not in self.versions:
            return False
        self.shares.pop(alias, None)
        if alias in self.current and self.current[alias] != version:
            self.before.setdefault(alias, []).append(self.current[alias])
        self.current[alias] = version
        return True

    def rollback(self, alias: str) -> bool:
        if not self.before.get(alias) or self.before[alias][-1] not in self.versions:
            return False
        self.shares.pop(alias, None)
        self.current[alias] = self.before[alias].pop()
        return True

    def split(self, shares: dict[int, float], alias: str) -> bool:
        is_there = shares.keys() <= self.versions.keys() and alias in self.current
        if not is_there or (shares and self.current[alias] not in shares):
            return False
        self.shares.pop(alias, None)
        self.shares |= {alias: shares} if shares else {}
        return True

    def remove(self, version: int, force: bool) -> bool:
        pointing = [alias for alias, target in self.current.items() if target == version]
        sharing = [alias for alias, shares in self.shares.items() if version in shares]
        if version not in self.versions or ((pointing or sharing) and not force):
            return False
        for alias in sharing:
            del self.shares[alias]
        del self.versions[version]
        for alias in pointing:
            del self.current[alias]
        return True


def succeeds(change: Callable[..., object], *arguments: object, **named: object) -> bool:
    try:
        change(*arguments, **named)
    except RegistryError:
        return False
    return True


@pytest.fixture
def generator() -> random.Random:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    return random.Random(seed)


@pytest.mark.parametrize("kind", NUM_OPERATIONS)
def test_a_registry_is_what_dictionaries_would_be(
    tmp_path: Path, generator: random.Random, is_long: bool, kind: str, request: pytest.FixtureRequest
) -> None:
    where = tmp_path / "registry" if kind == "folder" else request.getfixturevalue("object_store").uri("registry")
    registry, plains = Registry(where), {name: Plain() for name in NAMES}
    # Few contents, so that versions share files.
    contents = [bytes([number]) for number in range(4)]
    exports = {
        content: write_export(tmp_path / f"export-{content[0]}", files={"model.keras": content, "both": b"shared"})
        for content in contents
    }
    registry.add(exports[contents[0]], name=NAMES[0])
    plains[NAMES[0]].add(contents[0], None)
    for _ in range(NUM_OPERATIONS[kind][is_long]):
        name, alias = generator.choice(NAMES), generator.choice(ALIASES)
        version, force = generator.randint(1, plains[name].num_added + 1), generator.random() < 0.3
        plain = plains[name]
        match generator.choice(["add", "add", "promote", "promote", "rollback", "remove", "split", "split"]):
            case "add":
                content, pointed = generator.choice(contents), generator.choice([alias, None])
                added = registry.add(exports[content], name=name, alias=pointed)
                plain.add(content, pointed)
                assert added.version == plain.num_added
            case "promote":
                expected = plain.promote(version, alias)
                assert succeeds(registry.promote, name, version, to=alias) == expected
            case "rollback":
                expected = plain.rollback(alias)
                assert succeeds(registry.rollback, name, alias=alias) == expected
            case "split":
                pair = {version, plain.current.get(alias, 1), generator.randint(1, plain.num_added + 1)}
                shares = {each: 1 / len(pair) for each in pair} if len(pair) > 1 else {}
                expected = plain.split(shares, alias)
                assert succeeds(registry.promote, name, shares, to=alias) == expected
            case "remove":
                expected = plain.remove(version, force)
                assert succeeds(registry.remove, name, version, force=force) == expected
        assert_equal(where, plains, folder=tmp_path)


def assert_equal(where: Path | str, plains: dict[str, Plain], *, folder: Path) -> None:
    registry = Registry(where)
    assert registry.names() == [name for name, plain in sorted(plains.items()) if plain.num_added]
    wanted = set()
    for name in registry.names():
        model, plain = Registry(where).model(name), plains[name]
        assert list(model.versions) == list(plain.versions)
        assert model.aliases == dict(sorted(plain.current.items()))
        assert model.splits == plain.shares
        for version in model.versions.values():
            wanted |= version.blobs
            copy_out(registry_folder(where), version, names=["model.keras"], target=folder)
            assert (folder / "model.keras").read_bytes() == plain.versions[version.version]
            (folder / "model.keras").unlink()
    assert wanted <= blob_names(where)
    assert not list(registry_folder(where).incoming.iterdir())


def blob_names(where: Path | str) -> set[str]:
    """Returns the sha256 of all files of versions that lie there."""
    if not is_uri(str(where)):
        return {path.name for path in Path(where, "blobs").glob("*/*")}
    return {name.rpartition("/")[2] for name in RemoteFolder.open(str(where)).files("blobs")}


def test_removed_versions_leave_the_files_of_others_and_take_their_own(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    for number in range(2):
        files = {"model.keras": bytes([number]), "both": b"shared"}
        registry.add(write_export(tmp_path / f"export-{number}", files=files, trial=f"t{number}"), name="digits")
    registry.add(tmp_path / "export-0", name="copies")
    kept = registry.model("digits").versions[2].blobs
    registry.remove("digits", 1)
    files = blob_names(registry.path)
    assert files == kept | registry.model("copies").versions[1].blobs
    registry.remove("copies", 1)
    assert blob_names(registry.path) == kept


def test_collecting_deletes_what_killed_commands_left_and_nothing_else(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.add(write_export(tmp_path / "export"), name="digits")
    before = sorted(path for path in registry.path.rglob("*") if path.is_file())
    (registry.path / "blobs" / "ab").mkdir(exist_ok=True)
    (registry.path / "blobs" / "ab" / f"ab{'0' * 62}").write_bytes(b"left behind")
    (registry.path / "models" / "digits" / "history" / ".00000002.json.ab.tmp").write_bytes(b"half")
    abandoned = registry.path / "incoming" / ".digits@elsewhere"
    abandoned.with_suffix(".tmp").mkdir()
    assert registry.collect() == (1, len(b"left behind"))
    assert sorted(path for path in registry.path.rglob("*") if path.is_file()) == before
    assert not list((registry.path / "incoming").iterdir())


def test_a_version_knows_where_it_comes_from(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.add(write_export(tmp_path / "export"), name="digits", alias="candidate")
    version = Registry(registry.path).model("digits").versions[1]
    assert (version.study, version.trial, version.rank, version.epoch) == ("digits", "t0007", 1, 4)
    assert version.dataset_fingerprint == "5c8fcb0d28d49cb3"
    assert version.variant["params"] == {"filters": 8}
    assert (version.metrics, version.test_metrics) == (
        {"loss": 0.5, "val_accuracy": 0.9},
        {"loss": 0.6, "accuracy": 0.8},
    )
    assert version.formats == ["keras", "saved_model"]
    assert registry.manifest(version)["outputs"][0]["class_names"] == ["cat", "dog"]


def test_each_move_of_an_alias_is_kept_with_its_time(tmp_path: Path) -> None:
    registry, export = Registry(tmp_path / "registry"), write_export(tmp_path / "export")
    for _ in range(2):
        registry.add(export, name="digits", alias="production")
    registry.rollback("digits")
    registry.promote("digits", 1)
    registry.remove("digits", "production", force=True)
    moves = registry.model("digits").moves["production"]
    assert [(move.how, move.version) for move in moves] == [("add", 1), ("add", 2), ("rollback", 1), ("remove", None)]
    assert [move.at for move in moves] == sorted(move.at for move in moves)
    assert all(move.at > 1.7e9 for move in moves)


def test_a_number_of_a_version_is_never_given_twice(tmp_path: Path) -> None:
    registry, export = Registry(tmp_path / "registry"), write_export(tmp_path / "export")
    registry.add(export, name="digits")
    registry.remove("digits", 1)
    assert registry.add(export, name="digits").version == 2
