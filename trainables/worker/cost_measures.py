"""Builds variants and trains some steps of a few: the work of `cost_probe`'s child process."""

import statistics
import sys
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.data.cache.dataset import open_dataset
from trainables.errors import InfeasibleError
from trainables.machine.busy import busy_beside
from trainables.machine.child_process import answer_caller
from trainables.machine.imports import import_tensorflow, spare_imports
from trainables.progress import OnProgress
from trainables.specs.augment import AugmentSpec
from trainables.specs.dataset import DatasetInfo
from trainables.specs.worker import DeviceSpec, TrainingSpec
from trainables.worker.cost_probe import LEAST_VALIDATED, MeasuredVariant, Probe, ProbedVariant, batch_size_of, loads_of
from trainables.worker.failures import failure_of
from trainables.worker.trace_cache import trace_key

if TYPE_CHECKING:
    from trainables.data.batches.tensors import SplitTensors
    from trainables.training.training import Training

#: How long the epochs of a variant are measured after its first, and how many at most.
MEASURED_SECONDS, MOST_EPOCHS = 2.0, 12
#: What is taken for granted of a call before anything is measured.
_CALL_SECONDS = 1e-5
_LEAST_SHARE = 1e-3
#: So small that no training diverges; the seconds of a step do not depend on it.
_LEARNING_RATE = 1e-6


def evenly_spread(seconds: Mapping[int, float], *, count: int) -> list[int]:
    """Returns the keys of the cheapest, the dearest and some evenly between them, the cheapest first.

    >>> evenly_spread({0: 5.0, 1: 1.0, 2: 3.0, 3: 9.0, 4: 4.0}, count=3)
    [1, 4, 3]
    >>> evenly_spread({0: 5.0, 1: 1.0, 2: 3.0}, count=1), evenly_spread({7: 1.0}, count=3), evenly_spread({}, count=3)
    ([2], [7], [])
    """
    ascending = sorted(seconds, key=lambda key: (seconds[key], key))
    if not ascending:
        return []
    last = len(ascending) - 1
    places = [last / 2] if count == 1 else [place * last / (count - 1) for place in range(count)]
    return [ascending[place] for place in dict.fromkeys(map(round, places))]


def main() -> int:
    """Answers one request of `probe_variants`."""
    return answer_caller(_probe)


def _probe(request: Any, progress: OnProgress) -> Any:
    with busy_beside(request["num_beside"]):
        clock = _Clock()
        import_tensorflow()
        imported = clock.since_begin()
        bench = _bench_of(request)
        variants = [Variant.from_json(variant) for variant in request["variants"]]
        found = _all_built(variants, bench, progress)
        measured = _all_measured(variants, found, bench, count=request["num_measured"], progress=progress)
        whole = clock.since_begin()
    if bench.device.gpus == 0 and bench.device.num_threads == 1:
        # All of it computes on one core: where others work on the machine, a minute tells more of it than a second.
        imported = imported.at(whole.cpu_share)
        measured = [evened(item, cpu_share=whole.cpu_share) for item in measured]
    return Probe(import_seconds=imported.seconds, variants=tuple(found), measured=tuple(measured)).to_json()


def _all_measured(
    variants: list[Variant], found: list[ProbedVariant], bench: "_Bench", *, count: int, progress: OnProgress
) -> list[MeasuredVariant]:
    """Returns how long some variants train; one that fails gets its reason among those that were found."""
    expected = {
        number: _expected_seconds(
            loads_of(item, num_images=bench.train.num_images, batch_size=batch_size_of(variants[number]))
        )
        for number, item in enumerate(found)
        if not item.problem
    }
    chosen, measured = evenly_spread(expected, count=count), []
    for place, number in enumerate(chosen):
        progress("measuring variants", place, len(chosen))
        try:
            measured.append(_measured(number, variants[number], bench, seconds=expected[number]))
        except Exception as exc:  # noqa: BLE001 - whatever a variant raises is its result, as in a trial
            found[number] = _problem(exc, variants[number], bench)
        _forget_models()
    progress("measuring variants", len(chosen), len(chosen))
    return measured


