"""Answers and scores as lines of a terminal; names of files and classes are printed as text."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.results.image_shares import interval_in_words
from orchestrator.text import number, printable

#: Classes and confusions that a terminal shows; `--json` has all.
MOST_CLASSES, MOST_CONFUSIONS = 30, 10
#: The largest confusion matrix that a terminal shows whole.
_LARGEST_MATRIX = 12


def answer_lines(found: Mapping[str, Any]) -> list[str]:
    """Returns one line an image, its columns below each other.

    >>> answer = {"path": "a.png", "class": "cat", "probability": 0.75, "top": [{"class": "cat", "probability": 0.75}]}
    >>> answer_lines({"targets": {"label": "classification"}, "predictions": [answer]})
    ['image  label  probability', 'a.png  cat    0.75']

    Args:
        found: As `predict_images` returns it.
    """
    targets: Mapping[str, str] = found["targets"]
    rows = [_row(answer, targets) for answer in found["predictions"]]
    if not rows:
        return []
    headings = [column for name, kind in targets.items() for column in _headings(name, kind)]
    return table_lines(["image", *headings], rows)


def table_lines(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns a table as lines, the columns parted by two spaces.

    >>> table_lines(["a", "b"], [["1", "22"], ["333", "4"]])
    ['a    b', '1    22', '333  4']
    """
    listed = [list(map(printable, row)) for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in listed]


def score_lines(found: Mapping[str, Any]) -> list[str]:
    """Returns metrics, figures of classes, confusions and what is known of training images, as lines.

    Args:
        found: As `evaluate_export` returns it.
    """
    data = found["data"]
    lines = [f"{data['images']:,} images of {printable(data['where'])}, by {found['format']}"]
    lines += [
        f"  {name} {_with_interval(value, found['intervals'].get(name))}" for name, value in found["metrics"].items()
    ]
    lines += [f"  not computed: {printable(sentence)}" for sentence in found["left_out"]]
    for name, scores in found["targets"].items():
        lines += ["", f"{name}:", *_target_lines(scores)]
    return [*lines, "", _training_line(found["training_images"], count=data["images"])]


def _target_lines(scores: Mapping[str, Any]) -> list[str]:
    if scores["kind"] == "regression":
        names = list(scores["values"][0]) if scores["values"] else []
        rows = [[str(at), *(number(value[name]) for name in names)] for at, value in enumerate(scores["values"])]
        return table_lines(["value", *(name.replace("_", " ") for name in names)], rows)
    classes = scores["classes"][:MOST_CLASSES]
    rows = [
        [
            item["name"],
            f"{item['total']:,}",
            _with_interval(item["recall"]["value"], item["recall"].get("interval")),
            _with_interval(item["precision"]["value"], item["precision"].get("interval")),
            number(item["f1"]),
        ]
        for item in classes
    ]
    left = len(scores["classes"]) - len(classes)
    lines = table_lines(["class", scores["unit"], "recall", "precision", "f1"], rows)
    lines += [f"... and {left} more; --json has all"] if left else []
    error = scores["calibration"]["expected_error"]
    return [*lines, f"expected calibration error {error:.3f}", *_confusion_lines(scores)]


def _confusion_lines(scores: Mapping[str, Any]) -> list[str]:
    if "confusion" not in scores:
        return []
    names = [item["name"] for item in scores["classes"]]
    if len(names) <= _LARGEST_MATRIX:
        rows = [[name, *map(str, row)] for name, row in zip(names, scores["confusion"], strict=True)]
        return ["", *table_lines(["is \\ taken for", *names], rows)]
    # Late: NumPy, which `--help` does without.
    from trainables.scores.tallies import largest_confusions

    found = largest_confusions(scores, most=MOST_CONFUSIONS)
    rows = [[truth, answer, f"{count:,}"] for truth, answer, count in found]
    return ["", *table_lines(["is", "taken for", scores["unit"]], rows)] if rows else []


def _training_line(known: Mapping[str, Any], *, count: int) -> str:
    if not known["compared"]:
        return f"not compared with the training images: {printable(known['reason'])}"
    if not known["shared"]:
        return "none of these images is among those that the model was trained or validated on, pixel by pixel"
    examples = ", ".join(map(printable, known["examples"]))
    return (
        f"{known['shared']:,} of {count:,} images are among those that the model was trained or validated on "
        f"({examples}): these figures say too much"
    )


def _with_interval(value: float | None, interval: Sequence[float] | None) -> str:
    if value is None:
        return "-"
    return number(value) + (f" ({interval_in_words((interval[0], interval[1]))})" if interval else "")


def _headings(name: str, kind: str) -> list[str]:
    return {"classification": [name, "probability"], "mask": [f"{name}: shares of pixels"]}.get(kind, [name])


def _row(answer: Mapping[str, Any], targets: Mapping[str, str]) -> list[str]:
    several = answer.get("targets")
    cells = [cell for name, kind in targets.items() for cell in _cells(several[name] if several else answer, kind=kind)]
    return [answer["path"], *cells]


def _cells(answer: Mapping[str, Any], *, kind: str) -> list[str]:
    match kind:
        case "classification":
            others = [f"{item['class']} {number(item['probability'])}" for item in answer["top"][1:]]
            return [answer["class"], ", ".join([number(answer["probability"]), *others])]
        case "multilabel":
            return [", ".join(answer["flags"]) or "none"]
        case "regression":
            return [", ".join(map(number, answer["values"]))]
        case _:
            return [", ".join(f"{item['class']} {item['share']:.1%}" for item in answer["pixels"])]
