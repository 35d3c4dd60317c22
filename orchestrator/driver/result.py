"""What came of a study, for people who program."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.errors import RunFolderError
from orchestrator.journal.reading import load_state
from orchestrator.journal.study_state import StudyState
from orchestrator.results.from_state import export_path
from orchestrator.results.from_tables import leaderboard
from orchestrator.results.tables import epochs_table, trials_table
from orchestrator.runs.folder import open_run_folder
from orchestrator.runs.paths import RunFolder
from trainables.files.manifests import damage_of


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResult:
    """A run and everything in it.

    Args:
        folder: Where it lies.
        state: What its journal tells.
    """

    folder: RunFolder
    state: StudyState

    @property
    def trials(self) -> pa.Table:
        """One row a trial."""
        return trials_table(self.state)

    @property
    def epochs(self) -> pa.Table:
        """One row a report."""
        return epochs_table(self.state)

    def leaderboard(self, k: int | None = None) -> pa.Table:
        """Returns the k best trials that completed or were stopped, best first."""
        header = self.state.header
        return leaderboard(self.trials, metric=header.metric, mode=header.mode, k=k)

    def export(self, *, top: int | None = None, formats: Sequence[str] = ()) -> list[Path]:
        """Exports the best models again and returns their folders, best first."""
        # Late: exporting starts Ray, reading a result does not.
        from orchestrator.driver.runner import export_study

        return [Path(item.folder) for item in export_study(self.folder.root, top=top, formats=formats)]

    def load_model(self, rank: int = 1) -> Any:
        """Returns an exported Keras model; this imports TensorFlow into the calling process.

        Raises:
            RunFolderError: If no model of that rank was exported as .keras, or it was changed since.
        """
        found = [
            export_path(item, folder=self.folder) / "model.keras" for item in self.state.exports if item.rank == rank
        ]
        if not found or not found[-1].is_file():
            raise RunFolderError(
                f"{self.folder.root}: no model of rank {rank} was exported as .keras; run `convfleet export "
                f"{self.folder.quoted} --top {rank}`"
            )
        if damage := damage_of(found[-1].parent):
            raise RunFolderError(
                f"{found[-1].parent}: {damage}; make it anew with `convfleet export {self.folder.quoted} --top {rank}`"
            )
        # Late: only this function needs it.
        import keras

        return keras.models.load_model(found[-1], safe_mode=True)


def open_run(root: Path | str) -> StudyResult:
    """Returns a run from its folder, finished or not.

    Raises:
        RunFolderError: If it is none.
    """
    folder = open_run_folder(Path(root))
    return StudyResult(folder=folder, state=load_state(folder))
