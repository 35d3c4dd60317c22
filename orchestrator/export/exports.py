"""The exports of a run: models that it lacks are made, journalled, and replace others of their rank."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.disk.space_watch import SpaceWatch
from orchestrator.errors import DiskSpaceError, ExportError
from orchestrator.export.acceptance import choose_smallest, write_choice
from orchestrator.export.exported_files import exported_files
from orchestrator.export.retraining import export_all
from orchestrator.export.selection import chosen_trials, formats_with_kept, has_formats, select_exports
from orchestrator.export.tasks import run_exports
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import EnsembleExported, ModelExported, TrialNoted
from orchestrator.journal.study_state import StudyState
from orchestrator.results.from_state import export_path, placed
from orchestrator.runs.folder import remove_export_drafts
from orchestrator.runs.paths import RunFolder
from orchestrator.study.sections import Export
from trainables.files.manifests import damage_of
from trainables.reports import NoteKind
from trainables.specs.export import ExportRequest, ExportResult
from trainables.specs.worker import WorkerSpec


def damaged_exports(
    exports: Sequence[ModelExported | EnsembleExported], *, folder: RunFolder, notify: Callable[[str], None]
) -> list[ModelExported | EnsembleExported]:
    """Returns the exports whose files are not as they were written, and notifies the user of each.

    Args:
        exports: What the journal has of them.
        folder: The run folder.
        notify: Receives messages for the user.
    """
    found = []
    for item in exports:
        path = export_path(item, folder=folder)
        if path.is_dir() and (damage := damage_of(path)):
            notify(f"{path}: {damage}")
            found.append(item)
    return found


@dataclass(frozen=True, kw_only=True)
class Exports:
    """Exports the best models of a run.

    Attributes:
        folder: The run folder.
        recorder: Writes the journal.
        worker: What the workers received that trained the models.
        num_concurrent: How many trials run at the same time.
        space: The watch over the disks.
        notify: Receives messages for the user.
    """

    folder: RunFolder
    recorder: Recorder
    worker: WorkerSpec
    num_concurrent: int
    space: SpaceWatch
    notify: Callable[[str], None]

    def make(self, export: Export, *, always: bool = False) -> list[ExportResult]:
        """Exports the best models and returns them, best first.

        Args:
            export: How many, and in which formats.
            always: Whether to make also those that the run has.

        Raises:
            ExportError: After all were tried; names those that failed, and has those that were made.
            DiskSpaceError: If some failed because a disk is full.
        """
        if export.top == 0:
            return []
        requests = self._requests(export, always=always)
        if not requests:
            self._notify_of_none(export)
            self._choose_smallest(export)
            return []
        self.notify(f"exporting {len(requests)} models and evaluating them on the test split")
        remove_export_drafts(self.folder)
        results: list[ExportResult] = []
        errors: list[str] = []
        outcomes = export_all(
            requests, run=run_exports, state=self.recorder.state, notify=self.notify, on_trained=self._note_trained
        )
        for outcome in outcomes:
            self.space.check_if_due(self.recorder.state, num_concurrent=self.num_concurrent)
            if isinstance(outcome, ExportResult):
                epoch = next(request.epoch for request in requests if request.rank == outcome.rank)
                results.append(self._record(outcome, epoch=epoch))
                errors += outcome.problems
            elif isinstance(outcome, ExportError):
                errors.append(str(outcome))
        self._choose_smallest(export)
        if errors and (full := self.space.space_note(ExportError("\n".join(errors)))):
            # Not the models' fault: the study is not finished yet, so that `resume` makes up for them.
            raise DiskSpaceError(f"{errors[0]}{full}")
        if errors:
            raise ExportError("\n".join(errors), made=sorted(results, key=_rank))
        return sorted(results, key=_rank)

    def _choose_smallest(self, export: Export) -> None:
        """Writes which file the study accepts into its manifest, and notifies the user where there is none."""
        if export.accept is None:
            return
        state, drop = self.recorder.state, export.accept.accuracy_drop
        files = exported_files(state, folder=self.folder)
        choice = choose_smallest(files, accuracy_drop=drop, objective=state.header.metric)
        paths = [export_path(item, folder=self.folder) for item in state.exports]
        write_choice(choice, accuracy_drop=drop, exports=paths)
        if choice.file is None:
            self.notify(f"export.accept: {choice.words}")

    def _notify_of_none(self, export: Export) -> None:
        """Notifies the user if trials have a result, and none is as the study's rule asks for."""
        state = self.recorder.state
        board = placed(state)
        if board and all(item.broken for item in board):
            self.notify("constraints: no trial keeps to them, so none is exported; loosen them")
        elif board and not chosen_trials(state, choose=export.choose):
            self.notify(f"export.choose: no trial keeps to {export.choose!r}, so none is exported; change the rule")

    def _requests(self, export: Export, *, always: bool) -> list[ExportRequest]:
        state, drop = self.recorder.state, None if export.accept is None else export.accept.accuracy_drop
        requests = [
            replace(request, formats=formats_with_kept(Path(request.folder), request.formats), accepted_drop=drop)
            for request in select_exports(state, export=export, folder=self.folder, worker=self.worker)
        ]
        if always:
            return requests
        damaged = damaged_exports(state.exports, folder=self.folder, notify=self.notify)
        return [request for request in requests if not self._is_exported(request, damaged=damaged)]

    def _is_exported(self, request: ExportRequest, *, damaged: Sequence[ModelExported | EnsembleExported]) -> bool:
        """Returns whether the run has the very model; an extended study's trial may have a better epoch by now."""
        whole = [item for item in self.recorder.state.exports if item not in damaged]
        place = (request.rank, request.trial, request.epoch)
        return _is_among(whole, place, formats=request.formats, folder=self.folder)

    def _note_trained(self, trial: str, text: str) -> None:
        """Tells the user, and the journal, that a trial was trained again."""
        self.notify(f"{trial}: {text}")
        now = self.recorder.now()
        self.recorder.append(TrialNoted(trial=trial, kind=NoteKind.CHECKPOINT_TRAINED_AGAIN, text=text, at=now))

    def _record(self, result: ExportResult, *, epoch: int) -> ExportResult:
        self.recorder.append(
            ModelExported(
                trial=result.trial,
                rank=result.rank,
                epoch=epoch,
                folder=Path(result.folder).relative_to(self.folder.root.absolute()).as_posix(),
                test_metrics=result.test_metrics,
                at=self.recorder.now(),
            )
        )
        # One model a rank: what held this rank before the study went on would be taken for it.
        for other in self.folder.exports.glob(f"{result.rank}-*"):
            if other.name != Path(result.folder).name:
                shutil.rmtree(other, ignore_errors=True)
        return result


def lacks_models(state: StudyState, *, export: Export, folder: RunFolder) -> bool:
    """Returns whether a run is without a model, or a format of one, that its study exports.

    Args:
        state: What the journal says.
        export: How many, which of them, and in which formats.
        folder: The run folder.
    """
    wanted = enumerate(chosen_trials(state, choose=export.choose)[: export.top], start=1)
    return not all(
        _is_among(state.exports, (rank, item.trial.name, item.report.epoch), formats=export.formats, folder=folder)
        for rank, item in wanted
    )


def _is_among(
    exports: Sequence[ModelExported], place: tuple[int, str, int], *, formats: Sequence[str], folder: RunFolder
) -> bool:
    """Returns whether the export of a (rank, trial, epoch) is among others, and has these formats."""
    rank, trial, epoch = place
    return any(
        (item.rank, item.trial) == (rank, trial)
        and item.epoch in (0, epoch)
        and has_formats(export_path(item, folder=folder), formats)
        for item in exports
    )


def _rank(result: ExportResult) -> int:
    return result.rank
