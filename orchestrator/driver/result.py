"""The result of a run, as Python users get it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.analysis.analysis import Analysis, analysis_json, analysis_of
from orchestrator.analysis.progress import best_so_far_steps
from orchestrator.analysis.savings import Savings, savings_of
from orchestrator.analysis.tables import effects_table, importance_table, progress_table
from orchestrator.errors import RunFolderError
from orchestrator.journal.study_state import StudyState
from orchestrator.replicates.from_state import replicated
from orchestrator.replicates.tables import with_intervals
from orchestrator.results.from_state import export_path
from orchestrator.results.from_tables import leaderboard
from orchestrator.results.image_shares import image_shares
from orchestrator.results.references import read_references
from orchestrator.results.tables import epochs_table, trials_table
from orchestrator.runs.paths import RunFolder
from orchestrator.views.notebook.figures import figure_of
from orchestrator.views.notebook.live import shown_progress
from orchestrator.views.notebook.run_html import ShownInNotebooks
from trainables.files.manifests import damage_of


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class StudyResult(ShownInNotebooks):
    """A run and everything in it, finished or not; a notebook shows it as its state and its best trials.

    Examples:
        Prints the best trial of a run and loads its model::

            import convfleet

            result = convfleet.open_run("runs/quickstart")
            print(result.leaderboard(1).to_pylist())
            model = result.load_model(rank=1)
            print(model.count_params())

    Attributes:
        folder: The run folder.
        state: What the journal says.
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

    @property
    def references(self) -> pa.Table:
        """What simple guesses reach on the study's data: `reference` and its metrics; no row for runs without them."""
        rows = read_references(self.folder)
        names = dict.fromkeys(name for row in rows for name in row.metrics)
        columns = {name: pa.array([row.metrics.get(name) for row in rows], pa.float64()) for name in names}
        return pa.table({"reference": pa.array([row.name for row in rows], pa.string()), **columns})

    def leaderboard(self, k: int | None = None) -> pa.Table:
        """Returns the k best trials that completed or were stopped, best first.

        Where trials were trained again with other seeds, they come first, by the mean over their replicates, and the
        columns `replicates`, `replicate_mean`, `replicate_low` and `replicate_high` say how many of these completed,
        their mean, and its interval of 95 %, which is null for values that do not show their spread.

        Args:
            k: How many; None: all.
        """
        header = self.state.header
        board = leaderboard(self.trials, **header.ranking, k=k)
        return with_intervals(board, replicated(self.state))

    def analysis(self) -> dict[str, Any]:
        """Returns what the run says about its parameters and about stopping early, as `convfleet analyze --json` does.

        Examples:
            Prints why a run has no importance of parameters, if it has none::

                import convfleet

                analysis = convfleet.open_run("runs/quickstart").analysis()
                print(analysis["importance"]["reason"])
        """
        return analysis_json(_analysis_of(self))

    def importance(self) -> pa.Table:
        """Returns the share of the differences between trials that each parameter explains, most important first.

        One row a parameter whose values differ: its share with an interval of 95 %, the trials that it rests on,
        whether it is inactive in others, and the reason where it has no share. No row with fewer than 20 trials with a
        value, or where these do not differ; `analysis()["importance"]["reason"]` says so.
        """
        return importance_table(_analysis_of(self))

    def effects(self) -> pa.Table:
        """Returns the mean of the objective for each value or range of a parameter, most important parameter first."""
        return effects_table(_analysis_of(self))

    def best_so_far(self) -> pa.Table:
        """Returns each report that was better than all before it, and what the study had spent by then."""
        return progress_table(best_so_far_steps(self.state))

    def savings(self) -> Savings:
        """Returns what stopping trials early saved, and how many of them were then as good as the best trial."""
        return savings_of(self.state, shares=image_shares(self.folder))

    def figure(self, name: str, **choices: Any) -> Any:
        """Returns a figure of the run as a `plotly.graph_objects.Figure`, which notebooks draw by themselves.

        Examples:
            Writes the learning curves of a run as a page::

                import convfleet

                figure = convfleet.open_run("runs/quickstart").figure("curves", metric="val_loss")
                figure.write_html("curves.html")

        Args:
            name: `curves`, `best_so_far`, `parallel`, `importance`, `effects`, `front`, `rungs` or `fleet`.
            choices: Of `curves` the `metric`; of `parallel` how many of the best trials, `k`; of `effects` the names of
                the `parameters`.

        Raises:
            InputError: If there is no such figure, or nothing to show in it yet.
        """
        return figure_of(self.state, folder=self.folder, name=name, choices=choices)

    def export(self, *, top: int | None = None, formats: Sequence[str] = ()) -> list[Path]:
        """Exports the best models, also those that the run has, and returns their folders, best first.

        Args:
            top: How many; None: as many as the study says, and at least one.
            formats: As `export.formats`; empty: those of the study.

        Raises:
            InputError: If `top` or `formats` are wrong, or the study or its data changed.
            ExportError: If an export failed; the others are made all the same.
        """
        # Late: exporting starts Ray, reading a result does not.
        from orchestrator.driver.runner import export_models

        with shown_progress("auto") as progress:
            results = export_models(self.folder.root, top=top, formats=formats, address=None, progress=progress)
        return [Path(item.folder) for item in results]

    def load_model(self, rank: int = 1) -> Any:
        """Returns an exported Keras model; this imports TensorFlow into the calling process.

        Args:
            rank: 1 for the best model.

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


def _analysis_of(result: StudyResult) -> Analysis:
    return analysis_of(result.state, shares=image_shares(result.folder))
