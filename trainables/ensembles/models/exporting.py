"""Exports an ensemble as one model inside a worker process, beside measures of the best single model."""

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from search_spaces import Variant
from trainables.catalog.training import TARGETS
from trainables.data.cache.dataset import Dataset, Split
from trainables.ensembles.models.combining import member_model, voting_model
from trainables.ensembles.models.predicting import predict_split, worker_data
from trainables.ensembles.models.souping import Soup
from trainables.ensembles.requests import Candidate, EnsembleAnswer, EnsembleMember, EnsembleRequest, MeasuredModel
from trainables.errors import CheckpointError, ModelExportError
from trainables.exporting.converted import size_of
from trainables.exporting.export import write_export
from trainables.exporting.formats import keras_refusal
from trainables.exporting.loading import compile_for_sharing
from trainables.exporting.plain_graph import plain_model
from trainables.exporting.predicted_metrics import predicted_metrics, scores_of_split
from trainables.exporting.runtimes.measuring import BATCHES
from trainables.families.parts.inputs import model_inputs
from trainables.specs.export import FILES
from trainables.specs.worker import WorkerSpec

_WARM_UP_CALLS, _LEAST_CALLS, _MOST_CALLS, _SECONDS = 2, 10, 100, 2.0


def export_ensemble(request: EnsembleRequest) -> EnsembleAnswer:
    """Writes an ensemble in all its formats, verified, with its manifest; the folder appears whole.

    The test split is read once: the ensemble and the best single model predict it for the figures of both.

    Raises:
        ModelExportError: A checkpoint is damaged, or no format can be made.
    """
    worker = request.worker
    dataset, task = worker_data(worker), worker.dataset.task
    # Without a loss of one variant's own: members may have different ones.
    variant = replace(request.export.variant, params={**request.export.variant.params, "loss": TARGETS})
    try:
        model = _model(request, dataset=dataset)
        single = member_model(request.single, worker=worker)
    except CheckpointError as exc:
        raise ModelExportError(f"{request.trial}: a checkpoint of its members cannot be exported: {exc}") from exc
    outputs = [predict_split(item, dataset.test, task=task) for item in (model, single)]
    metrics = [_test_metrics(found, dataset.test, worker=worker) for found in outputs]
    export = write_export(
        model,
        replace(request.export, variant=variant),
        splits=dataset,
        test_metrics=metrics[0],
        scores=scores_of_split(model, dataset.test, task=task),
        rebuild=lambda changed: _model(request, dataset=dataset, precision=str(changed.params["precision"])),
        content=_content(request),
    )
    compile_for_sharing(single, task=task)
    models, folder = (model, single), Path(export.folder).parent
    seconds = {size: _latencies(models, test=dataset.test, worker=worker, size=size) for size in BATCHES}
    measured = [
        MeasuredModel(
            test_metrics=metrics[place],
            num_parameters=int(item.count_params()),
            size_bytes=_keras_bytes(item, folder=folder),
            latency_seconds={str(size): medians[place] for size, medians in seconds.items()},
        )
        for place, item in enumerate(models)
    ]
    return EnsembleAnswer(
        export=export,
        ensemble=measured[0],
        single=measured[1],
        only_right=_only_right(outputs, dataset.test, worker=worker),
    )


def _model(request: EnsembleRequest, *, dataset: Dataset, precision: str | None = None) -> Any:
    """Returns the ensemble as a graph of Keras's layers."""
    if request.method != "soup":
        return voting_model(request.members, worker=request.worker, precision=precision)
    candidates = [member.candidate for member in request.members]
    soup = Soup(candidates[0], worker=request.worker, dataset=dataset, precision=precision)
    soup.set_to(candidates)
    return plain_model(soup.model, request.worker.dataset.task)


def _content(request: EnsembleRequest) -> dict[str, Any]:
    """Returns what the manifest of an ensemble has otherwise than that of one trial's model."""
    members = [{**member.to_json(), "variant": _variant_json(member.candidate.variant)} for member in request.members]
    variant = Variant(
        family="ensemble", params={"method": request.method, "members": tuple(_names(request.members))}, seed=0
    )
    return {
        "variant": _variant_json(variant),
        "ensemble": {"method": request.method, "members": members, "best_single": _place(request.single)},
    }


def _variant_json(variant: Variant) -> dict[str, Any]:
    return {**variant.to_json(), "variant_id": variant.variant_id}


def _names(members: Sequence[EnsembleMember]) -> list[str]:
    return [f"{member.candidate.name}: {member.weight:g}" for member in members]


def _place(candidate: Candidate) -> dict[str, Any]:
    return {"trial": candidate.trial, "epoch": candidate.epoch}


def _labels(split: Split, *, name: str) -> np.ndarray:
    return np.asarray(split.labels[name][split.indices])


def _test_metrics(outputs: np.ndarray, test: Split, *, worker: WorkerSpec) -> dict[str, float]:
    (target,) = worker.dataset.task.targets
    return predicted_metrics(
        {target.name: outputs},
        {target.name: _labels(test, name=target.name)},
        task=worker.dataset.task,
        params={"loss": TARGETS},
        own=worker.training.own_code,
    )


def _only_right(outputs: Sequence[np.ndarray], test: Split, *, worker: WorkerSpec) -> tuple[int, ...]:
    (target,) = worker.dataset.task.targets
    if target.kind != "classification":
        return ()
    labels = _labels(test, name=target.name)
    ensemble, single = (found.argmax(axis=1) == labels for found in outputs)
    return int(np.sum(ensemble & ~single)), int(np.sum(single & ~ensemble))


def _latencies(models: Sequence[Any], *, test: Split, worker: WorkerSpec, size: int) -> list[float]:
    """Returns the median seconds of a call of each model, called in turn: what else is at work delays all alike."""
    rows = test.indices[np.arange(size) % len(test.indices)]
    images = model_inputs(np.stack([test.images[row] for row in rows]).astype(np.float32), task=worker.dataset.task)
    given = tf.nest.map_structure(tf.constant, images)
    calls = [_called(model) for model in models]
    seconds: list[list[float]] = [[] for _ in models]
    for call in calls * _WARM_UP_CALLS:
        call(given)
    while len(seconds[0]) < _LEAST_CALLS or (len(seconds[0]) < _MOST_CALLS and sum(map(sum, seconds)) < _SECONDS):
        for call, taken in zip(calls, seconds, strict=True):
            start = time.perf_counter()
            call(given)
            taken.append(time.perf_counter() - start)
    return [float(np.median(taken)) for taken in seconds]


def _called(model: Any) -> Callable[[Any], Any]:
    call = tf.function(lambda images: model(images, training=False), autograph=False)
    return lambda images: tf.nest.map_structure(np.asarray, call(images))


def _keras_bytes(model: Any, *, folder: Path) -> int | None:
    """Returns the size of a model's `.keras` file, which is deleted again; None where plain Keras cannot load one."""
    if keras_refusal(model):
        return None
    with tempfile.TemporaryDirectory(dir=folder, prefix=".size-") as place:
        path = Path(place) / FILES["keras"]
        with suppress(ValueError, TypeError, NotImplementedError):
            model.save(path)
        return size_of(path) if path.is_file() else None
