"""What the driver prepares before trials train: images, pretrained weights, Ray, and a number for each auto."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from orchestrator.cluster.auto_resources import device_spec, resolve_auto
from orchestrator.cluster.connection import ray_session, refuse_ray_client
from orchestrator.cluster.environment import record_environment
from orchestrator.cluster.ray_internals import import_ray_tune
from orchestrator.cluster.resources import NodeResources, concurrent_trials
from orchestrator.driver.auto_schedule import with_numbers
from orchestrator.driver.interrupts import OneInterrupt
from orchestrator.errors import InputError
from orchestrator.journal.study_state import StudyState
from orchestrator.mirror.lock import run_token
from orchestrator.mirror.places import run_uri
from orchestrator.nodes.on_cluster import StudyOnCluster, study_on_cluster
from orchestrator.results.words import images_in_words, storage_in_words, targets_in_words
from orchestrator.runs.paths import RunFolder
from orchestrator.runs.wall_clock import DATA, RAY, WallClock
from orchestrator.sharing.nodes import node_files
from orchestrator.study.pretrained_weights import imagenet_backbones
from orchestrator.study.spec import StudySpec
from trainables.data.cache.dataset import contact_sheet
from trainables.data.cache.in_process import insisted, prepare_folds_in_process
from trainables.data.cache.storage_choice import memory_budget_bytes
from trainables.files.whole import write_whole
from trainables.specs.dataset import DatasetInfo
from trainables.specs.worker import TrainingSpec, WorkerSpec
from trainables.worker.fetch_weights import fetch_in_process


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that trials and exports need: Ray is connected, the images are decoded.

    Attributes:
        study: The study, with a number wherever its schedule says auto.
        spec: The study, with a number wherever its schedule or its resources say auto.
        worker: What each worker receives.
        num_concurrent: How many trials run at the same time.
        nodes: What each node of Ray has.
        cluster: What the study knows of its cluster; nothing of a Ray of this machine alone.
        has_common_folder: Whether all nodes find the run folder.
    """

    study: StudySpec
    spec: StudySpec
    worker: WorkerSpec
    num_concurrent: int
    nodes: Sequence[NodeResources]
    cluster: StudyOnCluster
    has_common_folder: bool = True


@contextmanager
def prepare(  # noqa: PLR0913 - what a session holds, without the session
    spec: StudySpec,
    *,
    folder: RunFolder,
    state: StudyState,
    interrupt: OneInterrupt,
    address: str | None,
    notify: Callable[[str], None],
    clock: WallClock,
    on_dataset: Callable[[DatasetInfo], object] = lambda dataset: None,
) -> Iterator[Prepared]:
    """Prepares the data and fetches pretrained weights while Ray starts; leaves Ray at the end.

    Args:
        spec: The study.
        folder: Its run folder.
        state: What the journal says so far.
        interrupt: The driver's signals, which Ray's start takes away for a moment.
        address: A Ray cluster to join; None: a Ray of this machine alone.
        notify: Receives messages for the user.
        clock: Notes what the wall time is spent on.
        on_dataset: Receives the data set as soon as it is prepared, while Ray may still be starting.

    Raises:
        InputError: If the images are not those that the run began with.
        DataError: If the data cannot be read.
        StudyFailedError: If Ray does not start, or the weights cannot be fetched.
    """
    refuse_ray_client(address)
    has_data = False

    def trials_waiting_for_data() -> int:
        # Once the data is decoded, Ray Tune is about to ask for workers, and would get others than those on their way.
        return 0 if has_data else spec.num_trials + spec.most_replicates - state.num_ended

    on_progress = partial(_tell_progress, notify)
    # The pool is left last: Ray has the system kill its processes when the thread that started them ends, and its
    # own shutdown waits a minute for those.
    with ThreadPoolExecutor(max_workers=1) as pool, ExitStack() as stack:
        notify("starting Ray and reading the data")
        session = ray_session(spec.resources, address=address, trials_left=trials_waiting_for_data)
        pending = pool.submit(_entered, stack, session, clock)
        try:
            with clock.part(DATA):
                dataset, *others = _prepare_data(spec, state=state, on_progress=on_progress)
            has_data = True
            on_dataset(dataset)
            study, said = with_numbers(spec, dataset)
            size = dataset.task.input_shape[:2]
            fetch_in_process(imagenet_backbones(spec.space, image_size=size), on_progress=on_progress)
            import_ray_tune()  # while Ray still starts
        finally:
            wait([pending])
        interrupt.renew()
        prepared = stack.enter_context(
            _on_nodes(
                study,
                folder=folder,
                datasets=[dataset, *others],
                nodes=pending.result(),
                address=address,
                interrupt=interrupt,
                notify=notify,
            )
        )
        _describe_data(prepared, folder=folder, address=address, notify=notify, said=said)
        yield prepared


def _tell_progress(notify: Callable[[str], None], stage: str, done: int, total: int) -> None:
    notify(f"{stage}: {done:,} of {total:,}")


def _entered(
    stack: ExitStack, session: AbstractContextManager[Sequence[NodeResources]], clock: WallClock
) -> Sequence[NodeResources]:
    with clock.part(RAY):
        return stack.enter_context(session)


