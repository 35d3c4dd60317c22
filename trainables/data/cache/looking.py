"""Keeps what the pass that decodes a data set sees of it, and looks at its splits without decoding anew."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.cache.array_folder import load_array, write_array
from trainables.data.cache.encoded import EncodedRows
from trainables.data.cache.statistics import pixel_moments
from trainables.data.images.images import Array, Images, NamedImages
from trainables.data.look.digests import blank_pictures, grey_pictures, pixel_digests
from trainables.data.look.facts import COMPARED_KINDS, Pictures, facts_of
from trainables.data.look.names import shown_name
from trainables.data.look.sheet import chosen_rows, draw_sheet
from trainables.data.sources.base import SplitName

#: The copies whose names are kept, about, of at most so many pictures.
_NAMED_COPIES, _NAMED_PICTURES = 200, 50


class Pass:
    """What one pass over the decoded images of a split sees.

    Args:
        channels: Channels of one image.
    """

    def __init__(self, *, channels: int) -> None:
        self._channels = channels
        self._moments: list[Array] = []
        self._digests: list[Array] = []
        self._grey: list[Array] = []
        #: The smallest and the largest pixel so far.
        self.lowest, self.highest = 255, 0

    @property
    def digests(self) -> Array:
        """The hash of each picture so far."""
        return np.concatenate([np.zeros(0, np.uint64), *self._digests])

    def see(self, images: Array) -> None:
        """Notes decoded images, uint8 (count, height, width, channels)."""
        moments = pixel_moments(images)
        self._moments.append(moments)
        self._digests.append(pixel_digests(images))
        self._grey.append(grey_pictures(images, moments, channels=self._channels))
        self.lowest = min(self.lowest, int(images.min(initial=255)))
        self.highest = max(self.highest, int(images.max(initial=0)))

    def write(self, folder: Path, name: str, *, shape: tuple[int, int]) -> dict[str, Any]:
        """Writes what was seen beside the split's images, and returns the records of the arrays.

        Args:
            folder: The cache entry.
            name: The split's name.
            shape: The number of images, and of their stored channels.
        """
        parts = {
            "moments": (self._moments, np.int64, (*shape, 2)),
            "digests": (self._digests, np.uint64, shape[:1]),
            "grey": (self._grey, np.bool_, shape[:1]),
        }
        return {
            f"{name}_{part}": write_array(folder / f"{name}_{part}.npy", batches=batches, dtype=dtype, shape=size)
            for part, (batches, dtype, size) in parts.items()
        }


def seen_of(passes: Mapping[SplitName, Pass], *, images: Mapping[SplitName, Images]) -> dict[str, Any]:
    """Returns for each split of a source the values of its pixels, and the names of some of its equal pictures."""
    digests = np.concatenate([passed.digests for passed in passes.values()])
    named = _some_copies(digests)
    seen: dict[str, Any] = {}
    first = 0
    for split, passed in passes.items():
        rows = (named[(named >= first) & (named < first + len(images[split]))] - first).tolist()
        seen[split] = {
            "values": [passed.lowest, passed.highest],
            "names": dict(zip(map(str, rows), _names(images[split], rows), strict=True)),
        }
        first += len(images[split])
    return seen


def look_at_splits(
    entry: Path, manifest: Mapping[str, Any], *, rows: Mapping[str, Array], rows_of: Mapping[str, str]
) -> tuple[dict[str, Any], bytes]:
    """Returns the facts about the splits of a cache entry, and the contact sheet of its training images, a PNG.

    Args:
        entry: The folder of the cache entry.
        manifest: Its manifest.
        rows: By split, its rows of the stored images.
        rows_of: By split, the split of the source that stores them.
    """
    targets, channels = manifest["targets"], manifest["input_shape"][2]
    compared = [target["name"] for target in targets if target["kind"] in COMPARED_KINDS]
    num_pixels = manifest["input_shape"][0] * manifest["input_shape"][1]

    @functools.cache
    def stored(name: str) -> Array:
        return np.asarray(load_array(entry, name, manifest=manifest))

    def pictures(split: str) -> Pictures:
        source, chosen = rows_of[split], rows[split]
        moments = stored(f"{source}_moments")[chosen]
        names = manifest["seen"][source]["names"]
        return Pictures(
            digests=stored(f"{source}_digests")[chosen],
            is_blank=blank_pictures(moments, num_pixels=num_pixels),
            is_grey=stored(f"{source}_grey")[chosen],
            labels={name: stored(f"{source}_labels_{name}")[chosen] for name in compared},
            name=lambda row: names.get(str(chosen[row]), f"{source} image {chosen[row]}"),
        )

    facts = facts_of({split: pictures(split) for split in rows}, targets=targets)
    facts["values"] = manifest["seen"][rows_of["train"]]["values"]
    facts["own_values"] = {
        split: manifest["seen"][split]["values"] for split, source in rows_of.items() if split == source != "train"
    }
    facts["channels"] = channels
    facts["carved"] = [split for split, source in rows_of.items() if source != split]
    source = rows_of["train"]
    labels = {name: stored(f"{source}_labels_{name}") for name in compared}
    drawn = chosen_rows(rows["train"], targets=targets, labels=labels)
    images: Array | EncodedRows
    if manifest["storage"] == "decoded":
        images = load_array(entry, f"{source}_images", manifest=manifest)
    else:
        images = EncodedRows(entry, source, manifest=manifest)
    sheet = draw_sheet(drawn, fetch=images.__getitem__, num_inputs=len(manifest["inputs"]))
    return {**facts, "sheet": [name for name, _ in drawn]}, sheet


def _some_copies(digests: Array) -> Array:
    """Returns, ascending, the rows of some pictures that come more than once, in the order of their first copies."""
    _, firsts, group_of, sizes = np.unique(digests, return_index=True, return_inverse=True, return_counts=True)
    groups = np.flatnonzero(sizes > 1)
    chosen = groups[np.argsort(firsts[groups])][:_NAMED_PICTURES]
    most = _NAMED_COPIES // max(1, len(chosen))
    copies = [np.flatnonzero(group_of == group)[:most] for group in chosen]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *copies]))


def _names(images: Images, rows: Sequence[int]) -> list[str]:
    if not isinstance(images, NamedImages):
        return [f"image {row}" for row in rows]
    return [shown_name(name) for name in images.names(rows)]
