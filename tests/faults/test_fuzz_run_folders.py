"""Whatever became of a run folder, reading it and going on with it work rightly or say in words what is wrong."""

import json
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mangling import MANGLES, SPARSE_BYTES, ending_what_hangs, tell_lies
from rich.console import Console

from orchestrator.cluster.environment import record_environment
from orchestrator.driver.api import open_run
from orchestrator.driver.endings import open_session
from orchestrator.errors import OrchestratorError
from orchestrator.export.exports import damaged_exports
from orchestrator.journal.file import Journal, read_journal
from orchestrator.journal.reading import load_state, read_state
from orchestrator.journal.records import (
    JOURNAL_SCHEMA,
    EpochReported,
    ModelExported,
    Record,
    SessionStarted,
    StudyOpened,
    StudyPaused,
    TrialProposed,
    TrialStarted,
    TrialStopped,
)
from orchestrator.journal.repair import repair_run
from orchestrator.results.tables import epochs_table, trials_table, write_tables
from orchestrator.runs.folder import make_run_folder, open_run_folder
from orchestrator.runs.lock import is_driver_alive
from orchestrator.runs.paths import RunFolder, trial_name
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.study.loading import load_study
from orchestrator.study.spec import StudySpec
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.schedulers import make_scheduler
from orchestrator.views.report import write_report
from orchestrator.views.terminal.status_json import status_json
from orchestrator.views.terminal.summary import print_status
from search_spaces import Variant
from trainables.checkpoints.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from trainables.files.manifests import MANIFEST, fingerprints
from trainables.reports import EpochReport

#: Longer than all reading takes on the slowest of machines: what takes longer hangs, and ends the process.
HANGS_SECONDS = 300
NUM_TRIALS, NUM_EPOCHS = 4, 3
START = 1_760_000_000.0


@dataclass(frozen=True)
class Run:
    """A whole run that copies are made of."""

    folder: RunFolder
    records: list[Record]


def make_run(root: Path, *, seed: int) -> Run:
    """Makes a paused run with everything in it but real training."""
    spec = load_study(
        "quickstart", overrides=[f"seed={seed}", f"search.trials={NUM_TRIALS}", "search.algorithm=random"]
    )
    folder = make_run_folder(root, study_yaml=spec.to_yaml())
    with Journal(folder.journal) as journal:
        for record in history_of(spec, folder=folder):
            journal.append(record)
    state = read_state(folder)
    write_tables(folder, trials=trials_table(state), epochs=epochs_table(state))
    record_environment(folder, nodes=[], address=None)
    write_report(folder, state=state)
    folder.failures.mkdir(mode=0o700)
    folder.failure("t0003").write_text("Traceback", encoding="utf-8")
    export = folder.export(rank=1, trial="t0000")
    export.mkdir(parents=True)
    (export / "model.keras").write_bytes(b"model" * 100)
    (export / MANIFEST).write_text(json.dumps({"files": fingerprints(export)}), encoding="utf-8")
    return Run(folder=folder, records=list(read_journal(folder.journal)))


def history_of(spec: StudySpec, *, folder: RunFolder) -> list[Record]:
    """Returns a history of real proposals, with a checkpoint of each epoch on disk."""
    proposer, chance = Proposer(spec), random.Random(spec.seed)
    objective = spec.objective
    records: list[Record] = [
        StudyOpened(
            schema=JOURNAL_SCHEMA,
            study=spec.name,
            study_id=spec.study_id,
            seed=spec.seed,
            metric=objective.metric,
            mode=objective.mode,
            max_epochs=spec.schedule.max_epochs,
            num_trials=spec.num_trials,
            at=START,
        ),
        SessionStarted(driver_pid=1, slots=2, at=START + 1),
    ]
    for number in range(NUM_TRIALS):
        name, variant = trial_name(number), proposer.propose(number)
        assert variant is not None
        records.append(TrialProposed(trial=name, number=number, variant=variant.to_json(), at=START + 2))
        records.append(TrialStarted(trial=name, at=START + 3))
        reports = [made_report(epoch, value=round(chance.random(), 4)) for epoch in range(1, NUM_EPOCHS + 1)]
        for epoch, report in enumerate(reports, start=1):
            worker = {"node": "a", "worker_pid": 7, "cpus": 1.0, "gpus": 0.0, "gpu_ids": []}
            records.append(EpochReported(trial=name, report=report.to_json(), worker=worker, at=START + 4 + epoch))
            save(folder, name, variant=variant, history=reports[:epoch])
        if number == 0:
            records.append(TrialStopped(trial=name, epoch=NUM_EPOCHS, reason="asha: too weak", at=START + 9))
    metrics = {"accuracy": 0.9}
    exported = ModelExported(trial="t0000", rank=1, folder="exports/1-t0000", test_metrics=metrics, at=START + 10)
    return [*records, exported, StudyPaused(reason="interrupted", at=START + 11)]


def made_report(epoch: int, *, value: float) -> EpochReport:
    metrics = {"accuracy": value, "loss": 1.0, "val_accuracy": value, "val_loss": 1.0}
    cost = {"parameters": 1000.0} if epoch == 1 else {}
    return EpochReport(epoch=epoch, metrics=metrics, train_seconds=1.0, images_per_second=9.0, cost=cost)


def save(folder: RunFolder, trial: str, *, variant: Variant, history: list[EpochReport]) -> None:
    state = {"layer/kernel": np.ones((3, 3), np.float32)}
    save_checkpoint(folder.checkpoints / trial, Checkpoint(variant_id=variant.variant_id, state=state, history=history))


