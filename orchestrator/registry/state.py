"""A model as its history leaves it: its versions, where its aliases point, and where they pointed before."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from orchestrator.errors import RegistryError
from orchestrator.registry.entries import AliasMoved, AliasSplit, Entry, ModelVersion, VersionAdded, VersionRemoved
from orchestrator.registry.names import version_number, what_there_is

#: How far the sum of shares may be from 1.
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove:
    """One move of an alias.

    Attributes:
        version: Where it points from then on; None: nowhere, because its version was removed by force.
        how: promote, rollback, add, remove, split, or end of a split.
        at: Seconds since 1970.
    """

    version: int | None
    how: str
    at: float


@dataclass(kw_only=True)
class NamedModel:
    """A model of a registry: a pure fold of its entries.

    Attributes:
        name: Its name.
        num_entries: How many entries its history has.
        versions: By number, ascending, without those that were removed.
        removed: When a version was removed, by its number.
        moves: Every move of each alias, first to last.
        splits: The shares of versions, by alias, of those that are split now.
    """

    name: str
    num_entries: int = 0
    versions: dict[int, ModelVersion] = field(default_factory=dict)
    removed: dict[int, float] = field(default_factory=dict)
    moves: dict[str, list[AliasMove]] = field(default_factory=dict)
    splits: dict[str, Mapping[int, float]] = field(default_factory=dict)
    #: The versions that each alias was promoted to and not rolled back from; the last is where it points, unless that
    #: version was removed by force: then it was taken away, and the alias is in `_unset`.
    _promoted: dict[str, list[int]] = field(default_factory=dict)
    _unset: set[str] = field(default_factory=set)

    @property
    def next_version(self) -> int:
        """The number of the version that is added next."""
        return max([0, *self.versions, *self.removed]) + 1

    @property
    def aliases(self) -> dict[str, int]:
        """Where each alias points, by its name."""
        return {name: stack[-1] for name, stack in sorted(self._promoted.items()) if stack and name not in self._unset}

    def aliases_of(self, version: int) -> list[str]:
        """Returns the aliases that point to a version."""
        return [name for name, target in self.aliases.items() if target == version]

    def before(self, alias: str) -> int | None:
        """Returns the version that an alias pointed to before; None if it never pointed to another one."""
        stack = self._promoted.get(alias, [])
        place = 1 if alias in self._unset else 2
        return stack[-place] if len(stack) >= place else None

    def named(self, text: str | int) -> ModelVersion:
        """Returns the version that a number or an alias names.

        Raises:
            RegistryError: If there is none.
        """
        number = version_number(text)
        return self.pointed_to(str(text)) if number is None else self.demand(number)

    def demand(self, version: int) -> ModelVersion:
        """Returns a version.

        Raises:
            RegistryError: If the model has none of this number; lists those that it has.
        """
        if version in self.versions:
            return self.versions[version]
        what = "was removed" if version in self.removed else "does not exist"
        raise RegistryError(
            f"{self.name}: version {version} {what}{what_there_is(version, self.versions, kind='versions')}"
        )

    def pointed_to(self, alias: str, *, key: str | None = None) -> ModelVersion:
        """Returns the version that an alias points to.

        Args:
            alias: The alias.
            key: Who asks; where the alias is split, equal keys get equal versions. None: the version it points to.

        Raises:
            RegistryError: If it points to none; lists the aliases and the versions.
        """
        if (version := self.aliases.get(alias)) is not None:
            shares = self.splits.get(alias)
            return self.demand(version if key is None or not shares else version_for(key, name=self.name, of=shares))
        raise RegistryError(
            f"{self.name}: no version has the alias {alias!r}{what_there_is(alias, self.aliases, kind='aliases')}"
            f"{what_there_is(None, self.versions, kind='versions')}"
        )

    def apply(self, entry: Entry) -> None:
        """Takes the next entry of the history in.

        Raises:
            RegistryError: If it cannot follow those before it; the message has no place.
        """
        match entry:
            case VersionAdded():
                self._add(entry)
            case AliasMoved():
                self._move(entry)
            case AliasSplit():
                check_split(self, entry.alias, shares=entry.shares)
                self.splits.pop(entry.alias, None)
                self.splits |= {entry.alias: dict(entry.shares)} if entry.shares else {}
                how = "split" if entry.shares else "end"
                self.moves[entry.alias].append(AliasMove(version=self.aliases[entry.alias], how=how, at=entry.at))
            case VersionRemoved():
                self._remove(entry)
        self.num_entries += 1

    def _add(self, entry: VersionAdded) -> None:
        version = entry.version
        if version.name != self.name or version.version != self.next_version:
            raise RegistryError(f"adds version {version.version} of {version.name}, where {self.next_version} is next")
        self.versions[version.version] = version
        for alias in entry.aliases:
            self._point(alias, version.version, how="add", at=entry.at)

    def _move(self, entry: AliasMoved) -> None:
        if entry.version not in self.versions:
            raise RegistryError(f"points {entry.alias} to version {entry.version}, which does not exist")
        if not entry.is_rollback:
            self._point(entry.alias, entry.version, how="promote", at=entry.at)
            return
        if entry.version != self.before(entry.alias):
            raise RegistryError(f"rolls {entry.alias} back to version {entry.version}, which it was not before")
        if entry.alias not in self._unset:
            self._promoted[entry.alias].pop()
        self._unset.discard(entry.alias)
        self.splits.pop(entry.alias, None)
        self.moves[entry.alias].append(AliasMove(version=entry.version, how="rollback", at=entry.at))

    def _point(self, alias: str, version: int, *, how: str, at: float) -> None:
        self._promoted.setdefault(alias, []).append(version)
        self._unset.discard(alias)
        self.splits.pop(alias, None)
        self.moves.setdefault(alias, []).append(AliasMove(version=version, how=how, at=at))

    def _remove(self, entry: VersionRemoved) -> None:
        if entry.version not in self.versions or self.aliases_of(entry.version) != sorted(entry.aliases):
            raise RegistryError(f"removes version {entry.version}, which does not exist, or has other aliases")
        for alias in entry.aliases:
            self._promoted[alias].pop()
            self._unset.add(alias)
            self.moves[alias].append(AliasMove(version=None, how="remove", at=entry.at))
        self.splits = {name: of for name, of in self.splits.items() if entry.version not in of}
        del self.versions[entry.version]
        self.removed[entry.version] = entry.at


def fold_entries(name: str, entries: Iterable[Entry]) -> NamedModel:
    """Returns a model as its entries leave it.

    Raises:
        RegistryError: If an entry cannot follow those before it.
    """
    model = NamedModel(name=name)
    for entry in entries:
        model.apply(entry)
    return model


def check_split(model: NamedModel, alias: str, *, shares: Mapping[int, float]) -> None:
    """Raises RegistryError if versions of a model cannot share an alias so.

    Args:
        model: The model.
        alias: The alias.
        shares: By version; none: it is no longer split.
    """
    pointed = model.pointed_to(alias).version
    for version in shares:
        model.demand(version)
    if not shares:
        return
    if len(shares) < 2 or pointed not in shares:
        raise RegistryError(
            f"{model.name}: a split of {alias} needs version {pointed}, to which it points, and at least one other; "
            f"got {_in_words(shares)}"
        )
    if not all(share > 0 for share in shares.values()) or abs(math.fsum(shares.values()) - 1) > _ROUNDING:
        raise RegistryError(
            f"{model.name}: shares of a split must be above 0 and 1 in sum, got {_in_words(shares)}; for example "
            f"{pointed}=0.9"
        )


def version_for(key: str, *, name: str, of: Mapping[int, float]) -> int:
    """Returns the version that a key gets; where shares change, only keys of versions that lose move.

    Each version has a number between 0 and 1 for each key, which depends on nothing else; the smallest -log(number) /
    share wins.

    >>> version_for("user 17", name="digits", of={3: 0.5, 4: 0.5}) in (3, 4)
    True

    Source: weighted rendezvous hashing, Schindelhauer & Schomaker 2005, "Weighted Distributed Hash Tables".

    Args:
        key: Who asks.
        name: The model's name: another model splits its keys otherwise.
        of: The shares by version.
    """

    def cost(version: int) -> tuple[float, int]:
        text = f"{name}\0{version}\0{key}".encode("utf-8", "surrogateescape")
        drawn = int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 11
        return -math.log((drawn + 0.5) / 2**53) / of[version], version

    return min(of, key=cost)


def _in_words(shares: Mapping[int, float]) -> str:
    return " ".join(f"{version}={share:g}" for version, share in sorted(shares.items()))
