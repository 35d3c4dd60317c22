"""What differs between two trials, of one run or of two."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from orchestrator.errors import InputError
from orchestrator.fleet.choosing import better_of
from orchestrator.fleet.curve_pairs import CurvePair, curve_pair, metrics_of_both
from orchestrator.fleet.layer_changes import Change, LayerPair, layer_pairs
from orchestrator.fleet.mistakes import Mistakes, mistakes_of
from orchestrator.fleet.model import FleetModel
from orchestrator.text import shown
from trainables.errors import DataError
from trainables.inspecting.requests import ModelRequest, ask_about_models
from trainables.reports import COSTS

SPLITS = ("validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What differs between two trials; the first is what the second is compared with.

    Attributes:
        first: The first trial's model.
        second: The second trial's model.
        params: The hyperparameters that differ, and the family and the seed if they do.
        num_equal_params: How many do not.
        costs: The costs of both, and epochs and seconds of training.
        curves: The metrics that both reported.
        layers: All layers of both models, aligned; empty where they are not known.
        layers_problem: Why they are not known; empty where they are.
        split: The split that both answered; empty: none was asked for.
        mistakes: One entry a target; empty where they are not known.
        mistakes_problem: Why they are not known; empty where they are.
    """

    first: FleetModel
    second: FleetModel
    params: tuple[Change, ...]
    num_equal_params: int
    costs: tuple[Change, ...]
    curves: tuple[CurvePair, ...]
    layers: tuple[LayerPair, ...] = ()
    layers_problem: str = ""
    split: str = ""
    mistakes: tuple[Mistakes, ...] = ()
    mistakes_problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns all of it, JSON-ready."""
        return {
            "trials": [
                {"run": str(model.run.folder.root), "trial": model.name, "state": model.state}
                for model in (self.first, self.second)
            ],
            "params": [asdict(item) for item in self.params],
            "num_equal_params": self.num_equal_params,
            "costs": [asdict(item) for item in self.costs],
            "curves": [asdict(item) for item in self.curves],
            "layers": [_pair_json(pair) for pair in self.layers],
            "layers_problem": self.layers_problem,
            "split": self.split,
            "mistakes": [{**asdict(item), "is_clear": item.is_clear} for item in self.mistakes],
            "mistakes_problem": self.mistakes_problem,
        }


def difference_of(
    first: FleetModel, second: FleetModel, *, split: str = "validation", quick: bool = False
) -> Difference:
    """Returns what differs between two trials.

    A child process builds both models and, where both checkpoints are kept, has them answer a split; what cannot be
    found out has its reason.

    Args:
        first: A model of a run.
        second: Another one, of the same run or another.
        split: validation or test.
        quick: Whether to go without layers and mistakes, which need the child process.

    Raises:
        InputError: If both are the same trial, or the split is none.
    """
    if split not in SPLITS:
        raise InputError(f"split: must be one of {', '.join(SPLITS)}, got {shown(split)}")
    roots = [model.run.folder.root.resolve() for model in (first, second)]
    if first.name == second.name and roots[0] == roots[1]:
        raise InputError(f"{roots[0]}: {first.name} is compared with itself; name two trials")
    params, num_equal = _params(first, second)
    found = Difference(
        first=first,
        second=second,
        params=params,
        num_equal_params=num_equal,
        costs=_costs(first, second),
        curves=tuple(
            curve_pair(
                metric,
                first=first.curve(metric),
                second=second.curve(metric),
                mode=better_of(metric, header=first.run.state.header),
            )
            for metric in metrics_of_both(first, second)
        ),
    )
    return found if quick else _with_models(found, split=split)


def _with_models(found: Difference, *, split: str) -> Difference:
    """Returns the difference with layers and mistakes, or why there are none."""
    try:
        requests = [model.run.request(model.trial) for model in (found.first, found.second)]
        problem = _unlike(found, requests)
        answer = ask_about_models(requests, split="" if problem else split, on_progress=found.first.run.show_progress)
    except (DataError, InputError) as exc:
        return replace(found, layers_problem=str(exc), split=split, mistakes_problem=str(exc))
    rows, answers = answer["layers"], answer.get("answers", {"problem": problem})
    unbuilt = [item["problem"] for item in rows if "problem" in item]
    return replace(
        found,
        layers=() if unbuilt else tuple(layer_pairs(rows[0]["rows"], rows[1]["rows"])),
        layers_problem="; ".join(unbuilt),
        split=split,
        mistakes=tuple(mistakes_of(item) for item in answers.get("targets", ())),
        mistakes_problem=answers.get("problem", ""),
    )


def _unlike(found: Difference, requests: list[ModelRequest]) -> str:
    """Returns why two models' mistakes cannot be compared; an empty text if they can."""
    for model in (found.first, found.second):
        if not model.checkpoint.is_kept:
            return f"{model.name} has no checkpoint: {model.checkpoint.reason}"
    prints = [request.dataset.fingerprint for request in requests]
    if prints[0] != prints[1]:
        return f"the two have other images or splits: fingerprints {prints[0]} and {prints[1]}"
    return ""


def _params(first: FleetModel, second: FleetModel) -> tuple[tuple[Change, ...], int]:
    values: list[Mapping[str, Any]] = [
        {"family": model.family, "seed": model.seed, **model.params} for model in (first, second)
    ]
    names = dict.fromkeys([*values[0], *values[1]])
    changes = [Change(name=name, first=values[0].get(name), second=values[1].get(name)) for name in names]
    different = tuple(item for item in changes if item.first != item.second)
    return different, len(changes) - len(different)


def _costs(first: FleetModel, second: FleetModel) -> tuple[Change, ...]:
    spent = [{**model.costs, "epochs": model.epochs, "train_seconds": model.train_seconds} for model in (first, second)]
    return tuple(
        Change(name=name, first=spent[0].get(name), second=spent[1].get(name))
        for name in (*COSTS, "epochs", "train_seconds")
        if name in spent[0] or name in spent[1]
    )


def _pair_json(pair: LayerPair) -> dict[str, Any]:
    return {
        "kind": pair.kind,
        "first": None if pair.first is None else dict(pair.first),
        "second": None if pair.second is None else dict(pair.second),
        "changes": [asdict(item) for item in pair.changes],
    }
