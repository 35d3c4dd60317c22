"""Formats of other runtimes: converted from one SavedModel, and each verified by its own runtime."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from search_spaces import Variant
from trainables.catalog.families import FAMILIES
from trainables.data.cache.dataset import Dataset, Split
from trainables.errors import ModelExportError
from trainables.exporting.float32_twin import float32_twin, half_precision
from trainables.exporting.formats import write_saved_model
from trainables.exporting.layer_losses import layer_names, worst_layer
from trainables.exporting.manifest import output_names
from trainables.exporting.predicted_metrics import predicted_metrics
from trainables.exporting.runtimes.calibration import calibration_rows
from trainables.exporting.runtimes.conversion import Arrays, Source
from trainables.exporting.runtimes.conversions import CONVERSIONS
from trainables.exporting.runtimes.operators import operations_in, unknown_operations
from trainables.exporting.runtimes.own_process import ProcessResult, run_in_own_process, write_images
from trainables.exporting.verify import (
    agreements,
    check_outputs,
    check_quantised,
    largest_difference,
    loses_more,
    targets_of_numbers,
)
from trainables.families.parts.inputs import model_inputs
from trainables.specs.export import FACTS, FILES, ExportRequest, missing_packages
from trainables.specs.task import Task
from trainables.steps.step_numbers import has_steps_of_users
from trainables.user_code import in_words

#: Test images that each file predicts: so many, and no more than their outputs leave room for.
_MOST_IMAGES, _MOST_BYTES = 10_000, 256_000_000
_BATCH = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFile:
    """A file that its runtime has run.

    Attributes:
        difference: The largest from the model's predictions.
        measured: What the manifest says of it.
    """

    difference: float
    measured: Mapping[str, Any]


class ConvertedFormats:
    """Makes the formats of other runtimes of one model, on demand.

    Args:
        model: A graph of Keras's layers.
        request: What is exported.
        splits: The data set: its training images calibrate, its test images are predicted.
        rebuild: Returns the model of a variant with the checkpoint's weights.
        folder: For what the formats share, outside the export.
    """

    def __init__(
        self, model: Any, request: ExportRequest, *, splits: Dataset, rebuild: Callable[[Variant], Any], folder: Path
    ) -> None:
        self._trained, self._request, self._rebuild, self._folder = model, request, rebuild, folder
        self._train, self._test = splits.train, splits.test
        self._task = request.worker.dataset.task
        self._outputs = output_names(self._task)
        self._num_images = _num_images(self._task, available=len(self._test.indices))
        self._has_half = bool(half_precision(model))

    def write(self, name: str, path: Path) -> VerifiedFile:
        """Writes one format and has its runtime predict the test images.

        Args:
            name: The format.
            path: What to write.

        Raises:
            ModelExportError: The model cannot have this format, or the file does not predict what the model predicts.
        """
        if missing := missing_packages(name):
            raise ModelExportError(missing)
        conversion = CONVERSIONS[name]
        if reason := unknown_operations(self._operations, conversion.unknown):
            raise ModelExportError(reason)
        try:
            with warnings.catch_warnings():
                # Of what Keras and TensorFlow left behind, which nobody who exports can mend.
                warnings.simplefilter("ignore")
                conversion.convert(self._source, path)
        except (OSError, ModelExportError):
            raise
        except Exception as exc:  # a converter raises anything for what it does not know
            raise ModelExportError(f"it cannot be converted: {in_words(exc)}") from exc
        job = {
            "format": name,
            "path": str(path),
            "threads": self._request.worker.device.num_threads,
            "inputs": list(self._task.inputs),
            "outputs": list(self._outputs.values()),
        }
        return self._verified(name, path, found=run_in_own_process(job, folder=self._images))

    def _verified(self, name: str, path: Path, *, found: ProcessResult) -> VerifiedFile:
        facts, what = FACTS[name], f"{self._request.trial}: {FILES[name]}"
        predicted = {target: found.outputs[output] for target, output in self._outputs.items()}
        metrics = _metrics_of(predicted, model=self._trained, request=self._request, test=self._test)
        changes = {metric: value - self._expected_metrics[metric] for metric, value in metrics.items()}
        if facts.answers is None:
            expected = {self._outputs[target]: values for target, values in self._expected.items()}
            numbers = {self._outputs.get(name, "") for name in targets_of_numbers(self._task)}
            check_outputs(expected, found.outputs, what=what, tolerance=facts.tolerance, numbers=numbers)
            judged: dict[str, Any] = {"tolerance": facts.tolerance}
        else:
            find_layer = partial(
                worst_layer, CONVERSIONS[name], self._source, path=path, layers=layer_names(self._model)
            )
            try:
                check_quantised(
                    self._expected, predicted, changes=changes, allowed=facts.answers, task=self._task, what=what
                )
            except ModelExportError as exc:
                raise ModelExportError("; ".join([str(exc), *filter(None, [find_layer().get("words")])])) from exc
            judged = {"allowed": asdict(facts.answers)}
            if loses_more(changes, most=self._request.accepted_drop, task=self._task) and (layer := find_layer()):
                judged |= {"worst_layer": layer}
        difference = max(largest_difference(values, predicted[target]) for target, values in self._expected.items())
        measured = {
            "runtime": CONVERSIONS[name].runtime,
            **found.measured,
            "num_images": self._num_images,
            "max_difference": difference,
            **judged,
            "agreement": agreements(self._expected, predicted, targets=self._task.targets),
            "test_metrics": metrics,
            "metric_changes": changes,
            "size_bytes": size_of(path),
            **({"float32_difference": self._half_difference} if self._has_half else {}),
        }
        return VerifiedFile(difference=difference, measured=measured)

    @cached_property
    def _model(self) -> Any:
        return float32_twin(self._request.variant, rebuild=self._rebuild) if self._has_half else self._trained

    @cached_property
    def _source(self) -> Source:
        path = self._folder / "converted_from"
        write_saved_model(self._model, path, self._task)
        return Source(
            saved_model=path,
            inputs=self._task.inputs,
            outputs=tuple(self._outputs.values()),
            calibration=lambda: _calibration_images(self._train, request=self._request),
        )

    @cached_property
    def _operations(self) -> set[str]:
        return operations_in(self._source.saved_model)

    @cached_property
    def _stored(self) -> np.ndarray:
        return np.asarray(self._test.images[self._test.indices[: self._num_images]])

    @cached_property
    def _images(self) -> Path:
        """The folder with the images that every file predicts."""
        images = model_inputs(self._stored, task=self._task)
        write_images(self._folder, images if isinstance(images, Mapping) else {self._task.inputs[0]: images})
        return self._folder

    @cached_property
    def _expected(self) -> dict[str, np.ndarray]:
        """What the model predicts, by target."""
        return self._predicted_by(self._model)

    @cached_property
    def _expected_metrics(self) -> dict[str, float]:
        """The metrics of the model itself, on the images that every file predicts."""
        return _metrics_of(self._expected, model=self._trained, request=self._request, test=self._test)

    @cached_property
    def _half_difference(self) -> float:
        """The largest difference of the model that was trained from the one whose layers compute in float32."""
        trained = self._predicted_by(self._trained)
        return max(largest_difference(values, trained[name]) for name, values in self._expected.items())

    def _predicted_by(self, model: Any) -> dict[str, np.ndarray]:
        images = model_inputs(self._stored.astype(np.float32), task=self._task)
        found = model.predict(images, batch_size=_BATCH, verbose=0)
        return dict(found) if isinstance(found, Mapping) else {self._task.targets[0].name: found}


def _metrics_of(predicted: Arrays, *, model: Any, request: ExportRequest, test: Split) -> dict[str, float]:
    """Returns the metrics of predictions of the first images of the test split."""
    if has_steps_of_users(model):
        return {}  # Their `test_step` measures the model itself.
    variant, rows = request.variant, test.indices[: len(next(iter(predicted.values())))]
    return predicted_metrics(
        predicted,
        {name: np.asarray(labels[rows]) for name, labels in test.labels.items()},
        task=request.worker.dataset.task,
        params=FAMILIES[variant.family].with_defaults(variant.params),
        own=request.worker.training.own_code,
    )


def _calibration_images(train: Split, *, request: ExportRequest) -> Arrays:
    """Returns training images by input."""
    task, rows = request.worker.dataset.task, train.indices
    height, width, _ = task.input_shape
    image_bytes = 4 * height * width * task.stored_channels
    drawn = calibration_rows(len(rows), image_bytes=image_bytes, seed=request.variant.seed)
    images = model_inputs(np.asarray(train.images[rows[drawn]]), task=task)
    return images if isinstance(images, Mapping) else {task.inputs[0]: images}


def _num_images(task: Task, *, available: int) -> int:
    """Returns how many of the test images each file predicts."""
    height, width, _ = task.input_shape
    numbers = height * width * task.stored_channels + sum(prod(task.output_shape(target)) for target in task.targets)
    return min(_MOST_IMAGES, available, max(1, _MOST_BYTES // (4 * numbers)))


def size_of(path: Path) -> int:
    """Returns the bytes of a file, or of all files in a folder."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
