"""What a model's history is made of: a version was added or removed, an alias moved or was split. Each is one fact."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from orchestrator.errors import RegistryError
from orchestrator.registry.names import is_plain_path, is_sha256
from trainables.specs.export import FILES


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One version of a model, as it was added; it never changes.

    Attributes:
        name: The model's name.
        version: 1 for the first; a number is never given twice.
        study: Where the model comes from.
        trial: The trial that trained it.
        rank: 1 for the best of its study.
        epoch: The epoch whose checkpoint was exported.
        variant: Family, parameters, seed and `variant_id`.
        num_parameters: The weights of the model.
        metrics: The report of its epoch.
        test_metrics: Metrics of the test split.
        dataset_fingerprint: Follows from the content of the images.
        files: Size and sha256 of each file of the export, its manifest among them.
        added_at: Seconds since 1970.
    """

    name: str
    version: int
    study: str
    trial: str
    rank: int
    epoch: int
    variant: Mapping[str, Any]
    num_parameters: int
    metrics: Mapping[str, float]
    test_metrics: Mapping[str, float]
    dataset_fingerprint: str
    files: Mapping[str, Mapping[str, Any]]
    added_at: float

    @property
    def formats(self) -> list[str]:
        """The formats that it has."""
        return [name for name in FILES if self.files_of(name)]

    @property
    def size_bytes(self) -> int:
        """The size of all its files."""
        return sum(file["size_bytes"] for file in self.files.values())

    @property
    def blobs(self) -> set[str]:
        """The sha256 of all its files."""
        return {file["sha256"] for file in self.files.values()}

    def files_of(self, form: str) -> list[str]:
        """Returns the names of the files of one format."""
        path = FILES[form]
        return [name for name in self.files if name == path or name.startswith(f"{path}/")]


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionAdded:
    """A version was added, and these aliases point to it from then on."""

    version: ModelVersion
    aliases: Sequence[str] = ()
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMoved:
    """An alias points to another version; `is_rollback` says that it did so before."""

    alias: str
    version: int
    is_rollback: bool = False
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasSplit:
    """Versions share who asks for an alias, from then on until it moves; where it points does not change.

    Attributes:
        alias: The alias.
        shares: By version, the alias's own among them, in sum 1; none: it is no longer split.
        at: Seconds since 1970.
    """

    alias: str
    shares: Mapping[int, float]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRemoved:
    """A version was removed, and these aliases, which pointed to it, point to nothing."""

    version: int
    aliases: Sequence[str] = ()
    at: float


Entry = VersionAdded | AliasMoved | AliasSplit | VersionRemoved

_KINDS: Mapping[str, type[VersionAdded] | type[AliasMoved] | type[AliasSplit] | type[VersionRemoved]] = {
    "version_added": VersionAdded,
    "alias_moved": AliasMoved,
    "alias_split": AliasSplit,
    "version_removed": VersionRemoved,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in (ModelVersion, *_NAMES)}


def entry_to_json(entry: Entry) -> dict[str, Any]:
    """Returns an entry as a JSON-ready mapping."""
    return {"type": _NAMES[type(entry)], **asdict(entry)}


def entry_from_json(raw: Any) -> Entry:
    """Returns the entry that `entry_to_json` described.

    Raises:
        RegistryError: If the mapping describes none; the message has no place.
    """
    if not isinstance(raw, dict) or raw.get("type") not in _KINDS:
        raise RegistryError("describes nothing that this convfleet knows; a later one may have written it")
    kind = _KINDS[raw["type"]]
    try:
        content = {name: raw[name] for name in _FIELDS[kind]}
        if kind is VersionAdded:
            content["version"] = _version_from_json(content["version"])
        if kind is AliasSplit:
            content["shares"] = {int(version): float(share) for version, share in content["shares"].items()}
        return kind(**content)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise RegistryError(f"is not an entry of a registry ({type(exc).__name__}: {exc})") from exc


def _version_from_json(raw: Mapping[str, Any]) -> ModelVersion:
    version = ModelVersion(**{name: raw[name] for name in _FIELDS[ModelVersion]})
    for name, file in version.files.items():
        # Both become paths.
        if not is_plain_path(name) or not is_sha256(file["sha256"]) or type(file["size_bytes"]) is not int:
            raise ValueError(f"file {name!r}")
    return version
