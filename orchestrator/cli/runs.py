"""The run that a command names: a folder, or a URI that it is kept at."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def local_run(run: str, *, runs: Path = Path("runs"), with_files: bool = False) -> Path:
    """Returns the folder of a run; fetches the run from its storage first if a URI names it.

    Args:
        run: A path or a URI, as the user wrote it.
        runs: The folder that fetched runs lie in.
        with_files: Whether to fetch exports and tracebacks as well.
    """
    # Late: `--help` does not need it.
    from trainables.files.uris import is_uri

    if not is_uri(run):
        return Path(run)
    # Late: it brings pyarrow, which a path does not need.
    from orchestrator.mirror.fetch import fetched_run

    return fetched_run(run, runs=runs, with_files=with_files)


def has_driver_elsewhere(run: str) -> bool:
    """Returns whether a driver on another machine is at work on the run that a URI names; False for a path.

    Args:
        run: A path or a URI, as the user wrote it.
    """
    # Late, as above.
    from trainables.files.uris import is_uri

    if not is_uri(run):
        return False
    from orchestrator.mirror.places import is_driver_elsewhere

    return is_driver_elsewhere(run)


@contextmanager
def shown_beside(runs: Path | None) -> Iterator[None]:
    """Shows runs in a browser meanwhile, and says where.

    Args:
        runs: Their folder; None: nothing is shown.
    """
    if runs is None:
        yield
        return
    # Late: only this option needs it.
    from orchestrator.dashboard.beside import dashboard_beside

    with dashboard_beside(runs) as address:
        print(f"dashboard: {address}", file=sys.stderr, flush=True)
        yield
