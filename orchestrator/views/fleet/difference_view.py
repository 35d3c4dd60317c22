"""What differs between two trials, printed for people."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from orchestrator.fleet.curve_pairs import CurvePair
from orchestrator.fleet.difference import Difference
from orchestrator.fleet.layer_changes import Change, LayerPair
from orchestrator.fleet.mistakes import Mistakes
from orchestrator.text import duration, number, one_line
from orchestrator.views.fleet.models_view import make_table, shape_in_words
from orchestrator.views.terminal.facts import print_fact

#: So many epochs of a curve are printed; --json has all.
_MOST_EPOCHS = 10
_MARKS = {"removed": ("-", "red"), "added": ("+", "green"), "changed": ("~", "yellow")}


def print_difference(console: Console, found: Difference) -> None:
    """Prints what differs between two trials.

    Args:
        found: All of it.
    """
    names = _names(found)
    console.print(Text.assemble((names[0], "bold"), " and ", (names[1], "bold")))
    for name, model in zip(names, (found.first, found.second), strict=True):
        reason = f": {one_line(model.reason)}" if model.reason else ""
        print_fact(console, "trial", f"{name} {model.state} after {model.epochs} epochs{reason}")
    _print_changes(console, found.params, heading="hyperparameter", names=names)
    print_fact(console, "params", f"{len(found.params)} differ, {found.num_equal_params} are equal")
    _print_layers(console, found, names=names)
    _print_curves(console, found.curves, names=names)
    _print_changes(console, found.costs, heading="cost", names=names)
    console.print()
    if found.mistakes_problem:
        print_fact(console, "wrong", f"not compared: {one_line(found.mistakes_problem)}", style="yellow")
    for item in found.mistakes:
        for sentence in mistakes_in_words(item, split=found.split, names=names):
            print_fact(console, "wrong", sentence)


def mistakes_in_words(found: Mistakes, *, split: str, names: tuple[str, str]) -> list[str]:
    """Returns the mistakes of two models as sentences.

    Args:
        found: Of one target.
        split: Whose images were answered.
        names: Of both trials.
    """
    one, other, count = *names, found.num_images
    sure = f"p = {found.p_value:.2g}" if found.p_value >= 1e-4 else "p < 0.0001"
    if found.interval is None or found.both_wrong is None:
        means = f"{number(found.first_mean)} and {number(found.second_mean)}"
        what = "mean absolute error" if found.kind == "regression" else "share of wrong pixels"
        sentences = [
            f"{found.target}: {what} on {count:,} {split} images {means}; {one} is better on "
            f"{found.first_better:,}, {other} on {found.second_better:,}"
        ]
        test = "the sign test"
    else:
        low, high = found.interval
        sentences = [
            f"{found.target}: of {count:,} {split} images both are wrong on {_share(found.both_wrong, count)}, "
            f"{one} alone on {_share(found.second_better, count)}, "
            f"{other} alone on {_share(found.first_better, count)}",
            f"{found.target}: {other} is right on {abs(found.difference):.1%} of the images "
            f"{'more' if found.difference >= 0 else 'less'} (95 %: {low:+.1%} to {high:+.1%})",
        ]
        test = "McNemar's exact test"
    verdict = "more than chance allows" if found.is_clear else "chance alone may make such a difference"
    return [*sentences, f"{found.target}: {verdict} ({test}, {sure})"]


def _names(found: Difference) -> tuple[str, str]:
    models = found.first, found.second
    roots = [model.run.folder.root for model in models]
    if roots[0] == roots[1]:
        return found.first.name, found.second.name
    first, second = (f"{root}:{model.name}" for root, model in zip(roots, models, strict=True))
    return first, second


def _share(part: int, count: int) -> str:
    return f"{part:,} ({part / max(1, count):.1%})"


def _print_changes(console: Console, changes: Sequence[Change], *, heading: str, names: tuple[str, str]) -> None:
    console.print()
    if not changes:
        return
    table = make_table([heading], numbers=names)
    for item in changes:
        table.add_row(Text(item.name), *(_value(item.name, value) for value in (item.first, item.second)))
    console.print(table)


def _value(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name == "train_seconds":
        return duration(value)
    return f"{int(value):,}" if name in ("parameters", "multiply_adds") else number(value)


def _print_layers(console: Console, found: Difference, *, names: tuple[str, str]) -> None:
    if found.layers_problem:
        print_fact(console, "layers", f"not compared: {one_line(found.layers_problem)}", style="yellow")
    if not found.layers:
        return
    table = make_table(["", "layer"], numbers=names)
    table.add_column("what", ratio=1)
    others = [pair for pair in found.layers if pair.kind != "same"]
    for pair in others:
        mark, style = _MARKS[pair.kind]
        row = pair.first or pair.second or {}
        shapes = ["-" if side is None else shape_in_words(side["output"]) for side in (pair.first, pair.second)]
        table.add_row(Text(mark, style=style), Text(str(row["class"]), style=style), *shapes, _what(pair))
    console.print()
    if others:
        console.print(table)
    counts = [f"{sum(pair.kind == kind for pair in found.layers)} {kind}" for kind in ("same", *_MARKS)]
    print_fact(console, "layers", ", ".join(counts))


def _what(pair: LayerPair) -> str:
    if pair.kind != "changed":
        return ", ".join((pair.first or pair.second or {})["weights"])
    parts = []
    for item in pair.changes:
        if item.name == "output":
            continue  # it has a column of its own
        if any(str(value).startswith("sha256 ") for value in (item.first, item.second)):
            parts.append(f"{item.name} differs")
        else:
            parts.append(f"{item.name} {_setting(item.first)} -> {_setting(item.second)}")
    return "; ".join(parts)


def _setting(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ", ".join(part.removesuffix(" float32") for part in value) or "none"
    return number(value) or "none"


def _print_curves(console: Console, curves: Sequence[CurvePair], *, names: tuple[str, str]) -> None:
    for pair in curves:
        if not pair.metric.startswith("val_") or not pair.epochs:
            continue
        console.print()
        table = make_table(["epoch"], numbers=[f"{pair.metric} {name}" for name in names])
        places = _spread(len(pair.epochs))
        for at in places:
            table.add_row(str(pair.epochs[at]), number(pair.first[at]), number(pair.second[at]))
        console.print(table)
        print_fact(console, "curves", curve_in_words(pair, names=names))


def curve_in_words(pair: CurvePair, *, names: tuple[str, str]) -> str:
    """Returns how two curves go beside each other.

    Args:
        pair: With one epoch at least.
        names: Of both trials.
    """
    ahead = dict(zip(("first", "second"), names, strict=True))
    first, second = pair.num_ahead
    counts = f"{names[0]} is ahead at {first} and {names[1]} at {second} of {len(pair.epochs)} common epochs"
    crossed = [f"at epoch {item.epoch} {ahead[item.ahead]} takes the lead" for item in pair.crossings]
    some = crossed[:3] + ([f"and {len(crossed) - 3} crossings more"] if len(crossed) > 3 else [])
    return f"{pair.metric}: {counts}; {', '.join(some) or 'they never cross'}"


def _spread(count: int) -> list[int]:
    """Returns places of a curve, the first and the last among them, no more than are printed."""
    if count <= _MOST_EPOCHS:
        return list(range(count))
    return list(dict.fromkeys(round(at * (count - 1) / (_MOST_EPOCHS - 1)) for at in range(_MOST_EPOCHS)))
