"""What changes a registry: adding and removing a version, moving an alias, and deleting files that no version has.

Each change is one entry of one model's history. It is decided and written while this process alone writes; a process
that dies before the entry is there has changed nothing, and one that dies after it has changed all.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.errors import RegistryError
from orchestrator.registry.blobs import blobs_of, put_blobs, sweep, upload_blobs, upload_missing_blobs
from orchestrator.registry.entries import AliasMoved, AliasSplit, Entry, ModelVersion, VersionAdded, VersionRemoved
from orchestrator.registry.folder import RegistryFolder, check_registry, make_registry, one_writer
from orchestrator.registry.history import append_entry, known_model, model_names, read_model, remove_drafts
from orchestrator.registry.names import check_alias, check_model_name
from orchestrator.registry.state import NamedModel, check_split
from trainables.files.folders import delete_draft, new_draft, remove_abandoned

if TYPE_CHECKING:
    from orchestrator.registry.sources import StagedExport

#: Another writer can come first only where locks do not hold; each time one does, it has got on.
_ATTEMPTS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The writing side of a registry.

    Attributes:
        folder: The registry.
        clock: Returns seconds since 1970.
    """

    folder: RegistryFolder
    clock: Callable[[], float] = time.time

    def add(self, export: Path, *, name: str, alias: str | None = None) -> ModelVersion:
        """Adds an export as the next version of a model; makes the registry and the model where they are missing.

        Args:
            export: The export's folder.
            name: The model's name.
            alias: Points to the version from the moment on that it is there.

        Raises:
            RegistryError: If a name is wrong or the export is damaged; nothing was changed.
        """
        # Late: it brings a reader of journals, which lists do not need.
        from orchestrator.registry.sources import check_export, staged

        check_model_name(name)
        aliases = [check_alias(alias)] if alias is not None else []
        if not self.folder.marker.exists():
            # A refused export leaves no empty registry behind.
            check_export(export)
        make_registry(self.folder)
        remove_abandoned(self.folder.incoming)
        draft = new_draft(self.folder.incoming / name)
        try:
            # The copying takes its time, so other writers go on meanwhile.
            export_in_draft = staged(export, draft=draft)
            shas = {file["sha256"] for file in export_in_draft.files.values()}
            upload_blobs(self.folder, draft, shas)
            with one_writer(self.folder):
                put_blobs(self.folder, draft, shas)
                model = self._commit(
                    name, lambda model: self._added(model, export_in_draft, aliases=aliases), read=read_model
                )
            upload_missing_blobs(self.folder, draft, shas)
        finally:
            delete_draft(draft)
        return model.versions[model.next_version - 1]

    def point(self, name: str, version: str | int, *, alias: str) -> NamedModel:
        """Makes an alias point to a version, and it alone; changes nothing if it does already.

        Args:
            name: The model's name.
            version: A number, or an alias that points to it.
            alias: The alias to move.

        Raises:
            RegistryError: If there is no such model or version.
        """
        check_alias(alias)

        def decide(model: NamedModel) -> Entry | None:
            number = model.named(version).version
            if model.aliases.get(alias) == number:
                return AliasSplit(alias=alias, shares={}, at=self.clock()) if alias in model.splits else None
            return AliasMoved(alias=alias, version=number, at=self.clock())

        return self._change(name, decide)

    def split(self, name: str, shares: Mapping[int, float], *, alias: str) -> NamedModel:
        """Makes versions share who asks for an alias; changes nothing if they do so already.

        Args:
            name: The model's name.
            shares: By version; none: it is no longer split.
            alias: The alias, which goes on pointing where it does.

        Raises:
            RegistryError: If there is no such model, alias or version, or the shares are none.
        """

        def decide(model: NamedModel) -> Entry | None:
            check_split(model, alias, shares=shares)
            if dict(shares) == dict(model.splits.get(alias, {})):
                return None
            return AliasSplit(alias=alias, shares=dict(shares), at=self.clock())

        return self._change(name, decide)

    def roll_back(self, name: str, *, alias: str) -> NamedModel:
        """Makes an alias point to the version again that it pointed to before.

        Raises:
            RegistryError: If there is no such model or alias, or it pointed to no version before.
        """

        def decide(model: NamedModel) -> Entry:
            before = model.before(alias)
            if alias not in model.moves:
                model.pointed_to(alias)
            if before is None:
                raise RegistryError(f"{name}: {alias} pointed to no version before this one; {_moves(name, alias)}")
            if before in model.removed:
                raise RegistryError(
                    f"{name}: version {before}, which {alias} pointed to before, was removed; {_moves(name, alias)}"
                )
            return AliasMoved(alias=alias, version=before, is_rollback=True, at=self.clock())

        return self._change(name, decide)

    def remove(self, name: str, version: str | int, *, force: bool = False) -> tuple[ModelVersion, int]:
        """Removes a version and the files that no other one has; returns it, and how many bytes were freed.

        Args:
            name: The model's name.
            version: A number, or an alias that points to it.
            force: Whether aliases that point to it are taken away.

        Raises:
            RegistryError: If there is no such model or version, or an alias points to it.
        """
        found: list[ModelVersion] = []

        def decide(model: NamedModel) -> Entry:
            asked = model.named(version)
            aliases = model.aliases_of(asked.version)
            split = [each for each, shares in model.splits.items() if asked.version in shares and each not in aliases]
            if split and not force:
                raise RegistryError(
                    f"{name}: version {asked.version} has a share of {split[0]}; end that with `convfleet registry "
                    f"split {name} --alias {split[0]} --end`, or remove the version with --force"
                )
            if aliases and not force:
                raise RegistryError(
                    f"{name}: {' and '.join(aliases)} point{'s' * (len(aliases) == 1)} to version {asked.version}; "
                    f"{_moves(name, aliases[0])}, or remove the version with --force"
                )
            found[:] = [asked]
            return VersionRemoved(version=asked.version, aliases=aliases, at=self.clock())

        check_registry(self.folder)
        with one_writer(self.folder):
            self._commit(name, decide)
            try:
                _, freed = self._sweep()
            except RegistryError:
                # Whose files are whose is not known while a history is damaged: the version is gone, its files stay.
                freed = 0
        return found[0], freed

    def collect(self) -> tuple[int, int]:
        """Deletes the files that no version has, as killed processes leave them; returns how many, and their bytes.

        Raises:
            RegistryError: If a model's history is damaged, so that its files are not known; nothing was deleted.
        """
        check_registry(self.folder)
        with one_writer(self.folder):
            return self._sweep()

    def _sweep(self) -> tuple[int, int]:
        for name in model_names(self.folder):
            remove_drafts(self.folder, name)

        def wanted() -> set[str]:
            models = [read_model(self.folder, name) for name in model_names(self.folder)]
            return {sha256 for model in models for sha256 in blobs_of(model.versions)}

        return sweep(self.folder, wanted=wanted)

    def _added(self, model: NamedModel, export: "StagedExport", *, aliases: list[str]) -> Entry:
        now = self.clock()
        version = ModelVersion(
            name=model.name, version=model.next_version, files=export.files, added_at=now, **export.facts
        )
        return VersionAdded(version=version, aliases=aliases, at=now)

    def _change(self, name: str, decide: Callable[[NamedModel], Entry | None]) -> NamedModel:
        check_registry(self.folder)
        with one_writer(self.folder):
            return self._commit(name, decide)

    def _commit(
        self,
        name: str,
        decide: Callable[[NamedModel], Entry | None],
        *,
        read: Callable[[RegistryFolder, str], NamedModel] = known_model,
    ) -> NamedModel:
        """Writes the entry that `decide` makes of the model as it is now, and returns the model with it."""
        for _ in range(_ATTEMPTS):
            model = read(self.folder, name)
            entry = decide(model)
            if entry is None:
                return model
            try:
                append_entry(self.folder, model, entry)
            except FileExistsError:
                continue
            model.apply(entry)
            return model
        raise RegistryError(f"{self.folder}: other processes are writing to it without end; end them and try again")


def _moves(name: str, alias: str) -> str:
    return f"`convfleet registry promote {name} VERSION --to {alias}` moves the alias"
