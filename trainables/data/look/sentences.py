"""Says in a line each what is remarkable about a data set, and refuses one on which no result would mean anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trainables.data.look.weights import weight_sentence
from trainables.errors import DataError
from trainables.specs.data import DataSpec

#: A data set that uses fewer neighbouring values of 256 than this is as good as one grey.
FEW_VALUES = 26
#: A split whose pixels span so many times fewer or more values than those of training is scaled otherwise.
OTHER_RANGE = 4
#: A validation or test split of which this share are training images measures memory.
WORTHLESS_SHARE = 0.5
#: The largest class may be this many times the smallest without a word.
IMBALANCE = 10
_WORDS = {"train": "training", "validation": "validation", "test": "test"}


def refuse_worthless(facts: Mapping[str, Any], *, spec: DataSpec) -> None:
    """Raises DataError if training images are all blank and equal, or half of a split of the source's are among them.

    Copies that were drawn into several splits are said, not refused: the user gave no wrong file.

    Args:
        facts: From `facts_of`, with the `carved` splits.
        spec: The data section; its `allow_overlap` lets everything pass.

    Raises:
        DataError: With the way out, and the key that insists.
    """
    if spec.allow_overlap:
        return
    insist = "data.allow_overlap: true trains on them all the same"
    num_train = facts["images"]["train"]
    if facts["has_one_picture"] and facts["blank"]["train"] == num_train:
        raise DataError(
            f"data: all {num_train:,} training images are blank and equal: no model can tell them apart; open some of "
            "the files: what they show may lie in an alpha channel, on later pages, or in values close to each other; "
            f"{insist}"
        )
    for pair in facts["shared"]:
        split, size = pair["split"], facts["images"][pair["split"]]
        is_own = pair["in"] == "train" and split not in facts["carved"]
        if is_own and pair["images"] >= WORTHLESS_SHARE * size > 0:
            raise DataError(
                f"data: {pair['images']:,} of {size:,} {_WORDS[split]} images are training images as well"
                f"{_examples(pair)}, so {split} metrics would show what the model has by heart; remove the copies, or "
                f"give {split} images that are not in training; {insist}"
            )


def sentences(facts: Mapping[str, Any], *, spec: DataSpec) -> list[str]:
    """Returns a sentence for each remarkable fact.

    Args:
        facts: From `facts_of`, with the `values`, `own_values`, `channels` and `carved` of the cache entry.
        spec: The data section.
    """
    weights = facts.get("sample_weights")
    said = [weight_sentence(weights, column=spec.sample_weight or "")] if weights else []
    return [*_of_pixels(facts, spec=spec), *_of_copies(facts), *_of_labels(facts), *said]


def _of_pixels(facts: Mapping[str, Any], *, spec: DataSpec) -> Iterator[str]:
    low, high = facts["values"]
    total = sum(facts["images"].values())
    blank, grey = sum(facts["blank"].values()), sum(facts["grey"].values())
    if facts["has_one_picture"]:
        number = facts["images"]["train"]
        yield f"all {number:,} training images are equal, pixel by pixel: no model can tell them apart"
    elif high - low < FEW_VALUES:
        yield (
            f"training pixels are {low} to {high} of 0 to 255, so differences are hardly seen: data.pixel_range: [low, "
            "high] names the values that become black and white"
        )
    for split, (lowest, highest) in facts["own_values"].items():
        narrow, wide = sorted((highest - lowest, high - low))
        if narrow * OTHER_RANGE <= wide:
            yield (
                f"{_WORDS[split]} pixels are {lowest} to {highest}, training pixels {low} to {high}: were both scaled "
                "alike?"
            )
    if blank:
        yield f"{_count(blank, total)} {_are(blank)} blank: every pixel is the same{_by_split(facts['blank'])}"
    if facts["channels"] == 3 and spec.channels is None and grey:
        if grey == total - blank:
            yield "all images are grey but come in three channels: data.channels: 1 keeps one"
        else:
            yield f"grey and colour are mixed: {_count(grey, total)} {_are(grey)} grey; all are kept in colour"


def _of_copies(facts: Mapping[str, Any]) -> Iterator[str]:
    for pair in facts["shared"]:
        if number := pair["images"]:
            size, split, source = facts["images"][pair["split"]], _WORDS[pair["split"]], _WORDS[pair["in"]]
            yield (
                f"{number:,} of {size:,} {split} images are {source} images as well{_examples(pair)}: metrics of that "
                "split look better than they are"
            )
    for split, number in facts["repeated"].items():
        if number:
            yield f"{number:,} of {facts['images'][split]:,} {_WORDS[split]} images repeat another one of that split"
    wrong = facts["contradicting"]
    if number := wrong["pictures"]:
        copies = "picture comes" if number == 1 else "pictures come"
        yield f"{number:,} {copies} more than once with different labels{_examples(wrong)}"


def _of_labels(facts: Mapping[str, Any]) -> Iterator[str]:
    for target in facts["targets"]:
        is_lone = len(facts["targets"]) == 1
        about = "" if is_lone else f"target {target['name']!r}: "
        for split, missing in target["missing"].items():
            if number := missing["number"]:
                names = [*map(repr, missing["examples"]), *(["..."] if number > len(missing["examples"]) else [])]
                lacks = "has" if number == 1 else "have"
                noun = "classes" if target["kind"] == "classification" else "flags"
                yield (
                    f"{about}{number:,} of {target['size']:,} {noun} {lacks} no {_WORDS[split]} image: "
                    f"{', '.join(names)}"
                )
        if target["kind"] == "classification":
            (large, most), (small, fewest) = target["largest"], target["smallest"]
            if most >= IMBALANCE * fewest:
                yield (
                    f"{about}classes are of unequal sizes: {most:,} training images of {large!r}, {fewest:,} of "
                    f"{small!r}; accuracy says little of rare classes: class_weights: balanced, or another metric"
                )


def _count(number: int, total: int) -> str:
    return f"all {total:,} images" if number == total else f"{number:,} of {total:,} images"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _by_split(counts: Mapping[str, int]) -> str:
    return f" ({', '.join(f'{number:,} {_WORDS[split]}' for split, number in counts.items() if number)})"


def _examples(fact: Mapping[str, Any]) -> str:
    pairs = [f"{first} is {second}" for first, second in fact["examples"]]
    return f" ({'; '.join(pairs)})" if pairs else ""
