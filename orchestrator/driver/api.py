"""What Python users call: run a study, resume it, open a run, export from it."""

from collections.abc import Sequence
from pathlib import Path

from orchestrator.driver.result import StudyResult
from orchestrator.driver.runner import discard_if_unused, work
from orchestrator.errors import OrchestratorError
from orchestrator.mirror.fetch import fetched_run
from orchestrator.mirror.places import taken_elsewhere
from orchestrator.runs.folder import new_run_folder, open_run_folder
from orchestrator.runs.paths import RUNS
from orchestrator.study.loading import load_study
from orchestrator.study.spec import StudySpec
from orchestrator.views.terminal.progress import Progress


def run_study(
    spec: StudySpec, *, runs: Path = RUNS, address: str | None = None, progress: Progress | None = None
) -> StudyResult:
    """Runs a study in a new folder below `runs` and returns what came of it.

    Args:
        address: A Ray cluster to join, `host:port` or `auto`; None: this machine alone.

    Raises:
        StudyPausedError: On Ctrl-C or SIGTERM.
        StudyFailedError: If the study cannot work.
    """
    folder = new_run_folder(runs, spec, is_taken=taken_elsewhere(spec.storage.uri))
    try:
        return work(folder, spec, address=address, progress=progress)
    except OrchestratorError:
        discard_if_unused(folder)
        raise


def resume_study(
    root: Path | str,
    *,
    overrides: Sequence[str] = (),
    address: str | None = None,
    progress: Progress | None = None,
) -> StudyResult:
    """Goes on with a run exactly where its journal ends, and returns what came of it.

    Args:
        root: Its folder, or the URI where it is kept elsewhere; it is brought to `runs/<name>` then.
        overrides: `key=value` texts such as `search.trials=60` that extend the study; what would make earlier results
            incomparable is refused.

    Raises:
        RunFolderError: If there is no such run, or another driver is at work on it.
        InputError: If its study or its data changed, or may not be changed so. The rest as `run_study`.
    """
    folder = open_run_folder(fetched_run(str(root), with_files=True))
    return work(folder, load_study(folder.study), overrides=overrides, address=address, progress=progress)
