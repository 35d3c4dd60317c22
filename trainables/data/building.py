"""Fills a cache entry: a source's splits decoded and written once, and who is in which split."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.errors import DataError
from trainables.data.images import Array, Images, Layout, Progress, choose_layout
from trainables.data.labels import checked_labels, class_numbers, known_classes
from trainables.data.sources.base import SPLIT_NAMES, RawDataset, SplitName
from trainables.data.splits import hold_out
from trainables.data.stored import demand_space, load_array, write_array, write_manifest
from trainables.spec import DataSpec

#: Which splits are drawn by chance: those that the source does not bring.
CARVED: tuple[SplitName, ...] = ("test", "validation")


def build_entry(folder: Path, raw: RawDataset, *, key: str, spec: DataSpec, progress: Progress) -> None:
    """Writes all splits of a source into an empty folder, its manifest last."""
    labels, class_names = _class_labels(raw, limit=spec.limit)
    images = {name: raw.splits[name].images for name in SPLIT_NAMES if name in raw.splits}
    progress("looking at image sizes", 0, sum(map(len, images.values())))
    layout = choose_layout(images.values(), image_size=spec.image_size, channels=spec.channels)
    image_bytes = layout.height * layout.width * layout.channels
    demand_space(folder, needed_bytes=image_bytes * sum(map(len, images.values())))
    arrays: dict[str, Any] = {}
    for name, split in images.items():
        arrays[f"{name}_images"] = _write_images(
            folder / f"{name}_images.npy", split, layout=layout, stage=f"decoding {name} images", progress=progress
        )
        arrays[f"{name}_labels"] = write_array(
            folder / f"{name}_labels.npy", batches=[labels[name]], dtype=np.int32, shape=labels[name].shape
        )
    write_manifest(
        folder,
        {
            "key": key,
            "source": spec.source,
            "input_shape": [layout.height, layout.width, layout.channels],
            "class_names": class_names,
            "builder_pid": os.getpid(),
            "arrays": arrays,
        },
    )


def split_settings(manifest: Mapping[str, Any], *, spec: DataSpec, seed: int) -> dict[str, Any]:
    """Returns what decides who is in which split: nothing, where the source brings all splits."""
    carved = [name for name in CARVED if f"{name}_images" not in manifest["arrays"]]
    settings: dict[str, Any] = {f"{name}_fraction": getattr(spec, f"{name}_fraction") for name in carved}
    return {**settings, "seed": seed} if carved else settings


def build_splits(folder: Path, entry: Path, *, manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Writes the row numbers of each split into an empty folder, its manifest last.

    The test split is carved first, out of all training images; validation out of what is left.
    """
    labels = load_array(entry, "train_labels", manifest=manifest)
    rows = {"train": np.arange(len(labels), dtype=np.int32)}
    rows_of = {"train": "train"}
    for name in CARVED:
        if f"{name}_fraction" in settings:
            kept, held = hold_out(
                labels[rows["train"]], fraction=settings[f"{name}_fraction"], seed=settings["seed"], purpose=name
            )
            rows[name], rows["train"] = rows["train"][held], rows["train"][kept]
            rows_of[name] = "train"
        else:
            rows[name] = np.arange(manifest["arrays"][f"{name}_labels"]["shape"][0], dtype=np.int32)
            rows_of[name] = name
    arrays = {
        f"{name}_indices": write_array(
            folder / f"{name}_indices.npy", batches=[rows[name]], dtype=np.int32, shape=rows[name].shape
        )
        for name in SPLIT_NAMES
    }
    write_manifest(folder, {"settings": dict(settings), "rows_of": rows_of, "arrays": arrays})


def fingerprint(manifest: Mapping[str, Any], split_manifest: Mapping[str, Any]) -> str:
    """Returns a hash of all pixels, labels, names and splits."""
    digest = hashlib.sha256(repr([manifest["input_shape"], manifest["class_names"]]).encode())
    for arrays in (manifest["arrays"], split_manifest["arrays"]):
        for name in sorted(arrays):
            digest.update(f"{name} {arrays[name]['shape']} {arrays[name]['sha256']}".encode())
    return digest.hexdigest()[:32]


def _class_labels(raw: RawDataset, *, limit: int | None) -> tuple[dict[SplitName, Array], list[str]]:
    """Returns each split's class numbers and the class names, from the training labels without the limit."""
    train = raw.splits["train"]
    everything = checked_labels(train.all_labels, where=train.where, num_images=len(train.all_labels))
    values, names = known_classes(everything, where=train.where, class_names=raw.class_names)
    labels = {}
    for name, split in raw.splits.items():
        plain = checked_labels(split.labels, where=split.where, num_images=len(split.images))
        labels[name] = class_numbers(plain, where=split.where, values=values)
    if len(np.unique(labels["train"])) < 2:
        raise DataError(
            f"data.limit: the first {len(labels['train'])} training images are all of one class, "
            f"{names[labels['train'][0]]!r}; raise limit (got {limit}) or shuffle the data"
        )
    return labels, names


def _write_images(path: Path, images: Images, *, layout: Layout, stage: str, progress: Progress) -> dict[str, Any]:
    def told() -> Iterator[Array]:
        done = 0
        for batch in images.batches(layout):
            yield batch
            done += len(batch)
            progress(stage, done, len(images))

    shape = (len(images), layout.height, layout.width, layout.channels)
    return write_array(path, batches=told(), dtype=np.uint8, shape=shape)
