"""Variants over the folds of a study: a run for each fold, and for each variant the mean over all of them."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import InputError
from orchestrator.journal.study_state import StudyState
from orchestrator.results.ranking import winners
from orchestrator.runs.paths import RunFolder
from orchestrator.study.yaml_file import apply_overrides
from search_spaces import Variant

#: Keys of a study on which neither what a variant is nor what it learns from depends, beside the fold.
_OTHER_KEYS = frozenset({"data.fold", "data.cache_dir", "data.memory_gb", "search.trials"})
_SECTIONS = ("seed", "data", "space", "objective", "search", "schedule")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedVariant:
    """One variant and its results.

    Attributes:
        variant: The variant.
        values: The best value of the objective's metric in each run, in the order of the runs.
    """

    variant: Variant
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the folds."""
        return statistics.fmean(self.values)

    @property
    def deviation(self) -> float:
        """The standard deviation between folds, of a sample: divided by one less than their number."""
        return statistics.stdev(self.values)


def variants_over_folds(states: Sequence[StudyState]) -> list[FoldedVariant]:
    """Returns the variants with a result in every run, best mean first.

    A trial's value is the one that its run ranks it by: its best report's, if it completed or was stopped, and keeps to
    the constraints.
    """
    header = states[0].header
    found: dict[str, list[tuple[int, Variant, float]]] = {}
    for place, state in enumerate(states):
        for trial, report in winners(list(state.trials.values()), header=state.header):
            entry = (place, trial.variant, report.metrics[header.metric])
            found.setdefault(trial.variant.variant_id, []).append(entry)
    whole = [
        FoldedVariant(variant=entries[0][1], values=tuple(value for _, _, value in entries))
        for entries in found.values()
        if [place for place, _, _ in entries] == list(range(len(states)))
    ]
    sign = -1 if header.mode == "max" else 1
    return sorted(whole, key=lambda item: (sign * item.mean, item.variant.variant_id))


def demand_folds_of_one_study(folders: Sequence[RunFolder]) -> None:
    """Raises InputError unless the runs are of different folds of one study: all other keys that count are equal."""
    first, *others = [(folder, _keys_of(folder)) for folder in folders]
    folds: dict[Any, RunFolder] = {}
    for folder, keys in (first, *others):
        fold = keys.get("data.fold")
        if fold is None:
            raise InputError(
                f"{folder.root}: is no run of a fold; give data.folds and data.fold, such as --set data.folds=5 --set "
                "data.fold=1, a run for each fold"
            )
        if (same := folds.setdefault(fold, folder)) is not folder:
            raise InputError(f"{folder.root}: is fold {fold} as {same.root} is; give one run for each fold")
    for folder, keys in others:
        for key in sorted({*keys, *first[1]} - _OTHER_KEYS):
            own, expected = keys.get(key), first[1].get(key)
            if own != expected:
                is_short = not isinstance(own, Mapping | list)
                what = (
                    f"is {own!r}, in {first[0].root} {expected!r}"
                    if is_short
                    else f"differs from that of {first[0].root}"
                )
                raise InputError(
                    f"{folder.root}: {key} {what}; the runs of one study's folds differ in data.fold alone"
                )


def _keys_of(folder: RunFolder) -> dict[str, Any]:
    """Returns a run's settings by their dotted names."""
    try:
        text = folder.study.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InputError(f"{folder.study}: cannot be read ({exc}); mend its permissions or repair the run") from exc
    content = apply_overrides(text, [], where=str(folder.study))
    return dict(_flat({name: content.get(name) for name in _SECTIONS}))


def _flat(content: Mapping[str, Any], *, path: str = "") -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for name, value in content.items():
        key = f"{path}{name}"
        # Spaces hold what a person may write in several ways: they count as a whole.
        flat += _flat(value, path=f"{key}.") if isinstance(value, Mapping) and key != "space" else [(key, value)]
    return flat
