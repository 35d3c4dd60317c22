"""Checks the names of targets and image inputs, and lists the label columns that sources bring."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from search_spaces import nearest
from trainables.specs.targets import TargetSpec, metric_name, name_problem

#: The label columns of sources that bring their own; a study on digits may use any of the three.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "digits": ("label", "ink", "quadrants"),
    "keras": ("label",),
    "images": ("folder",),
}
_INPUT_NAME = re.compile(r"[a-z][a-z0-9_]*")
#: Keras's own names of layers; the names of a model's layers must differ.
_LAYER_NAME = re.compile(
    r"(activation|add|average_pooling2d|batch_normalization|concatenate|conv2d|dense|dropout|"
    r"global_average_pooling2d|max_pooling2d|scale)(_\d+)?"
)


def target_problems(targets: Mapping[str, TargetSpec], *, source: str) -> list[str]:
    """Returns a problem for each target with a name that is not allowed, or without labels in the source."""
    problems = [f"targets: {problem}" for name in targets if (problem := name_problem(name))]
    problems += _doubled_metrics(targets)
    if source == "digits":
        problems += [_no_column(name, target) for name, target in targets.items() if not _is_of_digits(name, target)]
    elif source in COLUMNS and targets:
        problems += _lone_column(targets, source=source)
    return problems


def input_problems(inputs: Sequence[str], *, targets: Mapping[str, TargetSpec]) -> list[str]:
    """Returns a problem for each image input with a name that is not allowed."""
    if not inputs:
        return []
    if len(inputs) == 1 or len(set(inputs)) != len(inputs):
        return [
            f"inputs: expected two or more different names, got {list(inputs)}; leave inputs out where an example has "
            "one image (image_column names its Parquet column)"
        ]
    problems = []
    for name in inputs:
        if not _INPUT_NAME.fullmatch(name) or _LAYER_NAME.fullmatch(name):
            problems.append(
                f"inputs: expected names of small letters, digits and '_' that no layer of Keras has, got {name!r}; "
                "rename the column or array"
            )
        elif name in {column for target, spec in targets.items() for column in (target, spec.column)}:
            problems.append(f"inputs: {name!r} is a target, too; images and labels lie in columns of their own")
    return problems


def _doubled_metrics(targets: Mapping[str, TargetSpec]) -> list[str]:
    """Returns a problem for each metric that two targets would report by one name, as x and x_top_2 may."""
    reported: dict[str, str] = {}
    problems = []
    for target, spec in targets.items():
        for metric in (*spec.metric_names, "loss"):
            name = metric_name(target, metric, num_targets=len(targets))
            if name in reported:
                problems.append(
                    f"targets: {reported[name]} and {target} would both report {name!r}; rename one of them (column: "
                    "says where its labels are)"
                )
            reported[name] = target
    return problems


def _lone_column(targets: Mapping[str, TargetSpec], *, source: str) -> list[str]:
    """Returns the problem of targets that a source with one class or one mask an image does not have."""
    (column,) = COLUMNS[source]
    has_masks = source == "images" and any(target.kind == "mask" for target in targets.values())
    kind, columns = ("mask", (None,)) if has_masks else ("classification", (None, column))
    strange = [name for name, target in targets.items() if target.kind != kind or target.column not in columns]
    if not strange and len(targets) == 1:
        return []
    got = ", ".join(f"{name} ({_described(target)})" for name, target in targets.items())
    what = "one mask an image, without a column" if has_masks else f"one class an image, its column {column!r}"
    others = "csv, npz, parquet or python" if has_masks else "npz, parquet or python"
    return [f"targets: source {source!r} has {what}, got {got}; keep one target of kind {kind}, or use source {others}"]


def _is_of_digits(name: str, target: TargetSpec) -> bool:
    return (target.column or name) in COLUMNS["digits"]


def _no_column(name: str, target: TargetSpec) -> str:
    column, known = target.column or name, COLUMNS["digits"]
    hint = nearest(column, known) or f"; write targets: {{{name}: {{column: {known[0]}}}}}, or another of them"
    return f"targets: {name}: source 'digits' has the label columns {', '.join(known)}, got {column!r}{hint}"


def _described(target: TargetSpec) -> str:
    return target.kind if target.column is None else f"{target.kind}, column {target.column!r}"