def make_runs(folder: Path) -> tuple[Run, Run]:
    return make_run(folder / "one", seed=1), make_run(folder / "two", seed=2)


def read_mangled(runs: tuple[Run, Run], chance: random.Random) -> str:
    """Mangles a copy of a run, reads it in all ways, and returns what came of it, after checking that it may."""
    with ending_what_hangs(HANGS_SECONDS), tempfile.TemporaryDirectory() as scratch:
        root, outside = Path(scratch) / "run", Path(scratch) / "outside.txt"
        shutil.copytree(runs[0].folder.root, root)
        shutil.copytree(runs[1].folder.root, Path(scratch) / "two")
        outside.write_text("not to be touched", encoding="utf-8")
        is_honest = True
        for _ in range(chance.choice([1, 1, 2, 4])):
            files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
            mangle = chance.choice(MANGLES)
            # The journal is one file among sixty, and the one that matters most.
            path = root / "journal.jsonl" if chance.random() < 0.3 else chance.choice(files or [outside])
            is_left = root in path.parents and path.is_file() and not path.is_symlink()
            if is_left and path.stat().st_size < SPARSE_BYTES:
                mangle(path, chance, Path(scratch))
                is_honest &= mangle is not tell_lies
        found = read_all(root)
        assert outside.read_text(encoding="utf-8") == "not to be touched"
        if is_honest:
            check_honest(root, runs=runs)
        return found


def read_all(root: Path) -> str:
    """Reads a run in all ways, in the order of a user who looks, then goes on; returns what ended that."""
    told = {name: refusal(lambda read=read: read(root)) for name, read in READERS.items()}
    for name, words in told.items():
        assert words is None or words.strip(), f"{name} ends without a word"
        assert words is None or all(part.isprintable() for part in words.split("\n")), f"not to be shown: {words!r}"
    # The model in these runs is made up: it is always refused.
    refused = [name for name, words in told.items() if words and name != "load_model"]
    return f"refused by {refused[0]}" if refused else "read"


def refusal(read: Callable[[], None]) -> str | None:
    """Returns the words that a reader refuses with, if it does."""
    try:
        read()
    except OrchestratorError as exc:
        return str(exc)
    except OSError as exc:
        # As `main` tells it: the system's own words, with the path.
        return f"the system refused something ({exc})"
    return None


def show_status(root: Path) -> None:
    folder = open_run_folder(root)
    state, is_alive = load_state(folder), is_driver_alive(folder)
    console = Console(file=StringIO(), width=120)
    print_status(console, state, folder=folder, is_alive=is_alive, now=START + 20)
    json.dumps(status_json(state, folder=folder, is_alive=is_alive))


def show_report(root: Path) -> None:
    folder = open_run_folder(root)
    write_report(folder, state=load_state(folder))


def open_result(root: Path) -> None:
    result = open_run(root)
    assert result.leaderboard(3).num_rows <= result.trials.num_rows
    assert result.epochs.num_rows == len(result.state.report_order)


def load_model(root: Path) -> None:
    # Never loaded: the model in these runs is none, and its manifest says so, or is damaged.
    open_run(root).load_model()


def go_on(root: Path) -> None:
    """Does all that `resume` does before Ray is started."""
    folder = open_run_folder(root)
    spec = load_study(folder.study)
    with open_session(folder, spec, address=None, progress=None) as session:
        session.open_study()
        make_scheduler(spec, TuneListener(session.recorder))
        state = session.recorder.state
        Proposer(spec).remember(state.trials.values())
        damaged_exports(state.exports, folder=folder, notify=session.notify)
        for trial in state.trials.values():
            newest_checkpoint(folder.checkpoints / trial.name, variant_id=trial.variant.variant_id)
        record_environment(folder, nodes=[], address=None)


def mend(root: Path) -> None:
    repair_run(root)
    assert not repair_run(root).damage, "what was repaired is whole"


READERS: dict[str, Callable[[Path], None]] = {
    "status": show_status,
    "report": show_report,
    "open_run": open_result,
    "load_model": load_model,
    "resume": go_on,
    "repair": mend,
    "status again": show_status,
    "resume again": go_on,
}


def check_honest(root: Path, *, runs: tuple[Run, Run]) -> None:
    """Checks that what can still be read is a beginning of what was written: nothing is made up."""
    try:
        records = list(read_journal(root / "journal.jsonl"))
    except OrchestratorError:
        return
    # Sessions that went on above may have opened and paused the study, and made up for stops that were cut off.
    kept = max(num_alike(records, run.records) for run in runs)
    added = StudyOpened | StudyPaused | TrialStopped
    assert all(isinstance(record, added) for record in records[kept:]), "records that nobody wrote"


def num_alike(records: list[Record], others: list[Record]) -> int:
    """Returns how many records two lists begin with alike."""
    return next(
        (count for count, (one, other) in enumerate(zip(records, others, strict=False)) if one != other),
        min(len(records), len(others)),
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    return make_runs(tmp_path_factory.mktemp("runs"))


def test_run_that_is_not_mangled_is_read_but_for_its_made_up_model(runs: tuple[Run, Run], tmp_path: Path) -> None:
    root = tmp_path / "run"
    shutil.copytree(runs[0].folder.root, root)
    assert read_all(root) == "read"
    check_honest(root, runs=runs)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**63))
def test_mangled_run_is_read_rightly_or_refused_in_words(runs: tuple[Run, Run], seed: int) -> None:
    read_mangled(runs, random.Random(seed))
