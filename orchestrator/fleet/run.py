"""A run whose models are looked at: its study and its images are read when a model needs them, each once."""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.errors import InputError, RunFolderError
from orchestrator.fleet.checkpoints import KeptCheckpoint, kept_checkpoint
from orchestrator.journal.reading import load_state
from orchestrator.journal.trial import Trial
from orchestrator.runs.folder import open_run_folder
from orchestrator.study.loading import load_study
from orchestrator.study.spec import StudySpec
from search_spaces import nearest
from trainables.checkpoints.checkpoint import checkpoint_owner
from trainables.data.cache.in_process import insisted, prepare_folds_in_process
from trainables.errors import DataError
from trainables.inspecting.requests import ModelRequest, ask_about_models
from trainables.specs.dataset import DatasetInfo
from trainables.specs.worker import OwnCode

#: So many names of trials stand in a message.
_MOST_NAMED = 40


class FleetRun:
    """A run, and what building its models needs.

    Args:
        root: The run folder.
        notify: Receives messages for the user.

    Raises:
        RunFolderError: If no run folder lies at `root`.
        JournalError: If the journal is damaged.
    """

    def __init__(self, root: Path, *, notify: Callable[[str], None] | None = None) -> None:
        self.folder = open_run_folder(root)
        self.state = load_state(self.folder)
        self._notify = notify
        self._datasets: dict[int, DatasetInfo] = {}
        self._layers: dict[str, list[dict[str, Any]]] = {}

    @cached_property
    def spec(self) -> StudySpec:
        """The study; raises InputError if it cannot be read any more."""
        return load_study(self.folder.study)

    def trial(self, name: str) -> Trial:
        """Returns a trial.

        Raises:
            RunFolderError: If there is none of that name; the message has those that there are.
        """
        known = self.state.trials
        if name in known:
            return known[name]
        rest = f" and {len(known) - _MOST_NAMED:,} more" if len(known) > _MOST_NAMED else ""
        names = ", ".join(list(known)[:_MOST_NAMED]) or "none so far"
        hint = nearest(name, known, alike=0.75) or ";"
        raise RunFolderError(f"{self.folder.root}: no trial is called {name!r}{hint} trials: {names}{rest}")

    def checkpoint(self, trial: Trial) -> KeptCheckpoint:
        """Returns what is kept of a trial's best epoch on this machine."""
        return kept_checkpoint(trial, folder=self.folder, ranking=self.state.header.ranking)

    def request(self, trial: Trial) -> ModelRequest:
        """Returns how a trial's model is built and restored; reads the study's images the first time.

        Raises:
            InputError: If the study or its images cannot be read any more, or are not those of the run.
        """
        kept = self.checkpoint(trial)
        return ModelRequest(
            trial=trial.name,
            variant=trial.variant,
            dataset=self.dataset(trial.fold),
            own=OwnCode(folder=self.spec.study_dir, source=self.spec.code),
            folder=str((self.folder.checkpoints / trial.name).absolute()),
            epoch=kept.epoch if kept.is_kept else 0,
            owner=checkpoint_owner(trial.variant.variant_id, fold=trial.fold),
        )

    def dataset(self, fold: int = 0) -> DatasetInfo:
        """Returns the images that the trials of a fold validate on; a child process reads them.

        Args:
            fold: From 1; 0: the validation split of the study.

        Raises:
            InputError: If the images cannot be read any more, or are not those of the run.
        """
        if fold not in self._datasets:
            data, folds = insisted(self.spec.data), [fold] if fold else []
            try:
                whole, *others = prepare_folds_in_process(
                    data, self.spec.seed, folds=folds, on_progress=self.show_progress
                )
            except DataError as exc:
                raise InputError(f"{self.folder.root}: the images of the run cannot be read: {exc}") from exc
            self._check(whole)
            self._datasets |= {0: whole, **dict(zip(folds, others, strict=True))}
        return self._datasets[fold]

    def layers(self, trials: Sequence[Trial]) -> dict[str, list[dict[str, Any]]]:
        """Returns the layers of each trial's model, built in one child process for all that are not known yet.

        Raises:
            InputError: If a model cannot be built.
        """
        unknown = [trial for trial in trials if trial.name not in self._layers]
        if unknown:
            requests = [self.request(trial) for trial in unknown]
            try:
                found = ask_about_models(requests, on_progress=self.show_progress)
            except DataError as exc:
                raise InputError(f"{self.folder.root}: {exc}") from exc
            if problems := [item["problem"] for item in found["layers"] if "problem" in item]:
                raise InputError("\n".join(f"{self.folder.root}: {problem}" for problem in problems))
            self._layers |= {trial.name: item["rows"] for trial, item in zip(unknown, found["layers"], strict=True)}
        return {trial.name: self._layers[trial.name] for trial in trials}

    def show_progress(self, stage: str, done: int, total: int) -> None:
        """Notifies the user of what a child process is at."""
        if self._notify is not None:
            self._notify(f"{stage}: {done:,} of {total:,}")

    def _check(self, dataset: DatasetInfo) -> None:
        known = next((session.dataset for session in self.state.sessions if session.dataset), None)
        if known not in (None, dataset.fingerprint):
            raise InputError(
                f"{self.folder.root}: data: these are not the images that the run began with (fingerprint "
                f"{dataset.fingerprint}, expected {known}); restore the files"
            )
