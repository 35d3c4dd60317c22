"""What a card warns of; each sentence follows from a number."""

from collections.abc import Iterator, Mapping
from typing import Any

#: A class with fewer test images has figures that say little.
FEW_IMAGES = 30
_MOST_NAMES = 10


def limits_of(manifest: Mapping[str, Any], *, scores: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[str]:
    """Yields the limits of a model, as sentences.

    Args:
        manifest: The export's.
        scores: By target, the figures of the test split.
        found: What the study says of the trial.
    """
    yield (
        "All figures are of images from the study's own source. Nothing is known of other cameras, places or times: "
        "convfleet evaluate measures the model on labelled images of yours."
    )
    yield from found.get("notes", ())
    for name, target in scores.items():
        few = [item["name"] for item in target.get("classes", ()) if item["total"] < FEW_IMAGES]
        if few and target["unit"] == "images":
            listed = ", ".join(few[:_MOST_NAMES]) + (", ..." if len(few) > _MOST_NAMES else "")
            yield (
                f"{name}: {len(few)} of {len(target['classes'])} classes have fewer than {FEW_IMAGES} test images, so "
                f"that their figures say little: {listed}"
            )
        if target["kind"] in ("classification", "mask"):
            yield f"{name}: the model answers with one of its classes also for what shows none of them"
    for shared in found.get("data", {}).get("shared", ()):
        yield f"{shared['images']:,} {shared['split']} images are among the {shared['in']} images, pixel by pixel"
    for form, problem in manifest.get("formats_left_out", {}).items():
        yield f"The format {form} was left out: {problem}"
    for form, runtime in manifest.get("runtimes", {}).items():
        if words := runtime.get("worst_layer", {}).get("words"):
            yield f"The format {form} loses more than the study accepts: {words}"
    if any("float32_difference" in runtime for runtime in manifest.get("runtimes", {}).values()):
        yield "The model was trained in mixed precision; files of other runtimes were made of its float32 twin"
