"""What a worker tells the driver before its first epoch has ended: a file a sentence, beside the run's checkpoints.

Ray Tune takes news of a trial with its first result only. Trials of one study mostly find the same, so each sentence is
written once a run; a trial's own notes come with its first report all the same.
"""

import hashlib
from pathlib import Path

from trainables.files.whole import write_whole

_FOLDER = ".notes"


def leave_early_note(checkpoints: Path, text: str) -> None:
    """Leaves a sentence for the driver, unless a worker of the run has left the same one.

    Args:
        checkpoints: The folder of the run's checkpoints, which driver and workers share.
        text: One sentence that names no trial.
    """
    path = checkpoints / _FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.txt"
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, text)


class EarlyNotes:
    """The sentences that workers leave from now on.

    Args:
        checkpoints: The folder of the run's checkpoints.
    """

    def __init__(self, checkpoints: Path) -> None:
        self._folder = checkpoints / _FOLDER
        self._known = {path.name for path in self._files()}

    def since_last(self) -> list[str]:
        """Returns each sentence once."""
        new = [path for path in self._files() if path.name not in self._known]
        self._known.update(path.name for path in new)
        return [path.read_text(encoding="utf-8") for path in new]

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("[!.]*.txt")) if self._folder.is_dir() else []
