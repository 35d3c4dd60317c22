"""Runs one Ray Tune experiment over the study's remaining trials."""

import logging
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from ray import tune
from ray.exceptions import RayError
from ray.tune import TuneError
from ray.tune.search import ConcurrencyLimiter

from orchestrator.cluster.resources import trial_request
from orchestrator.errors import OrchestratorError, StudyFailedError
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.study_state import StudyState
from orchestrator.nodes.cluster_view import ClusterView, trials_at_once
from orchestrator.search.algorithms.proposer import Proposer
from orchestrator.study.spec import StudySpec
from orchestrator.tuning.budgets import Budgets
from orchestrator.tuning.drained_nodes import DrainedNodes
from orchestrator.tuning.listener import TuneListener
from orchestrator.tuning.proposals.new_trials import look_ahead_of
from orchestrator.tuning.schedulers import RecordedScheduler, make_scheduler
from orchestrator.tuning.searcher import VariantSearcher
from orchestrator.tuning.silent_workers import SilentWorkers
from orchestrator.tuning.tune_internals import NoTuneProgress, remember_classes, trackers_not_imported, tune_reporter
from orchestrator.tuning.worker_generations import WorkerGenerations
from trainables.sharing.storage_environment import storage_environment
from trainables.specs.worker import WorkerSpec
from trainables.worker.adapter import VariantTrainable

logger = logging.getLogger(__name__)


class Tuning:
    """Runs all remaining trials on a separate thread; the main thread prints progress and receives signals.

    Args:
        spec: The study.
        worker: The settings that every worker receives.
        recorder: Holds the study's trials; its `pause_requested` ends the run.
        num_concurrent: The number of trials that run at the same time.
        trainable: The class that a worker runs.
        view: Returns the cluster's nodes as they were seen last; None: nobody looks.
    """

    def __init__(  # noqa: PLR0913 - what a session holds, without the session
        self,
        spec: StudySpec,
        *,
        worker: WorkerSpec,
        recorder: Recorder,
        num_concurrent: int,
        trainable: type[VariantTrainable] = VariantTrainable,
        view: Callable[[], ClusterView | None] = lambda: None,
    ) -> None:
        self._recorder, self._has_population = recorder, spec.schedule.has_population
        self._scratch = Path(tempfile.mkdtemp(prefix="convfleet-tune-"))
        self._error: BaseException | None = None
        self._has_ended = threading.Event()
        # Before the proposer and the searcher read the trials: the scheduler's replay of a rung may end some.
        self._budgets = Budgets(recorder, spec.search)
        listener = TuneListener(recorder, budgets=self._budgets)
        scheduler = make_scheduler(spec, listener, worker=worker)
        resources = spec.resources
        generations = WorkerGenerations(resources, num_concurrent=num_concurrent)
        searcher = _make_searcher(spec, listener, scheduler=scheduler, generations=generations)
        limiter = ConcurrencyLimiter(searcher, max_concurrent=num_concurrent)
        watches = [
            SilentWorkers(listener, setting=resources.report_timeout_seconds, retries=resources.retries),
            DrainedNodes(
                listener, view=view, generations=generations, limiter=limiter, slots=partial(trials_at_once, resources)
            ),
        ]
        remember_classes()
        trained = tune.with_resources(
            tune.with_parameters(trainable, spec=worker, environment=storage_environment()),
            lambda config: tune.PlacementGroupFactory(
                [dict(trial_request(resources, generation=config["generation"]))]
            ),
        )
        self._tuner = tune.Tuner(
            trained,
            tune_config=tune.TuneConfig(
                num_samples=_most_samples(spec, state=recorder.state, most_starts=scheduler.promotions.most_starts),
                search_alg=limiter,
                scheduler=scheduler,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: trial.trial_id,
            ),
            run_config=_run_config(listener, watches=watches, scratch=self._scratch, retries=resources.retries),
        )
        self._thread = threading.Thread(target=self._fit, name="ray-tune", daemon=True)

    def start(self) -> None:
        """Starts the first trials."""
        self._thread.start()

    def why_short(self) -> str:
        """Returns why the study has fewer trials or epochs than planned; an empty text if it has as many."""
        return self._budgets.in_words() or self._unneeded_in_words()

    def _unneeded_in_words(self) -> str:
        """Returns how many trials a population did without; an empty text if it had all, or is none."""
        num_trials, most = len(self._recorder.state.trials), self._recorder.state.header.num_trials
        if not self._has_population or num_trials >= most:
            return ""
        return f"search.trials: {num_trials} of at most {most} trials were needed: no other one had to be replaced"

    def wait(self, timeout_seconds: float) -> bool:
        """Returns whether all trials have ended, after waiting at most `timeout_seconds`.

        Raises:
            OrchestratorError or OSError: If such an error, and no pause, ended Ray Tune's loop.
        """
        # Not join(): after a KeyboardInterrupt inside join, Python reports a running thread as finished.
        if not self._has_ended.wait(timeout_seconds):
            return False
        shutil.rmtree(self._scratch, ignore_errors=True)
        if self._error is not None and not self._recorder.pause_requested.is_set():
            raise _cause(self._error)
        return True

    def _fit(self) -> None:
        try:
            with trackers_not_imported():
                self._tuner.fit()
        except BaseException as exc:  # noqa: BLE001 - `wait` raises it on the main thread
            logger.debug('ray-tune ended reason="%s"', exc)
            self._error = exc
        finally:
            self._has_ended.set()


def _make_searcher(
    spec: StudySpec, listener: TuneListener, *, scheduler: RecordedScheduler, generations: WorkerGenerations
) -> VariantSearcher:
    proposer = Proposer(spec)
    proposer.remember(listener.recorder.state.trials.values())
    return VariantSearcher(
        proposer,
        listener=listener,
        num_trials=spec.num_proposed,
        generations=generations,
        promotions=scheduler.promotions,
        has_population=spec.schedule.has_population,
        look_ahead=look_ahead_of(spec, learns=proposer.learns),
    )


def _most_samples(spec: StudySpec, *, state: StudyState, most_starts: int) -> int:
    """Returns how many trials Ray Tune may create: it ends when the searcher has no more.

    Args:
        spec: The study.
        state: The journal's.
        most_starts: How often a trial of the search is one of Ray Tune's at most.
    """
    # Leaders of an earlier session go on beside those of this one.
    most_replicates = spec.most_replicates + spec.search.replicates * len(state.replicates)
    # Two more than needed: Ray Tune counts only trials it created.
    return spec.num_trials * most_starts + most_replicates + 2


def _run_config(
    listener: TuneListener, *, watches: Sequence[tune.Callback], scratch: Path, retries: int
) -> tune.RunConfig:
    return tune.RunConfig(
        name="study",
        storage_path=str(scratch),
        stop=listener,
        callbacks=[listener, *watches, NoTuneProgress()],
        progress_reporter=tune_reporter(),
        # Applies until a trial begins; from then on, SilentWorkers sets the trial's max_failures.
        failure_config=tune.FailureConfig(max_failures=min(1, retries)),
        checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        verbose=0,
    )


def _cause(error: BaseException) -> BaseException:
    """Returns the error that ended Ray Tune's loop: the inner OrchestratorError or OSError, else a StudyFailedError."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OrchestratorError | OSError):
            return inner
        inner = inner.__cause__ or inner.__context__
    if isinstance(error, TuneError | RayError):
        lines = str(error).strip().splitlines()
        return StudyFailedError(
            f"Ray Tune ended: {lines[-1] if lines else type(error).__name__}; the run can be resumed"
        )
    return error