def evened(item: MeasuredVariant, *, cpu_share: float) -> MeasuredVariant:
    """Returns what a variant would have taken, had its process got that share of a core meanwhile."""
    factor = item.cpu_share / cpu_share
    return replace(
        item,
        train_seconds=item.train_seconds * factor,
        validate_seconds=item.validate_seconds * factor,
        start_seconds=item.start_seconds * factor,
        cpu_share=cpu_share,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """A time of this process.

    Attributes:
        seconds: Its length.
        cpu_seconds: What the process computed in it.
    """

    seconds: float
    cpu_seconds: float

    @property
    def cpu_share(self) -> float:
        """How much of a core the process got."""
        return max(_LEAST_SHARE, self.cpu_seconds / max(_LEAST_SHARE, self.seconds))

    def at(self, cpu_share: float) -> "_Span":
        """Returns the time that it would have taken at another share of a core."""
        return replace(self, seconds=self.cpu_seconds / cpu_share)


class _Clock:
    """Measures spans from its making on."""

    def __init__(self) -> None:
        self._began, self._cpu_began = time.perf_counter(), time.process_time()

    def since_begin(self) -> _Span:
        """Returns the time since the clock was made."""
        now, cpu_now = time.perf_counter(), time.process_time()
        return _Span(seconds=now - self._began, cpu_seconds=cpu_now - self._cpu_began)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """What all variants are tried on.

    Attributes:
        dataset: The images.
        train: The training split.
        validation: The validation split.
        spec: The study's settings of a training.
        device: What a trial has of a machine.
    """

    dataset: DatasetInfo
    train: "SplitTensors"
    validation: "SplitTensors"
    spec: TrainingSpec
    device: DeviceSpec

    def training(self, variant: Variant, *, num_train: int | None = None, num_validation: int | None = None) -> Any:
        """Returns a training of a variant on the first images of each split; None: on all."""
        # Late, because both import TensorFlow, which is not imported when this module is.
        from trainables.steps.replicas import own_replicas
        from trainables.training.training import Training, TrainingRequest

        train, validation = self.train, self.validation
        return Training(
            TrainingRequest(
                variant=variant,
                train=replace(train, indices=train.indices[:num_train]),
                validation=replace(validation, indices=validation.indices[:num_validation]),
                task=self.dataset.task,
                spec=self.spec,
                statistics=self.dataset.statistics,
                replicas=own_replicas(self.device),
            )
        )


def _bench_of(request: Any) -> _Bench:
    # Late, because both import TensorFlow.
    from trainables.data.batches.tensors import split_tensors
    from trainables.training.devices import configure_devices, rewrite_graphs_once

    device, dataset = DeviceSpec(**request["device"]), DatasetInfo.from_json(request["dataset"])
    spare_imports()
    configure_devices(device)
    rewrite_graphs_once(device)
    given, data = request["training"], open_dataset(dataset)
    # Callbacks are a user's: they may write files.
    spec = TrainingSpec(**{**given, "augment": AugmentSpec(**given["augment"]), "callbacks": ()})
    train, validation = split_tensors(data.train), split_tensors(data.validation)
    return _Bench(dataset=dataset, train=train, validation=validation, spec=spec, device=device)


def _all_built(variants: list[Variant], bench: _Bench, progress: OnProgress) -> list[ProbedVariant]:
    """Returns what each variant costs; those of one architecture are built once."""
    known: dict[Hashable, ProbedVariant] = {}
    for number, variant in enumerate(variants):
        progress("building variants", number, len(variants))
        if (key := _build_key(variant)) not in known:
            known[key] = _built(variant, bench)
            _forget_models()
    progress("building variants", len(variants), len(variants))
    return [known[_build_key(variant)] for variant in variants]


def _build_key(variant: Variant) -> Hashable:
    """Returns the key of what is built: a user's function may look at any parameter."""
    return variant.variant_id if FAMILIES[variant.family].has_own_parameters else trace_key(variant)


def _built(variant: Variant, bench: _Bench) -> ProbedVariant:
    began = time.perf_counter()
    try:
        training: Training = bench.training(variant)
        arrays, cost = training.state().values(), dict(training.cost.counted)
    except Exception as exc:  # noqa: BLE001 - whatever a variant raises is its result, as in a trial
        return replace(_problem(exc, variant, bench), build_seconds=time.perf_counter() - began)
    return ProbedVariant(
        cost=cost,
        num_arrays=len(arrays),
        state_bytes=sum(array.nbytes for array in arrays),
        build_seconds=time.perf_counter() - began,
    )


def _problem(exc: Exception, variant: Variant, bench: _Bench) -> ProbedVariant:
    reason = failure_of(exc, variant=variant, spec=bench.spec).reason
    return ProbedVariant(problem=reason, is_infeasible=isinstance(exc, InfeasibleError))


def _measured(number: int, variant: Variant, bench: _Bench, *, seconds: float) -> MeasuredVariant:
    """Trains some steps of a variant's epoch a few times over.

    Args:
        number: The variant's.
        variant: One that can be trained.
        bench: What it is trained on.
        seconds: How long its epoch is expected to take.
    """
    size, num_images, num_held = batch_size_of(variant), bench.train.num_images, bench.validation.num_images
    num_steps = _num_steps(seconds, whole=-(-num_images // size))
    num_used = min(num_images, num_steps * size)
    num_validated = min(num_held, max(num_used, LEAST_VALIDATED))
    began = time.perf_counter()
    calm = _with_low_rate(variant)
    training: Training = bench.training(calm, num_train=num_used, num_validation=num_validated)
    training.run_epoch()
    since, clock = time.perf_counter(), _Clock()
    reports = [training.run_epoch()]
    while clock.since_begin().seconds < MEASURED_SECONDS and len(reports) < MOST_EPOCHS:
        reports.append(training.run_epoch())
    # Means, as a study's time is a sum: where others work on the machine as well, slow epochs count in full.
    each = [report.train_seconds for report in reports]
    trained = statistics.fmean(each)
    validated = statistics.fmean(report.overhead_seconds["validate"] for report in reports)
    return MeasuredVariant(
        number=number,
        train_seconds=trained * num_images / num_used,
        validate_seconds=validated * num_held / num_validated,
        start_seconds=max(0.0, since - began - trained - validated),
        unrest=statistics.pstdev(each) / trained,
        cpu_share=clock.since_begin().cpu_share,
        num_steps=num_steps * len(reports),
        is_reusable=training.is_reusable,
    )


def _expected_seconds(loads: tuple[float, float]) -> float:
    """Returns about how long an epoch takes, before anything is measured."""
    calls, work = loads
    return calls * _CALL_SECONDS + work


def _num_steps(seconds: float, *, whole: int) -> int:
    """Returns how many steps of an epoch are trained at a time: all of a short epoch.

    >>> _num_steps(0.1, whole=40), _num_steps(100.0, whole=1000), _num_steps(1000.0, whole=10)
    (40, 10, 2)
    """
    return min(whole, max(2, int(whole * MEASURED_SECONDS / 2 / seconds)))


def _with_low_rate(variant: Variant) -> Variant:
    if "learning_rate" not in variant.params:
        return variant
    return replace(variant, params={**variant.params, "learning_rate": _LEARNING_RATE})


def _forget_models() -> None:
    # Late, because it imports TensorFlow.
    from trainables.families.building import forget_models

    forget_models()


if __name__ == "__main__":
    sys.exit(main())