def _prepare_data(
    spec: StudySpec, *, state: StudyState, on_progress: Callable[[str, int, int], None]
) -> list[DatasetInfo]:
    """Returns the study's data sets, one for each fold, the first for the search."""
    data = spec.data if _known_fingerprint(state) is None else insisted(spec.data)
    dataset, *others = prepare_folds_in_process(
        data, spec.seed, folds=spec.folds[1:], verify=True, on_progress=on_progress
    )
    _check_dataset(dataset, state=state)
    return [dataset, *others]


@contextmanager
def _on_nodes(  # noqa: PLR0913 - the data and the nodes, which `prepare` knows side by side
    study: StudySpec,
    *,
    folder: RunFolder,
    datasets: Sequence[DatasetInfo],
    nodes: Sequence[NodeResources],
    address: str | None,
    interrupt: OneInterrupt,
    notify: Callable[[str], None],
) -> Iterator[Prepared]:
    """Yields what trials and exports need on these nodes, all of which find the study's files."""
    can_grow, (dataset, *others) = address is not None, datasets
    spec = resolve_auto(study, dataset=dataset, nodes=nodes, is_local=not can_grow, notify=notify)
    num_concurrent = concurrent_trials(spec.resources, nodes=nodes, can_grow=can_grow)
    worker = _worker_spec(spec, folder=folder, dataset=dataset, others=others)
    with (
        study_on_cluster(address, resources=spec.resources, on_lost=interrupt.end_with) as cluster,
        node_files(worker, is_cluster=can_grow or len(nodes) > 1, notify=notify) as files,
    ):
        yield Prepared(
            study=study,
            spec=spec,
            worker=files.worker,
            num_concurrent=num_concurrent,
            nodes=nodes,
            cluster=cluster,
            has_common_folder=not files.apart,
        )


def _describe_data(
    prepared: Prepared, *, folder: RunFolder, address: str | None, notify: Callable[[str], None], said: Sequence[str]
) -> None:
    """Writes the session's environment, and notifies the user of the images and how they are kept."""
    dataset, data, num_splits = prepared.worker.dataset, prepared.spec.data, prepared.spec.schedule.num_splits
    num_validation = num_splits * dataset.num_validation
    notes = list(dataset.notes)
    if num_splits > 1:
        notes.append(f"each trial trains on {num_splits} splits; val_ metrics are means over {num_validation:,} images")
    budget = memory_budget_bytes(data)
    kept = {
        "storage": dataset.storage,
        "decoded_bytes": dataset.decoded_bytes,
        "budget_bytes": budget,
        "notes": notes,
        "decoders": dict(dataset.decoders),
        "look": dict(dataset.look),
        "shares": {
            "metrics": dataset.task.image_shares,
            "images": {"validation": num_validation, "test": dataset.num_test},
        },
    }
    record_environment(folder, nodes=prepared.nodes, address=address, data=kept)
    write_whole(folder.contact_sheet, contact_sheet(dataset))
    storage = storage_in_words(
        dataset.storage,
        decoded_bytes=dataset.decoded_bytes,
        budget_bytes=budget,
        is_given=data.memory_gb is not None,
    )
    notify(
        f"data: {dataset.num_train:,} training, {dataset.num_validation:,} validation, {dataset.num_test:,} "
        f"test images, {images_in_words(dataset.task)}, {targets_in_words(dataset.task)}; {storage}; "
        f"{prepared.num_concurrent} {'trial' if prepared.num_concurrent == 1 else 'trials'} at a time"
    )
    for sentence in (*(f"data: {note}" for note in notes), *said):
        notify(sentence)


def _check_dataset(dataset: DatasetInfo, *, state: StudyState) -> None:
    """Raises InputError if the images are not those that the run began with."""
    known = _known_fingerprint(state)
    if known not in (None, dataset.fingerprint):
        raise InputError(
            f"data: these are not the images that the run began with (fingerprint {dataset.fingerprint}, expected "
            f"{known}); restore the files, or run the study anew: results on other images cannot be compared"
        )


def _known_fingerprint(state: StudyState) -> str | None:
    """Returns the fingerprint of the images that the run began with; None for a run that has not begun."""
    return next((session.dataset for session in state.sessions if session.dataset), None)


def _worker_spec(
    spec: StudySpec, *, folder: RunFolder, dataset: DatasetInfo, others: Sequence[DatasetInfo]
) -> WorkerSpec:
    return WorkerSpec(
        dataset=dataset,
        data=spec.data,
        split_seed=spec.seed,
        training=TrainingSpec(
            max_epochs=spec.schedule.epochs,
            metric=spec.objective.metric,
            mode=spec.objective.mode,
            augment=spec.data.augment,
            limits=dict(spec.space.limits),
            study_dir=spec.study_dir,
            code=spec.code,
            callbacks=spec.callbacks,
            judged_after=spec.schedule.grace if spec.schedule.algorithm != "none" else 0,
            repeats=spec.schedule.num_splits,
            ties=spec.objective.tie_metric,
            kept_every=spec.schedule.kept_every,
        ),
        device=device_spec(spec.resources),
        checkpoints=str(folder.checkpoints.absolute()),
        picture=str(folder.augmented.absolute()),
        remote=None if spec.storage.uri is None else run_uri(folder, spec.storage.uri),
        run_id="" if spec.storage.uri is None else run_token(folder),
        formats=spec.export.formats if spec.export.top or spec.export.ensemble else (),
        folds=dict(zip(spec.folds[1:], others, strict=True)),
    )
