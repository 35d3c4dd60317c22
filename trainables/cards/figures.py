"""The figures of a split in a card: each class, confusions, calibration, errors of numbers."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainables.cards.blocks import Block, Curve, Heading, Paragraph, grid
from trainables.cards.mistakes import mistake_blocks
from trainables.scores.tallies import largest_confusions

#: The largest confusion matrix that a card shows whole, and the confusions that it names of a larger one.
LARGEST_MATRIX, MOST_CONFUSIONS = 20, 20
#: Classes whose figures a card shows.
_MOST_CLASSES = 200


def score_blocks(scores: Mapping[str, Any], *, folder: Path | None = None) -> Iterator[Block]:
    """Yields the figures of each target on the test split.

    Args:
        scores: By target, as tallies have them.
        folder: The export, which has the pictures of the worst mistakes; None: they are not shown.
    """
    for name, found in scores.items():
        yield Heading(text=f"Test figures of {name}")
        yield from _numbers(found) if found["kind"] == "regression" else _classes(found)
        yield from mistake_blocks(name, found, folder=folder)


def brief_figures(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Returns of the figures what a manifest keeps: confusions and the worst mistakes of each target.

    A confusion matrix is kept whole up to `LARGEST_MATRIX` classes; of a larger one the commonest confusions are.

    Args:
        scores: By target, as tallies have them.
    """
    kept: dict[str, Any] = {}
    for name, found in scores.items():
        brief = {key: found[key] for key in ("kind", "unit", "mistakes") if key in found}
        if "confusion" in found:
            names = [item["name"] for item in found["classes"]]
            if len(names) <= LARGEST_MATRIX:
                brief |= {"class_names": names, "confusion": found["confusion"]}
            brief["confusions"] = [list(pair) for pair in largest_confusions(found, most=MOST_CONFUSIONS)]
        kept[name] = brief
    return kept


def _numbers(found: Mapping[str, Any]) -> Iterator[Block]:
    if not found["values"]:
        return
    names = list(found["values"][0])
    rows = [(number, *value.values()) for number, value in enumerate(found["values"])]
    yield grid(("value", *(name.replace("_", " ") for name in names)), rows, numeric=range(1 + len(names)))
    yield Paragraph(text="The mean error is prediction less label: above 0, the model predicts too much.")


def _classes(found: Mapping[str, Any]) -> Iterator[Block]:
    shown = found["classes"][:_MOST_CLASSES]
    rows = [
        (item["name"], item["total"], _share(item["recall"]), _share(item["precision"]), item["f1"]) for item in shown
    ]
    yield grid(("class", found["unit"], "recall", "precision", "f1"), rows, numeric=(1, 4))
    if left := len(found["classes"]) - len(shown):
        yield Paragraph(text=f"And {left:,} classes more.")
    if "confusion" in found:
        yield from _confusion(found)
    yield from _calibration(found)


def _share(share: Mapping[str, Any]) -> str | None:
    value, interval = share["value"], share.get("interval")
    if value is None:
        return None
    return f"{value:.4g}" + (f" ({interval[0]:.2f}-{interval[1]:.2f})" if interval else "")


def _confusion(found: Mapping[str, Any]) -> Iterator[Block]:
    names = [item["name"] for item in found["classes"]]
    if len(names) <= LARGEST_MATRIX:
        rows = [(name, *row) for name, row in zip(names, found["confusion"], strict=True)]
        yield Paragraph(text="Confusion matrix: rows are the labels, columns the predictions.")
        yield grid(("", *names), rows, numeric=range(1, 1 + len(names)))
        return
    pairs = largest_confusions(found, most=MOST_CONFUSIONS)
    yield Paragraph(text=f"The {len(pairs)} commonest confusions; a mistake that is not named is rarer.")
    yield grid(("is", "taken for", found["unit"]), pairs, numeric=(2,))


def _calibration(found: Mapping[str, Any]) -> Iterator[Block]:
    calibration = found["calibration"]
    bins = calibration["bins"]
    what = (
        "a flag's probability, all flags together"
        if found["kind"] == "multilabel"
        else f"the most probable class of {'a pixel' if found['kind'] == 'mask' else 'an image'}"
    )
    yield Paragraph(
        text=f"Calibration, of {what}: expected calibration error {calibration['expected_error']:.4f} over ten ranges "
        "of one width. Where the stated probability is above the share that is right, the model is too sure of itself."
    )
    yield Curve(points=tuple((item["stated"], item["right"], item["answers"]) for item in bins))
    rows = [(f"{item['from']:g}-{item['to']:g}", item["answers"], item["stated"], item["right"]) for item in bins]
    yield grid(("probability", "answers", "mean stated", "share right"), rows, numeric=(1, 2, 3))
