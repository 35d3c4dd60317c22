"""The metrics of predictions that any runtime made, and of a file of Keras, by the losses and metrics of a report."""

from collections.abc import Mapping
from math import ceil, prod
from pathlib import Path
from typing import Any

import keras
import numpy as np

from trainables.catalog.training import MODEL
from trainables.data.cache.dataset import Split
from trainables.families.parts.inputs import by_target, model_inputs
from trainables.scores.mistakes import worst_mistakes_of
from trainables.scores.tallies import score_batches, tallies_of
from trainables.specs.task import Task
from trainables.specs.worker import OwnCode
from trainables.steps.compiling import compile_for_evaluation
from trainables.steps.metrics import metric_values

_BATCH = 256
#: Images whose outputs are held at once: so many, and no more than these bytes of floats.
_MOST_AT_ONCE, _MOST_BYTES = 4096, 256_000_000


def predicted_metrics(
    predicted: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    *,
    task: Task,
    params: Mapping[str, Any],
    own: OwnCode,
) -> dict[str, float]:
    """Returns the loss and metrics of predictions; without the losses where the model's class computes its own.

    Args:
        predicted: By target.
        labels: By target, as `task.Target` has them.
        task: The task.
        params: The variant's complete parameters.
        own: Where losses and metrics of a user's lie.
    """
    ends = {target.name: keras.Input(task.output_shape(target), name=target.name) for target in task.targets}
    # A model that predicts what it is given: Keras computes its metrics as those of any other.
    passed = {name: keras.layers.Identity(name=f"{name}_passed")(end) for name, end in ends.items()}
    model = keras.Model(by_target(ends, task=task), by_target(passed, task=task))
    has_own_loss = params["loss"] == MODEL
    compile_for_evaluation(model, task=task, params=None if has_own_loss else params, own=own)
    model.evaluate(by_target(predicted, task=task), by_target(labels, task=task), batch_size=_BATCH, verbose=0)
    values = {name: float(value) for name, value in metric_values(model).items()}
    return {name: value for name, value in values.items() if not (has_own_loss and name.endswith("loss"))}


def metrics_of_keras_file(
    path: Path,
    images: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    *,
    task: Task,
    params: Mapping[str, Any],
) -> dict[str, float]:
    """Returns the loss and metrics of a file of Keras, in the batches and the graph in which an export is evaluated.

    A loss that Keras takes from logits differs in its last digit from that of the probabilities.

    Args:
        path: The file.
        images: By input, of any number type.
        labels: By target, as `task.Target` has them.
        task: The task, without losses and metrics of users'.
        params: The variant's complete parameters.
    """
    model = keras.models.load_model(path, compile=False, safe_mode=True)
    compile_for_evaluation(model, task=task, params=params)
    model.evaluate(_Batches(images, labels, task=task), verbose=0)
    return {name: float(value) for name, value in metric_values(model).items()}


def scores_of_split(model: Any, split: Split, *, task: Task) -> dict[str, Any]:
    """Returns for each target what predictions of a split are worth, and the worst mistakes; they are never held whole.

    Args:
        model: A Keras model.
        split: Its images and labels.
        task: The task.
    """
    tallies, worst, rows = tallies_of(task), worst_mistakes_of(task), np.asarray(split.indices)
    height, width, _ = task.input_shape
    numbers = height * width * task.stored_channels + sum(prod(task.output_shape(target)) for target in task.targets)
    step = max(1, min(_MOST_AT_ONCE, _MOST_BYTES // (4 * numbers)))
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        images = model_inputs(np.asarray(split.images[some], np.float32), task=task)
        found = model.predict(images, batch_size=_BATCH, verbose=0)
        outputs = dict(found) if isinstance(found, Mapping) else {task.targets[0].name: found}
        labels = {name: np.asarray(of_target[some]) for name, of_target in split.labels.items()}
        score_batches(tallies, outputs, labels)
        score_batches(worst, outputs, labels)
    scores = {name: tally.to_json() for name, tally in tallies.items()}
    for name, mistakes in worst.items():
        scores[name]["mistakes"] = mistakes.to_json()
    return scores


class _Batches(keras.utils.PyDataset):
    """Images and labels in batches, never whole as floats."""

    def __init__(self, images: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], *, task: Task) -> None:
        super().__init__()
        self._images, self._labels, self._task = images, labels, task

    def __len__(self) -> int:
        return ceil(len(next(iter(self._images.values()))) / _BATCH)

    def __getitem__(self, place: int) -> tuple[Any, Any]:
        rows = slice(place * _BATCH, (place + 1) * _BATCH)
        images = {name: np.asarray(array[rows], np.float32) for name, array in self._images.items()}
        labels = {name: np.asarray(array[rows]) for name, array in self._labels.items()}
        (lone, *others) = self._task.inputs
        return images if others else images[lone], by_target(labels, task=self._task)
