"""A registry in S3: writers on several machines, stores that fail, answers that get lost, and what is not deleted."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_exports import write_export

from orchestrator.errors import RegistryError
from orchestrator.registry.blobs import copy_out
from orchestrator.registry.buckets import bucket as bucket_module
from orchestrator.registry.buckets.bucket import GARBAGE_SECONDS, Bucket
from orchestrator.registry.buckets.creation import create_object
from orchestrator.registry.changes import Changes
from orchestrator.registry.folder import RegistryFolder, check_registry
from orchestrator.registry.history import known_model, model_names
from orchestrator.registry.registry import Registry
from trainables.errors import RemoteError
from trainables.files.remote import RemoteFolder
from trainables.files.uris import child_uri

CLOCKS = {"now": 0.0, "later": GARBAGE_SECONDS + 3600}


@pytest.fixture
def machine(object_store: Any, tmp_path: Path) -> Callable[..., RegistryFolder]:
    """Returns the registry of one bucket as a machine sees it, which has a mirror of its own and maybe another time."""

    def folder(name: str = "first", *, uri: str | None = None, ahead: float = 0.0) -> RegistryFolder:
        bucket = Bucket(uri or object_store.uri("registry"), cache=tmp_path / name, clock=lambda: time.time() + ahead)
        return RegistryFolder(bucket.mirror, bucket)

    return folder


def export_of(folder: Path, *, trial: str) -> Path:
    return write_export(
        folder / f"export-{trial}", files={"model.keras": trial.encode() * 9, "both": b"x"}, trial=trial
    )


def contents(folder: RegistryFolder, target: Path, *, name: str = "digits") -> dict[int, str]:
    """Returns the trial of each version of a model, whose files are as they were added."""
    found = {}
    for number, version in known_model(folder, name).versions.items():
        copy_out(folder, version, names=["model.keras"], target=target / str(number))
        assert (target / str(number) / "model.keras").read_bytes() == version.trial.encode() * 9
        found[number] = version.trial
    return found


def test_writers_on_four_machines_lose_nothing_on_a_store_that_fails_now_and_then(
    machine: Callable[..., RegistryFolder], object_store: Any, tmp_path: Path
) -> None:
    first = machine()
    Changes(folder=first).add(export_of(tmp_path, trial="t"), name="digits", alias="production")
    object_store.faults.error_share = 0.05
    errors: list[Exception] = []

    def write(writer: int) -> None:
        changes = Changes(folder=machine(f"machine-{writer}"))
        try:
            for number in range(3):
                added = changes.add(export_of(tmp_path, trial=f"t{writer}-{number}"), name="digits")
                changes.point("digits", added.version, alias="production")
        except Exception as exc:  # noqa: BLE001 - told by the test
            errors.append(exc)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    object_store.faults.error_share = 0.0
    assert errors == []
    expected = sorted(["t", *(f"t{writer}-{number}" for writer in range(4) for number in range(3))])
    for folder in (first, machine("fresh")):
        found = contents(folder, tmp_path / f"seen-{folder.root.parent.name}")
        assert list(found) == list(range(1, 14))
        assert sorted(found.values()) == expected
        model = known_model(folder, "digits")
        assert model.aliases["production"] in found
        assert len(model.moves["production"]) == 13
    assert object_store.faults.num_failed > 0


def test_machines_that_make_a_registry_at_the_same_time_make_one(
    machine: Callable[..., RegistryFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, other = Bucket.look_at_marker, Changes(folder=machine("other"))
    export_of(tmp_path, trial="a")

    def look_and_be_late(bucket: Bucket) -> bool:
        found = look(bucket)
        monkeypatch.setattr(Bucket, "look_at_marker", look)
        if not found:
            other.add(tmp_path / "export-a", name="digits")
        return found

    monkeypatch.setattr(Bucket, "look_at_marker", look_and_be_late)
    folder = machine()
    assert Changes(folder=folder).add(export_of(tmp_path, trial="b"), name="digits").version == 2
    assert contents(folder, tmp_path / "seen") == {1: "a", 2: "b"}


def test_an_entry_whose_answer_got_lost_is_written_once_and_another_ones_is_kept(
    machine: Callable[..., RegistryFolder], object_store: Any
) -> None:
    bucket = machine().bucket
    assert bucket is not None
    bucket.create("models/a/history/00000001.json", b"mine\n")
    bucket.create("models/a/history/00000001.json", b"mine\n")
    with pytest.raises(FileExistsError):
        bucket.create("models/a/history/00000001.json", b"other\n")
    assert RemoteFolder.open(object_store.uri("registry")).read("models/a/history/00000001.json") == b"mine\n"


def test_a_store_that_lets_two_writers_win_is_refused_and_nothing_is_left(
    machine: Callable[..., RegistryFolder], object_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overwrite(uri: str, data: bytes) -> None:
        above, _, name = uri.partition("?")[0].rpartition("/")
        RemoteFolder.open(f"{above}?{uri.partition('?')[2]}").write(name, data)

    monkeypatch.setattr(bucket_module, "create_object", overwrite)
    with pytest.raises(RegistryError, match="the store writes over what should be created only"):
        Changes(folder=machine()).add(export_of(tmp_path, trial="t"), name="digits")
    assert RemoteFolder.open(object_store.uri("registry")).files() == {}


@pytest.mark.parametrize("when", CLOCKS)
def test_files_without_a_version_are_deleted_when_they_are_a_day_old_and_those_of_versions_never(
    machine: Callable[..., RegistryFolder], object_store: Any, tmp_path: Path, when: str
) -> None:
    changes = Changes(folder=machine(ahead=CLOCKS[when]))
    for number in range(2):
        changes.add(export_of(tmp_path, trial=f"t{number}"), name="digits")
    lost = RemoteFolder.open(object_store.uri("registry"))
    lost.write("blobs/ab/abandoned", b"12345")
    _, freed = changes.remove("digits", 1)
    count, size = changes.collect()
    assert (freed > 0, count) == (when == "later", 0)
    assert size == 0
    wanted = {f"blobs/{sha[:2]}/{sha}" for sha in known_model(changes.folder, "digits").versions[2].blobs}
    left = set(lost.files("blobs"))
    assert wanted <= left
    assert ("blobs/ab/abandoned" in left) == (when == "now")
    assert contents(changes.folder, tmp_path / "seen") == {2: "t1"}


def test_a_file_that_was_cleaned_away_while_its_version_was_added_is_written_again(
    machine: Callable[..., RegistryFolder], object_store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = machine()
    assert folder.bucket is not None
    remote, create = RemoteFolder.open(object_store.uri("registry")), Bucket.create

    def create_and_lose(bucket: Bucket, name: str, data: bytes) -> None:
        create(bucket, name, data)
        if name.startswith("models/"):
            for blob in remote.files("blobs"):
                remote.delete(blob)

    monkeypatch.setattr(Bucket, "create", create_and_lose)
    Changes(folder=folder).add(export_of(tmp_path, trial="t"), name="digits")
    assert contents(folder, tmp_path / "seen") == {1: "t"}


def test_another_registry_at_the_same_place_has_none_of_the_old_histories(
    machine: Callable[..., RegistryFolder], object_store: Any, tmp_path: Path
) -> None:
    folder = machine()
    for name in ("digits", "flowers"):
        Changes(folder=folder).add(export_of(tmp_path, trial="old"), name=name)
    remote = RemoteFolder.open(object_store.uri("registry"))
    for name in remote.files():
        remote.delete(name)
    with pytest.raises(RegistryError, match=r"s3://\w+/registry: no such registry"):
        check_registry(folder)
    Changes(folder=machine("second")).add(export_of(tmp_path, trial="new"), name="digits")
    check_registry(folder)
    assert model_names(folder) == ["digits"]
    assert contents(folder, tmp_path / "seen") == {1: "new"}


def test_a_history_that_was_moved_away_is_gone_here_too_once_no_listing_can_have_missed_it(
    machine: Callable[..., RegistryFolder], object_store: Any, tmp_path: Path
) -> None:
    soon, late = machine("one"), machine("two", ahead=120.0)
    Changes(folder=soon).add(export_of(tmp_path, trial="t"), name="digits")
    assert model_names(soon) == model_names(late) == ["digits"]
    remote = RemoteFolder.open(object_store.uri("registry"))
    for name in remote.files("models"):
        remote.delete(name)
    assert (model_names(soon), model_names(late)) == (["digits"], [])


def test_damage_in_the_bucket_is_named_by_its_uri(
    machine: Callable[..., RegistryFolder], object_store: Any, tmp_path: Path
) -> None:
    folder = machine()
    Changes(folder=folder).add(export_of(tmp_path, trial="t"), name="digits")
    remote, version = RemoteFolder.open(object_store.uri("registry")), known_model(folder, "digits").versions[1]
    sha256 = version.files["model.keras"]["sha256"]
    blob = f"blobs/{sha256[:2]}/{sha256}"
    damages = {
        "is not as it was added": lambda: remote.write(blob, b"other"),
        "is missing": lambda: remote.delete(blob),
    }
    for what, damage in damages.items():
        damage()
        with pytest.raises(RegistryError, match=rf"s3://\w+/registry/{blob}: {what}"):
            contents(folder, tmp_path / what)
    Changes(folder=folder).add(tmp_path / "export-t", name="digits")
    assert contents(folder, tmp_path / "mended") == {1: "t", 2: "t"}
    remote.write("models/digits/history/00000001.json", b"{}\n")
    with pytest.raises(RegistryError, match=r"s3://\w+/registry/models/digits/history/00000001.json: is not as it was"):
        known_model(folder, "digits")


def test_a_place_with_other_files_is_no_registry(
    machine: Callable[..., RegistryFolder], object_store: Any, tmp_path: Path
) -> None:
    RemoteFolder.open(object_store.uri("registry")).write("notes.txt", b"mine")
    with pytest.raises(RegistryError, match=r"s3://\w+/registry: has files, such as notes.txt, and is not a registry"):
        Changes(folder=machine()).add(export_of(tmp_path, trial="t"), name="digits")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("gs://bucket/registry", "lies in a folder or in S3"),
        ("s3://user:password@bucket/registry", "has credentials"),
        ("s3:///registry", "must name a bucket"),
        ("ftp://host/registry", "must begin with one of"),
    ],
)
def test_uris_that_are_no_place_for_a_registry(uri: str, words: str) -> None:
    with pytest.raises(RegistryError, match=words) as raised:
        Registry(uri)
    assert "password" not in str(raised.value)


def test_a_bucket_that_is_not_there_is_told_in_words(object_store: Any, tmp_path: Path) -> None:
    uri = object_store.uri("registry").replace(object_store.bucket, "no-such-bucket-of-ours")
    with pytest.raises(RegistryError, match="registry in storage s3://no-such-bucket-of-ours/registry: cannot be"):
        Registry(uri).add(export_of(tmp_path, trial="t"), name="digits")
    with pytest.raises(RemoteError, match="the store refused"):
        create_object(child_uri(uri, "registry.json"), b"{}")


def test_without_boto3_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.registry.buckets.creation.find_spec", lambda name: None)
    with pytest.raises(RegistryError, match=r"needs boto3.*pip install 'convfleet\[s3\]'"):
        Registry("s3://bucket/registry")
