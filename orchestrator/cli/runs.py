"""The run that a command names: a folder, or a URI that it is kept at."""

from pathlib import Path


def local_run(run: str, *, runs: Path = Path("runs"), with_files: bool = False) -> Path:
    """Returns a run's folder, after bringing the run here where a URI names it."""
    # Late: `--help` needs none of it.
    from trainables.files.uris import is_uri

    if not is_uri(run):
        return Path(run)
    # Late: it brings pyarrow, and paths need none of it.
    from orchestrator.mirror.fetch import fetched_run

    return fetched_run(run, runs=runs, with_files=with_files)


def has_driver_elsewhere(run: str) -> bool:
    """Returns whether another machine's driver works on the run that a URI names."""
    # Late, as above.
    from trainables.files.uris import is_uri

    if not is_uri(run):
        return False
    from orchestrator.mirror.places import is_driver_elsewhere

    return is_driver_elsewhere(run)
