"""Predictions of kept checkpoints, made inside a worker process."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from trainables.data.cache.dataset import Dataset, Split, open_dataset
from trainables.data.cache.in_process import dataset_on_this_node
from trainables.ensembles.requests import PredictionAnswer, PredictionRequest
from trainables.errors import CheckpointError
from trainables.exporting.loading import kept_checkpoint, trial_model
from trainables.families.parts.inputs import model_inputs
from trainables.specs.task import Task
from trainables.specs.worker import PRIVATE, WorkerSpec
from trainables.training.devices import configure_devices

_BATCH = 256
#: Images that are in memory as float32 at once.
_PIECE = 2048


def predict_checkpoints(request: PredictionRequest) -> PredictionAnswer:
    """Returns what checkpoints of a trial predict on the validation split; one that cannot be loaded has a problem."""
    dataset = worker_data(request.worker)
    outputs, problems = {}, {}
    for epoch in request.epochs:
        try:
            checkpoint = kept_checkpoint(request.worker, trial=request.trial, variant=request.variant, epoch=epoch)
            model = trial_model(request.worker, request.variant, checkpoint)
        except CheckpointError as exc:
            problems[epoch] = str(exc)
            continue
        found = predict_split(model, dataset.validation, task=request.worker.dataset.task)
        if np.isfinite(found).all():
            outputs[epoch] = found
        else:
            problems[epoch] = "it predicts values that are not finite"
    return PredictionAnswer(trial=request.trial, outputs=outputs, problems=problems)


def worker_data(worker: WorkerSpec) -> Dataset:
    """Returns the study's data on this node, after this process was limited to its CPUs.

    Args:
        worker: The study's data and its share of a machine.
    """
    os.umask(PRIVATE)
    # A GPU multiplies float32 with fewer digits, and not alike in every graph.
    configure_devices(replace(worker.device, gpus=0))
    return open_dataset(dataset_on_this_node(worker))


def predict_split(model: Any, split: Split, *, task: Task) -> np.ndarray:
    """Returns what a model predicts for all images of a split, in its order: float32 (images, size).

    Args:
        model: With one output.
        split: Its images, decoded or not.
        task: Has one target.
    """
    return predict_rows(split, task=task, predict=lambda images: model.predict(images, batch_size=_BATCH, verbose=0))


def predict_rows(split: Split, *, task: Task, predict: Callable[[Any], Any]) -> np.ndarray:
    """Returns the outputs of a function for all images of a split.

    Args:
        split: Its images, decoded or not.
        task: Has one target.
        predict: Returns the outputs for float32 images, as the model takes them.
    """
    found = []
    for at in range(0, len(split.indices), _PIECE):
        images = np.asarray(split.images[split.indices[at : at + _PIECE]], dtype=np.float32)
        outputs = predict(model_inputs(images, task=task))
        lone = next(iter(outputs.values())) if isinstance(outputs, dict) else outputs
        found.append(np.asarray(lone, dtype=np.float32))
    return np.concatenate(found)
