"""Makes an ensemble of a run: predictions, selection, export, journal."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.disk.space_watch import SpaceWatch
from orchestrator.ensembles.candidates import best_single, candidates_of
from orchestrator.ensembles.outcome import EnsembleResult
from orchestrator.ensembles.predictions import KeptPredictions
from orchestrator.ensembles.tasks import run_ensemble, run_predictions, run_soup
from orchestrator.ensembles.wanted import WantedEnsemble
from orchestrator.errors import DiskSpaceError, ExportError, InputError
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import EnsembleExported
from orchestrator.results.image_shares import image_shares
from orchestrator.runs.folder import remove_export_drafts
from orchestrator.runs.paths import RunFolder
from trainables.data.cache.dataset import open_dataset
from trainables.ensembles.requests import (
    Candidate,
    EnsembleAnswer,
    EnsembleRequest,
    PredictionRequest,
    SoupAnswer,
    SoupRequest,
    Step,
)
from trainables.ensembles.scores import Measure, figures_of, goodness, measure_of
from trainables.ensembles.selection import Library, greedy_steps, members_of, snapshot_steps
from trainables.specs.export import ExportRequest, ensemble_refusal
from trainables.specs.targets import TargetKind
from trainables.specs.worker import WorkerSpec


@dataclass(frozen=True, kw_only=True)
class Ensembles:
    """Makes ensembles of a run.

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

    def make(self, wanted: WantedEnsemble) -> EnsembleResult:
        """Makes an ensemble and returns what became of it; a selection that comes to one checkpoint is not exported.

        Raises:
            InputError: The study's task, or the checkpoints that are left, allow none.
            ExportError: It could not be exported.
            DiskSpaceError: Likewise, because a disk is full.
        """
        kinds = {target.name: target.kind for target in self.worker.dataset.task.targets}
        if reason := ensemble_refusal(kinds):
            raise InputError(f"{self.folder.root}: an ensemble {reason}")
        remove_export_drafts(self.folder)
        outputs, notes = self._predictions()
        ordered = self._ordered(outputs)
        single = best_single(self.recorder.state, ordered)
        if single is None:
            raise InputError(
                f"{self.folder.root}: no checkpoint of a trial on the leaderboard is kept, so there is nothing to make "
                "an ensemble of; train with a larger storage.checkpoint_budget_gb"
            )
        steps, found = self._steps(wanted, outputs, ordered=ordered)
        members = members_of(steps)
        result = EnsembleResult(
            method=wanted.method,
            measure=self._measure,
            single=single,
            single_figures=self._figures(outputs[single.name]),
            steps=steps,
            members=members,
            figures=[step.figures for step in steps if step.is_kept][-1],
            notes=[*notes, *found],
            shares=image_shares(self.folder),
        )
        return self._exported(result, wanted) if len(members) > 1 else result

    @cached_property
    def _labels(self) -> np.ndarray:
        split = open_dataset(self.worker.dataset).validation
        (target,) = self.worker.dataset.task.targets
        return np.asarray(split.labels[target.name][split.indices])

    @property
    def _kind(self) -> TargetKind:
        return self.worker.dataset.task.targets[0].kind

    @property
    def _measure(self) -> Measure:
        return measure_of(self.recorder.state.header.metric, kind=self._kind)

    def _figures(self, outputs: np.ndarray) -> dict[str, float]:
        return figures_of(outputs, self._labels, kind=self._kind)

    def _predictions(self) -> tuple[dict[str, np.ndarray], list[str]]:
        """Returns what each kept checkpoint predicts, by its name, and a sentence for each that has no prediction."""
        remote, dataset = self.worker.remote, self.worker.dataset
        candidates = candidates_of(
            self.recorder.state, checkpoints=Path(self.worker.checkpoints), has_storage=remote is not None
        )
        kept = KeptPredictions(
            self.folder.predictions, fingerprint=dataset.fingerprint, num_images=dataset.num_validation
        )
        outputs = {item.name: found for item in candidates if (found := kept.read(item)) is not None}
        missing = [item for item in candidates if item.name not in outputs]
        notes: list[str] = []
        if missing:
            self.notify(f"{len(missing)} of {len(candidates)} checkpoints predict the validation split")
        by_name = {item.name: item for item in candidates}
        answers = run_predictions(_requests(missing, worker=self.worker))
        for answer in self._watched(answers):
            if isinstance(answer, ExportError):
                notes.append(f"left out: {answer}")
                continue
            for epoch, found in answer.outputs.items():
                candidate = by_name[f"{answer.trial}-{epoch:04d}"]
                kept.write(candidate, found)
                outputs[candidate.name] = found
            notes += [f"left out: {answer.trial} epoch {epoch}: {text}" for epoch, text in answer.problems.items()]
        return {item.name: outputs[item.name] for item in candidates if item.name in outputs}, notes

    def _ordered(self, outputs: dict[str, np.ndarray]) -> list[Candidate]:
        """Returns the candidates that have predictions, best first on the validation split."""
        known = candidates_of(self.recorder.state, checkpoints=Path(self.worker.checkpoints), has_storage=True)
        candidates = [item for item in known if item.name in outputs]
        values = {item.name: goodness(self._figures(outputs[item.name]), self._measure) for item in candidates}
        return sorted(candidates, key=lambda item: values[item.name], reverse=True)

    def _steps(
        self, wanted: WantedEnsemble, outputs: dict[str, np.ndarray], *, ordered: Sequence[Candidate]
    ) -> tuple[list[Step], list[str]]:
        """Returns the steps of the selection, and sentences about it."""
        if wanted.method == "soup":
            return self._soup(wanted, ordered=ordered)
        library = Library(
            candidates=ordered, outputs=outputs, labels=self._labels, kind=self._kind, measure=self._measure
        )
        select = greedy_steps if wanted.method == "greedy" else snapshot_steps
        steps = select(library, size=wanted.size)
        if not steps:
            raise InputError(
                f"{self.folder.root}: no trial has two kept checkpoints (a trial keeps its newest and its best), so no "
                "epochs of one can vote; use --method greedy, which takes checkpoints of all trials"
            )
        return steps, []

    def _soup(self, wanted: WantedEnsemble, *, ordered: Sequence[Candidate]) -> tuple[list[Step], list[str]]:
        self.notify(f"averaging weights of {len(ordered)} checkpoints step by step")
        request = SoupRequest(
            trial="soup", candidates=ordered, measure=self._measure, size=wanted.size, worker=self.worker
        )
        answer: SoupAnswer = self._only(run_soup(request))
        if not answer.steps:
            raise InputError(
                f"{self.folder.root}: no two of {len(ordered)} kept checkpoints have one architecture, and weights of "
                "different networks cannot be averaged; use --method greedy, which averages outputs"
            )
        notes = []
        if answer.num_others:
            notes.append(f"{answer.num_others} checkpoints have another architecture and were passed over")
        if answer.renewed:
            notes.append(
                f"the statistics of {answer.renewed} layers of batch normalisation were computed anew from training "
                "images"
            )
        return list(answer.steps), notes

    def _exported(self, result: EnsembleResult, wanted: WantedEnsemble) -> EnsembleResult:
        self.notify(f"exporting {len(result.members)} checkpoints as one model and evaluating it on the test split")
        folder, study = self.folder.ensemble(wanted.method), self.recorder.state.header.study
        request = _export_request(result, wanted, study=study, folder=folder, worker=self.worker)
        answer: EnsembleAnswer = self._only(run_ensemble(request))
        self.recorder.append(
            EnsembleExported(
                method=wanted.method,
                members=[member.to_json() for member in result.members],
                metrics=dict(result.figures),
                folder=folder.relative_to(self.folder.root).as_posix(),
                test_metrics=dict(answer.export.test_metrics),
                at=self.recorder.now(),
            )
        )
        return replace(result, folder=folder, answer=answer)

    def _only(self, answers: Iterator[Any]) -> Any:
        (answer,) = self._watched(answers)
        if isinstance(answer, ExportError):
            if full := self.space.space_note(answer):
                raise DiskSpaceError(f"{answer}{full}")
            raise answer
        return answer

    def _watched(self, answers: Iterator[Any]) -> Iterator[Any]:
        """Yields answers, and looks after the disk while none is ready."""
        for answer in answers:
            self.space.check_if_due(self.recorder.state, num_concurrent=self.num_concurrent)
            if answer is not None:
                yield answer


def _requests(candidates: Sequence[Candidate], *, worker: WorkerSpec) -> list[PredictionRequest]:
    """Returns one request a trial, so that its network is built in one process."""
    found = []
    for trial in dict.fromkeys(item.trial for item in candidates):
        own = [item for item in candidates if item.trial == trial]
        epochs = [item.epoch for item in own]
        found.append(PredictionRequest(trial=trial, variant=own[0].variant, epochs=epochs, worker=worker))
    return found


def _export_request(
    result: EnsembleResult, wanted: WantedEnsemble, *, study: str, folder: Path, worker: WorkerSpec
) -> EnsembleRequest:
    export = ExportRequest(
        study=study,
        rank=0,
        trial=folder.name,
        variant=result.single.variant,
        epoch=0,
        metrics={f"val_{name}": value for name, value in result.figures.items()},
        formats=tuple(dict.fromkeys(wanted.formats)),
        folder=str(folder.absolute()),
        worker=worker,
    )
    return EnsembleRequest(export=export, method=wanted.method, members=result.members, single=result.single)
