"""Studies that are driven without Ray: the real searcher, scheduler and listener, and trainings that are made up."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.journal.file import Journal, read_journal
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import Record, SessionStarted, StudyOpened, TrialStarted
from orchestrator.journal.study_state import fold
from orchestrator.runs.paths import RunFolder
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.study.spec import StudySpec
from orchestrator.tuning.budgets import Budgets
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.proposals.new_trials import look_ahead_of
from orchestrator.tuning.schedulers import make_scheduler
from orchestrator.tuning.searcher import VariantSearcher
from search_spaces import Variant, space_from_mapping

#: More than any of these studies has.
MOST_TRIALS = 200
WORKER = {"node": "n1", "worker_pid": 42, "cpus": 1.0, "gpus": 0.0, "gpu_ids": []}


def spec_of(
    *,
    mode: str = "max",
    algorithm: str = "random",
    max_epochs: int = 3,
    schedule: str = "asha",
    folds: tuple[int, int] | None = None,
    others: Sequence[Mapping[str, str]] = (),
    promotion: bool = False,
    **search: Any,
) -> StudySpec:
    space = {"family": "sequential", "params": {"filters": {"choice": [4, 8, 16, 32]}, "dropout": {"float": [0, 0.5]}}}
    return StudySpec.model_validate(
        {
            "name": "s",
            "seed": 7,
            "data": {"source": "digits", **({} if folds is None else {"fold": folds[0], "folds": folds[1]})},
            "space": space_from_mapping(space),
            "objective": [{"metric": "val_accuracy", "mode": mode}, *others],
            "search": {"algorithm": algorithm, "trials": 6, "replicates": 4, "leaders": 3, **search},
            "schedule": {
                "algorithm": schedule,
                "max_epochs": max_epochs,
                "grace_epochs": 1,
                "promotion": promotion,
            },
        }
    )


def opened_of(spec: StudySpec) -> StudyOpened:
    return StudyOpened(
        schema=2,
        study=spec.name,
        seed=spec.seed,
        metric=spec.objective.metric,
        mode=spec.objective.mode,
        max_epochs=spec.schedule.epochs,
        num_trials=spec.num_trials,
        replicates=spec.search.replicates,
        leaders=spec.search.num_leaders,
        folds=spec.folds,
        objectives=[goal.to_json() for goal in spec.objective.goals] if len(spec.objective.goals) > 1 else [],
        at=0.0,
    )


def noisy(variant: Variant, *, noise: float = 0.05) -> float:
    """Returns what a training comes to: more filters are better, and every seed is lucky in its own way."""
    luck = int(hashlib.sha256(repr(variant.to_json()).encode()).hexdigest()[:8], 16) / 16**8 - 0.5
    return 0.5 + 0.001 * float(variant.params["filters"]) + noise * luck


def drive(
    folder: Path,
    spec: StudySpec,
    *,
    before: Sequence[Record] = (),
    value: Callable[[Variant], float] = noisy,
    fails: Callable[[Variant], bool] = lambda _: False,
    images: int = 1_000_000,
    ease: Callable[[int], float] = lambda _: 0.0,
    interfere: Callable[[Recorder, str, int], None] = lambda recorder, trial, epoch: None,
) -> list[Record]:
    """Lets a session run a study to its end, one trial at a time, and returns its journal.

    Args:
        before: The journal that it finds; empty for a new study.
        value: What a training comes to in the end.
        fails: Whether a training fails.
        images: What values are shares of.
        ease: How much better a training comes out on a fold; 0: the validation split of the search.
        interfere: Called before each report, with the trial that is about to report and the epoch.
    """
    run = RunFolder(folder)
    run.root.mkdir(parents=True, exist_ok=True)
    with Journal(run.journal) as journal:
        for record in before or [opened_of(spec)]:
            journal.append(record)
        recorder = Recorder(journal, state=fold(read_journal(run.journal)), folder=run, clock=lambda: 100.0)
        recorder.append(SessionStarted(driver_pid=1, slots=1, at=100.0))
        budgets = Budgets(recorder, spec.search)
        listener = TuneListener(recorder, budgets=budgets)
        scheduler = make_scheduler(spec, listener)
        proposer = Proposer(spec)
        proposer.remember(recorder.state.trials.values())
        searcher = VariantSearcher(
            proposer,
            listener=listener,
            num_trials=spec.num_proposed,
            promotions=scheduler.promotions,
            has_population=spec.schedule.has_population,
            look_ahead=look_ahead_of(spec, learns=proposer.learns),
        )
        number = 0
        while isinstance(config := searcher.suggest(f"tune-{number}"), dict):
            shifted = lambda variant, fold=config["fold"]: value(variant) + ease(fold)  # noqa: E731
            _train(
                config,
                listener=listener,
                scheduler=scheduler,
                value=shifted,
                fails=fails,
                images=images,
                interfere=interfere,
            )
            searcher.on_trial_complete(f"tune-{number}")
            number += 1
            assert number < MOST_TRIALS, "the study does not end"
        assert config == "FINISHED"
    return list(read_journal(run.journal))


def _train(
    config: Any, *, listener: TuneListener, scheduler: Any, value: Any, fails: Any, images: int, interfere: Any
) -> None:
    variant, name = Variant.from_json(config["variant"]), config["trial"]
    max_epochs = listener.recorder.state.header.max_epochs

    class Trial:
        pass

    Trial.config = config  # type: ignore[attr-defined]
    listener.recorder.append(TrialStarted(trial=name, at=100.0))
    if fails(variant):
        listener.recorder.fail(name, kind="diverged", reason="nan")  # type: ignore[arg-type]
        return
    result: dict[str, Any] = {}
    for epoch in range(config["first_epoch"], max_epochs + 1):
        metrics = {"val_accuracy": round(images * value(variant) * (1 - 0.3**epoch)) / images}
        is_last = epoch == max_epochs
        interfere(listener.recorder, name, epoch)
        cost = (
            {"cost": {"parameters": float(variant.params["filters"])}}
            if listener.recorder.state.header.objectives
            else {}
        )
        report = {"epoch": epoch, "metrics": metrics, "train_seconds": 1.0, "images_per_second": 1.0, **cost}
        result = {"trial": name, "worker": WORKER, "epoch": epoch, **metrics, "report": {**report, "is_last": is_last}}
        if listener("", result) or is_last or scheduler.on_trial_result(None, Trial(), result) == "STOP":
            break
    scheduler.on_trial_complete(None, Trial(), result)
