"""Fills a cache entry: decodes and writes a source's splits once, and draws the rows of each split."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.cache.array_folder import (
    demand_space,
    load_array,
    read_manifest,
    write_array,
    write_manifest,
)
from trainables.data.cache.dataset import CONTACT_SHEET, SAMPLE_WEIGHTS
from trainables.data.cache.encoded import write_encoded
from trainables.data.cache.looking import Pass, look_at_splits, seen_of
from trainables.data.cache.statistics import pixel_statistics
from trainables.data.cache.storage_choice import ImagesSize, images_size
from trainables.data.cache.targets import (
    DescribedTarget,
    class_weights_by_name,
    described_targets,
    encoded_labels,
    label_notes,
    masks_of,
    stratum,
)
from trainables.data.formats.files import decoders
from trainables.data.images.choices import pixel_rule
from trainables.data.images.images import Array, EncodableImages, Images, Layout, choose_layout, survey_of
from trainables.data.images.masks import Masks
from trainables.data.labels.masks import class_of_pixels
from trainables.data.look.sizes import size_sentences
from trainables.data.look.weights import weight_facts
from trainables.data.sources.base import SPLIT_NAMES, RawDataset, SplitName
from trainables.data.splits.columns import row_numbers
from trainables.data.splits.rows import TrainingRows, split_rows
from trainables.data.splits.stratified import demand_classes_of_fold
from trainables.errors import DataError
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec
from trainables.specs.dataset import ImageStorage
from trainables.specs.pixels import PixelStatistics
from trainables.specs.task import Target, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSurvey:
    """A source whose labels were checked and whose images' sizes were read; nothing was decoded.

    Attributes:
        source: The source's name in the study file.
        inputs: The names of the images of an example.
        images: By split.
        targets: What a model predicts.
        labels: By split and target, encoded.
        masks: By split and target, not yet read.
        numbers: The numbers of groups or places in an order by which training images are split, by field.
        weights: How much each training image counts in the loss; None: all alike.
        layout: The shape that every image is decoded to.
        size: The bytes that all images take.
        notes: Sentences for the user about what was read.
    """

    source: str
    inputs: Sequence[str]
    images: Mapping[SplitName, Images]
    targets: Sequence[DescribedTarget]
    labels: Mapping[SplitName, Mapping[str, Array]]
    masks: Mapping[SplitName, Mapping[str, Masks]]
    numbers: Mapping[str, Array]
    weights: Array | None
    layout: Layout
    size: ImagesSize
    notes: tuple[str, ...] = ()


def examine(raw: RawDataset, *, spec: DataSpec, progress: OnProgress) -> SourceSurvey:
    """Returns the survey of a source, which reads labels and image sizes and decodes nothing."""
    targets = described_targets(raw, spec=spec)
    labels = encoded_labels(raw, targets, limit=spec.limit)
    numbers = row_numbers(raw, spec=spec)
    images = {name: raw.splits[name].images for name in SPLIT_NAMES if name in raw.splits}
    progress("looking at image sizes", 0, sum(map(len, images.values())))
    survey = survey_of(images.values(), pages=spec.pages)
    progress("looking at pixel ranges", 0, len(images["train"]))
    rule, notes = pixel_rule(images["train"], survey, spec=spec)
    layout = choose_layout(survey, image_size=spec.image_size, channels=spec.channels, rule=rule)
    layout = replace(layout, reduces=spec.reduced_decoding)
    # The images of one example are side by side in the channels.
    num_channels = layout.channels * len(spec.input_names)
    size = images_size(images.values(), height=layout.height, width=layout.width, num_channels=num_channels)
    return SourceSurvey(
        source=spec.source,
        inputs=spec.input_names,
        images=images,
        targets=targets,
        labels=labels,
        masks=masks_of(raw, targets),
        numbers=numbers,
        weights=raw.splits["train"].weights,
        layout=layout,
        size=size,
        notes=(
            *raw.notes,
            *label_notes(raw, spec=spec),
            *(note for target in targets for note in target.notes),
            *notes,
            *size_sentences(survey, layout=layout),
        ),
    )


def build_entry(folder: Path, source: SourceSurvey, *, key: str, storage: ImageStorage, progress: OnProgress) -> None:
    """Writes all splits of a source into an empty folder, the manifest last."""
    size = source.size
    needed = size.decoded_bytes if storage == "decoded" or size.encoded_bytes is None else size.encoded_bytes
    pixels_each = source.layout.height * source.layout.width
    needed += sum(len(masks) * pixels_each for split in source.masks.values() for masks in split.values())
    demand_space(folder, needed_bytes=needed, what=storage)
    arrays: dict[str, Any] = {}
    pixels: dict[str, Any] = {}
    passes = {name: Pass(channels=source.layout.channels) for name in source.images}
    for name, seen in passes.items():
        written, record = _write_images(folder, name, source, seen=seen, storage=storage, progress=progress)
        arrays |= written
        pixels[f"{name}_images"] = record
        for target, values in source.labels[name].items():
            arrays[f"{name}_labels_{target}"] = write_array(
                folder / f"{name}_labels_{target}.npy", batches=[values], dtype=values.dtype, shape=values.shape
            )
        arrays |= _write_masks(folder, name, source)
    arrays |= _write_columns(folder, source)
    write_manifest(
        folder,
        {
            "key": key,
            "source": source.source,
            "storage": storage,
            "size": asdict(size),
            "input_shape": [source.layout.height, source.layout.width, source.layout.channels],
            "inputs": list(source.inputs),
            "targets": [target.to_json() for target in source.targets],
            "notes": list(source.notes),
            "pixel_rule": asdict(source.layout.rule),
            "decoders": decoders(),
            "builder_pid": os.getpid(),
            "arrays": arrays,
            "pixels": pixels,
            "seen": seen_of(passes, images=source.images),
        },
    )


def _write_columns(folder: Path, source: SourceSurvey) -> dict[str, Any]:
    """Writes what the study names beside images and labels of the training split, and returns the records."""
    columns = {f"train_{field}": numbers for field, numbers in source.numbers.items()}
    if source.weights is not None:
        columns[SAMPLE_WEIGHTS] = source.weights
    return {
        name: write_array(folder / f"{name}.npy", batches=[values], dtype=values.dtype, shape=values.shape)
        for name, values in columns.items()
    }


def _write_masks(folder: Path, name: SplitName, source: SourceSurvey) -> dict[str, Any]:
    """Writes a split's masks in the size of the images, piece by piece, and returns the records of the arrays."""
    records = {}
    height, width = source.layout.height, source.layout.width
    values = {
        target.name: [int(value) for value in target.values] for target in source.targets if target.kind == "mask"
    }
    for target, masks in source.masks[name].items():

        def classes(masks: Masks = masks, target: str = target) -> Iterator[Array]:
            for batch in masks.batches(height=height, width=width):
                yield class_of_pixels(batch, values=values[target])

        array = f"{name}_labels_{target}"
        shape = (len(masks), height, width)
        records[array] = write_array(folder / f"{array}.npy", batches=classes(), dtype=np.uint8, shape=shape)
    return records


