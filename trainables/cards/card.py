"""Puts a card together from the manifest, the figures of the test split and what the study says of the trial."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainables.cards.blocks import Block, Bullets, Code, Heading, Paragraph, grid
from trainables.cards.figures import score_blocks
from trainables.cards.limits import limits_of
from trainables.cards.loading_code import loading_code
from trainables.cards.markdown import card_markdown
from trainables.cards.page import card_html
from trainables.scores.interval import wilson_interval
from trainables.specs.export import FILES
from trainables.specs.task import Task

MARKDOWN_FILE, HTML_FILE = "model_card.md", "model_card.html"
_NONE: Mapping[str, Any] = {}
#: How far a share may be from a whole number of images: metrics are float32.
_ROUNDING = 0.01


def write_card(
    folder: Path, manifest: Mapping[str, Any], *, task: Task, scores: Mapping[str, Any], found: Mapping[str, Any]
) -> None:
    """Writes the card of an export into its folder.

    Args:
        folder: The export, its formats written.
        manifest: What its manifest says, the hashes of files left out.
        task: The model's.
        scores: By target, the figures of the test split; empty: none were made.
        found: What the study says of the trial, as `ExportRequest.found` has it.
    """
    blocks = list(_blocks(folder, manifest, task=task, scores=scores, found=found))
    (folder / MARKDOWN_FILE).write_text(card_markdown(blocks), encoding="utf-8")
    title = f"Model card: {manifest['study']}, trial {manifest['trial']}"
    (folder / HTML_FILE).write_text(card_html(blocks, title=title), encoding="utf-8")


def _blocks(
    folder: Path, manifest: Mapping[str, Any], *, task: Task, scores: Mapping[str, Any], found: Mapping[str, Any]
) -> Iterator[Block]:
    height, width, channels = task.input_shape
    colour = "grey" if channels == 1 else "RGB"
    yield Heading(text=f"Model card: {manifest['study']}, trial {manifest['trial']}", level=1)
    targets = "; ".join(f"{target.name} ({target.kind}{_classes(target.class_names)})" for target in task.targets)
    yield Paragraph(
        text=f"{_kind(manifest)} with {manifest['num_parameters']:,} parameters. It takes {colour} images of "
        f"{height}x{width} pixels (height x width) and predicts {targets}. {_rank(manifest)}"
    )
    yield Heading(text="How it was found")
    yield from _origin(manifest, found=found)
    yield Heading(text="Data")
    yield from _data(manifest, found=found)
    yield Heading(text="Metrics")
    yield from _metrics(manifest, task=task)
    yield from score_blocks(scores, folder=folder)
    yield Heading(text="Cost")
    yield from _cost(folder, manifest, found=found)
    yield Heading(text="Limits")
    yield Bullets(items=tuple(limits_of(manifest, scores=scores, found=found)))
    yield Heading(text="Use")
    yield from _use(folder, manifest)


def _kind(manifest: Mapping[str, Any]) -> str:
    if ensemble := manifest.get("ensemble"):
        what = "mean of weights" if ensemble["method"] == "soup" else "mean of outputs"
        return f"An ensemble, the {what} of {len(ensemble['members'])} checkpoints,"
    return f"A convolutional network of the family {manifest['variant']['family']}"


def _rank(manifest: Mapping[str, Any]) -> str:
    if "ensemble" in manifest:
        best = manifest["ensemble"]["best_single"]
        return f"The best single model that it was compared with is {best['trial']}, epoch {best['epoch']}."
    return f"It is number {manifest['rank']} of the study."


def _classes(names: tuple[str, ...]) -> str:
    return f", {len(names)} classes" if names else ""


def _origin(manifest: Mapping[str, Any], *, found: Mapping[str, Any]) -> Iterator[Block]:
    study, trial, variant = found.get("study", _NONE), found.get("trial", _NONE), manifest["variant"]
    rows: list[tuple[str, object]] = [("study", manifest["study"])]
    rows += list(study.items())
    if "ensemble" in manifest:
        yield from _members(rows, manifest["ensemble"])
        return
    rows += [("trial", manifest["trial"]), ("variant", variant["variant_id"]), ("seed of the variant", variant["seed"])]
    rows += [("exported epoch", manifest["epoch"]), *trial.items()]
    yield grid(("", ""), rows)
    yield Paragraph(text="Its parameters; all others have their defaults:")
    yield grid(("parameter", "value"), variant["params"].items())


def _members(rows: list[tuple[str, object]], ensemble: Mapping[str, Any]) -> Iterator[Block]:
    """Yields where an ensemble comes from: it has no trial, epoch or seed of its own."""
    yield grid(("", ""), [*rows, ("method", ensemble["method"])])
    yield Paragraph(text="Its members:")
    found = [
        (item["trial"], item["epoch"], item["weight"], item["variant"]["variant_id"]) for item in ensemble["members"]
    ]
    yield grid(("trial", "epoch", "weight", "variant"), found, numeric=(1, 2))


def _data(manifest: Mapping[str, Any], *, found: Mapping[str, Any]) -> Iterator[Block]:
    data = found.get("data", _NONE)
    rows: list[tuple[str, object]] = list(data.get("facts", _NONE).items())
    rows += [(f"{name} images", count) for name, count in manifest["splits"].items()]
    rows.append(("fingerprint of images, labels and splits", manifest["dataset_fingerprint"]))
    yield grid(("", ""), rows)
    for target in data.get("members", ()):
        members = {split: target["members"][split] for split in manifest["splits"] if split in target["members"]}
        yield Paragraph(text=f"Images of each class of {target['name']}:")
        rows_of = zip(target["class_names"], *members.values(), strict=True)
        yield grid(("class", *members), rows_of, numeric=range(1, 1 + len(members)))


def _metrics(manifest: Mapping[str, Any], *, task: Task) -> Iterator[Block]:
    """Yields the metrics on the validation and the test split; shares of images with Wilson's interval of 95 %."""
    splits, metrics, tested = manifest["splits"], manifest["metrics"], manifest["test_metrics"]
    held = splits["validation"] * manifest.get("repeats", 1)
    rows = [
        (
            name,
            _with_interval(metrics.get(f"val_{name}"), count=held if name in task.image_shares else 0),
            _with_interval(value, count=splits["test"] if name in task.image_shares else 0),
        )
        for name, value in tested.items()
    ]
    yield grid(("metric", "validation", "test"), rows)
    if held > splits["validation"]:
        yield Paragraph(text="Validation metrics are means over several splits; the model is that of the first.")
    yield Paragraph(
        text="The model was chosen by the validation split. The test split was read when it was exported, and chose "
        "nothing. In brackets: Wilson's interval of 95 % of a share of images."
    )


