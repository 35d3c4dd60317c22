"""What a study will cost, printed for people and for scripts."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.planning.forecast import Forecast, Spread
from orchestrator.planning.plan import CostPlan, Distribution
from orchestrator.text import duration, size_in_words

_LONGEST_REASON, _MOST_REASONS = 140, 5
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def plan_json(plan: CostPlan) -> dict[str, Any]:
    """Returns all numbers of a plan."""
    measured = [{**asdict(item), "variant": item.variant.to_json()} for item in plan.measured]
    return {**asdict(plan), "measured": measured, "infeasible_share": plan.infeasible_share}


def print_plan(console: Console, plan: CostPlan) -> None:
    """Prints the variants, the seconds of an epoch, and what simulated studies cost.

    Args:
        console: Where to.
        plan: What was found.
    """
    for line in (*_space(plan), *_seconds(plan)):
        console.print(Text(line))
    console.print(_variants(plan))
    console.print()
    console.print(_costs((*plan.forecasts, *plan.others), own=len(plan.forecasts), with_gpus=_has_gpus(plan)))
    first = plan.forecasts[0]
    for note in (
        f"a / b: half of {first.num_studies} simulated studies took at most a, nine of ten at most b",
        "curves of trials are made up, as nobody knows how variants learn",
        *plan.notes,
    ):
        console.print(Text(note, style="dim"))


def _space(plan: CostPlan) -> Iterator[str]:
    size = "uncountable" if plan.space_size is None else f"{plan.space_size:,} variants"
    yield f"{plan.study}: {plan.num_trials:,} trials of up to {plan.max_epochs:,} epochs"
    num_wrong = sum(plan.problems.values())
    yield f"  space      {size}; {num_wrong} of {plan.num_sampled} sampled variants cannot be trained"
    for reason, count in list(plan.problems.items())[:_MOST_REASONS]:
        shown = reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}..."
        yield f"             {count}: {shown}"


def _seconds(plan: CostPlan) -> Iterator[str]:
    for item in plan.measured:
        yield (
            f"  measured   {_precise(item.epoch_seconds)} an epoch, {duration(item.start_seconds)} to start "
            f"({item.variant.family}, {item.num_steps:,} steps)"
        )
    yield (
        f"  predicted  seconds of the others follow from the measured ones; {duration(plan.begin_seconds)} until the "
        "first trial begins"
    )


def _variants(plan: CostPlan) -> Table:
    table = _table("  variants", ("least", "median", "most"))
    for name, distribution in plan.costs.items():
        unit = " MB" if name == "memory_mb" else ""
        label = name.removesuffix("_mb").replace("_", "-")
        table.add_row(f"  {label}", *(f"{_short(value)}{unit}" for value in _numbers(distribution)))
    table.add_row("  an epoch", *map(_precise, _numbers(plan.epoch_seconds)))
    return table


def _costs(forecasts: Iterable[Forecast], *, own: int, with_gpus: bool) -> Table:
    headings = ["trials", "epochs", "wall time", "core-hours", *(["GPU-hours"] if with_gpus else []), "checkpoints"]
    table = _table("", headings)
    for number, item in enumerate(forecasts):
        label = f"this study, {item.slots} at a time" if number < own else f"with {item.schedule}"
        gpu_hours = [_spread(item.gpu_seconds, _hours)] if with_gpus else []
        table.add_row(
            label,
            _spread(item.num_trials, _whole),
            _spread(item.epochs, _whole),
            _spread(item.wall_seconds, duration),
            _spread(item.core_seconds, _hours),
            *gpu_hours,
            _spread(item.checkpoint_bytes, lambda size: size_in_words(int(size))),
        )
    return table


def _has_gpus(plan: CostPlan) -> bool:
    return any(item.gpu_seconds.p90 > 0 for item in plan.forecasts)


def _table(first: str, headings: Iterable[str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first, no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _spread(spread: Spread, shown: Any) -> str:
    p50, p90 = shown(spread.p50), shown(spread.p90)
    return str(p50) if p50 == p90 else f"{p50} / {p90}"


def _numbers(distribution: Distribution) -> tuple[float, float, float]:
    return distribution.low, distribution.median, distribution.high


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.3g}"


def _whole(value: float) -> str:
    return f"{value:,.0f}"


def _precise(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds < 1 else duration(seconds)


def _short(value: float) -> str:
    """Returns a number with three digits.

    >>> _short(65498.0), _short(3034368.0), _short(8.1436)
    ('65.5k', '3.03M', '8.14')
    """
    for size, unit in _UNITS:
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"
