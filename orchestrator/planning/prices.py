"""What trials of a study cost: measured for a few variants, predicted from them for the others."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.planning.fitting import non_negative_fit, weighed
from search_spaces import Variant
from trainables.worker.cost_probe import LEAST_VALIDATED, Probe, ProbedVariant, batch_size_of, loads_of

#: Seconds that an epoch takes beside training and validation: its report on the way to the driver and back, a small
#: checkpoint; and for each byte of a checkpoint.
_REPORT_SECONDS, _SECONDS_A_BYTE = 0.04, 2e-9
_LEAST_SECONDS = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a trial of a variant costs.

    Attributes:
        variant: What is trained.
        train_seconds: Of an epoch's training steps.
        other_seconds: What an epoch takes beside them: validation, checkpoint, report.
        start_seconds: What the first epoch takes beside all that; for a variant that cannot be trained, until that is
            known.
        restart_seconds: The same where the worker has trained a variant of the same architecture.
        checkpoint_bytes: The size of a checkpoint.
        problem: Why it cannot be trained, in words; empty if it can.
    """

    variant: Variant
    train_seconds: float = 0.0
    other_seconds: float = 0.0
    start_seconds: float = 0.0
    restart_seconds: float = 0.0
    checkpoint_bytes: int = 0
    problem: str = ""

    @property
    def epoch_seconds(self) -> float:
        """How long an epoch after the first takes."""
        return self.train_seconds + self.other_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What the trials of a study cost.

    Attributes:
        of_variants: In the order in which the variants were drawn.
        unrest: By which share of their mean the seconds of measured epochs differed.
        is_reusable: Whether a worker need not build variants of an architecture that it has trained.
    """

    of_variants: tuple[Price, ...]
    unrest: float
    is_reusable: bool


def prices_of(variants: Sequence[Variant], probe: Probe, *, num_images: tuple[int, int], repeats: int) -> Prices:
    """Returns what trials of the probed variants cost.

    Seconds of the measured ones are as measured, those of the others a fit to them: of an epoch's training by its
    calls and its work (see `loads_of`); of validation alike; of a trial's start by the number of arrays.

    Args:
        variants: The probed ones.
        probe: What their process found.
        num_images: How many images an epoch trains on, and how many it validates.
        repeats: On how many splits.

    Raises:
        ValueError: If no variant was measured.
    """
    measured, found = probe.measured, probe.variants
    num_train, num_validation = num_images
    sizes = [batch_size_of(variant) for variant in variants]
    train_rows = [
        loads_of(item, num_images=num_train, batch_size=size) for item, size in zip(found, sizes, strict=True)
    ]
    held_rows = [
        loads_of(item, num_images=num_validation, batch_size=max(LEAST_VALIDATED, size))
        for item, size in zip(found, sizes, strict=True)
    ]
    start_rows = [[1.0, float(item.num_arrays)] for item in found]
    known = {item.number: item for item in measured}
    train = _completed(train_rows, {number: item.train_seconds for number, item in known.items()})
    held = _completed(held_rows, {number: item.validate_seconds for number, item in known.items()})
    start = _completed(start_rows, {number: item.start_seconds for number, item in known.items()})
    return Prices(
        of_variants=tuple(
            _price(variant, item, seconds=(repeats * train[number], repeats * held[number], start[number]))
            for number, (variant, item) in enumerate(zip(variants, found, strict=True))
        ),
        unrest=statistics.fmean(item.unrest for item in measured),
        is_reusable=all(item.is_reusable for item in measured),
    )


def _completed(rows: Sequence[Sequence[float]], known: dict[int, float]) -> list[float]:
    """Returns a number for each row: the known ones, and a fit to them for the others."""
    factors = _fit([rows[number] for number in known], list(known.values()))
    return [known.get(number, weighed(factors, row)) for number, row in enumerate(rows)]


def _fit(rows: Sequence[Sequence[float]], targets: Sequence[float]) -> list[float]:
    if not rows:
        raise ValueError("no variant was measured")
    return non_negative_fit(rows, [max(_LEAST_SECONDS, target) for target in targets])


def _price(variant: Variant, item: ProbedVariant, *, seconds: tuple[float, float, float]) -> Price:
    if item.problem:
        return Price(variant=variant, start_seconds=item.build_seconds, problem=item.problem)
    train, held, start = seconds
    return Price(
        variant=variant,
        train_seconds=train,
        other_seconds=held + _REPORT_SECONDS + item.state_bytes * _SECONDS_A_BYTE,
        start_seconds=start,
        restart_seconds=min(start, _REPORT_SECONDS),
        checkpoint_bytes=item.state_bytes,
    )
