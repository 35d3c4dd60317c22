"""Labelled images to evaluate a model on: of any source, or the test split of the model's own study."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.cache.array_folder import load_array, read_manifest
from trainables.data.cache.dataset import SPLITS_FOLDER, open_dataset
from trainables.data.cache.in_process import insisted
from trainables.data.cache.prepare import prepare_dataset
from trainables.data.cache.sources import SOURCES
from trainables.data.images.images import Array, Images, NamedImages, survey_of
from trainables.data.sources.base import SPLIT_NAMES, RawDataset, RawSplit
from trainables.errors import DataError
from trainables.predicting.described import ExportedModel
from trainables.predicting.files import color_problem, size_problem
from trainables.predicting.matched import matched_labels
from trainables.predicting.running import images_at_once
from trainables.progress import OnProgress
from trainables.specs.data import DataSpec
from trainables.specs.dataset import DatasetInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImages:
    """Images and what they show.

    Attributes:
        where: What they are, in words.
        count: How many.
        batches: Yields the pixels in order, uint8 (count, height, width, stored channels).
        labels: By target, as `task.Target` has them.
        names: Returns the names of some images; rows ascend.
        notes: Sentences for the user about what was read.
    """

    where: str
    count: int
    batches: Callable[[], Iterator[Array]]
    labels: Mapping[str, Array]
    names: Callable[[Sequence[int]], list[str]]
    notes: tuple[str, ...] = ()


def labelled_images(
    spec: DataSpec, export: ExportedModel, *, split: str | None, allows_missing: bool, progress: OnProgress
) -> LabelledImages:
    """Returns one split of a source, read as the model's study read its images.

    Args:
        spec: Where the images and labels are, with absolute paths; its targets are those of the model.
        export: The model.
        split: train, validation or test; None: test, or the only one that there is.
        allows_missing: Whether classes of the model may have no image.
        progress: Receives each stage and how far it is.

    Raises:
        DataError: The data cannot be read, or its labels are not what the model predicts.
    """
    opened = SOURCES[spec.source](spec, progress)
    try:
        raw = opened.read()
        name, chosen = _chosen_split(raw, split)
        _demand_fitting(chosen.images, export, spec=spec)
        labels = {
            target.name: matched_labels(
                chosen,
                spec.target_specs[target.name].class_names or raw.class_names.get(target.name),
                target=target,
                task=export.task,
                allows_missing=allows_missing,
            )
            for target in export.task.targets
        }
    except OSError as exc:
        raise DataError(f"data: the source cannot be read: {exc}; check its files, or write them again") from exc
    images = chosen.images
    return LabelledImages(
        where=f"{chosen.where} ({name})" if len(raw.splits) > 1 else chosen.where,
        count=len(images),
        batches=lambda: images.batches(export.layout),
        labels=labels,
        names=lambda rows: _names(images, rows),
        notes=(*opened.notes, *raw.notes),
    )


def study_dataset(study: Mapping[str, Any], export: ExportedModel, *, progress: OnProgress) -> DatasetInfo:
    """Returns the data set that the model's study trained on, as this machine has it.

    Args:
        study: `data` and `seed` of the study.
        export: The model.
        progress: Receives each stage and how far it is.

    Raises:
        DataError: It cannot be read any more, or is not the one that the manifest names.
    """
    spec = insisted(DataSpec.model_validate(study["data"]))
    info = prepare_dataset(spec, study["seed"], progress=progress)
    expected = export.manifest["dataset_fingerprint"]
    if info.fingerprint != expected:
        raise DataError(
            f"data: the study's images are not those that the model was trained on (fingerprint {info.fingerprint}, "
            f"expected {expected}); restore the files, or name other labelled images with --data"
        )
    return info


def own_test_split(info: DatasetInfo, export: ExportedModel) -> LabelledImages:
    """Returns the test split of the model's own study.

    Args:
        info: The study's data set.
        export: The model.
    """
    test = open_dataset(info).test
    rows, step = np.asarray(test.indices), images_at_once(export.task)

    def batches() -> Iterator[Array]:
        for start in range(0, len(rows), step):
            yield np.asarray(test.images[rows[start : start + step]])

    return LabelledImages(
        where="the test split of the model's own study",
        count=len(rows),
        batches=batches,
        labels={name: np.asarray(labels[rows]) for name, labels in test.labels.items()},
        names=lambda some: [f"image {rows[at]}" for at in some],
    )


def training_digests(info: DatasetInfo) -> Array:
    """Returns the digests of the pixels of all images that the study trained or validated on.

    Args:
        info: The study's data set.
    """
    entry = Path(info.folder)
    splits = entry / SPLITS_FOLDER / info.split_key
    manifest, split_manifest = read_manifest(entry), read_manifest(splits)
    found = [
        load_array(entry, f"{split_manifest['rows_of'][name]}_digests", manifest=manifest)[
            np.asarray(load_array(splits, f"{name}_indices", manifest=split_manifest))
        ]
        for name in ("train", "validation")
    ]
    return np.unique(np.concatenate(found))


def _chosen_split(raw: RawDataset, wanted: str | None) -> tuple[str, RawSplit]:
    splits: dict[str, RawSplit] = {name: raw.splits[name] for name in SPLIT_NAMES if name in raw.splits}
    if wanted is not None and wanted not in splits:
        raise DataError(f"split: the data has {', '.join(splits)}, got {wanted!r}; name one of these with --split")
    if wanted is None and "test" not in splits and len(splits) > 1:
        raise DataError(f"split: the data has {', '.join(splits)} and no test; say which with --split")
    name = wanted or ("test" if "test" in splits else next(iter(splits)))
    return name, splits[name]


def _demand_fitting(images: Images, export: ExportedModel, *, spec: DataSpec) -> None:
    """Raises DataError for images that the study would have refused: of another size, or with colour."""
    if not len(images):
        raise DataError("data: there are no images; name a folder or a file that has some")
    survey = survey_of([images], pages=spec.pages)
    for size, (count, places) in survey.sizes.items():
        if problem := size_problem(size, export):
            raise DataError(f"{places[0]}: {problem}; resize all {count} of them first")
    if problem := color_problem(survey.has_colour, export):
        raise DataError(f"data: some image {problem}; convert them first")


def _names(images: Images, rows: Sequence[int]) -> list[str]:
    return images.names(rows) if isinstance(images, NamedImages) else [f"image {row}" for row in rows]
