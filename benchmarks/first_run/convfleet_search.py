"""convfleet as its pages have it, `convfleet run FOLDER --minutes M`; and what its incumbents were worth.

`python -m first_run.convfleet_search JOB` judges a run that has ended. An incumbent is an epoch of a trial that was
better than all reports before it, as the other contestants' are; whoever ends the run then exports it. The run keeps
the best epoch of each trial alone, so `Keeper` links each checkpoint elsewhere as it appears; an epoch that was gone
before is left out. Each answers for the test split, which the run's minutes do not pay for.
"""

import json
import os
import shutil
import sys
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from first_run.job import Job

_POLL_SECONDS = 0.02


def command(job: Job) -> list[str]:
    """Returns the command line; the seed is the only key that is set."""
    # The same as the installed command, from whichever checkout PYTHONPATH names.
    program = [sys.executable, "-c", "from orchestrator.cli.app import main; main()"]
    runs = str(Path(job.folder) / "runs")
    return [*program, "run", job.images, "--minutes", f"{job.minutes:g}", "--runs", runs, "--set", f"seed={job.seed}"]


class Keeper:
    """Keeps hard links to every checkpoint of a run, while it is in use as a context.

    Args:
        job: The run's.
    """

    def __init__(self, job: Job) -> None:
        self._runs, self._kept = Path(job.folder, "runs"), kept_folder(job)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_POLL_SECONDS):
            for epoch in self._runs.glob("*/checkpoints/*/epoch-*"):
                target = self._kept / epoch.parent.name / epoch.name
                if not target.exists():
                    self._link(epoch, target)

    def _link(self, epoch: Path, target: Path) -> None:
        draft = self._kept / "draft"
        try:
            shutil.copytree(epoch, draft, copy_function=os.link)
            target.parent.mkdir(exist_ok=True)
            draft.rename(target)
        except (OSError, shutil.Error):
            # Pruned meanwhile.
            shutil.rmtree(draft, ignore_errors=True)


def kept_folder(job: Job) -> Path:
    """Returns where `Keeper` keeps checkpoints."""
    return Path(job.folder, "kept")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A report of a trial.

    Attributes:
        at: When, seconds since 1970.
        key: Larger is better.
        trial: The trial's name.
        epoch: From 1.
    """

    at: float
    key: tuple[float, float]
    trial: str
    epoch: int


def main() -> None:
    job = Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    [root] = Path(job.folder, "runs").iterdir()
    judging = _Judging(job, root)
    last = None
    with Path(job.folder, "incumbents.jsonl").open("w", encoding="utf-8") as file:
        for reported in incumbents(judging.reports()):
            # The last is what the run exports, however it got there.
            accuracy = judging.accuracy_of(reported)
            last = reported
            if accuracy is not None:
                seconds = reported.at - job.started_at
                line = {"seconds": seconds, "accuracy": accuracy, "count": judging.count}
                file.write(json.dumps(line) + "\n")
    exported = json.loads(next(root.glob("exports/1-*/manifest.json")).read_text(encoding="utf-8"))
    if last is None or abs(exported["test_metrics"]["accuracy"] - (judging.accuracy_of(last) or -1.0)) > 1e-6:
        raise SystemExit(
            f"the run exported a model of test accuracy {exported['test_metrics']['accuracy']}, not {last}"
        )


def incumbents(reports: Iterable[Reported]) -> list[Reported]:
    """Returns the reports that were better than all before them, in the order of time.

    >>> made = [Reported(at=at, key=(value, 0.0), trial="t", epoch=1) for at, value in ((3, 0.4), (1, 0.2), (2, 0.1))]
    >>> [reported.at for reported in incumbents(made)]
    [1, 3]
    """
    found: list[Reported] = []
    for reported in sorted(reports, key=lambda reported: reported.at):
        if not found or reported.key > found[-1].key:
            found.append(reported)
    return found


class _Judging:
    """The run's models on the test split."""

    def __init__(self, job: Job, root: Path) -> None:
        from orchestrator.journal.reading import load_state
        from orchestrator.runs.folder import open_run_folder
        from orchestrator.study.loading import load_study
        from trainables.data.cache.dataset import open_dataset
        from trainables.data.cache.in_process import prepare_in_process

        self._kept = kept_folder(job)
        self._run = root / "checkpoints"
        self._state = load_state(open_run_folder(root))
        study = load_study(root / "study.yaml")
        self._info = prepare_in_process(study.data.resolved(root), study.seed)
        test = open_dataset(self._info).test
        rows = np.asarray(test.indices)
        [target] = self._info.task.targets
        self._images, self._labels = np.asarray(test.images[rows]), np.asarray(test.labels[target.name][rows])
        self.count = len(rows)

    def reports(self) -> list[Reported]:
        """Returns all reports of the run's trials that count for its leaderboard."""
        from trainables.patience import report_key

        ranking = self._state.header.ranking
        return [
            Reported(at=trial.reported_at[report.epoch - 1], key=key[:2], trial=trial.name, epoch=report.epoch)
            for trial in self._state.trials.values()
            for report in trial.reports
            for key in [report_key(report, **ranking)]
        ]

    def accuracy_of(self, reported: Reported) -> float | None:
        """Returns the share of test images that a trial's model told after an epoch; None: it was not kept."""
        import keras

        from trainables.checkpoints.weights import load_validated
        from trainables.errors import CheckpointError
        from trainables.exporting.loading import restored_model

        variant = self._state.trials[reported.trial].variant
        checkpoint: Any = None
        for folder in (self._kept, self._run):
            try:
                checkpoint = load_validated(
                    folder / reported.trial, epoch=reported.epoch, variant_id=variant.variant_id
                )
                break
            except CheckpointError:
                continue
        if checkpoint is None:
            return None
        keras.backend.clear_session()
        model = restored_model(variant, checkpoint, task=self._info.task, statistics=self._info.statistics)
        answers = model.predict(self._images, batch_size=256, verbose=0)
        return float((answers.argmax(axis=1) == self._labels).mean())


if __name__ == "__main__":
    main()
