"""The functions that Python users call: run a study, resume a run, open a run, export from it.

What starts Ray is imported when a function needs it, so that opening a run stays quick.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.ensembles.wanted import USUAL_SIZE
from orchestrator.forking.ahead import import_ahead
from orchestrator.journal.reading import load_state
from orchestrator.runs.folder import open_run_folder
from orchestrator.runs.paths import RUNS, RunFolder
from orchestrator.study.spec import StudySpec
from orchestrator.views.notebook.live import Shown, shown_progress
from trainables.machine.imports import quick_imports
from trainables.specs.export import EnsembleMethod

if TYPE_CHECKING:
    from orchestrator.driver.result import StudyResult
    from orchestrator.ensembles.outcome import EnsembleResult


def run_study(
    spec: StudySpec,
    *,
    runs: Path | str = RUNS,
    address: str | None = None,
    progress: Shown = "auto",
    resume_if_there: bool = False,
) -> "StudyResult":
    """Runs a study in a new run folder and returns its result.

    Examples:
        Trains four small CNNs on 8x8 digits; the run folder is `runs/quickstart` of the current folder::

            import convfleet

            study = convfleet.load_study("quickstart", overrides=["search.trials=4", "export.top=1"])
            result = convfleet.run_study(study)
            print(result.leaderboard(3))

    Args:
        spec: The study, as `load_study` returns it.
        runs: The folder of run folders; the run's own is `runs/<name>`, or `runs/<name>-2` and so on if that exists.
        address: A Ray cluster to join, `host:port` or `auto`; None: a Ray of this machine alone.
        progress: Shows how far the study is; auto: in a notebook its cell does, elsewhere nothing; None: nothing.
        resume_if_there: Whether to go on with the run of this study in `runs`, or in its storage, if there is one; a
            run of another study of that name is refused.

    Returns:
        The finished run.

    Raises:
        StudyPausedError: On Ctrl-C or SIGTERM; `resume_study` goes on.
        InputError: If the data or the study are wrong.
        StudyFailedError: If the study cannot work, no trial has a result, or an export failed.
    """
    with shown_progress(progress) as shown, import_ahead(spec.resources, address=address):
        with quick_imports():
            from orchestrator.driver.runner import start_run

        folder = start_run(spec, runs=Path(runs), address=address, progress=shown, resume_if_there=resume_if_there)
        return _result(folder)


def resume_study(
    root: Path | str,
    *,
    overrides: Sequence[str] = (),
    address: str | None = None,
    progress: Shown = "auto",
) -> "StudyResult":
    """Goes on with a run exactly where its journal ends and returns its result.

    A finished run gets its tables and its report anew, and models that it lacks; `overrides` extend it.

    Examples:
        Lets the search of a finished run propose more variants::

            import convfleet

            result = convfleet.resume_study("runs/quickstart", overrides=["search.trials=5"])
            print(result.trials.num_rows)

    Args:
        root: The run folder, or the URI of the run in a storage, which is fetched to `runs/<name>` first.
        overrides: `key=value` texts such as `search.trials=60` that extend the study; a change that would make earlier
            results incomparable is refused.
        address: A Ray cluster to join, `host:port` or `auto`; None: a Ray of this machine alone.
        progress: Shows how far the study is; auto: in a notebook its cell does, elsewhere nothing; None: nothing.

    Returns:
        The finished run.

    Raises:
        RunFolderError: If no such run exists, or another driver is at work on it.
        InputError: If its study or its data changed, or may not change so.
        StudyPausedError: On Ctrl-C or SIGTERM; `resume_study` goes on again.
        StudyFailedError: If the study cannot work, no trial has a result, or an export failed.
    """
    with quick_imports():
        from orchestrator.driver.runner import resume_run

    with shown_progress(progress) as shown:
        return _result(resume_run(root, overrides=overrides, address=address, progress=shown))


def open_run(root: Path | str) -> "StudyResult":
    """Returns the result of a run, finished or not, from its folder; starts nothing and writes nothing.

    Examples:
        Prints the three best trials, also while a driver is at work on the run::

            import convfleet

            result = convfleet.open_run("runs/quickstart")
            print(result.leaderboard(3).select(["trial", "family"]))

    Args:
        root: The run folder.

    Returns:
        The run as its journal describes it now.

    Raises:
        RunFolderError: If no run folder lies at `root`.
        JournalError: If the journal is damaged.
    """
    return _result(open_run_folder(Path(root)))


def export_study(
    root: Path | str,
    *,
    top: int | None = None,
    formats: Sequence[str] = (),
    address: str | None = None,
    progress: Shown = "auto",
) -> list[Path]:
    """Exports the best models of a run, also those that it has, and returns their folders, best first.

    Examples:
        Exports the best model of a run as `model.keras`, with its manifest beside it::

            import convfleet

            (folder,) = convfleet.export_study("runs/quickstart", top=1, formats=["keras"])
            print(folder / "model.keras")

    Args:
        root: The run folder, or the URI of the run in a storage, which is fetched to `runs/<name>` first.
        top: How many models; None: as many as the study says, and at least one.
        formats: As `export.formats`; empty: those of the study.
        address: A Ray cluster to join, `host:port` or `auto`; None: a Ray of this machine alone.
        progress: Shows what the driver does; auto: in a notebook its cell does, elsewhere nothing; None: nothing.

    Returns:
        The folders of the exports, one a model, best first; empty if no trial has a result.

    Raises:
        RunFolderError: If no such run exists, or another driver is at work on it.
        InputError: If `top` or `formats` are wrong, or the study or its data changed.
        ExportError: If an export failed; the others are made all the same.
        StudyPausedError: On Ctrl-C or SIGTERM.
    """
    from orchestrator.driver.runner import export_models

    with shown_progress(progress) as shown:
        results = export_models(root, top=top, formats=formats, address=address, progress=shown)
    return [Path(result.folder) for result in results]


def ensemble_study(  # noqa: PLR0913 - a run, and what a user asks of it
    root: Path | str,
    *,
    size: int = USUAL_SIZE,
    method: EnsembleMethod = "greedy",
    formats: Sequence[str] = (),
    address: str | None = None,
    progress: Shown = "auto",
) -> "EnsembleResult":
    """Exports several checkpoints of a run as one model, set against the best single one.

    Examples:
        Lets checkpoints of a run vote, and prints whether that is better than its best model::

            import convfleet

            ensemble = convfleet.ensemble_study("runs/quickstart", size=4)
            print(ensemble.verdict)

    Args:
        root: The run folder, or the URI of the run in a storage, which is fetched to `runs/<name>` first.
        size: How many votes are given, or how many weights are averaged, at most: 2 to 64.
        method: greedy (votes of any checkpoints), soup (the mean of weights of one architecture) or snapshot (votes of
            one trial's epochs).
        formats: As `export.formats`; empty: those of the study.
        address: A Ray cluster to join, `host:port` or `auto`; None: a Ray of this machine alone.
        progress: Shows what the driver does; auto: in a notebook its cell does, elsewhere nothing; None: nothing.

    Returns:
        The members, the selection step by step, the measures of both models, the verdict in words, and the folder of
        the export, which is None where the selection came to a single checkpoint.

    Raises:
        RunFolderError: If no such run exists, or another driver is at work on it.
        InputError: If an argument is wrong, the checkpoints allow no ensemble, or the study or its data changed.
        ExportError: If the ensemble could not be exported.
        StudyPausedError: On Ctrl-C or SIGTERM; what checkpoints predict is kept for the next call.
    """
    from orchestrator.driver.runner import make_ensemble

    with shown_progress(progress) as shown:
        return make_ensemble(root, size=size, method=method, formats=formats, address=address, progress=shown)


def _result(folder: RunFolder) -> "StudyResult":
    # Late: figures and tables are for afterwards.
    from orchestrator.driver.result import StudyResult

    return StudyResult(folder=folder, state=load_state(folder))