def _with_interval(value: float | None, *, count: int) -> str | None:
    if value is None:
        return None
    # A model of a user's own may report something else by the name of a share.
    if not count or not 0 <= value <= 1 or abs(value * count - round(value * count)) > _ROUNDING:
        return f"{value:.4g}"
    low, high = wilson_interval(value, count=count)
    return f"{value:.4g} ({low:.3f}-{high:.3f})"


def _cost(folder: Path, manifest: Mapping[str, Any], *, found: Mapping[str, Any]) -> Iterator[Block]:
    yield grid(("", ""), [("parameters", manifest["num_parameters"]), *found.get("cost", _NONE).items()])
    rows: list[tuple[object, ...]] = []
    for form, file in FILES.items():
        if (path := folder / file).exists():
            runtime = manifest.get("runtimes", _NONE).get(form)
            by = (
                (f"{runtime['runtime']} {runtime['version']}", _milliseconds(runtime, "1")) if runtime else (None, None)
            )
            rows.append((form, _megabytes(path), *by))
    yield grid(("format", "MB", "runtime", "ms an image"), rows, numeric=(1, 3))


def _megabytes(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def _milliseconds(found: Mapping[str, Any], size: str) -> float:
    return float(1000 * found["latency_seconds"][size]["p50"])


def _use(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Block]:
    yield Paragraph(text="In the folder of the export, with convfleet, which reads an image as the study read its own:")
    yield Code(language="shell", text="convfleet predict . image.png")
    yield Paragraph(text="Without convfleet, an image of 8 bits a sample:")
    for form, file in FILES.items():
        if (folder / file).exists():
            yield Paragraph(text=f"{form}, the file {file}:")
            yield Code(language="python", text=loading_code(manifest, form))