def own_splits(manifest: Mapping[str, Any]) -> dict[SplitName, int]:
    """Returns the number of rows of each split that the source has."""
    pixels = manifest["pixels"]
    return {name: pixels[f"{name}_images"]["shape"][0] for name in SPLIT_NAMES if f"{name}_images" in pixels}


def build_splits(folder: Path, entry: Path, *, manifest: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Writes the row numbers of each split into an empty folder, the manifest last."""

    def load(name: str) -> Array:
        return load_array(entry, f"train_{name}", manifest=manifest)

    labels = stratum(manifest["targets"], load=lambda name: load(f"labels_{name}"))
    numbers = {field: load(field) for field in ("group", "order") if field in settings}
    own = own_splits(manifest)
    rows, notes = split_rows(TrainingRows(labels=labels, **numbers), own_splits=own, settings=settings)
    rows_of: dict[str, str] = {name: name if name in own else "train" for name in rows}
    arrays = {
        f"{name}_indices": write_array(
            folder / f"{name}_indices.npy", batches=[rows[name]], dtype=np.int32, shape=rows[name].shape
        )
        for name in SPLIT_NAMES
    }
    height, width, _ = manifest["input_shape"]
    moments = load_array(entry, f"{rows_of['train']}_moments", manifest=manifest)
    statistics = pixel_statistics(moments, rows["train"], num_pixels=height * width)
    look, sheet = look_at_splits(entry, manifest, rows=rows, rows_of=rows_of)
    if SAMPLE_WEIGHTS in manifest["arrays"]:
        look["sample_weights"] = weight_facts(load("sample_weight")[rows["train"]])
    arrays[CONTACT_SHEET] = write_array(
        folder / f"{CONTACT_SHEET}.npy", batches=[np.frombuffer(sheet, np.uint8)], dtype=np.uint8, shape=(len(sheet),)
    )
    write_manifest(
        folder,
        {
            "settings": dict(settings),
            "rows_of": rows_of,
            "statistics": asdict(statistics),
            "look": look,
            "notes": list(notes),
            "arrays": arrays,
        },
    )


def demand_whole_folds(
    entry: Path, manifest: Mapping[str, Any], *, rows: Sequence[Path], specs: Sequence[DataSpec]
) -> None:
    """Raises DataError unless every fold trains and validates on images of every class.

    Args:
        entry: The cache entry.
        manifest: Its manifest.
        rows: The folders with the rows of each fold.
        specs: The data section of each fold.
    """
    labels = stratum(
        manifest["targets"], load=lambda name: load_array(entry, f"train_labels_{name}", manifest=manifest)
    )
    names: Sequence[str] = next(
        (target["class_names"] for target in manifest["targets"] if target["kind"] == "classification"), []
    )
    for folder, spec in zip(rows, specs, strict=True):
        own = read_manifest(folder)
        train, held = (load_array(folder, f"{name}_indices", manifest=own) for name in ("train", "validation"))
        demand_classes_of_fold(labels, train=train, held=held, names=names, folds=(spec.fold or 1, spec.folds or 1))


def task_of(manifest: Mapping[str, Any], *, spec: DataSpec) -> Task:
    """Returns a model's inputs and targets, from a cache entry and the study's target specs."""
    height, width, channels = manifest["input_shape"]
    targets = []
    for described in manifest["targets"]:
        target = spec.target_specs[described["name"]]
        targets.append(
            Target(
                name=described["name"],
                kind=target.kind,
                size=described["size"],
                class_names=tuple(described["class_names"]),
                loss=target.loss_name,
                weight=target.weight,
                metrics=target.metric_names,
                class_weights=class_weights_by_name(described, given=target.class_weights),
            )
        )
    return Task(input_shape=(height, width, channels), targets=tuple(targets), inputs=tuple(manifest["inputs"]))


def statistics_of(split_manifest: Mapping[str, Any]) -> PixelStatistics:
    """Returns the pixel statistics of the training split."""
    return PixelStatistics(**{name: tuple(values) for name, values in split_manifest["statistics"].items()})


def fingerprint(manifest: Mapping[str, Any], split_manifest: Mapping[str, Any]) -> str:
    """Returns a hash of all pixels, labels, names and splits; it is the same for every storage."""
    described = [manifest[name] for name in ("input_shape", "inputs", "targets")]
    digest = hashlib.sha256(repr(described).encode())
    # What the pass sees and the sheet follow from the pixels.
    parts = ("bytes", "offsets", "digests", "grey")
    others = {CONTACT_SHEET, *(f"{name}_{part}" for name in SPLIT_NAMES for part in parts)}
    stored, rows = (
        {name: record for name, record in described["arrays"].items() if name not in others}
        for described in (manifest, split_manifest)
    )
    for arrays in ({**stored, **manifest["pixels"]}, rows):
        for name in sorted(arrays):
            digest.update(f"{name} {arrays[name]['shape']} {arrays[name]['sha256']}".encode())
    return digest.hexdigest()[:32]


def _write_images(  # noqa: PLR0913 - what a split is, and how it is kept
    folder: Path, name: SplitName, source: SourceSurvey, *, seen: Pass, storage: ImageStorage, progress: OnProgress
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Writes a split's images and what the pass over them sees.

    Returns:
        The records of the written arrays, and the record of the decoded images, written or not.
    """
    images, layout = source.images[name], source.layout
    done = 0

    def on_batch(batch: Array) -> None:
        nonlocal done
        seen.see(batch)
        done += len(batch)
        progress(f"decoding {name} images", done, len(images))

    def decoded() -> Iterator[Array]:
        for batch in images.batches(layout):
            yield batch
            on_batch(batch)

    num_channels = layout.channels * len(source.inputs)
    if storage == "encoded":
        if not isinstance(images, EncodableImages):
            raise DataError(f"data: {name} images come as arrays here, expected files in image formats")
        written, pixels = write_encoded(folder, name, images, layout=layout, on_batch=on_batch)
    else:
        shape = (len(images), layout.height, layout.width, num_channels)
        pixels = write_array(folder / f"{name}_images.npy", batches=decoded(), dtype=np.uint8, shape=shape)
        written = {f"{name}_images": pixels}
    return {**written, **seen.write(folder, name, shape=(len(images), num_channels))}, pixels
