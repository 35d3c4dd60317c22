"""What the objective was at the values of a parameter, and of the two most important ones together."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from orchestrator.analysis.importance import Importance
from orchestrator.analysis.parameters import Column
from orchestrator.analysis.values import MIN_TRIALS, Compared
from orchestrator.text import number
from search_spaces.domains.values import Value

Array = np.ndarray

#: Numbers of more distinct values are put into so many bins of about equally many trials.
_NUM_BINS = 5
_NUM_PAIR_BINS = 4
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """The trials in which a parameter has one value, or one of several neighbours.

    Attributes:
        label: The value or the range as text.
        values: The lowest and the highest value that a trial has; the same one twice for a single value.
        num_trials: How many trials.
        mean: Of the objective.
        low: The lower end of Student's interval of 95 % of the mean, None for a single trial; likewise high.
        best: The best value of a trial.
    """

    label: str
    values: tuple[Value, Value]
    num_trials: int
    mean: float
    low: float | None
    high: float | None
    best: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """The objective by the values of one parameter.

    Attributes:
        is_ordered: Whether the bins ascend; else they are options.
        is_conditional: Whether the parameter is inactive in some trials, which do not count.
    """

    parameter: str
    is_ordered: bool
    is_conditional: bool
    bins: Sequence[Bin]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The objective by the values of two parameters.

    Attributes:
        parameters: The first has the rows, the second the columns.
        rows: The labels of the rows; likewise columns.
        means: Of the objective, a list a row; None without a trial.
        num_trials: Likewise.
    """

    parameters: tuple[str, str]
    rows: Sequence[str]
    columns: Sequence[str]
    means: Sequence[Sequence[float | None]]
    num_trials: Sequence[Sequence[int]]


def effects_of(compared: Compared, columns: Sequence[Column], *, importance: Importance) -> list[Effect]:
    """Returns the effect of each parameter that has an importance, in the same order.

    The values of the objective are those that importance rests on. Other parameters vary, too, and a search tries good
    values of all of them together: an effect is what was seen, not what a parameter alone would do.
    """
    by_name = {column.name: column for column in columns}
    return [_effect(by_name[item.name], compared=compared) for item in importance.parameters if item.share is not None]


def pair_of(compared: Compared, columns: Sequence[Column], *, importance: Importance) -> Pair | None:
    """Returns the two most important parameters that enough trials have, together; None without two."""
    by_name = {column.name: column for column in columns}
    known = [by_name[item.name] for item in importance.parameters if item.share]
    pairs = ((one, other, np.flatnonzero(one.is_active & other.is_active)) for one, other in combinations(known, 2))
    first, second, rows = next((pair for pair in pairs if len(pair[2]) >= MIN_TRIALS), (None, None, None))
    if first is None or second is None or rows is None:
        return None
    row_of, row_ends = _dealt(first, rows, num_bins=_NUM_PAIR_BINS)
    column_of, column_ends = _dealt(second, rows, num_bins=_NUM_PAIR_BINS)
    values = compared.sign * compared.scores[rows]
    cells = [
        [values[(row_of == row) & (column_of == column)] for column in range(len(column_ends))]
        for row in range(len(row_ends))
    ]
    return Pair(
        parameters=(first.name, second.name),
        rows=_labels(row_ends),
        columns=_labels(column_ends),
        means=[[float(cell.mean()) if len(cell) else None for cell in row] for row in cells],
        num_trials=[[len(cell) for cell in row] for row in cells],
    )


def _effect(column: Column, *, compared: Compared) -> Effect:
    rows = np.flatnonzero(column.is_active)
    bin_of, ends = _dealt(column, rows, num_bins=_NUM_BINS)
    values = compared.sign * compared.scores[rows]
    bins = []
    for place, (label, values_of_bin) in enumerate(zip(_labels(ends), ends, strict=True)):
        own = values[bin_of == place]
        low, high = _mean_interval(own)
        best = own.max() if compared.sign > 0 else own.min()
        bins.append(
            Bin(
                label=label,
                values=values_of_bin,
                num_trials=len(own),
                mean=float(own.mean()),
                low=low,
                high=high,
                best=float(best),
            )
        )
    return Effect(parameter=column.name, is_ordered=column.is_ordered, is_conditional=column.is_conditional, bins=bins)


def _dealt(column: Column, rows: Array, *, num_bins: int) -> tuple[Array, list[tuple[Value, Value]]]:
    """Returns the number of the bin of each of some trials, and the ends of each bin.

    Trials of equal values have the same bin, and each bin has a trial.
    """
    places = column.places[rows]
    levels, level_of, counts = np.unique(places, return_inverse=True, return_counts=True)
    bin_of_level = np.arange(len(levels))
    if column.is_ordered and len(levels) > num_bins + 1:
        middles = np.cumsum(counts) - counts / 2
        # Numbers without a gap: a level of very many trials may leave a bin without any.
        _, bin_of_level = np.unique((middles / len(rows) * num_bins).astype(int), return_inverse=True)
    ends = []
    for place in range(int(bin_of_level.max()) + 1):
        own = levels[bin_of_level == place]
        ends.append((column.levels[own[0]], column.levels[own[-1]]))
    return bin_of_level[level_of], ends


def _mean_interval(values: Array) -> tuple[float | None, float | None]:
    if len(values) < 2:
        return None, None
    # Late: scipy is slow to import, and only this function needs it.
    from scipy.stats import t

    half = float(t.ppf(0.5 + _CONFIDENCE / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return float(values.mean()) - half, float(values.mean()) + half


def _labels(ranges: Sequence[tuple[Value, Value]]) -> list[str]:
    """Returns texts that differ: Python literals where values look alike, such as 1 and "1"."""
    labels = [_label(number(first) or "none", number(last) or "none") for first, last in ranges]
    return labels if len(set(labels)) == len(labels) else [_label(repr(first), repr(last)) for first, last in ranges]


def _label(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"
