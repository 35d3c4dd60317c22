"""Asks a child process what variants cost and how long they train, so that the caller does not import TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.machine.child_process import ask_child
from trainables.progress import OnProgress
from trainables.specs.dataset import DatasetInfo
from trainables.specs.worker import DeviceSpec, TrainingSpec

#: Validation goes by batches of no fewer images.
LEAST_VALIDATED = 256
#: A usual core's, forward and backward; what a step goes through is in its memory.
_SECONDS_A_MULTIPLY_ADD, _SECONDS_A_MB = 1e-10, 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedVariant:
    """What building a variant for a study's images tells of it.

    Attributes:
        cost: parameters, multiply_adds, memory_mb; empty if it cannot be trained.
        num_arrays: How many arrays its checkpoints have; likewise `state_bytes`, all of them together.
        build_seconds: How long it took to build.
        problem: Why it cannot be trained, in words; empty if it can.
        is_infeasible: Whether it does not fit the images or the limits; else a problem is an error of its code.
    """

    cost: Mapping[str, float] = field(default_factory=dict)
    num_arrays: int = 0
    state_bytes: int = 0
    build_seconds: float = 0.0
    problem: str = ""
    is_infeasible: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredVariant:
    """How long a variant trains, measured over real steps.

    Attributes:
        number: Its place among the probed variants.
        train_seconds: Of the training steps of one epoch.
        validate_seconds: Of its validation.
        start_seconds: From the begin of its building to the end of the first epoch, without what an epoch takes.
        unrest: By which share of their mean its epochs differed, as a standard deviation.
        cpu_share: How much of a core its process got meanwhile.
        num_steps: Over how many training steps it was measured.
        is_reusable: Whether variants of the same architecture can begin without being built and traced.
    """

    number: int
    train_seconds: float
    validate_seconds: float
    start_seconds: float
    unrest: float
    cpu_share: float
    num_steps: int
    is_reusable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The answer of the process that probes variants.

    Attributes:
        import_seconds: How long it took to import TensorFlow.
        variants: One for each variant, in order.
        measured: Those that were trained for some steps.
    """

    import_seconds: float
    variants: tuple[ProbedVariant, ...]
    measured: tuple[MeasuredVariant, ...]

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-ready mapping."""
        return asdict(self)

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> "Probe":
        """Returns the probe that `to_json` described."""
        return cls(
            import_seconds=mapping["import_seconds"],
            variants=tuple(ProbedVariant(**item) for item in mapping["variants"]),
            measured=tuple(MeasuredVariant(**item) for item in mapping["measured"]),
        )


def loads_of(item: ProbedVariant, *, num_images: int, batch_size: int) -> tuple[float, float]:
    """Returns what the seconds of an epoch are about a sum of: its calls, and its work in seconds of a usual core.

    Args:
        item: A variant; zeros if it cannot be trained.
        num_images: Of the epoch.
        batch_size: Of its steps.
    """
    steps, cost = -(-num_images // batch_size), item.cost
    memory = cost.get("memory_mb", 0.0) * steps * _SECONDS_A_MB
    computing = cost.get("multiply_adds", 0.0) * num_images * _SECONDS_A_MULTIPLY_ADD
    return float(steps * item.num_arrays), memory + computing


def batch_size_of(variant: Variant) -> int:
    """Returns how many images a variant's steps have."""
    size: Any = FAMILIES[variant.family].with_defaults(variant.params)["batch_size"]
    return int(size)


def probe_variants(  # noqa: PLR0913 - what a trial is made of
    variants: Sequence[Variant],
    *,
    num_measured: int,
    num_beside: int,
    dataset: DatasetInfo,
    training: TrainingSpec,
    device: DeviceSpec,
    on_progress: OnProgress,
) -> Probe:
    """Returns what some variants cost, and how long those train that lie evenly between the cheapest and the dearest.

    Args:
        variants: In the order of the answer.
        num_measured: How many are trained for some steps.
        num_beside: How many other cores are kept busy meanwhile, as trials beside it would.
        dataset: The study's images.
        training: The study's settings of a training.
        device: What a trial of the study has of a machine.
        on_progress: Receives how far the process is.

    Raises:
        DataError: The child process crashed.
    """
    request = {
        "variants": [variant.to_json() for variant in variants],
        "num_measured": num_measured,
        "num_beside": num_beside,
        "dataset": dataset.to_json(),
        "training": {**asdict(training), "augment": training.augment.model_dump(mode="json")},
        "device": asdict(device),
    }
    what = "plan: the process that tries what variants cost"
    return Probe.from_json(ask_child("trainables.worker.cost_measures", request, what=what, on_progress=on_progress))
