"""Builds models, lists their layers and has two of them answer a split: the work of `ask_about_models`' process."""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from trainables.data.cache.dataset import Split, open_dataset
from trainables.inspecting.answers import paired, wrongness
from trainables.inspecting.building import built_model, loaded_model
from trainables.inspecting.layers import layer_rows
from trainables.inspecting.requests import ModelRequest
from trainables.machine.child_process import answer_caller
from trainables.machine.imports import import_tensorflow
from trainables.machine.processes import usable_cpus
from trainables.progress import OnProgress
from trainables.specs.task import Task
from trainables.specs.worker import DeviceSpec, TrainingSpec
from trainables.worker.failures import failure_of

_BATCH = 256


def main() -> int:
    """Answers one request of `ask_about_models`."""
    return answer_caller(_inspect)


def _inspect(request: Any, progress: OnProgress) -> Any:
    import_tensorflow()
    # Late, because both import TensorFlow.
    from trainables.families.building import forget_models
    from trainables.training.devices import configure_devices

    # The GPUs belong to the trials that may be running.
    configure_devices(DeviceSpec(cpus=usable_cpus(), gpus=0))
    models = [ModelRequest.from_json(item) for item in request["models"]]
    layers = []
    for number, model in enumerate(models):
        progress("building models", number, len(models))
        layers.append(_result("rows", partial(_layers, model), model=model))
        forget_models()
    progress("building models", len(models), len(models))
    found: dict[str, Any] = {"layers": layers}
    if request["split"]:
        found["answers"] = _both_answers(models[0], models[1], split=request["split"], progress=progress)
    return found


def _result(key: str, work: Callable[[], Any], *, model: ModelRequest) -> dict[str, Any]:
    """Returns what a work comes to, or why it does not: of a user's model that may be anything."""
    try:
        return {key: work()}
    except Exception as exc:  # noqa: BLE001 - whatever a model raises is its result, as in a trial
        spec = TrainingSpec(max_epochs=1, metric="", mode="max", study_dir=model.own.folder, code=model.own.source)
        return {"problem": f"{model.trial}: {failure_of(exc, variant=model.variant, spec=spec).reason}"}


def _layers(model: ModelRequest) -> list[dict[str, Any]]:
    return layer_rows(built_model(model))


def _both_answers(first: ModelRequest, second: ModelRequest, *, split: str, progress: OnProgress) -> dict[str, Any]:
    data = open_dataset(first.dataset)
    images, task = {"validation": data.validation, "test": data.test}[split], first.dataset.task
    outcomes = []
    for number, model in enumerate((first, second)):
        progress("answering images", number, 2)
        outcomes.append(_result("wrong", partial(_wrong, model, images, task=task), model=model))
        if problem := outcomes[-1].get("problem"):
            return {"problem": problem}
    progress("answering images", 2, 2)
    one, other = (outcome["wrong"] for outcome in outcomes)
    return {
        "targets": [
            {
                "target": target.name,
                "kind": target.kind,
                **paired(one[target.name], other[target.name], kind=target.kind),
            }
            for target in task.targets
        ]
    }


def _wrong(model: ModelRequest, split: Split, *, task: Task) -> dict[str, np.ndarray]:
    """Returns how wrong a model is for each image of a split, by target."""
    # Late, because it imports TensorFlow.
    from trainables.families.parts.inputs import model_inputs

    loaded = loaded_model(model)
    parts: dict[str, list[np.ndarray]] = {target.name: [] for target in task.targets}
    for start in range(0, len(split.indices), _BATCH):
        rows = split.indices[start : start + _BATCH]
        found = loaded.predict_on_batch(model_inputs(np.asarray(split.images[rows], np.float32), task=task))
        outputs = found if isinstance(found, Mapping) else {task.targets[0].name: found}
        for target in task.targets:
            labels = np.asarray(split.labels[target.name][rows])
            parts[target.name].append(wrongness(np.asarray(outputs[target.name]), labels, kind=target.kind))
    return {name: np.concatenate(items) for name, items in parts.items()}


if __name__ == "__main__":
    sys.exit(main())
