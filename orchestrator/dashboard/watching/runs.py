"""The runs of a dashboard: those that were named, and those in folders that were named, also ones that come later.

What lies in a storage is copied to this machine first, and the copies are followed like any run.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from orchestrator.dashboard.watching.followed import FollowedRun
from orchestrator.errors import InputError, OrchestratorError
from orchestrator.runs.lock import is_driver_alive
from orchestrator.runs.paths import RunFolder
from trainables.files.uris import shown_uri

#: More runs than any folder should have: a dashboard of a home folder must not read all of a disk.
MOST_RUNS = 2000


class WatchedRuns:
    """The runs below some places.

    Args:
        places: Run folders, or folders of run folders.
        fetched: The URIs of the places that were fetched from a storage.
        stores: The URIs of folders of runs in a storage.
        copies: Where copies of their runs lie.

    Raises:
        InputError: If a place does not exist.
    """

    def __init__(
        self,
        places: Sequence[Path],
        *,
        fetched: Mapping[Path, str] | None = None,
        stores: Sequence[str] = (),
        copies: Path = Path("runs"),
    ) -> None:
        for place in places:
            if not place.is_dir():
                raise InputError(
                    f"{place}: no such folder; give a folder of runs such as runs, or a run folder such as "
                    "runs/quickstart"
                )
        self._places, self._fetched = list(places), dict(fetched or {})
        self._stores, self._copies = tuple(stores), copies
        #: Why a run or a folder of a storage is not shown, by its URI.
        self.troubles: dict[str, str] = {}
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
                run = FollowedRun(self._key(whole), RunFolder(found[whole]), uri=self._fetched.get(found[whole], ""))
                self._by_path[whole] = self._keys[run.key] = run
        return bool(new)

    def new_in_stores(self) -> list[str]:
        """Returns the URIs of runs in folders of a storage that have no copy here yet; what fails is a trouble."""
        # Late: it brings Arrow's file systems, which local runs do not need; likewise below.
        from orchestrator.mirror.places import runs_below

        found: list[str] = []
        for store in self._stores:
            try:
                found += runs_below(store) or []
                self.troubles.pop(store, None)
            except (OrchestratorError, OSError) as exc:
                self.troubles[store] = str(exc)
        known = set(self._fetched.values())
        return [uri for uri in found if uri not in known][: max(0, MOST_RUNS - len(self._by_path))]

    def bring(self, uri: str) -> None:
        """Copies a run of a storage to this machine, where `look` finds it; what fails is a trouble."""
        from orchestrator.mirror.fetch import fetched_run

        try:
            root = fetched_run(uri, runs=self._copies, with_files=True)
        except (OrchestratorError, OSError) as exc:
            self.troubles[uri] = f"{shown_uri(uri)}: {exc}"
            return
        self.troubles.pop(uri, None)
        with self._lock:
            self._fetched[root] = uri
            self._places.append(root)

    def ask_elsewhere(self, run: FollowedRun) -> None:
        """Asks the storage of a copied run whether a driver is at work on it on another machine; no answer: unknown."""
        from orchestrator.mirror.places import is_driver_elsewhere

        try:
            run.is_elsewhere = is_driver_elsewhere(run.uri) and not is_driver_alive(run.folder)
        except (OrchestratorError, OSError):
            run.is_elsewhere = None

    def fetch_again(self, run: FollowedRun) -> None:
        """Brings the copy of a run that lies in a storage up to date; what the storage refuses is the run's problem."""
        from orchestrator.mirror.fetch import fetched_run

        try:
            with run.copying:
                fetched_run(run.uri, runs=run.folder.root.parent, with_files=True)
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
