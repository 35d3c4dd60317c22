"""Every name in a run folder."""

import shlex
from dataclasses import dataclass
from pathlib import Path

#: Where run folders lie unless the user names another place.
RUNS = Path("runs")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one study's run.

    Attributes:
        root: Such as `runs/cifar10-small`.
    """

    root: Path

    @property
    def quoted(self) -> str:
        """The folder as it is written in a shell.

        >>> RunFolder(Path("runs/my study")).quoted
        "'runs/my study'"
        """
        return shlex.quote(str(self.root))

    @property
    def study(self) -> Path:
        """The expanded study file."""
        return self.root / "study.yaml"

    @property
    def environment(self) -> Path:
        """Versions, devices and git commit of each session."""
        return self.root / "environment.json"

    @property
    def journal(self) -> Path:
        """The append-only record."""
        return self.root / "journal.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the one driver that may write."""
        return self.root / ".driver.lock"

    @property
    def driver(self) -> Path:
        """Who holds the lock; exists only while a driver is at work, or after one died."""
        return self.root / ".driver.json"

    @property
    def trials(self) -> Path:
        """One row a trial."""
        return self.root / "trials.parquet"

    @property
    def epochs(self) -> Path:
        """One row a report."""
        return self.root / "epochs.parquet"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints by trial."""
        return self.root / "checkpoints"

    @property
    def failures(self) -> Path:
        """Tracebacks by trial."""
        return self.root / "failures"

    @property
    def exports(self) -> Path:
        """Finished models."""
        return self.root / "exports"

    @property
    def predictions(self) -> Path:
        """What kept checkpoints predict on the validation split; only where an ensemble was asked for."""
        return self.root / "ensembles" / "predictions"

    @property
    def augmented(self) -> Path:
        """A picture of augmented training images; only where a study asks for augmentation."""
        return self.root / "augmented.png"

    @property
    def contact_sheet(self) -> Path:
        """A picture of training images as a model gets them, by class."""
        return self.root / "contact-sheet.png"

    @property
    def requests(self) -> Path:
        """What people ask of the study from outside its driver; only after somebody asked."""
        return self.root / "requests"

    @property
    def references(self) -> Path:
        """What simple guesses reach on the study's data; only where a study asks for them."""
        return self.root / "references.json"

    @property
    def report(self) -> Path:
        """The self-contained report."""
        return self.root / "report.html"

    @property
    def optuna(self) -> Path:
        """The trials as a journal file of Optuna's."""
        return self.root / "optuna.journal"

    @property
    def tensorboard(self) -> Path:
        """Event files of TensorBoard's, unless the user names another folder for them."""
        return self.root / "tensorboard"

    @property
    def trackers(self) -> Path:
        """How far each tracker got; only where a run was sent to one."""
        return self.root / "trackers"

    def tracker(self, name: str) -> Path:
        """Returns where it stands how far a tracker got.

        >>> RunFolder(Path("runs/x")).tracker("mlflow").as_posix()
        'runs/x/trackers/mlflow.json'
        """
        return self.trackers / f"{name}.json"

    def failure(self, trial: str) -> Path:
        """Returns where a trial's traceback lies."""
        return self.failures / f"{trial}.txt"

    def export(self, *, rank: int, trial: str) -> Path:
        """Returns where an exported model lies.

        >>> RunFolder(Path("runs/x")).export(rank=1, trial="t0007").as_posix()
        'runs/x/exports/1-t0007'
        """
        return self.exports / f"{rank}-{trial}"

    def ensemble(self, method: str) -> Path:
        """Returns where an exported ensemble lies.

        >>> RunFolder(Path("runs/x")).ensemble("greedy").as_posix()
        'runs/x/exports/ensemble-greedy'
        """
        return self.exports / f"ensemble-{method}"


def trial_name(number: int) -> str:
    """Returns the name of the study's n-th trial, counted from 0.

    >>> trial_name(7)
    't0007'
    """
    return f"t{number:04d}"
