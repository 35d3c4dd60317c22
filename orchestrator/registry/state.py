"""A model as its history leaves it: its versions, where its aliases point, and where they pointed before."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from orchestrator.errors import RegistryError
from orchestrator.registry.entries import AliasMoved, Entry, ModelVersion, VersionAdded, VersionRemoved
from orchestrator.registry.names import version_number, what_there_is


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove:
    """One move of an alias.

    Attributes:
        version: Where it points from then on; None: nowhere, because its version was removed by force.
        how: promote, rollback, add or remove.
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
    """

    name: str
    num_entries: int = 0
    versions: dict[int, ModelVersion] = field(default_factory=dict)
    removed: dict[int, float] = field(default_factory=dict)
    moves: dict[str, list[AliasMove]] = field(default_factory=dict)
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

    def pointed_to(self, alias: str) -> ModelVersion:
        """Returns the version that an alias points to.

        Raises:
            RegistryError: If it points to none; lists the aliases and the versions.
        """
        if (version := self.aliases.get(alias)) is not None:
            return self.demand(version)
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
        self.moves[entry.alias].append(AliasMove(version=entry.version, how="rollback", at=entry.at))

    def _point(self, alias: str, version: int, *, how: str, at: float) -> None:
        self._promoted.setdefault(alias, []).append(version)
        self._unset.discard(alias)
        self.moves.setdefault(alias, []).append(AliasMove(version=version, how=how, at=at))

    def _remove(self, entry: VersionRemoved) -> None:
        if entry.version not in self.versions or self.aliases_of(entry.version) != sorted(entry.aliases):
            raise RegistryError(f"removes version {entry.version}, which does not exist, or has other aliases")
        for alias in entry.aliases:
            self._promoted[alias].pop()
            self._unset.add(alias)
            self.moves[alias].append(AliasMove(version=None, how="remove", at=entry.at))
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
