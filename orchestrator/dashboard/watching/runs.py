"""The runs of a dashboard: those that were named, and those in folders that were named, also ones that come later."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.errors import InputError, OrchestratorError
from orchestrator.runs.paths import RunFolder

#: More runs than any folder should have: a dashboard of a home folder must not read all of a disk.
MOST_RUNS = 2000


class WatchedRuns:
    """The runs below some places.

    Args:
        places: Run folders, or folders of run folders.
        fetched: The URIs of the places that were fetched from a storage.

    Raises:
        InputError: If a place does not exist.
    """

    def __init__(self, places: Sequence[Path], *, fetched: Mapping[Path, str] | None = None) -> None:
        for place in places:
            if not place.is_dir():
                raise InputError(
                    f"{place}: no such folder; give a folder of runs such as runs, or a run folder such as "
                    "runs/quickstart"
                )
        self._places, self._fetched = list(places), dict(fetched or {})
        self._by_path: dict[Path, FollowedRun] = {}
        self._keys: dict[str, FollowedRun] = {}
        self._lock = threading.Lock()

    @property
    def all(self) -> list[FollowedRun]:
        """The runs that were found, in the order of their names."""
        return [self._keys[key] for key in sorted(self._keys)]

    def get(self, key: str) -> FollowedRun | None:
        """Returns the run of a key; None if there is none."""
        return self._keys.get(key)

    def look(self) -> bool:
        """Looks for runs that are new, and returns whether there are any; one that vanished stays, and says so."""
        with self._lock:
            # By their whole paths: two places may hold one run.
            found = {path.resolve(): path for place in reversed(self._places) for path in _run_folders(place)[::-1]}
            new = [whole for whole in reversed(found) if whole not in self._by_path]
            for whole in new[: max(0, MOST_RUNS - len(self._by_path))]:
                run = FollowedRun(self._key(whole), RunFolder(found[whole]))
                self._by_path[whole] = self._keys[run.key] = run
        return bool(new)

    def is_fetched(self, run: FollowedRun) -> bool:
        """Returns whether a run lies in a storage, and here is a copy of it."""
        return run.folder.root in self._fetched

    def fetch_again(self, run: FollowedRun) -> None:
        """Brings the copy of a run that lies in a storage up to date; what the storage refuses is the run's problem."""
        # Late: it brings Arrow's file systems, which local runs do not need.
        from orchestrator.mirror.fetch import fetched_run

        uri = self._fetched[run.folder.root]
        try:
            fetched_run(uri, runs=run.folder.root.parent, with_files=True)
            run.trouble = ""
        except (OrchestratorError, OSError) as exc:
            run.trouble = f"its storage cannot be read now, what was read before is shown: {exc}"

    def _key(self, path: Path) -> str:
        name, number = path.name, 2
        key = name
        while key in self._keys:
            key, number = f"{name}~{number}", number + 1
        return key


def _run_folders(place: Path) -> list[Path]:
    """Returns the run folders that a place is or holds."""
    if _is_run(place):
        return [place]
    try:
        return sorted(path for path in place.iterdir() if _is_run(path))
    except OSError:
        return []


def _is_run(path: Path) -> bool:
    try:
        return (path / "journal.jsonl").is_file() and (path / "study.yaml").is_file()
    except OSError:
        return False
